/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/error.h"
#include "kdnet/wire/state_change.h"
#include "kdnet/base/wire.h"
#include "tests/support/bytes.h"
#include "tests/support/vectors.h"

static int recode(const uint8_t *payload, size_t length, uint8_t *out, size_t size, size_t *out_length)
{
    struct kdnet_state_change change;
    int error = kdnet_state_change_decode(payload, length, &change);
    if (error != KDNET_OK)
        return error;
    /* What is known must come from the fields, not from the bytes as received. */
    memset(change.raw, 0xee, 12);
    memset(change.raw + 16, 0xee, 16);
    if (change.new_state == KDNET_STATE_EXCEPTION)
        memset(change.raw + 32, 0xee, 28);
    return kdnet_state_change_encode(&change, out, size, out_length);
}

static struct kdnet_state_change decode_frame(const struct vectors *vectors, unsigned frame)
{
    const struct kdnet_packet *packet = vectors_packet(vectors, frame, KDNET_PACKET_STATE_CHANGE64);
    struct kdnet_state_change change;
    assert_int_equal(kdnet_state_change_decode(packet->payload, packet->payload_length, &change), KDNET_OK);
    return change;
}

static void all_3_state_changes_of_the_capture_go_round(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    assert_int_equal(vectors_each_payload_goes_round(vectors, KDNET_PACKET_STATE_CHANGE64, recode), 3);
}

static void boot_loader_reports_its_own_image(void **state)
{
    (void)state;
    const struct kdnet_state_change change = decode_frame(vectors_or_skip(), 8);
    assert_int_equal(change.new_state, KDNET_STATE_LOAD_SYMBOLS);
    assert_int_equal(change.processor_count, 1);
    assert_true(change.program_counter == 0xa79685);
    assert_int_equal(change.load_symbols.path_text_length, 12 - 1);
    assert_memory_equal(change.load_symbols.path, "winload.efi", 11);
    assert_true(change.load_symbols.base == 0x96f000);
    assert_false(change.load_symbols.unload);
    assert_false(kdnet_state_change_is_shutdown(&change));
}

static void break_of_the_capture_is_a_breakpoint_exception(void **state)
{
    (void)state;
    const struct kdnet_state_change change = decode_frame(vectors_or_skip(), 378);
    assert_int_equal(change.new_state, KDNET_STATE_EXCEPTION);
    assert_int_equal(change.exception.code, KDNET_EXCEPTION_BREAKPOINT);
    assert_true(change.exception.address == 0x9cf07d);
    assert_true(change.program_counter == 0x9cf07e);
    assert_int_equal(change.report_length, KDNET_STATE_CHANGE_SIZE - KDNET_STATE_CHANGE_FIXED);
    assert_int_equal(change.report[24], 0xcc);
    assert_false(kdnet_state_change_is_shutdown(&change));
}

static void last_state_change_of_the_capture_is_the_shutdown(void **state)
{
    (void)state;
    const struct kdnet_state_change change = decode_frame(vectors_or_skip(), 952);
    assert_int_equal(change.new_state, KDNET_STATE_LOAD_SYMBOLS);
    assert_true(change.load_symbols.unload);
    assert_true(change.load_symbols.base == UINT64_MAX);
    assert_true(change.load_symbols.process_id == 0);
    assert_int_equal(change.load_symbols.path_text_length, 0);
    assert_true(kdnet_state_change_is_shutdown(&change));
}

/* A load-symbols with an 8-byte path behind x64's report, built by hand. */
static void build_load_symbols(uint8_t payload[static KDNET_STATE_CHANGE_SIZE + 8])
{
    static const char path[8] = {'a', '.', 's', 'y', 's', '\0', 'z', 'z'};
    memset(payload, 0, KDNET_STATE_CHANGE_SIZE + 8);
    kdnet_put_le32(payload, KDNET_STATE_LOAD_SYMBOLS);
    kdnet_put_le16(payload + 6, 3);
    kdnet_put_le32(payload + 8, 4);
    kdnet_put_le64(payload + 24, 0xfffff80012345678U);
    kdnet_put_le32(payload + 32, 8);
    kdnet_put_le64(payload + 40, 0xfffff80000400000U);
    kdnet_put_le64(payload + 48, 0x1122334455667788U);
    kdnet_put_le32(payload + 56, 0xabcdef01U);
    kdnet_put_le32(payload + 60, 0x00765000U);
    payload[64] = 1;
    memcpy(payload + KDNET_STATE_CHANGE_SIZE, path, sizeof path);
}

