/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/wire/debug_io.h"
#include "kdnet/error.h"
#include "kdnet/base/wire.h"
#include "tests/support/bytes.h"
#include "tests/support/vectors.h"

static int recode(const uint8_t *payload, size_t length, uint8_t *out, size_t size, size_t *out_length)
{
    struct kdnet_debug_io io;
    int error = kdnet_debug_io_decode(payload, length, &io);
    return error != KDNET_OK ? error : kdnet_debug_io_encode(&io, out, size, out_length);
}

static void all_7_prints_of_the_capture_go_round(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    assert_int_equal(vectors_each_payload_goes_round(vectors, KDNET_PACKET_DEBUG_IO, recode), 7);
}

static void boot_debugger_says_that_it_is_there(void **state)
{
    (void)state;
    const struct kdnet_packet *packet = vectors_packet(vectors_or_skip(), 4, KDNET_PACKET_DEBUG_IO);
    struct kdnet_debug_io io;
    assert_int_equal(kdnet_debug_io_decode(packet->payload, packet->payload_length, &io), KDNET_OK);
    assert_int_equal(io.api, KDNET_DEBUG_IO_PRINT);
    assert_int_equal(io.length, 30);
    assert_int_equal(io.text_length, 30);
    assert_memory_equal(io.text, "BD: Boot Debugger Initialized\n", 30);
}

/* A prompt of 4 characters that takes an answer of up to 2, built by hand. */
static const uint8_t prompt[] = {0x31, 0x32, 0, 0, 7, 0, 2, 0, 4, 0, 0, 0, 2, 0, 0, 0, 'B', 'r', 'k', '?'};

static void prompt_is_read_as_documented(void **state)
{
    (void)state;
    struct kdnet_debug_io io;
    assert_int_equal(kdnet_debug_io_decode(prompt, sizeof prompt, &io), KDNET_OK);
    assert_int_equal(io.api, KDNET_DEBUG_IO_GET_STRING);
    assert_int_equal(io.processor_level, 7);
    assert_int_equal(io.processor, 2);
    assert_int_equal(io.length, 4);
    assert_int_equal(io.read_length, 2);
    assert_int_equal(io.text_length, 4);
    assert_ptr_equal(io.text, prompt + KDNET_DEBUG_IO_HEADER);
}

static void answer_has_the_prompts_header_and_its_own_text(void **state)
{
    (void)state;
    struct kdnet_debug_io io;
    uint8_t out[17], expected[17];
    size_t length = 0;
    assert_int_equal(kdnet_debug_io_decode(prompt, sizeof prompt, &io), KDNET_OK);
    io.read_length = 1;
    io.text = "i";
    io.text_length = 1;
    assert_int_equal(kdnet_debug_io_encode(&io, out, sizeof out, &length), KDNET_OK);
    assert_int_equal(length, sizeof out);
    bytes_from_hex("31320000 0700 0200 04000000 01000000 69", expected, sizeof expected);
    assert_memory_equal(out, expected, sizeof expected);
}

static void cut_is_short_or_has_less_text(const uint8_t *bytes, size_t length, size_t at, void *context)
{
    (void)at;
    (void)context;
    struct kdnet_debug_io io = {.api = 99};
    int error = kdnet_debug_io_decode(bytes, length, &io);
    if (length < KDNET_DEBUG_IO_HEADER) {
        assert_int_equal(error, KDNET_ERR_SHORT);
        assert_int_equal(io.api, 99);
        return;
    }
    assert_int_equal(error, KDNET_OK);
    assert_int_equal(io.text_length, length - KDNET_DEBUG_IO_HEADER);
}

static void each_truncation_is_short_or_has_less_text(void **state)
{
    (void)state;
    uint8_t hostile[sizeof prompt];
    bytes_each_truncation(prompt, sizeof prompt, cut_is_short_or_has_less_text, NULL);
    memcpy(hostile, prompt, sizeof prompt);
    kdnet_put_le32(hostile + 8, UINT32_MAX);
    bytes_each_truncation(hostile, sizeof hostile, cut_is_short_or_has_less_text, NULL);
    const struct vectors *vectors = vectors_or_skip();
    for (size_t i = 0; i < vectors->count; ++i) {
        const struct vector *vector = &vectors->items[i];
        if (vector->is_packet && vector->packet.type == KDNET_PACKET_DEBUG_IO)
            bytes_each_truncation(vector->packet.payload, vector->packet.payload_length, cut_is_short_or_has_less_text,
                                  NULL);
    }
}

static void bytes_behind_the_text_are_no_text(void **state)
{
    (void)state;
    uint8_t payload[sizeof prompt + 1];
    struct kdnet_debug_io io;
    memcpy(payload, prompt, sizeof prompt);
    payload[sizeof prompt] = 'x';
    assert_int_equal(kdnet_debug_io_decode(payload, sizeof payload, &io), KDNET_OK);
    assert_int_equal(io.text_length, 4);
    kdnet_put_le32(payload + 8, 0);
    assert_int_equal(kdnet_debug_io_decode(payload, sizeof payload, &io), KDNET_OK);
    assert_int_equal(io.text_length, 0);
}

static void too_small_a_buffer_is_refused(void **state)
{
    (void)state;
    uint8_t out[sizeof prompt];
    size_t length = 77;
    for (size_t size = 0; size < sizeof prompt; ++size)
        assert_int_equal(recode(prompt, sizeof prompt, out, size, &length), KDNET_ERR_SPACE);
    assert_int_equal(length, 77);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_7_prints_of_the_capture_go_round),
        cmocka_unit_test(boot_debugger_says_that_it_is_there),
        cmocka_unit_test(prompt_is_read_as_documented),
        cmocka_unit_test(answer_has_the_prompts_header_and_its_own_text),
        cmocka_unit_test(each_truncation_is_short_or_has_less_text),
        cmocka_unit_test(bytes_behind_the_text_are_no_text),
        cmocka_unit_test(too_small_a_buffer_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
