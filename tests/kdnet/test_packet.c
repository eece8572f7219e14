/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/error.h"
#include "kdnet/wire/packet.h"
#include "kdnet/base/wire.h"
#include "tests/support/bytes.h"
#include "tests/support/vectors.h"

static void each_packet_of_the_capture_goes_round(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    size_t packets = 0;
    for (size_t i = 0; i < vectors->count; ++i) {
        const struct kdnet_datagram *datagram = &vectors->items[i].datagram;
        struct kdnet_packet packet;
        if (datagram->channel != KDNET_CHANNEL_DATA || vectors->items[i].frame == 3) /* the connection check */
            continue;
        assert_int_equal(kdnet_packet_decode(datagram->body, datagram->body_length, &packet), KDNET_OK);
        uint8_t out[KDNET_BODY_MAX];
        size_t length = 0;
        assert_int_equal(kdnet_packet_encode(&packet, out, datagram->body_length, &length), KDNET_OK);
        assert_int_equal(length, datagram->body_length);
        assert_memory_equal(out, datagram->body, length);
        assert_non_null(kdnet_packet_type_name(packet.type));
        ++packets;
    }
    assert_int_equal(packets, 526);
}

static void capture_has_so_many_packets_of_each_type(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    static const size_t expected[2][12] = {
        {[KDNET_PACKET_MANIPULATE] = 92,
         [KDNET_PACKET_DEBUG_IO] = 7,
         [KDNET_PACKET_ACK] = 127,
         [KDNET_PACKET_RESEND] = 1,
         [KDNET_PACKET_RESET] = 1,
         [KDNET_PACKET_STATE_CHANGE64] = 3,
         [KDNET_PACKET_FILE_IO] = 33},
        {[KDNET_PACKET_MANIPULATE] = 95,
         [KDNET_PACKET_ACK] = 132,
         [KDNET_PACKET_RESEND] = 1,
         [KDNET_PACKET_RESET] = 1,
         [KDNET_PACKET_FILE_IO] = 33},
    };
    size_t counts[2][12] = {{0}};
    for (size_t i = 0; i < vectors->count; ++i) {
        const struct vector *vector = &vectors->items[i];
        if (!vector->is_packet)
            continue;
        assert_in_range(vector->packet.type, 0, 11);
        assert_int_equal(vector->packet.control,
                         vector->packet.type >= KDNET_PACKET_ACK && vector->packet.type <= KDNET_PACKET_RESET);
        ++counts[vector->datagram.from_host][vector->packet.type];
    }
    assert_memory_equal(counts, expected, sizeof expected);
}

static void first_packet_of_the_host_is_resend_with_id_0(void **state)
{
    (void)state;
    const struct vectors *vectors = vectors_or_skip();
    const struct kdnet_packet *packet = vectors_packet(vectors, 5, KDNET_PACKET_RESEND);
    assert_true(packet->control);
    assert_int_equal(packet->id, 0);
    assert_int_equal(packet->payload_length, 0);
    assert_int_equal(vectors_packet(vectors, 10, KDNET_PACKET_MANIPULATE)->id, KDNET_PACKET_FIRST_ID);
    assert_int_equal(vectors_packet(vectors, 14, KDNET_PACKET_MANIPULATE)->id,
                     KDNET_PACKET_FIRST_ID + KDNET_PACKET_ID_STEP);
}

/* A data packet of 5 bytes, built by hand: sum 1+2+3+4+255 = 265. */
static const uint8_t built[] = {0x30, 0x30, 0x30, 0x30, 2, 0, 5, 0, 2, 0, 0, 0x80, 0x09, 1, 0, 0, 1, 2, 3, 4, 255};

static void built_packet_is_read_as_documented(void **state)
{
    (void)state;
    struct kdnet_packet packet;
    assert_int_equal(kdnet_packet_decode(built, sizeof built, &packet), KDNET_OK);
    assert_false(packet.control);
    assert_int_equal(packet.type, KDNET_PACKET_MANIPULATE);
    assert_int_equal(packet.id, 0x80000002);
    assert_int_equal(packet.payload_length, 5);
    assert_ptr_equal(packet.payload, built + KDNET_PACKET_HEADER);
}

static void cut_is_short(const uint8_t *bytes, size_t length, size_t at, void *context)
{
    (void)at;
    (void)context;
    struct kdnet_packet packet = {.type = 99};
    assert_int_equal(kdnet_packet_decode(bytes, length, &packet), KDNET_ERR_SHORT);
    if (length < KDNET_PACKET_HEADER) {
        assert_int_equal(packet.type, 99);
        return;
    }
    assert_int_equal(packet.type, kdnet_get_le16(bytes + 4)); /* named, with what is there */
    assert_int_equal(packet.payload_length, length - KDNET_PACKET_HEADER);
}

static void each_truncation_of_each_packet_is_short(void **state)
{
    (void)state;
    bytes_each_truncation(built, sizeof built, cut_is_short, NULL);
    const struct vectors *vectors = vectors_or_skip();
    for (size_t i = 0; i < vectors->count; ++i)
        if (vectors->items[i].is_packet)
            bytes_each_truncation(vectors->items[i].datagram.body, vectors->items[i].datagram.body_length, cut_is_short,
                                  NULL);
}

static void bytes_behind_the_payload_are_ignored(void **state)
{
    (void)state;
    uint8_t longer[sizeof built + 1];
    struct kdnet_packet packet;
    memcpy(longer, built, sizeof built);
    longer[sizeof built] = 0xaa;
    assert_int_equal(kdnet_packet_decode(longer, sizeof longer, &packet), KDNET_OK);
    assert_int_equal(packet.payload_length, 5);
}