static void load_symbols_is_read_as_documented(void **state)
{
    (void)state;
    uint8_t payload[KDNET_STATE_CHANGE_SIZE + 8];
    struct kdnet_state_change change;
    build_load_symbols(payload);
    assert_int_equal(kdnet_state_change_decode(payload, sizeof payload, &change), KDNET_OK);
    assert_int_equal(change.processor, 3);
    assert_int_equal(change.processor_count, 4);
    assert_true(change.program_counter == 0xfffff80012345678U);
    assert_true(change.load_symbols.base == 0xfffff80000400000U);
    assert_true(change.load_symbols.process_id == 0x1122334455667788U);
    assert_int_equal(change.load_symbols.checksum, 0xabcdef01);
    assert_int_equal(change.load_symbols.image_size, 0x765000);
    assert_true(change.load_symbols.unload);
    assert_int_equal(change.load_symbols.path_length, 8);
    assert_int_equal(change.load_symbols.path_text_length, 5);
    assert_memory_equal(change.load_symbols.path, "a.sys", 5);
}

static void exception_is_read_as_documented(void **state)
{
    (void)state;
    uint8_t payload[KDNET_STATE_CHANGE_FIXED] = {0};
    struct kdnet_state_change change;
    kdnet_put_le32(payload, KDNET_STATE_EXCEPTION);
    kdnet_put_le64(payload + 16, 0xffffe00012345680U);
    kdnet_put_le32(payload + 32, 0xc0000005U);
    kdnet_put_le32(payload + 36, 1);
    kdnet_put_le64(payload + 40, 0x1111111111111111U);
    kdnet_put_le64(payload + 48, 0xfffff80000001000U);
    kdnet_put_le32(payload + 56, 0xffffffffU); /* hostile: more parameters than there is room for */
    for (uint64_t i = 0; i < KDNET_EXCEPTION_PARAMETERS; ++i)
        kdnet_put_le64(payload + 64 + 8 * i, i + 100);
    kdnet_put_le32(payload + 184, 1);
    assert_int_equal(kdnet_state_change_decode(payload, sizeof payload, &change), KDNET_OK);
    assert_true(change.thread == 0xffffe00012345680U);
    assert_int_equal(change.exception.code, 0xc0000005);
    assert_int_equal(change.exception.flags, 1);
    assert_true(change.exception.record == 0x1111111111111111U);
    assert_true(change.exception.address == 0xfffff80000001000U);
    assert_int_equal(change.exception.parameter_count, 0xffffffff);
    for (size_t i = 0; i < KDNET_EXCEPTION_PARAMETERS; ++i)
        assert_true(change.exception.parameters[i] == i + 100);
    assert_int_equal(change.exception.first_chance, 1);
    assert_int_equal(change.report_length, 0);
}

static void cut_is_short_or_loses_report_and_path(const uint8_t *bytes, size_t length, size_t at, void *context)
{
    (void)at;
    (void)context;
    struct kdnet_state_change change = {.new_state = 99};
    int error = kdnet_state_change_decode(bytes, length, &change);
    if (length < KDNET_STATE_CHANGE_FIXED) {
        assert_int_equal(error, KDNET_ERR_SHORT);
        assert_int_equal(change.new_state, 99);
        return;
    }
    assert_int_equal(error, KDNET_OK);
    assert_int_equal(change.report_length, length - KDNET_STATE_CHANGE_FIXED);
    if (change.new_state != KDNET_STATE_LOAD_SYMBOLS)
        return;
    const uint8_t *path = (const uint8_t *)change.load_symbols.path;
    assert_true(path >= bytes + KDNET_STATE_CHANGE_FIXED);
    assert_true(path + change.load_symbols.path_text_length <= bytes + length);
}

static void each_truncation_is_short_or_cut_to_what_is_there(void **state)
{
    (void)state;
    uint8_t payload[KDNET_STATE_CHANGE_SIZE + 8];
    build_load_symbols(payload);
    bytes_each_truncation(payload, sizeof payload, cut_is_short_or_loses_report_and_path, NULL);
    kdnet_put_le32(payload + 32, UINT32_MAX); /* a path longer than any packet */
    bytes_each_truncation(payload, sizeof payload, cut_is_short_or_loses_report_and_path, NULL);
    const struct vectors *vectors = vectors_or_skip();
    static const unsigned frames[] = {8, 378, 952};
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; ++i) {
        const struct kdnet_packet *packet = vectors_packet(vectors, frames[i], KDNET_PACKET_STATE_CHANGE64);
        bytes_each_truncation(packet->payload, packet->payload_length, cut_is_short_or_loses_report_and_path, NULL);
    }
}

