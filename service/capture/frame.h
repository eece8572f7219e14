/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame: finds the UDP datagram in one captured frame, below link headers, IP and tunnels.
 *
 * Understands Ethernet, 802.1Q and QinQ tags, MPLS labels, Linux cooked captures v1 and v2, raw IP, BSD null and
 * loopback; IPv4 with options; IPv6 with extension headers; the tunnels VXLAN (RFC 7348), Geneve (RFC 8926), GRE (RFC
 * 2784, 2890), IP in IP (RFC 2003, 4213), nested four deep at most. A tunnel without a UDP datagram inside is itself
 * the datagram.
 *
 * Frames are untrusted: each length is checked against the captured bytes. Nothing is allocated.
 */
#ifndef SERVICE_CAPTURE_FRAME_H
#define SERVICE_CAPTURE_FRAME_H

#include "kdnet/wire/handshake.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A UDP datagram of a capture; frame_read leaves the number and the times alone. */
struct capture_datagram {
    uint64_t number;     /* of the frame in the capture, from 1, as Wireshark counts; of parts, the last to come */
    int64_t time_us;     /* since 1970, UTC; between the years 1970 and 9999 whatever the file says */
    int64_t relative_us; /* since the first frame */
    struct kdnet_address from, to;
    const uint8_t *payload; /* borrowed until the next call */
    size_t length;          /* captured bytes */
    size_t wire_length;     /* bytes sent; more than length when the snapshot length truncated the frame */
};

/* Content of a frame. */
enum frame_kind {
    FRAME_UDP,
    FRAME_FRAGMENT, /* a part of an IP packet */
    FRAME_OTHER,    /* another protocol, or shorter than its headers claim */
};

/* A part of an IP packet's payload. */
struct frame_fragment {
    struct kdnet_address from, to; /* port 0 */
    uint32_t id;
    uint8_t protocol; /* of the whole payload: an IP protocol number, or an IPv6 extension header's */
    uint16_t offset;  /* bytes, a multiple of 8 */
    bool more;        /* further parts follow */
    bool cut;         /* truncated by the snapshot length */
    const uint8_t *data;
    size_t length;
};

/* Whether frames of this link type, a DLT_ number of libpcap, can be read. */
bool frame_link_is_known(int link_type);

/*
 * Finds the UDP datagram in a frame.
 *
 * link_type    libpcap's DLT_ number.
 * frame        `length` captured bytes, of `wire_length` (not less) bytes sent.
 * out          addresses, payload, length and wire_length are valid only with FRAME_UDP; the payload points into the
 *              frame.
 * fragment     valid only with FRAME_FRAGMENT; points into the frame.
 */
enum frame_kind frame_read(int link_type, const uint8_t *frame, size_t length, size_t wire_length,
                           struct capture_datagram *out, struct frame_fragment *fragment);

/* Finds the UDP datagram in the payload of a reassembled IP packet; `fragment` is any of its parts. */
enum frame_kind frame_read_whole(const struct frame_fragment *fragment, const uint8_t *data, size_t length,
                                 struct capture_datagram *out);

#endif
