/* SPDX-License-Identifier: Apache-2.0 */
/* links: a datagram of ours in the frames of each link. Only for tests. */
#ifndef TESTS_CAPTURE_LINKS_H
#define TESTS_CAPTURE_LINKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "service/capture/frame.h"
#include "tests/kdnetctl/frames.h"
#include "tests/support/bytes.h"

/* LINKTYPE_ numbers of pcap files; DLT_RAW is 12 in memory and 101 in files. */
enum { ETHERNET = 1, LOOPBACK_NULL = 0, RAW_FILE = 101, RAW = 12, LOOP = 108, COOKED = 113, IPV4 = 228, COOKED2 = 276 };

static const char payload[] = "MDBG, or so it says";
#define PAYLOAD_LENGTH (sizeof payload - 1)

/* Link headers, to be followed by IPv4. */
struct link {
    const char *name;
    uint32_t file_type;
    int type;
    const char *header; /* hexadecimal */
    size_t length;
};

static const struct link links[] = {
    {"ethernet", ETHERNET, ETHERNET, "020000000001 020000000002 0800", 14},
    {"vlan", ETHERNET, ETHERNET, "020000000001 020000000002 8100 0064 0800", 18},
    {"qinq", ETHERNET, ETHERNET, "020000000001 020000000002 88a8 0064 8100 0065 0800", 22},
    {"cooked", COOKED, COOKED, "0000 0001 0006 020000000002 0000 0800", 16},
    {"cooked with vlan", COOKED, COOKED, "0000 0001 0006 020000000002 0000 8100 0064 0800", 20},
    {"cooked 2", COOKED2, COOKED2, "0800 0000 00000002 0001 00 06 0200000000020000", 20},
    {"raw", RAW_FILE, RAW, "", 0},
    {"ipv4", IPV4, IPV4, "", 0},
    {"null", LOOPBACK_NULL, LOOPBACK_NULL, "02000000", 4},
    {"loop", LOOP, LOOP, "00000002", 4},
};
#define LINKS (sizeof links / sizeof links[0])

static inline void make_frame(const struct link *link, struct frame *frame)
{
    uint8_t header[32];
    struct kdnet_address from = frames_ipv4(7, 51111), to = frames_ipv4(1, 50000);
    bytes_from_hex(link->header, header, link->length);
    frame_clear(frame);
    frame_add(frame, header, link->length);
    frame_add_udp(frame, &from, &to, payload, PAYLOAD_LENGTH, 0);
}

static inline void assert_our_datagram(const struct capture_datagram *datagram)
{
    struct kdnet_address from = frames_ipv4(7, 51111), to = frames_ipv4(1, 50000);
    assert_true(kdnet_address_equal(&datagram->from, &from));
    assert_true(kdnet_address_equal(&datagram->to, &to));
    assert_int_equal(datagram->length, PAYLOAD_LENGTH);
    assert_int_equal(datagram->wire_length, PAYLOAD_LENGTH);
    assert_memory_equal(datagram->payload, payload, PAYLOAD_LENGTH);
}

#endif
