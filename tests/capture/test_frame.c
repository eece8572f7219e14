/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A frame: which datagram is in it, whatever is around the datagram, and that a damaged frame stays in its bounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/base/wire.h"
#include "service/capture/frame.h"
#include "tests/kdnetctl/frames.h"
#include "tests/support/bytes.h"
#include "tests/capture/links.h"

static enum frame_kind read_ethernet(const struct frame *frame, struct capture_datagram *out)
{
    struct frame_fragment fragment;
    return frame_read(ETHERNET, frame->bytes, frame->length, frame->length, out, &fragment);
}

static void padding_of_the_link_is_no_payload(void **state)
{
    (void)state;
    struct frame frame;
    struct capture_datagram datagram;
    make_frame(&links[0], &frame);
    frame_add(&frame, "padding", 7);
    assert_int_equal(read_ethernet(&frame, &datagram), FRAME_UDP);
    assert_our_datagram(&datagram);
}

static void ipv4_options_are_stepped_over(void **state)
{
    (void)state;
    struct frame frame;
    struct capture_datagram datagram;
    struct kdnet_address from = frames_ipv4(7, 51111), to = frames_ipv4(1, 50000);
    for (size_t words = 0; words <= 10; ++words) {
        frame_clear(&frame);
        frame_add_ethernet(&frame, 0x0800);
        frame_add_udp(&frame, &from, &to, payload, PAYLOAD_LENGTH, words);
        assert_int_equal(read_ethernet(&frame, &datagram), FRAME_UDP);
        assert_our_datagram(&datagram);
    }
}

/* IPv6 with the given chain of extension headers before UDP; `first` is what the IPv6 header announces. */
static void make_ipv6(struct frame *frame, uint8_t first, const char *chain, size_t chain_length)
{
    uint8_t headers[64];
    struct frame plain;
    struct kdnet_address from = frames_ipv6(7, 51111), to = frames_ipv6(1, 50000);
    bytes_from_hex(chain, headers, chain_length);
    frame_clear(&plain);
    frame_add_udp(&plain, &from, &to, payload, PAYLOAD_LENGTH, 0);
    plain.bytes[6] = first;
    kdnet_put_be16(plain.bytes + 4, (uint16_t)(chain_length + 8 + PAYLOAD_LENGTH));
    frame_clear(frame);
    frame_add_ethernet(frame, 0x86dd);
    frame_add(frame, plain.bytes, 40);
    frame_add(frame, headers, chain_length);
    frame_add(frame, plain.bytes + 40, plain.length - 40);
}

static void ipv6_extension_headers_are_stepped_over(void **state)
{
    (void)state;
    static const struct {
        uint8_t first;
        const char *chain;
        size_t length;
    } chains[] = {
        {17, "", 0},
        {0, "11 00 000000000000", 8},                                         /* hop by hop */
        {0, "3c 00 000000000000 11 01 0000000000000000000000000000", 24},     /* and options of 16 bytes */
        {43, "11 00 000000000000", 8},                                        /* routing */
        {44, "11 00 0000 12345678", 8},                                       /* atomic fragment */
        {51, "11 02 0000 00000001 00000001 aabbccdd", 16},                    /* authentication */
        {0, "2c 00 000000000000 3c 00 0000 12345678 11 00 000000000000", 24}, /* three of them */
    };
    struct kdnet_address from = frames_ipv6(7, 51111);
    for (size_t i = 0; i < sizeof chains / sizeof chains[0]; ++i) {
        struct frame frame;
        struct capture_datagram datagram;
        make_ipv6(&frame, chains[i].first, chains[i].chain, chains[i].length);
        assert_int_equal(read_ethernet(&frame, &datagram), FRAME_UDP);
        assert_true(kdnet_address_equal(&datagram.from, &from));
        assert_int_equal(datagram.length, PAYLOAD_LENGTH);
        assert_memory_equal(datagram.payload, payload, PAYLOAD_LENGTH);
    }
}

static void fragments_are_told_apart(void **state)
{
    (void)state;
    struct frame frame;
    struct capture_datagram datagram;
    make_frame(&links[0], &frame);
    frame.bytes[14 + 6] = 0x20; /* more fragments */
    assert_int_equal(read_ethernet(&frame, &datagram), FRAME_FRAGMENT);
    frame.bytes[14 + 6] = 0;
    frame.bytes[14 + 7] = 1; /* offset 8 */
    assert_int_equal(read_ethernet(&frame, &datagram), FRAME_FRAGMENT);
    frame.bytes[14 + 6] = 0x40; /* do not fragment */
    frame.bytes[14 + 7] = 0;
    assert_int_equal(read_ethernet(&frame, &datagram), FRAME_UDP);
    make_ipv6(&frame, 44, "11 00 0001 12345678", 8);
    assert_int_equal(read_ethernet(&frame, &datagram), FRAME_FRAGMENT);
    make_ipv6(&frame, 44, "11 00 0008 12345678", 8);
    assert_int_equal(read_ethernet(&frame, &datagram), FRAME_FRAGMENT);
}

