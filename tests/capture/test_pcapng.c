/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/base/wire.h"
#include "service/capture/capture.h"
#include "service/capture/pcapng.h"
#include "tests/kdnetctl/frames.h"
#include "tests/support/bytes.h"

#include <stdbool.h>
#include <stdio.h>

enum { ETHERNET = 1, RAW = 101, WIFI = 105 };

static const char payload[] = "MDBG, or so it says";
#define PAYLOAD_LENGTH (sizeof payload - 1)

/* A file that grows, in either byte order. */
struct image {
    bool big_endian;
    size_t length;
    uint8_t bytes[4096];
};

static void add16(struct image *image, uint16_t value)
{
    (image->big_endian ? kdnet_put_be16 : kdnet_put_le16)(image->bytes + image->length, value);
    image->length += 2;
}

static void add32(struct image *image, uint32_t value)
{
    (image->big_endian ? kdnet_put_be32 : kdnet_put_le32)(image->bytes + image->length, value);
    image->length += 4;
}

static void add_bytes(struct image *image, const void *bytes, size_t length)
{
    memcpy(image->bytes + image->length, bytes, length);
    image->length += length;
    while (image->length % 4 != 0)
        image->bytes[image->length++] = 0;
}

static size_t begin_block(struct image *image, uint32_t type)
{
    size_t at = image->length;
    add32(image, type);
    add32(image, 0);
    return at;
}

static void end_block(struct image *image, size_t at)
{
    uint32_t length = (uint32_t)(image->length + 4 - at);
    add32(image, length);
    (image->big_endian ? kdnet_put_be32 : kdnet_put_le32)(image->bytes + at + 4, length);
}

static void add_section(struct image *image)
{
    size_t at = begin_block(image, 0x0a0d0d0a);
    add32(image, 0x1a2b3c4d);
    add32(image, image->big_endian ? 0x00010000 : 0x00000001); /* 1.0 */
    add32(image, UINT32_MAX);
    add32(image, UINT32_MAX);
    end_block(image, at);
}

/* resolution 0: none told. */
static void add_interface(struct image *image, uint16_t link_type, uint32_t snapshot, uint8_t resolution)
{
    size_t at = begin_block(image, 1);
    add16(image, link_type);
    add16(image, 0);
    add32(image, snapshot);
    if (resolution != 0) {
        add16(image, 9);
        add16(image, 1);
        add_bytes(image, &resolution, 1);
        add32(image, 0);
    }
    end_block(image, at);
}

static void make_packet(struct frame *frame, uint16_t link_type)
{
    struct kdnet_address from = frames_ipv4(7, 51111), to = frames_ipv4(1, 50000);
    frame_clear(frame);
    if (link_type == ETHERNET)
        frame_add_ethernet(frame, 0x0800);
    frame_add_udp(frame, &from, &to, payload, PAYLOAD_LENGTH, 0);
}

static void add_packet(struct image *image, uint32_t interface, uint16_t link_type, uint64_t ticks)
{
    struct frame frame;
    make_packet(&frame, link_type);
    size_t at = begin_block(image, 6);
    add32(image, interface);
    add32(image, (uint32_t)(ticks >> 32));
    add32(image, (uint32_t)ticks);
    add32(image, (uint32_t)frame.length);
    add32(image, (uint32_t)frame.length);
    add_bytes(image, frame.bytes, frame.length);
    end_block(image, at);
}

static void add_simple(struct image *image, uint16_t link_type)
{
    struct frame frame;
    make_packet(&frame, link_type);
    size_t at = begin_block(image, 3);
    add32(image, (uint32_t)frame.length);
    add_bytes(image, frame.bytes, frame.length);
    end_block(image, at);
}

static void add_obsolete(struct image *image, uint16_t interface, uint16_t link_type)
{
    struct frame frame;
    make_packet(&frame, link_type);
    size_t at = begin_block(image, 2);
    add16(image, interface);
    add16(image, 0);
    add32(image, 0);
    add32(image, 1000000);
    add32(image, (uint32_t)frame.length);
    add32(image, (uint32_t)frame.length);
    add_bytes(image, frame.bytes, frame.length);
    end_block(image, at);
}

static struct capture *open_image(const struct image *image)
{
    char error[CAPTURE_ERROR_SIZE] = "";
    FILE *file = fmemopen((void *)(uintptr_t)image->bytes, image->length, "rb");
    assert_non_null(file);
    struct capture *capture = capture_open_file(file, "image", error);
    if (!capture)
        print_message("%s\n", error);
    return capture;
}

