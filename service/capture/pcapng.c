/* SPDX-License-Identifier: Apache-2.0 */
#include "service/capture/pcapng.h"
#include "kdnet/base/wire.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <pcap/pcap.h>

#define BLOCK_MAX       ((uint32_t)16 << 20)
#define INTERFACES_MAX  4096U
#define BYTE_ORDER_MARK 0x1a2b3c4dU
#define LINKTYPE_RAW    101 /* in files; DLT_RAW is another number */

enum {
    BLOCK_INTERFACE = 1,
    BLOCK_PACKET_OBSOLETE = 2,
    BLOCK_SIMPLE = 3,
    BLOCK_ENHANCED = 6,
    BLOCK_SECTION = 0x0a0d0d0a
};
enum { OPTION_END = 0, OPTION_RESOLUTION = 9, OPTION_OFFSET = 14 };

struct interface {
    int link_type;
    uint32_t snapshot; /* 0: no limit */
    uint64_t units;    /* clock units a second */
    int64_t offset_s;
};

struct pcapng {
    FILE *file;
    bool begun, big_endian;
    const char *error;
    struct interface *interfaces;
    size_t interface_count, interface_room;
    uint8_t *block; /* body of the block */
    size_t block_room;
};

struct pcapng *pcapng_new(FILE *file)
{
    struct pcapng *pcapng = calloc(1, sizeof *pcapng);
    if (pcapng)
        pcapng->file = file;
    return pcapng;
}

void pcapng_free(struct pcapng *pcapng)
{
    if (!pcapng)
        return;
    free(pcapng->interfaces);
    free(pcapng->block);
    free(pcapng);
}

const char *pcapng_error(const struct pcapng *pcapng)
{
    return pcapng->error ? pcapng->error : "";
}

static uint16_t get16(const struct pcapng *pcapng, const uint8_t *p)
{
    return pcapng->big_endian ? kdnet_get_be16(p) : kdnet_get_le16(p);
}

static uint32_t get32(const struct pcapng *pcapng, const uint8_t *p)
{
    return pcapng->big_endian ? kdnet_get_be32(p) : kdnet_get_le32(p);
}

static bool fail(struct pcapng *pcapng, const char *why)
{
    pcapng->error = why;
    return false;
}

static bool read_bytes(struct pcapng *pcapng, uint8_t *out, size_t length)
{
    if (fread(out, 1, length, pcapng->file) == length)
        return true;
    return fail(pcapng, ferror(pcapng->file) ? "the file cannot be read" : "truncated: the file ends within a block");
}

/* Room for a body of so many bytes. */
static bool reserve_block(struct pcapng *pcapng, size_t length)
{
    if (length <= pcapng->block_room)
        return true;
    uint8_t *larger = realloc(pcapng->block, length);
    if (!larger)
        return fail(pcapng, "out of memory");
    pcapng->block = larger;
    pcapng->block_room = length;
    return true;
}

/* Learns the byte order from a section header, which states it behind its length. */
static bool learn_order(struct pcapng *pcapng, const uint8_t *mark)
{
    if (kdnet_get_le32(mark) == BYTE_ORDER_MARK)
        pcapng->big_endian = false;
    else if (kdnet_get_be32(mark) == BYTE_ORDER_MARK)
        pcapng->big_endian = true;
    else
        return fail(pcapng, "a section's byte order mark is wrong");
    pcapng->begun = true;
    pcapng->interface_count = 0;
    return true;
}

/* Reads the body of a block whose 8-byte head has been read. Writes its length. */
static bool read_body(struct pcapng *pcapng, const uint8_t *head, uint32_t *type, size_t *length)
{
    uint8_t mark[4], again[4];
    bool section = kdnet_get_le32(head) == BLOCK_SECTION; /* reads alike in both byte orders */
    if (section && (!read_bytes(pcapng, mark, sizeof mark) || !learn_order(pcapng, mark)))
        return false;
    if (!pcapng->begun)
        return fail(pcapng, "it does not begin with a section header");
    *type = section ? BLOCK_SECTION : get32(pcapng, head);
    uint32_t total = get32(pcapng, head + 4), taken = section ? 12 : 8;
    if (total < taken + 4 || total % 4 != 0 || total > BLOCK_MAX)
        return fail(pcapng, "a block's length is impossible");
    *length = total - taken - 4;
    if (!reserve_block(pcapng, *length) || !read_bytes(pcapng, pcapng->block, *length) ||
        !read_bytes(pcapng, again, sizeof again))
        return false;
    return get32(pcapng, again) == total || fail(pcapng, "a block's two lengths differ");
}

/* The clock of an interface: 10 to the minus n, or with the highest bit 2 to the minus n. False: absurdly fine. */
static bool set_resolution(struct interface *interface, uint8_t value)
{
    unsigned exponent = value & 0x7fU;
    if ((value & 0x80) != 0) {
        interface->units = exponent < 63 ? (uint64_t)1 << exponent : 0;
        return exponent < 63;
    }
    interface->units = 1;
    for (unsigned i = 0; i < exponent && i < 19; ++i)
        interface->units *= 10;
    return exponent <= 18;
}

static bool read_options(struct pcapng *pcapng, struct interface *interface, size_t at, size_t length)
{
    while (length - at >= 4) {
        unsigned code = get16(pcapng, pcapng->block + at);
        size_t size = get16(pcapng, pcapng->block + at + 2);
        const uint8_t *value = pcapng->block + at + 4;
        if (code == OPTION_END)
            return true;
        if (size > length - at - 4)
            return fail(pcapng, "an interface's options are longer than their block");
        if (code == OPTION_RESOLUTION && size >= 1 && !set_resolution(interface, value[0]))
            return fail(pcapng, "an interface's clock is too fine");
        if (code == OPTION_OFFSET && size >= 8)
            interface->offset_s = (int64_t)(pcapng->big_endian ? kdnet_get_be64(value) : kdnet_get_le64(value));
        size_t padded = (size + 3) & ~(size_t)3;
        at = padded > length - at - 4 ? length : at + 4 + padded;
    }
    return true;
}