static void shutdown_is_only_the_unload_of_everything(void **state)
{
    (void)state;
    struct kdnet_state_change change = {.new_state = KDNET_STATE_LOAD_SYMBOLS,
                                        .load_symbols = {.unload = true, .base = UINT64_MAX}};
    assert_true(kdnet_state_change_is_shutdown(&change));
    change.new_state |= KDNET_STATE_ALTERNATE;
    assert_true(kdnet_state_change_is_shutdown(&change));
    change.load_symbols.base = UINT32_MAX; /* a 32-bit target that does not extend it */
    assert_true(kdnet_state_change_is_shutdown(&change));
    change.load_symbols.base = UINT64_MAX - 1;
    assert_false(kdnet_state_change_is_shutdown(&change));
    change.load_symbols.base = UINT64_MAX;
    change.load_symbols.process_id = 4;
    assert_false(kdnet_state_change_is_shutdown(&change));
    change.load_symbols.process_id = 0;
    change.load_symbols.unload = false;
    assert_false(kdnet_state_change_is_shutdown(&change));
    change.load_symbols.unload = true;
    change.new_state = KDNET_STATE_EXCEPTION;
    assert_false(kdnet_state_change_is_shutdown(&change));
}

static void unknown_state_is_still_a_state_change(void **state)
{
    (void)state;
    uint8_t payload[KDNET_STATE_CHANGE_SIZE], out[KDNET_STATE_CHANGE_SIZE];
    size_t length = 0;
    memset(payload, 0xa5, sizeof payload);
    struct kdnet_state_change change;
    assert_int_equal(kdnet_state_change_decode(payload, sizeof payload, &change), KDNET_OK);
    assert_int_equal(change.new_state, 0xa5a5a5a5);
    assert_null(change.load_symbols.path);
    assert_int_equal(change.exception.code, 0);
    assert_int_equal(kdnet_state_change_encode(&change, out, sizeof out, &length), KDNET_OK);
    assert_memory_equal(out, payload, sizeof payload);
}

/* DBGKD_WAIT_STATE_CHANGE32 by hand, from ReactOS's windbgkd.h. */
static void exception32_is_read_as_documented(void **state)
{
    uint8_t payload[KDNET_STATE_CHANGE32_FIXED + 20] = {0};
    struct kdnet_state_change change;
    (void)state;
    kdnet_put_le32(payload, KDNET_STATE_EXCEPTION);
    kdnet_put_le16(payload + 4, 6);
    kdnet_put_le16(payload + 6, 1);
    kdnet_put_le32(payload + 8, 2);
    kdnet_put_le32(payload + 12, 0x81234560U);
    kdnet_put_le32(payload + 16, 0x80123456U);
    kdnet_put_le32(payload + 20, 0xc0000005U);
    kdnet_put_le32(payload + 24, 1);
    kdnet_put_le32(payload + 32, 0x80123456U);
    kdnet_put_le32(payload + 36, 2);
    kdnet_put_le32(payload + 44, 0x18);
    kdnet_put_le32(payload + 100, 1);
    payload[KDNET_STATE_CHANGE32_FIXED] = 0x77;
    assert_int_equal(kdnet_state_change_decode32(payload, sizeof payload, &change), KDNET_OK);
    assert_int_equal(change.processor_level, 6);
    assert_int_equal(change.processor, 1);
    assert_int_equal(change.processor_count, 2);
    assert_true(change.thread == 0xffffffff81234560U);
    assert_true(change.program_counter == 0xffffffff80123456U);
    assert_int_equal(change.exception.code, 0xc0000005U);
    assert_int_equal(change.exception.flags, 1);
    assert_true(change.exception.address == 0xffffffff80123456U);
    assert_int_equal(change.exception.parameter_count, 2);
    assert_true(change.exception.parameters[0] == 0 && change.exception.parameters[1] == 0x18);
    assert_int_equal(change.exception.first_chance, 1);
    assert_int_equal(change.report_length, 20);
    assert_int_equal(change.report[0], 0x77);
    for (size_t length = 0; length < KDNET_STATE_CHANGE32_FIXED; ++length)
        assert_int_equal(kdnet_state_change_decode32(payload, length, &change), KDNET_ERR_SHORT);
}