static void other_traffic_is_passed_over(void **state)
{
    (void)state;
    struct frame frame;
    struct capture_datagram datagram;
    make_frame(&links[0], &frame);
    frame.bytes[14 + 9] = 6; /* TCP */
    assert_int_equal(read_ethernet(&frame, &datagram), FRAME_OTHER);
    make_frame(&links[0], &frame);
    frame.bytes[13] = 6; /* ARP */
    assert_int_equal(read_ethernet(&frame, &datagram), FRAME_OTHER);
    make_frame(&links[0], &frame);
    frame.bytes[14] = 0x44; /* a header of 16 bytes */
    assert_int_equal(read_ethernet(&frame, &datagram), FRAME_OTHER);
    make_frame(&links[0], &frame);
    frame.bytes[14 + 20 + 5] = 7; /* UDP of 7 bytes */
    assert_int_equal(read_ethernet(&frame, &datagram), FRAME_OTHER);
    make_ipv6(&frame, 59, "", 0); /* no next header */
    assert_int_equal(read_ethernet(&frame, &datagram), FRAME_OTHER);
}

static void snapshot_length_cuts_and_says_so(void **state)
{
    (void)state;
    struct frame frame;
    struct capture_datagram datagram;
    struct frame_fragment fragment;
    make_frame(&links[0], &frame);
    for (size_t kept = frame.length - PAYLOAD_LENGTH; kept < frame.length; ++kept) {
        assert_int_equal(frame_read(ETHERNET, frame.bytes, kept, frame.length, &datagram, &fragment), FRAME_UDP);
        assert_int_equal(datagram.length, kept - (frame.length - PAYLOAD_LENGTH));
        assert_int_equal(datagram.wire_length, PAYLOAD_LENGTH);
    }
}

static void udp_that_claims_more_than_was_sent_counts_as_cut(void **state)
{
    (void)state;
    struct frame frame;
    struct capture_datagram datagram;
    make_frame(&links[0], &frame);
    frame.bytes[14 + 20 + 4] = 1; /* 256 bytes more */
    assert_int_equal(read_ethernet(&frame, &datagram), FRAME_UDP);
    assert_int_equal(datagram.length, PAYLOAD_LENGTH);
    assert_true(datagram.wire_length > datagram.length);
}

/* Ethernet, and whatever `outer` has before an inner frame or packet. */
static void make_tunnel(struct frame *frame, unsigned ip_protocol, unsigned port, const char *header, size_t length,
                        bool inner_ethernet)
{
    struct frame inner;
    uint8_t bytes[16];
    struct kdnet_address from = frames_ipv4(7, 51111), to = frames_ipv4(1, 50000);
    struct kdnet_address outer_from = frames_ipv4(101, 40000), outer_to = frames_ipv4(102, (uint16_t)port);
    frame_clear(&inner);
    if (length > 0)
        bytes_from_hex(header, bytes, length);
    frame_add(&inner, bytes, length);
    if (inner_ethernet)
        frame_add_ethernet(&inner, 0x0800);
    frame_add_udp(&inner, &from, &to, payload, PAYLOAD_LENGTH, 0);
    frame_clear(frame);
    frame_add_ethernet(frame, 0x0800);
    frame_add_udp(frame, &outer_from, &outer_to, inner.bytes, inner.length, 0);
    if (ip_protocol == 17)
        return;
    frame->bytes[14 + 9] = (uint8_t)ip_protocol; /* without a UDP header */
    kdnet_put_be16(frame->bytes + 14 + 2, (uint16_t)(20 + inner.length));
    memmove(frame->bytes + 34, frame->bytes + 42, inner.length);
    frame->length -= 8;
}

static const struct tunnel {
    const char *name;
    unsigned ip_protocol, port;
    const char *header;
    size_t length;
    bool inner_ethernet;
} tunnels[] = {
    {"VXLAN", 17, 4789, "08000000 00002a00", 8, true},
    {"VXLAN as old Linux has it", 17, 8472, "08000000 00002a00", 8, true},
    {"Geneve", 17, 6081, "0000 6558 00002a00", 8, true},
    {"Geneve with an option", 17, 6081, "0200 6558 00002a00 0102030100000000", 16, true},
    {"Geneve with IP", 17, 6081, "0000 0800 00002a00", 8, false},
    {"GRE", 47, 0, "0000 0800", 4, false},
    {"GRE with key", 47, 0, "2000 6558 00002a00", 8, true},
    {"GRE with checksum, key, number", 47, 0, "b000 0800 abcd0000 00002a00 00000001", 16, false},
    {"IP in IP", 4, 0, "", 0, false},
};

static void tunnels_are_looked_into(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof tunnels / sizeof tunnels[0]; ++i) {
        struct frame frame;
        struct capture_datagram datagram;
        const struct tunnel *tunnel = &tunnels[i];
        print_message("%s\n", tunnel->name);
        make_tunnel(&frame, tunnel->ip_protocol, tunnel->port, tunnel->header, tunnel->length, tunnel->inner_ethernet);
        assert_int_equal(read_ethernet(&frame, &datagram), FRAME_UDP);
        assert_our_datagram(&datagram);
    }
}