static void wrong_checksum_still_names_the_packet(void **state)
{
    (void)state;
    for (size_t at = 12; at < sizeof built; ++at) {
        uint8_t damaged[sizeof built];
        struct kdnet_packet packet = {.type = 99};
        memcpy(damaged, built, sizeof built);
        damaged[at] ^= 0x40;
        assert_int_equal(kdnet_packet_decode(damaged, sizeof damaged, &packet), KDNET_ERR_CHECKSUM);
        assert_int_equal(packet.type, KDNET_PACKET_MANIPULATE);
        assert_int_equal(packet.id, 0x80000002);
        assert_int_equal(packet.payload_length, 5);
    }
}

static void unknown_leader_and_impossible_length_are_refused(void **state)
{
    (void)state;
    uint8_t damaged[sizeof built];
    struct kdnet_packet packet = {.type = 99};
    for (size_t at = 0; at < 4; ++at) {
        memcpy(damaged, built, sizeof built);
        damaged[at] = 0x69;
        assert_int_equal(kdnet_packet_decode(damaged, sizeof damaged, &packet), KDNET_ERR_FORMAT);
    }
    memcpy(damaged, built, sizeof built);
    kdnet_put_le16(damaged + 6, KDNET_PACKET_PAYLOAD_MAX + 1);
    assert_int_equal(kdnet_packet_decode(damaged, sizeof damaged, &packet), KDNET_ERR_LENGTH);
    kdnet_put_le16(damaged + 6, UINT16_MAX);
    assert_int_equal(kdnet_packet_decode(damaged, sizeof damaged, &packet), KDNET_ERR_LENGTH);
    assert_int_equal(packet.type, KDNET_PACKET_MANIPULATE);
    assert_int_equal(packet.payload_length, 5); /* what is there */
}

static void largest_payload_goes_round_and_a_larger_one_is_refused(void **state)
{
    (void)state;
    uint8_t payload[KDNET_PACKET_PAYLOAD_MAX + 1], out[KDNET_BODY_MAX + 1];
    memset(payload, 0xff, sizeof payload);
    struct kdnet_packet packet = {.type = KDNET_PACKET_FILE_IO, .payload = payload, .payload_length = sizeof payload};
    struct kdnet_packet back;
    size_t length = 77;
    assert_int_equal(kdnet_packet_encode(&packet, out, sizeof out, &length), KDNET_ERR_LENGTH);
    packet.payload_length = KDNET_PACKET_PAYLOAD_MAX;
    assert_int_equal(kdnet_packet_encode(&packet, out, KDNET_BODY_MAX - 1, &length), KDNET_ERR_SPACE);
    assert_int_equal(length, 77);
    assert_int_equal(kdnet_packet_encode(&packet, out, KDNET_BODY_MAX, &length), KDNET_OK);
    assert_int_equal(length, KDNET_BODY_MAX);
    assert_int_equal(kdnet_packet_decode(out, length, &back), KDNET_OK);
    assert_int_equal(back.payload_length, KDNET_PACKET_PAYLOAD_MAX);
    assert_int_equal(kdnet_packet_checksum(back.payload, back.payload_length), 4000 * 255);
}

static void control_packet_needs_no_payload(void **state)
{
    (void)state;
    static const uint8_t expected[16] = {0x69, 0x69, 0x69, 0x69, 4, 0, 0, 0, 0xbe, 0, 0, 0};
    const struct kdnet_packet packet = {.control = true, .type = KDNET_PACKET_ACK, .id = 0xbe};
    uint8_t out[16];
    size_t length = 0;
    for (size_t size = 0; size < sizeof out; ++size)
        assert_int_equal(kdnet_packet_encode(&packet, out, size, &length), KDNET_ERR_SPACE);
    assert_int_equal(kdnet_packet_encode(&packet, out, sizeof out, &length), KDNET_OK);
    assert_int_equal(length, sizeof out);
    assert_memory_equal(out, expected, sizeof expected);
}

static void types_have_names(void **state)
{
    (void)state;
    for (unsigned type = 0; type <= KDNET_PACKET_FILE_IO; ++type)
        assert_non_null(kdnet_packet_type_name((uint16_t)type));
    assert_string_equal(kdnet_packet_type_name(KDNET_PACKET_ACK), "ACK");
    assert_string_equal(kdnet_packet_type_name(KDNET_PACKET_STATE_CHANGE64), "state change 64");
    assert_null(kdnet_packet_type_name(KDNET_PACKET_FILE_IO + 1));
    assert_null(kdnet_packet_type_name(UINT16_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_packet_of_the_capture_goes_round),
        cmocka_unit_test(capture_has_so_many_packets_of_each_type),
        cmocka_unit_test(first_packet_of_the_host_is_resend_with_id_0),
        cmocka_unit_test(built_packet_is_read_as_documented),
        cmocka_unit_test(each_truncation_of_each_packet_is_short),
        cmocka_unit_test(bytes_behind_the_payload_are_ignored),
        cmocka_unit_test(wrong_checksum_still_names_the_packet),
        cmocka_unit_test(unknown_leader_and_impossible_length_are_refused),
        cmocka_unit_test(largest_payload_goes_round_and_a_larger_one_is_refused),
        cmocka_unit_test(control_packet_needs_no_payload),
        cmocka_unit_test(types_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
