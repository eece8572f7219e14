/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pcapng: reads the packets of a pcapng file, each with its interface's link type.
 *
 * Why not libpcap's reader: it refuses files whose interfaces have different link types or snapshot lengths, which is
 * what a capture on all interfaces gives, and stops at the first such interface later in the file.
 *
 * Format: draft-ietf-opsawg-pcapng. Section headers of either byte order, interface descriptions, enhanced, simple and
 * obsolete packet blocks; other blocks are skipped. The file is untrusted: a block has 16 MiB at most, a section 4,096
 * interfaces.
 */
#ifndef SERVICE_CAPTURE_PCAPNG_H
#define SERVICE_CAPTURE_PCAPNG_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct pcapng;

struct pcapng_packet {
    int link_type;       /* libpcap's DLT_ number */
    int64_t time_us;     /* since 1970, from the file; 0: absent */
    const uint8_t *data; /* borrowed until the next call */
    size_t length;       /* captured bytes */
    size_t wire_length;  /* bytes sent; not less than length */
};

enum pcapng_result { PCAPNG_PACKET, PCAPNG_END, PCAPNG_DAMAGED };

/* Reads from `file`, which stays the caller's. NULL: out of memory. */
struct pcapng *pcapng_new(FILE *file);
void pcapng_free(struct pcapng *pcapng); /* NULL is fine */

/* The next packet. `out` counts only with PCAPNG_PACKET. */
enum pcapng_result pcapng_next(struct pcapng *pcapng, struct pcapng_packet *out);

/* Why the last call returned PCAPNG_DAMAGED. Never NULL. */
const char *pcapng_error(const struct pcapng *pcapng);

#endif