/* Reads all datagrams, which are all the same; returns how many. */
static unsigned read_all(struct capture *capture, enum capture_result end)
{
    struct capture_datagram datagram;
    enum capture_result result;
    unsigned count = 0;
    while ((result = capture_next(capture, &datagram)) == CAPTURE_DATAGRAM) {
        assert_int_equal(datagram.length, PAYLOAD_LENGTH);
        assert_memory_equal(datagram.payload, payload, PAYLOAD_LENGTH);
        ++count;
    }
    assert_int_equal(result, end);
    return count;
}

static void interfaces_of_different_kinds_are_read(void **state)
{
    (void)state;
    for (unsigned big = 0; big < 2; ++big) {
        struct image image = {.big_endian = big != 0};
        add_section(&image);
        add_interface(&image, ETHERNET, 65535, 0);
        add_packet(&image, 0, ETHERNET, 1);
        add_interface(&image, RAW, 262144, 0); /* later, with another link type and snapshot length */
        add_packet(&image, 1, RAW, 2);
        add_packet(&image, 0, ETHERNET, 3);
        add_simple(&image, ETHERNET);
        add_obsolete(&image, 1, RAW);
        struct capture *capture = open_image(&image);
        assert_int_equal(read_all(capture, CAPTURE_END), 5);
        capture_close(capture);
    }
}

static void sections_begin_anew(void **state)
{
    (void)state;
    struct image image = {0};
    add_section(&image);
    add_interface(&image, ETHERNET, 0, 0);
    add_packet(&image, 0, ETHERNET, 1);
    image.big_endian = true;
    add_section(&image);
    add_interface(&image, RAW, 0, 0);
    add_packet(&image, 0, RAW, 1);
    struct capture *capture = open_image(&image);
    assert_int_equal(read_all(capture, CAPTURE_END), 2);
    capture_close(capture);
}

static void clocks_of_each_interface_count(void **state)
{
    (void)state;
    static const struct {
        uint8_t resolution;
        uint64_t ticks;
        int64_t time_us;
    } clocks[] = {
        {0, 1700000000123456, 1700000000123456},
        {9, 1700000000123456789, 1700000000123456},
        {3, 1700000000123, 1700000000123000},
        {0x80, 1700000000, 1700000000000000},
        {0x94, 1700000000ULL << 20 | 1ULL << 19, 1700000000500000},
        {12, 1700000123456789, 1700000123},
        {0xa0, 1700000000ULL << 32 | 1ULL << 31, 1700000000500000},
        {18, 5500000000000000000, 5500000},
    };
    for (size_t i = 0; i < sizeof clocks / sizeof clocks[0]; ++i) {
        struct capture_datagram datagram;
        struct image image = {0};
        add_section(&image);
        add_interface(&image, RAW, 0, clocks[i].resolution);
        add_packet(&image, 0, RAW, clocks[i].ticks);
        struct capture *capture = open_image(&image);
        assert_int_equal(capture_next(capture, &datagram), CAPTURE_DATAGRAM);
        assert_true(datagram.time_us == clocks[i].time_us);
        capture_close(capture);
    }
}

static void frames_of_an_unknown_link_are_counted_and_named(void **state)
{
    (void)state;
    struct image image = {0};
    add_section(&image);
    add_interface(&image, WIFI, 0, 0);
    add_interface(&image, RAW, 0, 0);
    add_packet(&image, 0, RAW, 1);
    add_packet(&image, 1, RAW, 1);
    struct capture *capture = open_image(&image);
    assert_int_equal(read_all(capture, CAPTURE_END), 1);
    assert_int_equal(capture_counts(capture).other_link, 1);
    assert_string_equal(capture_other_link(capture), "IEEE802_11");
    capture_close(capture);
}

static void packet_of_no_interface_ends_the_capture(void **state)
{
    (void)state;
    struct image image = {0};
    add_section(&image);
    add_interface(&image, RAW, 0, 0);
    add_packet(&image, 0, RAW, 1);
    add_packet(&image, 1, RAW, 1);
    struct capture *capture = open_image(&image);
    assert_int_equal(read_all(capture, CAPTURE_CUT), 1);
    assert_non_null(strstr(capture_error(capture), "interface"));
    capture_close(capture);
}