static void datagram_to_a_tunnels_port_without_a_tunnel_is_itself(void **state)
{
    (void)state;
    struct frame frame;
    struct capture_datagram datagram;
    struct kdnet_address from = frames_ipv4(7, 51111), to = frames_ipv4(1, 4789);
    frame_clear(&frame);
    frame_add_ethernet(&frame, 0x0800);
    frame_add_udp(&frame, &from, &to, payload, PAYLOAD_LENGTH, 0);
    assert_int_equal(read_ethernet(&frame, &datagram), FRAME_UDP);
    assert_true(kdnet_address_equal(&datagram.to, &to));
    assert_int_equal(datagram.length, PAYLOAD_LENGTH);
}

static void tunnels_in_tunnels_end(void **state)
{
    (void)state;
    struct frame frame;
    struct capture_datagram datagram;
    frame_clear(&frame);
    frame_add_ethernet(&frame, 0x0800);
    static const uint8_t ip[20] = {0x45, [2] = 0x1f, [3] = 0, [8] = 64, [9] = 4};
    while (frame.length + sizeof ip < FRAME_SIZE)
        frame_add(&frame, ip, sizeof ip);
    assert_int_equal(read_ethernet(&frame, &datagram), FRAME_OTHER);
}

static void labels_of_mpls_are_stepped_over(void **state)
{
    (void)state;
    struct frame frame;
    struct capture_datagram datagram;
    uint8_t labels[8] = {0, 1, 0, 64, 0, 2, 1, 64};
    struct kdnet_address from = frames_ipv4(7, 51111), to = frames_ipv4(1, 50000);
    frame_clear(&frame);
    frame_add_ethernet(&frame, 0x8847);
    frame_add(&frame, labels, sizeof labels);
    frame_add_udp(&frame, &from, &to, payload, PAYLOAD_LENGTH, 0);
    assert_int_equal(read_ethernet(&frame, &datagram), FRAME_UDP);
    assert_our_datagram(&datagram);
}

/* context: the link type. The blocks have their exact length: AddressSanitizer sees a read too far. */
static void read_damaged(const uint8_t *bytes, size_t length, size_t at, void *context)
{
    (void)at;
    struct capture_datagram datagram;
    struct frame_fragment part;
    uint8_t sum = 0;
    for (size_t more = 0; more <= 100; more += 100) {
        enum frame_kind kind = frame_read(*(const int *)context, bytes, length, length + more, &datagram, &part);
        if (kind == FRAME_FRAGMENT)
            assert_true(part.data >= bytes && part.data + part.length <= bytes + length);
        if (kind != FRAME_UDP)
            continue;
        assert_true(datagram.length <= datagram.wire_length);
        assert_true(datagram.payload >= bytes && datagram.payload + datagram.length <= bytes + length);
        for (size_t i = 0; i < datagram.length; ++i)
            sum = (uint8_t)(sum + datagram.payload[i]);
    }
    (void)sum;
}

static void damaged_frames_stay_in_their_bounds(void **state)
{
    (void)state;
    struct frame frame;
    for (size_t i = 0; i < LINKS; ++i) {
        int type = links[i].type;
        make_frame(&links[i], &frame);
        bytes_each_truncation(frame.bytes, frame.length, read_damaged, &type);
        bytes_each_bit_flip(frame.bytes, frame.length, read_damaged, &type);
    }
    int ethernet = ETHERNET;
    for (size_t i = 0; i < sizeof tunnels / sizeof tunnels[0]; ++i) {
        const struct tunnel *tunnel = &tunnels[i];
        make_tunnel(&frame, tunnel->ip_protocol, tunnel->port, tunnel->header, tunnel->length, tunnel->inner_ethernet);
        bytes_each_truncation(frame.bytes, frame.length, read_damaged, &ethernet);
        bytes_each_bit_flip(frame.bytes, frame.length, read_damaged, &ethernet);
    }
    make_ipv6(&frame, 0, "2c 00 000000000000 3c 00 0000 12345678 11 00 000000000000", 24);
    bytes_each_truncation(frame.bytes, frame.length, read_damaged, &ethernet);
    bytes_each_bit_flip(frame.bytes, frame.length, read_damaged, &ethernet);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(padding_of_the_link_is_no_payload),
        cmocka_unit_test(ipv4_options_are_stepped_over),
        cmocka_unit_test(ipv6_extension_headers_are_stepped_over),
        cmocka_unit_test(fragments_are_told_apart),
        cmocka_unit_test(tunnels_are_looked_into),
        cmocka_unit_test(datagram_to_a_tunnels_port_without_a_tunnel_is_itself),
        cmocka_unit_test(tunnels_in_tunnels_end),
        cmocka_unit_test(labels_of_mpls_are_stepped_over),
        cmocka_unit_test(other_traffic_is_passed_over),
        cmocka_unit_test(snapshot_length_cuts_and_says_so),
        cmocka_unit_test(udp_that_claims_more_than_was_sent_counts_as_cut),
        cmocka_unit_test(damaged_frames_stay_in_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
