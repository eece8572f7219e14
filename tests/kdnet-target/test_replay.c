/* SPDX-License-Identifier: Apache-2.0 */
/* The replay of the real capture, played to a tiny host. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/kdnet-target/tiny_host.h"

#include "service/kdnet-target/replay.h"
#include "tests/support/vectors.h"

#include <stdio.h>

#include <cmocka.h>

#define SECOND        ((uint64_t)1000000)
#define LOADER_BASE   0x96f000U
#define PRINTS        6
#define FILE_REQUESTS 33

struct world {
    struct tiny_host host;
    struct machine_replay *replay;
    struct machine *machine;
    const struct kdnet_machine_layout *layout;
};

static struct machine_replay *make_replay(const struct vectors *vectors)
{
    struct replay_record *records = calloc(vectors->count, sizeof *records);
    size_t count = 0;
    assert_non_null(records);
    for (size_t i = 0; i < vectors->count; ++i) {
        const struct kdnet_datagram *d = &vectors->items[i].datagram;
        if (d->channel == KDNET_CHANNEL_DATA)
            records[count++] = (struct replay_record){
                .from_host = d->from_host, .time_us = i * 100, .body = d->body, .length = d->body_length};
    }
    struct machine_replay *replay = machine_replay_new(records, count);
    free(records);
    assert_non_null(replay);
    return replay;
}

static void start(struct world *w)
{
    const struct vectors *vectors = vectors_or_skip();
    tiny_init(&w->host, "a.b.c.d", 5);
    w->replay = make_replay(vectors);
    struct machine_config config = {
        .crypto = w->host.crypto, .key = w->host.key, .version = 5, .replay = w->replay, .replay_gap_ms = 1};
    config.host.port = 50000;
    w->layout = kdnet_machine_layout(KDNET_MACHINE_X64);
    w->machine = machine_new(&config);
    assert_non_null(w->machine);
    tiny_wait(&w->host, w->machine, 0);
}

static void stop(struct world *w)
{
    machine_free(w->machine);
    machine_replay_free(w->replay);
    tiny_clear(&w->host);
}

static struct machine_result result(struct world *w)
{
    struct machine_result out;
    machine_result(w->machine, w->host.now_us, &out);
    return out;
}

/* Releases what comes until the machine stands at a state change of this kind. */
static struct kdnet_state_change run_to(struct world *w, uint32_t new_state, bool unload)
{
    struct kdnet_state_change change = {0};
    for (int i = 0; i < 500; ++i) {
        const struct kdnet_packet *packet = &w->host.data.packet;
        if (!machine_is_halted(w->machine)) {
            tiny_wait(&w->host, w->machine, SECOND / 100);
            continue;
        }
        if (packet->type == KDNET_PACKET_STATE_CHANGE64) {
            assert_int_equal(kdnet_state_change_decode(packet->payload, packet->payload_length, &change), KDNET_OK);
            if (change.new_state == new_state && change.load_symbols.unload == unload)
                return change;
        }
        tiny_release(&w->host, w->machine, w->layout);
    }
    fail_msg("the state change %x never came", new_state);
    return change;
}

static void every_event_of_the_capture_is_found(void **state)
{
    (void)state;
    struct replay_summary summary;
    struct machine_replay *replay = make_replay(vectors_or_skip());
    machine_replay_summary(replay, &summary);
    assert_int_equal(summary.prints, PRINTS);
    assert_int_equal(summary.load_symbols, 1);
    assert_int_equal(summary.exceptions, 1);
    assert_int_equal(summary.unload_all, 1);
    assert_int_equal(summary.file_questions, FILE_REQUESTS);
    assert_int_equal(summary.prompts, 0);
    assert_int_equal(summary.machine, KDNET_MACHINE_X64);
    machine_replay_free(replay);
}

/* The file's own loader and the vectors of the tests must find the same. */
static void capture_file_is_loaded_with_its_key_and_refused_with_another(void **state)
{
    (void)state;
    struct replay_summary summary;
    struct kdnet_key key;
    char path[4096], error[1024] = "";
    const char *data = getenv("KDNETD_DATA");
    (void)vectors_or_skip();
    assert_int_equal(kdnet_key_parse("8.8.8.8", 7, &key, NULL, NULL), KDNET_OK);
    (void)snprintf(path, sizeof path, "%s/windbg-v4.pcapng", data ? data : "../shared/data");
    struct machine_replay *replay = machine_replay_load(path, &key, error, sizeof error);
    assert_non_null(replay);
    machine_replay_summary(replay, &summary);
    assert_int_equal(summary.prints, PRINTS);
    assert_int_equal(summary.file_questions, FILE_REQUESTS);
    machine_replay_free(replay);
    key.bytes[24] ^= 1;
    assert_null(machine_replay_load(path, &key, error, sizeof error));
    assert_non_null(strstr(error, "check --replay-key"));
    assert_null(machine_replay_load("no-such-file.pcap", &key, error, sizeof error));
    assert_non_null(strstr(error, "no-such-file.pcap"));
}

