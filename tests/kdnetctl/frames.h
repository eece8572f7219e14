/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames: captures made by tests: link headers, IP, UDP, and the pcap file round them.
 */
#ifndef TESTS_CTL_FRAMES_H
#define TESTS_CTL_FRAMES_H

#include "kdnet/wire/handshake.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FRAME_SIZE 8192

struct frame {
    uint8_t bytes[FRAME_SIZE];
    size_t length;
};

/* 192.0.2.d:port, and 2001:db8::d with that port. */
struct kdnet_address frames_ipv4(uint8_t d, uint16_t port);
struct kdnet_address frames_ipv6(uint8_t d, uint16_t port);

void frame_clear(struct frame *frame);
void frame_add(struct frame *frame, const void *bytes, size_t length);
void frame_add_be16(struct frame *frame, unsigned value);

/* Two MAC addresses and an EtherType, or whatever comes in its place. */
void frame_add_ethernet(struct frame *frame, unsigned type);

/* IP header (of the family of `from`), UDP header, payload. IPv4 gets `option_words` of 4 bytes of options. */
void frame_add_udp(struct frame *frame, const struct kdnet_address *from, const struct kdnet_address *to,
                   const void *payload, size_t length, size_t option_words);

/* The file's header, little-endian, microseconds; then frames, of which `captured` bytes are kept. */
void frames_begin(FILE *file, uint32_t link_type);
void frames_write(FILE *file, const struct frame *frame, size_t captured, uint32_t seconds, uint32_t micros);

#endif
