/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vectors: the datagrams of the real capture, opened with its key, for tests of the protocol rooms.
 *
 * Origin: windbg-v4.pcapng (Lekensteyn/kdnet), WinDbg debugging the boot of a Windows 10 machine, protocol version 4,
 * key 8.8.8.8. It is read through libpcap when a test runs, from the folder that KDNETD_DATA names; nothing of it is
 * kept in this tree.
 */
#ifndef TESTS_SUPPORT_VECTORS_H
#define TESTS_SUPPORT_VECTORS_H

#include "kdnet/wire/datagram.h"
#include "kdnet/wire/packet.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VECTORS_MAX 1024

/* One datagram. All bytes are heap blocks of their exact length. */
struct vector {
    unsigned frame;         /* number in the capture, from 1 */
    const uint8_t *payload; /* of UDP, as captured */
    size_t payload_length;
    uint8_t aes_key[KDNET_AES_KEY_LENGTH]; /* that opens it */
    struct kdnet_datagram datagram;
    bool is_packet; /* its body is a KD packet */
    struct kdnet_packet packet;
};

struct vectors {
    struct kdnet_crypto *crypto;
    struct kdnet_keys keys;
    struct vector items[VECTORS_MAX];
    size_t count;
};

/*
 * The opened capture, read once for each program; it lives until the program ends.
 *
 * Skips the calling test, saying the path, when the capture is not there; fails it when a datagram does not open.
 */
const struct vectors *vectors_or_skip(void);

/* The datagram of a frame; fails the test when there is none. */
const struct vector *vectors_frame(const struct vectors *vectors, unsigned frame);

/* The KD packet of a frame, which has this type; fails the test when it has not. */
const struct kdnet_packet *vectors_packet(const struct vectors *vectors, unsigned frame, uint16_t type);

/*
 * Target memory as the successful ReadVirtualMemory replies before `before_frame` showed it. Bytes that none showed are
 * left as they are. Returns how many of the `length` bytes were shown.
 */
size_t vectors_memory(const struct vectors *vectors, unsigned before_frame, uint64_t address, uint8_t *out,
                      size_t length);

/* Reads a payload, writes what was read to `out`; both return KDNET_OK or an error. */
typedef int vectors_recode(const uint8_t *payload, size_t length, uint8_t *out, size_t size, size_t *out_length);

/* Recodes the payload of each KD packet of a type: the same bytes must come out, a buffer that is a byte too small must
 * be refused. Returns how many there were. */
size_t vectors_each_payload_goes_round(const struct vectors *vectors, uint16_t type, vectors_recode *recode);

#endif
