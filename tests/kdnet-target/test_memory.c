/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated kernel's memory, found the way a debugger finds it: with the library's decoders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "kdnet/kernel/bugcheck.h"
#include "kdnet/kernel/debugger_data.h"
#include "kdnet/kernel/pdb.h"
#include "kdnet/kernel/pe.h"
#include "tests/kdnet-target/tiny_host.h"

#include <cmocka.h>

#define PAGE 0x1000U

struct world {
    struct tiny_host host;
    struct machine *machine;
    const struct kdnet_machine_layout *layout;
    struct kdnet_version version;
};

static const enum kdnet_machine machines[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
#define MACHINE_COUNT (sizeof machines / sizeof machines[0])

static void start(struct world *w, enum kdnet_machine machine, const char *scenario)
{
    struct kdnet_manipulate request = {.api = KDNET_API_GET_VERSION}, reply;
    tiny_init(&w->host, "1.2.3.4", 5);
    struct machine_config config = {.crypto = w->host.crypto, .key = w->host.key, .machine = machine, .seed = 3};
    config.scenario = scenario;
    config.host.port = 50000;
    w->layout = kdnet_machine_layout(machine);
    w->machine = machine_new(&config);
    assert_non_null(w->machine);
    tiny_wait(&w->host, w->machine, 0);
    assert_true(tiny_ask(&w->host, w->machine, &request, &reply));
    w->version = reply.u.version;
    assert_int_equal(w->version.machine, machine);
}

static void stop(struct world *w)
{
    machine_free(w->machine);
    tiny_clear(&w->host);
}

static uint64_t read_u64(struct world *w, uint64_t address)
{
    uint8_t bytes[8];
    assert_int_equal(tiny_read(&w->host, w->machine, address, bytes, 8), 8);
    return kdnet_get_le64(bytes);
}

static void read_block(struct world *w, struct kdnet_debugger_data *out)
{
    uint8_t block[KDNET_DEBUGGER_DATA_SIZE];
    uint64_t address = read_u64(w, w->version.debugger_data_list);
    assert_int_equal(tiny_read(&w->host, w->machine, address, block, sizeof block), sizeof block);
    assert_int_equal(kdnet_debugger_data_decode(block, sizeof block, out), KDNET_OK);
}

static void debugger_data_leads_to_bugcheck_and_build(void **state)
{
    (void)state;
    for (size_t i = 0; i < MACHINE_COUNT; ++i) {
        struct world w;
        struct kdnet_debugger_data block;
        struct kdnet_bugcheck bugcheck;
        struct machine_expectation expected;
        uint8_t bytes[KDNET_BUILD_LAB_SIZE];
        start(&w, machines[i], "bugcheck");
        machine_expectation(w.machine, &expected);
        read_block(&w, &block);
        assert_true(block.kernel_base == w.version.kernel_base);
        uint32_t length = (uint32_t)(KDNET_BUGCHECK_VALUES * w.layout->pointer_size);
        assert_int_equal(tiny_read(&w.host, w.machine, block.bugcheck_data, bytes, length), length);
        assert_int_equal(kdnet_bugcheck_decode(w.layout, bytes, length, &bugcheck), KDNET_OK);
        assert_int_equal(bugcheck.code, expected.bugcheck.code);
        assert_memory_equal(bugcheck.parameters, expected.bugcheck.parameters, sizeof bugcheck.parameters);
        assert_int_equal(tiny_read(&w.host, w.machine, block.build_lab, bytes, sizeof bytes), sizeof bytes);
        assert_memory_equal(bytes, "20348.288.", 10);
        stop(&w);
    }
}

/* As a debugger does: headers, debug directory, record. */
static void read_guidage(struct world *w, char out[KDNET_GUIDAGE_SIZE])
{
    uint8_t bytes[KDNET_PE_HEADER_SIZE];
    uint32_t rva, size;
    struct kdnet_pdb pdb;
    uint64_t base = w->version.kernel_base;
    assert_int_equal(tiny_read(&w->host, w->machine, base, bytes, sizeof bytes), sizeof bytes);
    assert_int_equal(kdnet_pe_debug_directory(bytes, sizeof bytes, &rva, &size), KDNET_OK);
    assert_int_equal(tiny_read(&w->host, w->machine, base + rva, bytes, size), size);
    assert_int_equal(kdnet_pe_codeview(bytes, size, &rva, &size), KDNET_OK);
    assert_int_equal(tiny_read(&w->host, w->machine, base + rva, bytes, size), size);
    assert_int_equal(kdnet_pdb_decode(bytes, size, &pdb), KDNET_OK);
    assert_string_equal(pdb.name, "ntkrnlmp.pdb");
    kdnet_pdb_guidage(&pdb, out);
}

static void image_names_its_pdb(void **state)
{
    (void)state;
    char guidage[KDNET_GUIDAGE_SIZE];
    for (size_t i = 0; i < MACHINE_COUNT; ++i) {
        struct world w;
        start(&w, machines[i], "int3");
        read_guidage(&w, guidage);
        assert_string_equal(guidage, MACHINE_GUIDAGE);
        stop(&w);
        start(&w, machines[i], "false-identity");
        read_guidage(&w, guidage);
        assert_string_equal(guidage, "4B44B145542D544152474554000000011");
        stop(&w);
    }
}

static void list_of_modules_has_no_end(void **state)
{
    (void)state;
    struct world w;
    start(&w, KDNET_MACHINE_X64, "endless-lists");
    uint64_t head = w.version.kernel_base + MACHINE_RVA_LOADED_MODULES, entry = head;
    for (int i = 0; i < 1000; ++i) {
        entry = read_u64(&w, entry);
        assert_true(entry != head);
    }
    stop(&w);
}

static void break_with_status_is_at_the_blocks_breakpoint_with_its_argument(void **state)
{
    (void)state;
    for (size_t i = 0; i < MACHINE_COUNT; ++i) {
        struct world w;
        struct kdnet_debugger_data block;
        struct kdnet_manipulate request = {.api = KDNET_API_GET_CONTEXT}, reply;
        uint8_t code[4];
        start(&w, machines[i], "bugcheck");
        read_block(&w, &block);
        assert_true(tiny_ask(&w.host, w.machine, &request, &reply));
        assert_true(kdnet_machine_pc(w.layout, reply.data) == block.breakpoint_with_status);
        assert_int_equal(kdnet_machine_argument(w.layout, reply.data), 3);
        assert_int_equal(tiny_read(&w.host, w.machine, block.breakpoint_with_status, code, 4), 4);
        assert_true(kdnet_machine_is_breakpoint(machines[i], code, 4));
        stop(&w);
    }
}

static void unmapped_memory_is_refused_and_its_border_cuts_reads(void **state)
{
    (void)state;
    struct world w;
    uint8_t bytes[KDNET_READ_MAX];
    start(&w, KDNET_MACHINE_X64, "int3");
    uint64_t end = w.version.kernel_base + MACHINE_RVA_END;
    assert_int_equal(tiny_read(&w.host, w.machine, end - 16, bytes, 64), 16);
    assert_int_equal(tiny_read(&w.host, w.machine, end, bytes, 64), 0);
    assert_int_equal(tiny_read(&w.host, w.machine, w.version.kernel_base - 1, bytes, 64), 0);
    assert_int_equal(tiny_read(&w.host, w.machine, 0, bytes, 1), 0);
    assert_int_equal(tiny_read(&w.host, w.machine, UINT64_MAX, bytes, 2), 0);
    stop(&w);
}

static void long_read_comes_short(void **state)
{
    (void)state;
    struct world w;
    uint8_t bytes[2 * KDNET_READ_MAX];
    start(&w, KDNET_MACHINE_X64, "int3");
    assert_int_equal(tiny_read(&w.host, w.machine, w.version.kernel_base, bytes, sizeof bytes), KDNET_READ_MAX);
    stop(&w);
}

static void addresses_of_x86_are_sign_extended_and_read_either_way(void **state)
{
    (void)state;
    struct world w;
    uint8_t bytes[2];
    start(&w, KDNET_MACHINE_X86, "int3");
    assert_true(w.version.kernel_base >> 32 == UINT32_MAX);
    assert_int_equal(tiny_read(&w.host, w.machine, w.version.kernel_base & UINT32_MAX, bytes, 2), 2);
    assert_memory_equal(bytes, "MZ", 2);
    stop(&w);
}

static void boot_loader_has_no_debugger_data_and_another_pdb(void **state)
{
    (void)state;
    struct world w;
    uint8_t bytes[64];
    struct kdnet_pdb pdb;
    start(&w, KDNET_MACHINE_X64, "boot");
    assert_int_equal(w.version.major >> 8, KDNET_WHO_BOOT);
    assert_true(w.version.debugger_data_list == 0);
    tiny_read(&w.host, w.machine, w.version.kernel_base + MACHINE_RVA_CODEVIEW, bytes, sizeof bytes);
    assert_int_equal(kdnet_pdb_decode(bytes, sizeof bytes, &pdb), KDNET_OK);
    assert_string_equal(pdb.name, "winload_prod.pdb");
    stop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(debugger_data_leads_to_bugcheck_and_build),
        cmocka_unit_test(image_names_its_pdb),
        cmocka_unit_test(list_of_modules_has_no_end),
        cmocka_unit_test(break_with_status_is_at_the_blocks_breakpoint_with_its_argument),
        cmocka_unit_test(unmapped_memory_is_refused_and_its_border_cuts_reads),
        cmocka_unit_test(long_read_comes_short),
        cmocka_unit_test(addresses_of_x86_are_sign_extended_and_read_either_way),
        cmocka_unit_test(boot_loader_has_no_debugger_data_and_another_pdb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