static void load_symbols32_is_read_as_documented(void **state)
{
    uint8_t payload[KDNET_STATE_CHANGE32_FIXED + 40] = {0};
    struct kdnet_state_change change;
    (void)state;
    kdnet_put_le32(payload, KDNET_STATE_LOAD_SYMBOLS);
    kdnet_put_le32(payload + 20, 6);
    kdnet_put_le32(payload + 24, 0x80400000U);
    kdnet_put_le32(payload + 28, UINT32_MAX);
    kdnet_put_le32(payload + 32, 0x1234);
    kdnet_put_le32(payload + 36, 0x5000);
    memcpy(payload + sizeof payload - 6, "a.sys", 6);
    assert_int_equal(kdnet_state_change_decode32(payload, sizeof payload, &change), KDNET_OK);
    assert_true(change.load_symbols.base == 0xffffffff80400000U);
    assert_true(change.load_symbols.process_id == UINT64_MAX);
    assert_int_equal(change.load_symbols.checksum, 0x1234);
    assert_int_equal(change.load_symbols.image_size, 0x5000);
    assert_false(change.load_symbols.unload);
    assert_int_equal(change.load_symbols.path_text_length, 5);
    assert_memory_equal(change.load_symbols.path, "a.sys", 5);
    assert_false(kdnet_state_change_is_shutdown(&change));
    kdnet_put_le32(payload + 24, UINT32_MAX);
    kdnet_put_le32(payload + 28, 0);
    payload[40] = 1;
    assert_int_equal(kdnet_state_change_decode32(payload, sizeof payload, &change), KDNET_OK);
    assert_true(kdnet_state_change_is_shutdown(&change));
}

static void command_string_has_its_name_and_its_command(void **state)
{
    static const char strings[] = "acme!trace\0.echo hello";
    uint8_t payload[KDNET_STATE_CHANGE_SIZE + sizeof strings] = {0};
    struct kdnet_state_change change;
    (void)state;
    kdnet_put_le32(payload, KDNET_STATE_COMMAND_STRING);
    kdnet_put_le32(payload + 32, 5);
    memcpy(payload + KDNET_STATE_CHANGE_SIZE, strings, sizeof strings);
    assert_int_equal(kdnet_state_change_decode(payload, sizeof payload, &change), KDNET_OK);
    assert_int_equal(change.command.flags, 5);
    assert_int_equal(change.command.name_length, 10);
    assert_memory_equal(change.command.name, "acme!trace", 10);
    assert_int_equal(change.command.command_length, 11);
    assert_memory_equal(change.command.command, ".echo hello", 11);
    for (size_t length = KDNET_STATE_CHANGE_FIXED; length < sizeof payload; ++length) { /* cut: never beyond it */
        assert_int_equal(kdnet_state_change_decode(payload, length, &change), KDNET_OK);
        if (change.command.name)
            assert_true((const uint8_t *)change.command.command + change.command.command_length < payload + length);
    }
    memset(payload + KDNET_STATE_CHANGE_FIXED, 'x', sizeof payload - KDNET_STATE_CHANGE_FIXED);
    payload[sizeof payload - 1] = '\0'; /* one string, as long as all there is */
    assert_int_equal(kdnet_state_change_decode(payload, sizeof payload, &change), KDNET_OK);
    assert_null(change.command.name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_3_state_changes_of_the_capture_go_round),
        cmocka_unit_test(boot_loader_reports_its_own_image),
        cmocka_unit_test(break_of_the_capture_is_a_breakpoint_exception),
        cmocka_unit_test(last_state_change_of_the_capture_is_the_shutdown),
        cmocka_unit_test(load_symbols_is_read_as_documented),
        cmocka_unit_test(exception32_is_read_as_documented),
        cmocka_unit_test(load_symbols32_is_read_as_documented),
        cmocka_unit_test(command_string_has_its_name_and_its_command),
        cmocka_unit_test(exception_is_read_as_documented),
        cmocka_unit_test(each_truncation_is_short_or_cut_to_what_is_there),
        cmocka_unit_test(shutdown_is_only_the_unload_of_everything),
        cmocka_unit_test(unknown_state_is_still_a_state_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
