/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/error.h"
#include "kdnet/wire/manipulate.h"
#include "kdnet/base/wire.h"
#include "tests/support/bytes.h"
#include "tests/support/vectors.h"

#define AT_UNION 16

static int recode(const uint8_t *payload, size_t length, uint8_t *out, size_t size, size_t *out_length)
{
    struct kdnet_manipulate manipulate;
    int error = kdnet_manipulate_decode(payload, length, &manipulate);
    if (error != KDNET_OK)
        return error;
    /* What is known must come from the fields, not from the bytes as received. */
    memset(manipulate.raw, 0xee, 12);
    if (manipulate.api == KDNET_API_READ_VIRTUAL_MEMORY)
        memset(manipulate.raw + AT_UNION, 0xee, 16);
    return kdnet_manipulate_encode(&manipulate, out, size, out_length);
}

static struct kdnet_manipulate decode_frame(const struct vectors *vectors, unsigned frame)
{
    const struct kdnet_packet *packet = vectors_packet(vectors, frame, KDNET_PACKET_MANIPULATE);
    struct kdnet_manipulate manipulate;
    assert_int_equal(kdnet_manipulate_decode(packet->payload, packet->payload_length, &manipulate), KDNET_OK);
    return manipulate;
}

static void all_187_requests_and_replies_of_the_capture_go_round(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    assert_int_equal(vectors_each_payload_goes_round(vectors, KDNET_PACKET_MANIPULATE, recode), 95 + 92);
}

static void capture_has_so_many_requests_of_each_api(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    static const struct {
        uint32_t api;
        size_t requests, replies;
    } expected[] = {
        {KDNET_API_READ_VIRTUAL_MEMORY, 44, 44}, {KDNET_API_GET_CONTEXT, 5, 5}, {KDNET_API_SET_CONTEXT, 2, 2},
        {KDNET_API_RESTORE_BREAK_POINT, 32, 32}, {KDNET_API_CONTINUE, 1, 0},    {KDNET_API_READ_CONTROL_SPACE, 3, 3},
        {KDNET_API_WRITE_CONTROL_SPACE, 2, 2},   {KDNET_API_CONTINUE2, 2, 0},   {KDNET_API_GET_VERSION, 1, 1},
        {KDNET_API_GET_CONTEXT_EX, 3, 3},
    };
    for (size_t e = 0; e < sizeof expected / sizeof expected[0]; ++e) {
        size_t counts[2] = {0, 0};
        for (size_t i = 0; i < vectors->count; ++i) {
            const struct vector *vector = &vectors->items[i];
            if (vector->is_packet && vector->packet.type == KDNET_PACKET_MANIPULATE)
                counts[vector->datagram.from_host] += kdnet_get_le32(vector->packet.payload) == expected[e].api;
        }
        assert_int_equal(counts[1], expected[e].requests);
        assert_int_equal(counts[0], expected[e].replies);
        assert_non_null(kdnet_api_name(expected[e].api));
    }
}

static void boot_loader_answers_get_version(void **state)
{
    (void)state;
    const struct kdnet_manipulate reply = decode_frame(vectors_or_skip(), 12);
    const struct kdnet_version *version = &reply.u.version;
    assert_int_equal(reply.api, KDNET_API_GET_VERSION);
    assert_int_equal(reply.return_status, 0);
    assert_int_equal(version->major, 0x040f);
    assert_int_equal(version->major >> 8, KDNET_WHO_BOOT);
    assert_int_equal(version->minor, 10586);
    assert_int_equal(version->protocol, 6);
    assert_int_equal(version->machine, KDNET_MACHINE_X64);
    assert_true(version->kernel_base == 0x96f000);
    assert_true(version->loaded_module_list == 0xad5e60);
    assert_true(version->debugger_data_list == 0);
}

static void memory_replies_of_the_capture_carry_what_was_asked_for_or_a_status(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    size_t replies = 0;
    for (size_t i = 0; i < vectors->count; ++i) {
        const struct vector *vector = &vectors->items[i];
        struct kdnet_manipulate reply;
        if (vector->datagram.from_host || !vector->is_packet || vector->packet.type != KDNET_PACKET_MANIPULATE)
            continue;
        reply = decode_frame(vectors, vector->frame);
        if (reply.api != KDNET_API_READ_VIRTUAL_MEMORY)
            continue;
        assert_int_equal(reply.u.memory.actual, reply.data_length);
        assert_int_equal(reply.data_length, reply.return_status == 0 ? reply.u.memory.count : 0);
        ++replies;
    }
    assert_int_equal(replies, 44);
}