static bool add_interface(struct pcapng *pcapng, size_t length)
{
    if (length < 8)
        return fail(pcapng, "an interface description is too short");
    if (pcapng->interface_count == INTERFACES_MAX)
        return fail(pcapng, "a section has more than 4,096 interfaces");
    if (pcapng->interface_count == pcapng->interface_room) {
        size_t room = pcapng->interface_room ? pcapng->interface_room * 2 : 8;
        struct interface *larger = realloc(pcapng->interfaces, room * sizeof *larger);
        if (!larger)
            return fail(pcapng, "out of memory");
        pcapng->interfaces = larger;
        pcapng->interface_room = room;
    }
    int link_type = get16(pcapng, pcapng->block);
    struct interface *interface = &pcapng->interfaces[pcapng->interface_count++];
    *interface = (struct interface){.link_type = link_type == LINKTYPE_RAW ? DLT_RAW : link_type,
                                    .snapshot = get32(pcapng, pcapng->block + 4),
                                    .units = 1000000};
    return read_options(pcapng, interface, 8, length);
}

static int64_t time_of(const struct interface *interface, uint64_t ticks)
{
    uint64_t seconds = ticks / interface->units, rest = ticks % interface->units;
    uint64_t micros = interface->units > UINT64_C(1000000000000) ? rest / (interface->units / 1000000)
                                                                 : rest * 1000000 / interface->units;
    if (seconds > (uint64_t)INT64_MAX / 2000000 || interface->offset_s > INT64_MAX / 2000000 ||
        interface->offset_s < INT64_MIN / 2000000)
        return INT64_MAX;
    return ((int64_t)seconds + interface->offset_s) * 1000000 + (int64_t)micros;
}

/* A packet whose bytes begin at `at` of a body of `length`. */
static bool take_packet(struct pcapng *pcapng, size_t number, size_t at, size_t length, uint32_t captured,
                        uint32_t sent, struct pcapng_packet *out)
{
    if (number >= pcapng->interface_count)
        return fail(pcapng, "a packet is of an interface that was not described");
    if (captured > length - at)
        return fail(pcapng, "a packet is longer than its block");
    out->link_type = pcapng->interfaces[number].link_type;
    out->data = pcapng->block + at;
    out->length = captured;
    out->wire_length = sent < captured ? captured : sent;
    return true;
}

static bool take_enhanced(struct pcapng *pcapng, bool obsolete, size_t length, struct pcapng_packet *out)
{
    const uint8_t *p = pcapng->block;
    if (length < 20)
        return fail(pcapng, "a packet block is too short");
    size_t number = obsolete ? get16(pcapng, p) : get32(pcapng, p);
    if (!take_packet(pcapng, number, 20, length, get32(pcapng, p + 12), get32(pcapng, p + 16), out))
        return false;
    uint64_t ticks = (uint64_t)get32(pcapng, p + 4) << 32 | get32(pcapng, p + 8);
    out->time_us = time_of(&pcapng->interfaces[number], ticks);
    return true;
}

/* A simple packet: of the first interface, without a time; the snapshot length gives its captured length. */
static bool take_simple(struct pcapng *pcapng, size_t length, struct pcapng_packet *out)
{
    if (length < 4)
        return fail(pcapng, "a packet block is too short");
    uint32_t sent = get32(pcapng, pcapng->block), captured = sent;
    uint32_t snapshot = pcapng->interface_count > 0 ? pcapng->interfaces[0].snapshot : 0;
    if (snapshot > 0 && captured > snapshot)
        captured = snapshot;
    out->time_us = 0;
    return take_packet(pcapng, 0, 4, length, captured, sent, out);
}

/* Reads the next block. Writes whether it is a packet, then in `out`. */
static bool take_block(struct pcapng *pcapng, const uint8_t *head, struct pcapng_packet *out, bool *packet)
{
    uint32_t type;
    size_t length;
    *packet = false;
    if (!read_body(pcapng, head, &type, &length))
        return false;
    switch (type) {
    case BLOCK_INTERFACE:
        return add_interface(pcapng, length);
    case BLOCK_ENHANCED:
    case BLOCK_PACKET_OBSOLETE:
        *packet = true;
        return take_enhanced(pcapng, type == BLOCK_PACKET_OBSOLETE, length, out);
    case BLOCK_SIMPLE:
        *packet = true;
        return take_simple(pcapng, length, out);
    default:
        return true;
    }
}

enum pcapng_result pcapng_next(struct pcapng *pcapng, struct pcapng_packet *out)
{
    uint8_t head[8];
    bool packet = false;
    if (pcapng->error)
        return PCAPNG_DAMAGED;
    while (!packet) {
        size_t got = fread(head, 1, sizeof head, pcapng->file);
        if (got == 0 && !ferror(pcapng->file))
            return PCAPNG_END;
        if (got < sizeof head)
            (void)fail(pcapng,
                       ferror(pcapng->file) ? "the file cannot be read" : "truncated: the file ends within a block");
        if (got < sizeof head || !take_block(pcapng, head, out, &packet))
            return PCAPNG_DAMAGED;
    }
    return PCAPNG_PACKET;
}
