/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet: the KD packet header and its checksum.
 *
 * Uses error, wire. Protocol: PROTOCOL.md section 4 [cap, ros]. All little-endian; no trailer on KDNET.
 */
#ifndef KDNET_PACKET_H
#define KDNET_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_PACKET_HEADER      16
#define KDNET_PACKET_PAYLOAD_MAX 4000
#define KDNET_PACKET_LEADER      0x30303030U
#define KDNET_PACKET_CONTROL     0x69696969U
#define KDNET_PACKET_FIRST_ID    0x80000000U /* of the host's data packets; both sides go up by 2 */
#define KDNET_PACKET_ID_STEP     2U
#define KDNET_BREAK_IN_BYTE      0x62 /* the whole body of a break-in request, host to target */

enum kdnet_packet_type {
    KDNET_PACKET_UNUSED = 0,
    KDNET_PACKET_STATE_CHANGE32 = 1,
    KDNET_PACKET_MANIPULATE = 2,
    KDNET_PACKET_DEBUG_IO = 3,
    KDNET_PACKET_ACK = 4,
    KDNET_PACKET_RESEND = 5,
    KDNET_PACKET_RESET = 6,
    KDNET_PACKET_STATE_CHANGE64 = 7,
    KDNET_PACKET_POLL_BREAK_IN = 8,
    KDNET_PACKET_TRACE_IO = 9,
    KDNET_PACKET_CONTROL_REQUEST = 10,
    KDNET_PACKET_FILE_IO = 11,
};

struct kdnet_packet {
    bool control; /* ACK, RESEND, RESET; otherwise a data packet that wants an ACK */
    uint16_t type;
    uint32_t id;
    const uint8_t *payload; /* borrowed from the body */
    size_t payload_length;
};

/* Sum of the bytes, modulo 2^32. */
uint32_t kdnet_packet_checksum(const uint8_t *payload, size_t length);

/*
 * Reads the body of a data datagram as a KD packet. Bytes after the payload are ignored.
 *
 * Returns KDNET_OK, or KDNET_ERR_FORMAT (unknown leader), KDNET_ERR_SHORT (header or payload is cut), KDNET_ERR_LENGTH
 * (payload over 4,000 bytes), or KDNET_ERR_CHECKSUM. For the last three `out` is written all the same, when the header
 * is whole, so that the packet can be named and asked for again; its payload is what is there.
 */
int kdnet_packet_decode(const uint8_t *body, size_t length, struct kdnet_packet *out);

/* Writes header and payload. Returns KDNET_OK, KDNET_ERR_LENGTH (payload over 4,000 bytes) or KDNET_ERR_SPACE. */
int kdnet_packet_encode(const struct kdnet_packet *packet, uint8_t *out, size_t size, size_t *length);

/* "state change 64", "ACK", …; NULL when unknown. */
const char *kdnet_packet_type_name(uint16_t type);

#endif