static void whole_capture_is_played_and_ends(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    for (int i = 0; i < 500 && !machine_is_ended(w.machine, w.host.now_us); ++i) {
        if (machine_is_halted(w.machine))
            tiny_release(&w.host, w.machine, w.layout);
        else
            tiny_wait(&w.host, w.machine, SECOND / 100);
    }
    struct machine_result r = result(&w);
    assert_int_equal(r.state, MACHINE_ENDED);
    assert_int_equal(r.prints, PRINTS);
    assert_int_equal(r.load_symbols, 1);
    assert_int_equal(r.breaks, 2);
    assert_int_equal(r.questions, FILE_REQUESTS);
    assert_int_equal(r.answers, FILE_REQUESTS);
    assert_int_equal(r.retransmissions + r.host_repeats + r.traps_again + r.released_wrongly, 0);
    assert_non_null(strstr(w.host.text, "BD: Boot Debugger Initialized\n"));
    assert_non_null(strstr(w.host.text, "*** Fatal Error 0x00000001 :"));
    stop(&w);
}

static void loader_answers_with_its_own_version_context_and_memory(void **state)
{
    (void)state;
    struct world w;
    struct kdnet_manipulate request = {.api = KDNET_API_GET_VERSION}, reply;
    uint8_t bytes[1024];
    start(&w);
    struct kdnet_state_change change = run_to(&w, KDNET_STATE_LOAD_SYMBOLS, false);
    assert_string_equal(change.load_symbols.path, "winload.efi");
    assert_true(tiny_ask(&w.host, w.machine, &request, &reply));
    assert_int_equal(reply.u.version.major, 0x040f);
    assert_int_equal(reply.u.version.kernel_base, LOADER_BASE);
    assert_int_equal(reply.u.version.debugger_data_list, 0);
    /* WinDbg read 40 bytes there and not the ones after them */
    assert_int_equal(tiny_read(&w.host, w.machine, LOADER_BASE, bytes, sizeof bytes), 0x40);
    assert_memory_equal(bytes, "MZ", 2);
    assert_int_equal(tiny_read(&w.host, w.machine, 0x1000, bytes, 16), 0);
    request = (struct kdnet_manipulate){.api = KDNET_API_GET_CONTEXT};
    assert_true(tiny_ask(&w.host, w.machine, &request, &reply));
    assert_int_equal(kdnet_machine_pc(w.layout, reply.data), change.program_counter);
    stop(&w);
}

static void unknown_requests_get_the_captures_refusal_or_one_of_our_own(void **state)
{
    (void)state;
    struct world w;
    struct kdnet_manipulate request = {.api = KDNET_API_GET_CONTEXT_EX}, reply;
    start(&w);
    run_to(&w, KDNET_STATE_LOAD_SYMBOLS, false);
    assert_true(tiny_ask(&w.host, w.machine, &request, &reply));
    assert_int_equal(reply.return_status, 0xc0000001);
    request.api = KDNET_API_READ_MSR;
    assert_true(tiny_ask(&w.host, w.machine, &request, &reply));
    assert_int_equal(reply.api, KDNET_API_READ_MSR);
    assert_int_equal(reply.return_status, 0xc0000001);
    stop(&w);
}

static void break_of_the_capture_traps_again_until_stepped_over(void **state)
{
    (void)state;
    struct world w;
    start(&w);
    struct kdnet_state_change change = run_to(&w, KDNET_STATE_EXCEPTION, false);
    assert_int_equal(change.program_counter, 0x9cf07e);
    tiny_continue(&w.host, w.machine, KDNET_DBG_CONTINUE);
    assert_true(machine_is_halted(w.machine));
    assert_int_equal(result(&w).traps_again, 1);
    run_to(&w, KDNET_STATE_LOAD_SYMBOLS, true);
    stop(&w);
}

static void hosts_repeats_are_noticed(void **state)
{
    (void)state;
    struct world w;
    struct kdnet_manipulate request = {.api = KDNET_API_GET_VERSION}, reply;
    start(&w);
    run_to(&w, KDNET_STATE_LOAD_SYMBOLS, false);
    assert_true(tiny_ask(&w.host, w.machine, &request, &reply));
    w.host.next_id -= 2;
    assert_false(tiny_ask(&w.host, w.machine, &request, &reply));
    assert_int_equal(result(&w).host_repeats, 1);
    stop(&w);
}

static void context_that_was_set_is_remembered(void **state)
{
    (void)state;
    struct world w;
    struct kdnet_manipulate request = {.api = KDNET_API_GET_CONTEXT}, reply;
    start(&w);
    struct kdnet_state_change change = run_to(&w, KDNET_STATE_EXCEPTION, false);
    tiny_move_pc(&w.host, w.machine, w.layout, change.program_counter + 1);
    assert_true(tiny_ask(&w.host, w.machine, &request, &reply));
    assert_int_equal(kdnet_machine_pc(w.layout, reply.data), change.program_counter + 1);
    stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_of_the_capture_is_found),
        cmocka_unit_test(capture_file_is_loaded_with_its_key_and_refused_with_another),
        cmocka_unit_test(whole_capture_is_played_and_ends),
        cmocka_unit_test(loader_answers_with_its_own_version_context_and_memory),
        cmocka_unit_test(unknown_requests_get_the_captures_refusal_or_one_of_our_own),
        cmocka_unit_test(break_of_the_capture_traps_again_until_stepped_over),
        cmocka_unit_test(hosts_repeats_are_noticed),
        cmocka_unit_test(context_that_was_set_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
