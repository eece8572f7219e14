/* SPDX-License-Identifier: Apache-2.0 */
/* Which kernel runs: known by its fingerprint, read when the fingerprint is another, identified when the kernel starts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/session/state_internal.h"
#include "kdnet/base/wire.h"
#include "service/kdnet-target/machine_internal.h"
#include "tests/session/net.h"
#include "tests/session/puppet.h"
#include "tests/session/evidence_reads.h"

static void kernel_that_is_known_costs_no_identity_reads(void **state)
{
    uint32_t first;
    (void)state;
    shared.recall_image = recall_image;
    shared.remember_image = remember_image;
    run("bugcheck", KDNET_MACHINE_X64, NULL);
    assert_int_equal(remembered, 1);
    assert_int_equal(recalls, 1); /* once a boot */
    assert_int_equal(fingerprint.rva[1], MACHINE_RVA_BREAKPOINT);
    assert_int_equal(fingerprint.rva[3], MACHINE_RVA_BUGCHECK_DATA);
    assert_string_equal(fingerprint.build_lab, "20348.288.amd64fre.fe_release.210507-1500");
    assert_true(wants >= 2);
    first = told.requests[0];
    memset(&told, 0, sizeof told);
    vouches = true;
    run("bugcheck", KDNET_MACHINE_X64, NULL);
    assert_int_equal(first - told.requests[0], 3);
    assert_int_equal(remembered, 1); /* nothing new was read */
    assert_true(told.status[1].status_known);
}

static void kernel_of_another_print_is_read(void **state)
{
    (void)state;
    shared.recall_image = recall_image;
    shared.remember_image = remember_image;
    vouches = true;
    memset(&fingerprint, 0, sizeof fingerprint);
    run("bugcheck", KDNET_MACHINE_X64, NULL);
    assert_int_equal(remembered, 1);
    assert_true(told.status[0].status_known);
}

static void kernel_that_starts_is_identified_and_its_symbols_are_wanted(void **state)
{
    struct machine_result result;
    uint32_t first;
    (void)state;
    shared.recall_image = recall_image;
    shared.remember_image = remember_image;
    boot(NULL, &result);
    assert_int_equal(kernels, 1);
    assert_int_equal(wants, 1);
    assert_int_equal(remembered, 1);
    first = result.requests;
    vouches = true;
    boot(NULL, &result);
    assert_int_equal(first - result.requests, 3);
    shared.want_rvas = NULL; /* nobody minds: it goes on at once */
    boot(NULL, &result);
    assert_int_equal(kernels, 0);
    print_message("boot: %u requests more to know the kernel, %u when it is known again\n", first - result.requests,
                  first - result.requests - 3);
}

static bool answers_nothing(struct net_pair *pair, bool to_host, struct net_packet *packet)
{
    struct kdnet_manipulate request;
    (void)pair;
    return to_host || packet->control || packet->type != KDNET_PACKET_MANIPULATE ||
           kdnet_manipulate_decode(packet->payload, packet->length, &request) != KDNET_OK ||
           request.api != KDNET_API_READ_VIRTUAL_MEMORY;
}

static void kernel_that_starts_and_cannot_be_read_goes_on(void **state)
{
    struct machine_result result;
    (void)state;
    boot(answers_nothing, &result);
    assert_int_equal(kernels, 0);
    assert_in_range(result.longest_halt_us, KDNET_READ_DEADLINE_US / 8, KDNET_READ_DEADLINE_US / 4);
}

static unsigned versions_asked;

static bool count_versions(struct puppet *p, struct kdnet_manipulate *reply, uint8_t *data)
{
    (void)p;
    (void)data;
    if (puppet_version(reply))
        ++versions_asked;
    else
        reply->return_status = KDNET_STATUS_UNSUCCESSFUL;
    return reply->api != KDNET_API_CONTINUE && reply->api != KDNET_API_CONTINUE2;
}

static void load_kernel(struct puppet *p)
{
    static const char path[] = "\\SystemRoot\\system32\\NTOSKRNL.EXE";
    uint8_t report[48 + sizeof path] = {0}, payload[KDNET_STATE_CHANGE_SIZE + sizeof path];
    size_t length;
    struct kdnet_state_change change = {.new_state = KDNET_STATE_LOAD_SYMBOLS, .report = report};
    memcpy(report + 48, path, sizeof path); /* behind the control report */
    change.report_length = sizeof report;
    change.load_symbols = (struct kdnet_load_symbols){.base = 0xfffff80012340000U, .path_length = sizeof path};
    assert_int_equal(kdnet_state_change_encode(&change, payload, sizeof payload, &length), KDNET_OK);
    (void)puppet_data(p, KDNET_PACKET_STATE_CHANGE64, payload, length);
}

/* Each would be looked for in symbol stores and on servers, if its identity were read. */
static void machine_that_starts_a_kernel_all_the_time_is_not_asked_all_the_time(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    p->shared.want_rvas = want_rvas;
    p->answer = count_versions;
    versions_asked = 0;
    for (unsigned i = 0; i < 200; ++i) {
        puppet_new_boot(p, (uint8_t)(i * 7 + 3));
        puppet_connect(p);
        load_kernel(p);
        p->now_us += SECOND_US / 10;
    }
    print_message("200 starts: %u times asked\n", versions_asked);
    assert_in_range(versions_asked, KDNET_BREAKS_AT_ONCE, 2 * KDNET_BREAKS_AT_ONCE);
    assert_false(kdnet_session_is_halted(p->session));
    puppet_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SHARED(kernel_that_is_known_costs_no_identity_reads),
        WITH_SHARED(kernel_of_another_print_is_read),
        WITH_SHARED(kernel_that_starts_is_identified_and_its_symbols_are_wanted),
        WITH_SHARED(kernel_that_starts_and_cannot_be_read_goes_on),
        WITH_SHARED(machine_that_starts_a_kernel_all_the_time_is_not_asked_all_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
