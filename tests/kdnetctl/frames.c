/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/kdnetctl/frames.h"
#include "kdnet/base/wire.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

struct kdnet_address frames_ipv4(uint8_t d, uint16_t port)
{
    struct kdnet_address address = {.ip = {[10] = 0xff, [11] = 0xff, 192, 0, 2, d}, .port = port};
    return address;
}

struct kdnet_address frames_ipv6(uint8_t d, uint16_t port)
{
    struct kdnet_address address = {.ip = {0x20, 0x01, 0x0d, 0xb8, [15] = d}, .port = port};
    return address;
}

void frame_clear(struct frame *frame)
{
    frame->length = 0;
}

void frame_add(struct frame *frame, const void *bytes, size_t length)
{
    if (length > sizeof frame->bytes - frame->length)
        abort(); /* a mistake of the test */
    if (length > 0)
        memcpy(frame->bytes + frame->length, bytes, length);
    frame->length += length;
}

void frame_add_be16(struct frame *frame, unsigned value)
{
    uint8_t bytes[2];
    kdnet_put_be16(bytes, (uint16_t)value);
    frame_add(frame, bytes, sizeof bytes);
}

void frame_add_ethernet(struct frame *frame, unsigned type)
{
    static const uint8_t macs[12] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2};
    frame_add(frame, macs, sizeof macs);
    frame_add_be16(frame, type);
}

static void add_ipv4(struct frame *frame, const struct kdnet_address *from, const struct kdnet_address *to,
                     size_t length, size_t option_words)
{
    static const uint8_t no_operations[40] = {1, 1, 1, 1};
    uint8_t header[20] = {(uint8_t)(0x40 | (5 + option_words)), [8] = 64, [9] = 17};
    kdnet_put_be16(header + 2, (uint16_t)(20 + 4 * option_words + length));
    memcpy(header + 12, from->ip + 12, 4);
    memcpy(header + 16, to->ip + 12, 4);
    frame_add(frame, header, sizeof header);
    frame_add(frame, no_operations, 4 * option_words);
}

static void add_ipv6(struct frame *frame, const struct kdnet_address *from, const struct kdnet_address *to,
                     size_t length)
{
    uint8_t header[40] = {0x60, [6] = 17, [7] = 64};
    kdnet_put_be16(header + 4, (uint16_t)length);
    memcpy(header + 8, from->ip, 16);
    memcpy(header + 24, to->ip, 16);
    frame_add(frame, header, sizeof header);
}

void frame_add_udp(struct frame *frame, const struct kdnet_address *from, const struct kdnet_address *to,
                   const void *payload, size_t length, size_t option_words)
{
    if (memcmp(from->ip, mapped, sizeof mapped) == 0)
        add_ipv4(frame, from, to, 8 + length, option_words);
    else
        add_ipv6(frame, from, to, 8 + length);
    frame_add_be16(frame, from->port);
    frame_add_be16(frame, to->port);
    frame_add_be16(frame, (unsigned)(8 + length));
    frame_add_be16(frame, 0);
    frame_add(frame, payload, length);
}

static void write_le32(FILE *file, const uint32_t *values, size_t count)
{
    uint8_t bytes[4];
    for (size_t i = 0; i < count; ++i) {
        kdnet_put_le32(bytes, values[i]);
        (void)fwrite(bytes, 1, sizeof bytes, file);
    }
}

void frames_begin(FILE *file, uint32_t link_type)
{
    const uint32_t header[] = {0xa1b2c3d4U, 2 | 4 << 16, 0, 0, 65535, link_type};
    write_le32(file, header, 6);
}

void frames_write(FILE *file, const struct frame *frame, size_t captured, uint32_t seconds, uint32_t micros)
{
    const uint32_t header[] = {seconds, micros, (uint32_t)captured, (uint32_t)frame->length};
    write_le32(file, header, 4);
    (void)fwrite(frame->bytes, 1, captured, file);
}