/* A block of that type with no more than so many bytes in it, behind a good packet. */
static void expect_too_short(uint32_t type, size_t bytes, const char *why)
{
    static const uint8_t zeros[32];
    struct capture_datagram datagram;
    struct image image = {0};
    add_section(&image);
    add_interface(&image, RAW, 0, 0);
    add_packet(&image, 0, RAW, 1);
    size_t at = begin_block(&image, type);
    add_bytes(&image, zeros, bytes);
    end_block(&image, at);
    struct capture *capture = open_image(&image);
    assert_int_equal(read_all(capture, CAPTURE_CUT), 1);
    assert_non_null(strstr(capture_error(capture), why));
    assert_int_equal(capture_next(capture, &datagram), CAPTURE_CUT); /* and so it stays */
    capture_close(capture);
}

static void a_block_that_is_too_short_ends_the_capture(void **state)
{
    (void)state;
    expect_too_short(1, 4, "an interface description is too short");
    expect_too_short(2, 16, "a packet block is too short");
    expect_too_short(3, 0, "a packet block is too short");
    expect_too_short(6, 16, "a packet block is too short");
}

static void more_interfaces_than_anybody_has_end_the_capture(void **state)
{
    static uint8_t bytes[5000 * 20 + 64];
    struct image one = {0};
    (void)state;
    add_section(&one);
    size_t begin = one.length, length = begin;
    add_interface(&one, RAW, 0, 0);
    memcpy(bytes, one.bytes, begin);
    for (unsigned i = 0; i < 4097; ++i, length += one.length - begin)
        memcpy(bytes + length, one.bytes + begin, one.length - begin);
    FILE *file = fmemopen(bytes, length, "rb");
    char error[CAPTURE_ERROR_SIZE] = "";
    assert_non_null(file);
    struct capture *capture = capture_open_file(file, "image", error);
    assert_non_null(capture);
    assert_int_equal(read_all(capture, CAPTURE_CUT), 0);
    assert_non_null(strstr(capture_error(capture), "more than 4,096 interfaces"));
    capture_close(capture);
}

/* The clock of an interface may have begun at another time than 1970. */
static void an_interface_with_an_offset_of_seconds_has_right_times(void **state)
{
    struct capture_datagram datagram;
    (void)state;
    for (int big = 0; big < 2; ++big) {
        struct image image = {.big_endian = big == 1};
        add_section(&image);
        size_t at = begin_block(&image, 1);
        add16(&image, RAW);
        add16(&image, 0);
        add32(&image, 0);
        add16(&image, 14); /* if_tsoffset */
        add16(&image, 8);
        add32(&image, image.big_endian ? 0 : 1700000000);
        add32(&image, image.big_endian ? 1700000000 : 0);
        add32(&image, 0);
        end_block(&image, at);
        add_packet(&image, 0, RAW, 123456);
        struct capture *capture = open_image(&image);
        assert_int_equal(capture_next(capture, &datagram), CAPTURE_DATAGRAM);
        assert_true(datagram.time_us == 1700000000123456);
        capture_close(capture);
    }
}

static void read_damaged(const uint8_t *bytes, size_t length, size_t at, void *context)
{
    (void)at;
    (void)context;
    struct pcapng_packet packet;
    uint8_t sum = 0;
    if (length == 0)
        return;
    FILE *file = fmemopen((void *)(uintptr_t)bytes, length, "rb");
    struct pcapng *pcapng = pcapng_new(file);
    while (pcapng_next(pcapng, &packet) == PCAPNG_PACKET)
        for (size_t i = 0; i < packet.length; ++i)
            sum = (uint8_t)(sum + packet.data[i]);
    (void)sum;
    pcapng_free(pcapng);
    (void)fclose(file);
}

static void damaged_files_stay_in_their_bounds(void **state)
{
    (void)state;
    struct image image = {0};
    add_section(&image);
    add_interface(&image, RAW, 30, 9);
    add_packet(&image, 0, RAW, 1);
    add_simple(&image, RAW);
    add_obsolete(&image, 0, RAW);
    bytes_each_truncation(image.bytes, image.length, read_damaged, NULL);
    bytes_each_bit_flip(image.bytes, image.length, read_damaged, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interfaces_of_different_kinds_are_read),
        cmocka_unit_test(sections_begin_anew),
        cmocka_unit_test(clocks_of_each_interface_count),
        cmocka_unit_test(frames_of_an_unknown_link_are_counted_and_named),
        cmocka_unit_test(packet_of_no_interface_ends_the_capture),
        cmocka_unit_test(a_block_that_is_too_short_ends_the_capture),
        cmocka_unit_test(more_interfaces_than_anybody_has_end_the_capture),
        cmocka_unit_test(an_interface_with_an_offset_of_seconds_has_right_times),
        cmocka_unit_test(damaged_files_stay_in_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
