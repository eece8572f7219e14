/* SPDX-License-Identifier: Apache-2.0 */
/*
 * capture: UDP datagrams out of a pcap or pcapng file, with their time and addresses.
 *
 * Uses libpcap and, of kdnet, handshake (for the form of an address). Understands Ethernet, 802.1Q and QinQ tags, Linux
 * cooked captures v1 and v2, raw IP, BSD null and loopback; IPv4 with options; IPv6 with extension headers. Fragments
 * are counted and skipped: no KDNET datagram is so long that it would be sent in pieces on an ordinary network.
 *
 *   struct capture *capture = capture_open("a.pcapng", error);
 *   while ((result = capture_next(capture, &datagram)) == CAPTURE_DATAGRAM) ...
 *   if (result == CAPTURE_CUT) warn(capture_error(capture));
 *   capture_close(capture);
 *
 * A capture is untrusted: every length in it is checked against what is there.
 */
#ifndef SERVICE_CTL_CAPTURE_H
#define SERVICE_CTL_CAPTURE_H

#include "kdnet/handshake.h"

#include <stddef.h>
#include <stdint.h>

#define CAPTURE_ERROR_SIZE 512

struct capture;

struct capture_datagram {
    uint64_t number;     /* of the frame in the capture, from 1, as Wireshark counts */
    int64_t time_us;     /* since 1970, UTC; between the years 1970 and 9999 whatever the file says */
    int64_t relative_us; /* since the first frame */
    struct kdnet_address from, to;
    const uint8_t *payload; /* borrowed until the next call */
    size_t length;          /* bytes that were captured */
    size_t wire_length;     /* bytes that were sent; more than length when the snapshot length cut it */
};

/* What a frame holds. */
enum capture_frame {
    CAPTURE_FRAME_UDP,
    CAPTURE_FRAME_FRAGMENT, /* a part of an IP packet */
    CAPTURE_FRAME_OTHER,    /* something else, or too short for what it claims to be */
};

struct capture_counts {
    uint64_t frames;
    uint64_t datagrams; /* UDP, whole or cut */
    uint64_t fragments; /* of IP; skipped */
    uint64_t cut;       /* UDP datagrams that the snapshot length cut */
};

enum capture_result {
    CAPTURE_DATAGRAM,
    CAPTURE_END,
    CAPTURE_CUT, /* the file ends within a frame or goes wrong; what came before is good */
};

/*
 * Opens a file; "-" is standard input. Returns NULL with the file's name, what is wrong, and a remedy in `error`:
 * cannot be read, is no capture, or has a link type that is not in the list above.
 */
struct capture *capture_open(const char *path, char error[static CAPTURE_ERROR_SIZE]);
void capture_close(struct capture *capture);

/* The next UDP datagram; frames that are something else are counted and passed over. `out` counts only with
 * CAPTURE_DATAGRAM. Nothing is allocated. */
enum capture_result capture_next(struct capture *capture, struct capture_datagram *out);

/*
 * Finds the UDP datagram in one frame.
 *
 * link_type    libpcap's DLT_ number.
 * frame        `length` bytes that were captured, of `wire_length` (no fewer) that were sent.
 * out          addresses, payload, length and wire_length are written, and count only with CAPTURE_FRAME_UDP; the
 *              payload points into the frame.
 */
enum capture_frame capture_read_frame(int link_type, const uint8_t *frame, size_t length, size_t wire_length,
                                      struct capture_datagram *out);

/* So far. */
struct capture_counts capture_counts(const struct capture *capture);

/* Why the last capture_next returned CAPTURE_CUT. Borrowed; never NULL. */
const char *capture_error(struct capture *capture);

#endif
