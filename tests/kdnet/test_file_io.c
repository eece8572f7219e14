/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/error.h"
#include "kdnet/wire/file_io.h"
#include "kdnet/base/wire.h"
#include "tests/support/bytes.h"
#include "tests/support/vectors.h"

static int recode(const uint8_t *payload, size_t length, uint8_t *out, size_t size, size_t *out_length)
{
    struct kdnet_file_io io;
    int error = kdnet_file_io_decode(payload, length, &io);
    if (error != KDNET_OK)
        return error;
    memset(io.raw, 0xee, 8); /* api and status must come from the fields */
    return kdnet_file_io_encode(&io, out, size, out_length);
}

static void all_66_questions_and_answers_of_the_capture_go_round(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    assert_int_equal(vectors_each_payload_goes_round(vectors, KDNET_PACKET_FILE_IO, recode), 33 + 33);
}

static void each_question_is_answered_as_windbg_does(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    const struct kdnet_packet *question = NULL;
    size_t answers = 0;
    for (size_t i = 0; i < vectors->count; ++i) {
        const struct vector *vector = &vectors->items[i];
        if (!vector->is_packet || vector->packet.type != KDNET_PACKET_FILE_IO)
            continue;
        if (!vector->datagram.from_host) {
            question = &vector->packet;
            continue;
        }
        struct kdnet_file_io io;
        uint8_t out[KDNET_FILE_IO_SIZE];
        size_t length = 0;
        assert_non_null(question);
        assert_int_equal(kdnet_file_io_decode(question->payload, question->payload_length, &io), KDNET_OK);
        io.status = KDNET_STATUS_NO_SUCH_FILE;
        io.data_length = 0;
        assert_int_equal(kdnet_file_io_encode(&io, out, sizeof out, &length), KDNET_OK);
        assert_int_equal(length, vector->packet.payload_length);
        assert_memory_equal(out, vector->packet.payload, length);
        ++answers;
    }
    assert_int_equal(answers, 33);
}

static void frame_236_asks_for_a_file_by_its_path(void **state)
{
    (void)state;
    const struct kdnet_packet *packet = vectors_packet(vectors_or_skip(), 236, KDNET_PACKET_FILE_IO);
    struct kdnet_file_io io;
    assert_int_equal(kdnet_file_io_decode(packet->payload, packet->payload_length, &io), KDNET_OK);
    assert_int_equal(io.api, KDNET_FILE_IO_CREATE);
    assert_true(io.data_length >= 4 && io.data_length % 2 == 0);
    assert_int_equal(io.data[0], '\\');
    assert_int_equal(io.data[1], 0);
    assert_int_equal(kdnet_get_le16(io.data + io.data_length - 2), 0);
}

static void cut_is_short_or_has_less_data(const uint8_t *bytes, size_t length, size_t at, void *context)
{
    (void)at;
    (void)context;
    struct kdnet_file_io io = {.api = 99};
    int error = kdnet_file_io_decode(bytes, length, &io);
    if (length < KDNET_FILE_IO_SIZE) {
        assert_int_equal(error, KDNET_ERR_SHORT);
        assert_int_equal(io.api, 99);
        return;
    }
    assert_int_equal(error, KDNET_OK);
    assert_ptr_equal(io.data, bytes + KDNET_FILE_IO_SIZE);
    assert_int_equal(io.data_length, length - KDNET_FILE_IO_SIZE);
    assert_memory_equal(io.raw, bytes, KDNET_FILE_IO_SIZE);
}

static void each_truncation_is_short_or_has_less_data(void **state)
{
    (void)state;
    static const uint8_t built[KDNET_FILE_IO_SIZE + 6] = {0x30, 0x34, [64] = 'a', [66] = 'b'};
    bytes_each_truncation(built, sizeof built, cut_is_short_or_has_less_data, NULL);
    const struct vectors *vectors = vectors_or_skip();
    for (size_t i = 0; i < vectors->count; ++i) {
        const struct vector *vector = &vectors->items[i];
        if (vector->is_packet && vector->packet.type == KDNET_PACKET_FILE_IO)
            bytes_each_truncation(vector->packet.payload, vector->packet.payload_length, cut_is_short_or_has_less_data,
                                  NULL);
    }
}

static void too_small_a_buffer_is_refused(void **state)
{
    (void)state;
    static const uint8_t built[KDNET_FILE_IO_SIZE + 6] = {0x31, 0x34};
    uint8_t out[sizeof built];
    size_t length = 77;
    for (size_t size = 0; size < sizeof built; ++size)
        assert_int_equal(recode(built, sizeof built, out, size, &length), KDNET_ERR_SPACE);
    assert_int_equal(length, 77);
    assert_int_equal(recode(built, sizeof built, out, sizeof out, &length), KDNET_OK);
    assert_memory_equal(out, built, sizeof built);
}

static void apis_have_names(void **state)
{
    (void)state;
    assert_string_equal(kdnet_file_io_name(0x3430), "create");
    assert_string_equal(kdnet_file_io_name(0x3431), "read");
    assert_string_equal(kdnet_file_io_name(0x3432), "write");
    assert_string_equal(kdnet_file_io_name(0x3433), "close");
    assert_null(kdnet_file_io_name(0x3434));
    assert_null(kdnet_file_io_name(0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_66_questions_and_answers_of_the_capture_go_round),
        cmocka_unit_test(each_question_is_answered_as_windbg_does),
        cmocka_unit_test(frame_236_asks_for_a_file_by_its_path),
        cmocka_unit_test(each_truncation_is_short_or_has_less_data),
        cmocka_unit_test(too_small_a_buffer_is_refused),
        cmocka_unit_test(apis_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