static void continue_for_x64_is_windbgs(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    static const struct {
        unsigned frame;
        uint32_t status;
    } cases[] = {{234, KDNET_DBG_CONTINUE}, {950, KDNET_DBG_EXCEPTION_HANDLED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        const struct kdnet_packet *packet = vectors_packet(vectors, cases[i].frame, KDNET_PACKET_MANIPULATE);
        struct kdnet_manipulate request;
        uint8_t out[KDNET_MANIPULATE_SIZE];
        size_t length = 0;
        kdnet_manipulate_continue(&request, KDNET_MACHINE_X64, cases[i].status, 0x400);
        assert_int_equal(kdnet_manipulate_encode(&request, out, sizeof out, &length), KDNET_OK);
        assert_int_equal(length, KDNET_MANIPULATE_SIZE);
        assert_memory_equal(out, packet->payload, 4);
        assert_memory_equal(out + AT_UNION, packet->payload + AT_UNION, 48 - AT_UNION);
    }
}

static void continue_has_the_control_set_of_its_machine(void **state)
{
    (void)state;
    static const struct {
        enum kdnet_machine machine;
        const char *expected; /* 56 bytes */
    } cases[] = {
        {KDNET_MACHINE_X86, "3c310000 00000000 03010000 00000000 01000180 00000000 00040000 01000000 00000000"
                            "0000000000000000000000000000000000000000"},
        {KDNET_MACHINE_ARM64, "3c310000 00000000 03010000 00000000 01000180 00000000 00000000 0100000000000000"
                              "0000000000000000000000000000000000000000"},
        {KDNET_MACHINE_UNKNOWN, "36310000 00000000 03010000 00000000 01000180 00000000 0000000000000000 00000000"
                                "0000000000000000000000000000000000000000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        uint8_t expected[KDNET_MANIPULATE_SIZE], out[KDNET_MANIPULATE_SIZE];
        struct kdnet_manipulate request;
        size_t length = 0;
        bytes_from_hex(cases[i].expected, expected, sizeof expected);
        kdnet_manipulate_continue(&request, cases[i].machine, KDNET_DBG_EXCEPTION_NOT_HANDLED, 0x400);
        assert_int_equal(kdnet_manipulate_encode(&request, out, sizeof out, &length), KDNET_OK);
        assert_memory_equal(out, expected, sizeof expected);
    }
}

static void cut_is_short_or_has_less_data(const uint8_t *bytes, size_t length, size_t at, void *context)
{
    (void)at;
    (void)context;
    struct kdnet_manipulate manipulate = {.api = 99};
    int error = kdnet_manipulate_decode(bytes, length, &manipulate);
    if (length < KDNET_MANIPULATE_SIZE) {
        assert_int_equal(error, KDNET_ERR_SHORT);
        assert_int_equal(manipulate.api, 99);
        return;
    }
    assert_int_equal(error, KDNET_OK);
    assert_ptr_equal(manipulate.data, bytes + KDNET_MANIPULATE_SIZE);
    assert_int_equal(manipulate.data_length, length - KDNET_MANIPULATE_SIZE);
}

static void each_truncation_is_short_or_has_less_data(void **state)
{
    (void)state;
    uint8_t payload[KDNET_MANIPULATE_SIZE + 8] = {0x30, 0x31};
    memset(payload + AT_UNION, 0xff, sizeof payload - AT_UNION); /* counts far beyond the packet */
    bytes_each_truncation(payload, sizeof payload, cut_is_short_or_has_less_data, NULL);
    const struct vectors *vectors = vectors_or_skip();
    for (size_t i = 0; i < vectors->count; ++i) {
        const struct vector *vector = &vectors->items[i];
        if (vector->is_packet && vector->packet.type == KDNET_PACKET_MANIPULATE)
            bytes_each_truncation(vector->packet.payload, vector->packet.payload_length, cut_is_short_or_has_less_data,
                                  NULL);
    }
}

static void each_known_union_is_read_as_documented(void **state)
{
    (void)state;
    uint8_t payload[KDNET_MANIPULATE_SIZE];
    struct kdnet_manipulate out;
    for (size_t i = 0; i < sizeof payload; ++i)
        payload[i] = (uint8_t)i;
    kdnet_put_le32(payload, KDNET_API_READ_VIRTUAL_MEMORY);
    assert_int_equal(kdnet_manipulate_decode(payload, sizeof payload, &out), KDNET_OK);
    assert_int_equal(out.processor_level, 0x0504);
    assert_int_equal(out.processor, 0x0706);
    assert_int_equal(out.return_status, 0x0b0a0908);
    assert_true(out.u.memory.address == 0x1716151413121110U);
    assert_int_equal(out.u.memory.count, 0x1b1a1918);
    assert_int_equal(out.u.memory.actual, 0x1f1e1d1c);
    kdnet_put_le32(payload, KDNET_API_GET_CONTEXT_EX);
    assert_int_equal(kdnet_manipulate_decode(payload, sizeof payload, &out), KDNET_OK);
    assert_int_equal(out.u.context_ex.offset, 0x13121110);
    assert_int_equal(out.u.context_ex.count, 0x17161514);
    assert_int_equal(out.u.context_ex.copied, 0x1b1a1918);
    kdnet_put_le32(payload, KDNET_API_SET_CONTEXT);
    assert_int_equal(kdnet_manipulate_decode(payload, sizeof payload, &out), KDNET_OK);
    assert_int_equal(out.u.set_context.flags, 0x13121110);
    kdnet_put_le32(payload, KDNET_API_CONTINUE2);
    assert_int_equal(kdnet_manipulate_decode(payload, sizeof payload, &out), KDNET_OK);
    assert_int_equal(out.u.go_on.status, 0x13121110);
}

static void unknown_api_goes_round_with_an_empty_union(void **state)
{
    (void)state;
    static const struct kdnet_manipulate zero;
    uint8_t payload[KDNET_MANIPULATE_SIZE + 3], out[KDNET_MANIPULATE_SIZE + 3];
    struct kdnet_manipulate manipulate;
    size_t length = 0;
    memset(payload, 0xa5, sizeof payload);
    assert_int_equal(kdnet_manipulate_decode(payload, sizeof payload, &manipulate), KDNET_OK);
    assert_int_equal(manipulate.api, 0xa5a5a5a5);
    assert_memory_equal(&manipulate.u, &zero.u, sizeof zero.u);
    assert_int_equal(kdnet_manipulate_encode(&manipulate, out, sizeof out, &length), KDNET_OK);
    assert_memory_equal(out, payload, sizeof payload);
}

static void apis_have_names(void **state)
{
    (void)state;
    assert_string_equal(kdnet_api_name(0x3130), "ReadVirtualMemory");
    assert_string_equal(kdnet_api_name(0x3133), "SetContext");
    assert_string_equal(kdnet_api_name(0x313c), "Continue2");
    assert_string_equal(kdnet_api_name(0x3146), "GetVersion");
    assert_string_equal(kdnet_api_name(0x3160), "SetContextEx");
#define EXPECT_NAME(name, number, text) assert_string_equal(kdnet_api_name(number), text);
    KDNET_API_MAP(EXPECT_NAME)
#undef EXPECT_NAME
    assert_null(kdnet_api_name(0x312f));
    assert_null(kdnet_api_name(0x3154));
    assert_null(kdnet_api_name(UINT32_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_187_requests_and_replies_of_the_capture_go_round),
        cmocka_unit_test(capture_has_so_many_requests_of_each_api),
        cmocka_unit_test(boot_loader_answers_get_version),
        cmocka_unit_test(memory_replies_of_the_capture_carry_what_was_asked_for_or_a_status),
        cmocka_unit_test(continue_for_x64_is_windbgs),
        cmocka_unit_test(continue_has_the_control_set_of_its_machine),
        cmocka_unit_test(each_truncation_is_short_or_has_less_data),
        cmocka_unit_test(each_known_union_is_read_as_documented),
        cmocka_unit_test(unknown_api_goes_round_with_an_empty_union),
        cmocka_unit_test(apis_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
