/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/symbols/tiny.h"

#include "kdnet/base/wire.h"
#include "service/symbols/pdb.h"

#include <string.h>

#define STREAMS     11
#define STREAM_MAX  8192
#define SYMBOLS_MAX 128

struct stream {
    uint8_t bytes[STREAM_MAX];
    size_t length;
};

static void add16(struct stream *stream, uint32_t value)
{
    kdnet_put_le16(stream->bytes + stream->length, (uint16_t)value);
    stream->length += 2;
}

static void add32(struct stream *stream, uint32_t value)
{
    kdnet_put_le32(stream->bytes + stream->length, value);
    stream->length += 4;
}

/* Appends the records of a list; `where` gets the offset of each. */
static size_t add_records(struct stream *stream, const struct tiny_symbol *symbols, uint32_t *where)
{
    size_t count = 0;
    for (; symbols && symbols[count].name; ++count) {
        const struct tiny_symbol *symbol = &symbols[count];
        size_t name = strlen(symbol->name) + 1, size = (14 + name + 3) / 4 * 4;
        where[count] = (uint32_t)stream->length;
        memset(stream->bytes + stream->length, 0, size);
        size_t start = stream->length;
        add16(stream, (uint32_t)size - 2);
        add16(stream, symbol->kind);
        add32(stream, 0);
        add32(stream, symbol->offset);
        add16(stream, symbol->segment);
        memcpy(stream->bytes + stream->length, symbol->name, name);
        stream->length = start + size;
    }
    return count;
}

static void add_hash_table(struct stream *stream, const struct tiny_symbol *symbols, size_t count,
                           const uint32_t *where)
{
    uint32_t offsets[SYMBOLS_MAX], filled = 0, done = 0;
    uint8_t bitmap[516] = {0};
    add32(stream, 0xffffffff);
    add32(stream, 0xeffe0000 + 19990810);
    add32(stream, (uint32_t)count * 8);
    size_t buckets_size = stream->length;
    add32(stream, 0);
    for (uint32_t bucket = 0; bucket < 4096; ++bucket) {
        uint32_t before = done;
        for (size_t i = 0; i < count; ++i) {
            if (pdb_hash(symbols[i].name, strlen(symbols[i].name)) % 4096 != bucket)
                continue;
            add32(stream, where[i] + 1);
            add32(stream, 1);
            ++done;
        }
        if (done == before)
            continue;
        bitmap[bucket / 8] = (uint8_t)(bitmap[bucket / 8] | 1 << bucket % 8);
        offsets[filled++] = before * 12;
    }
    memcpy(stream->bytes + stream->length, bitmap, sizeof bitmap);
    stream->length += sizeof bitmap;
    for (uint32_t i = 0; i < filled; ++i)
        add32(stream, offsets[i]);
    kdnet_put_le32(stream->bytes + buckets_size, 516 + filled * 4);
}

/* Offsets of the records, by address. */
static void add_address_map(struct stream *stream, const struct tiny_symbol *symbols, size_t count,
                            const uint32_t *where)
{
    bool done[SYMBOLS_MAX] = {false};
    for (size_t n = 0; n < count; ++n) {
        size_t low = count;
        for (size_t i = 0; i < count; ++i)
            if (!done[i] && (low == count || symbols[i].segment < symbols[low].segment ||
                             (symbols[i].segment == symbols[low].segment && symbols[i].offset < symbols[low].offset)))
                low = i;
        done[low] = true;
        add32(stream, where[low]);
    }
}

static void add_dbi(struct stream *stream, const struct tiny_pdb *pdb)
{
    add32(stream, 0xffffffff);
    add32(stream, 19990903);
    add32(stream, pdb->dbi_age);
    for (int i = 0; i < 3; ++i) { /* globals, publics, records: 5, 4, 6 */
        add16(stream, i == 0 ? 5 : i == 1 ? 4 : 6);
        add16(stream, 0);
    }
    memset(stream->bytes + 24, 0, 40);
    kdnet_put_le32(stream->bytes + 48, 22);
    kdnet_put_le16(stream->bytes + 58, pdb->machine);
    stream->length = 64;
    for (int i = 0; i < 11; ++i)
        add16(stream, i == 5                     ? 7
                      : i == 4 && pdb->omap      ? 8
                      : i == 10 && pdb->omap     ? 9
                      : i == 3 && pdb->omap_back ? 10
                                                 : 0xffff);
}

static void add_sections(struct stream *stream, const uint32_t *addresses)
{
    for (int i = 0; i < 4 && addresses[i] != 0; ++i) {
        memset(stream->bytes + stream->length, 0, 40);
        kdnet_put_le32(stream->bytes + stream->length + 8, 0x1000);
        kdnet_put_le32(stream->bytes + stream->length + 12, addresses[i]);
        stream->length += 40;
    }
}

static void add_omap(struct stream *stream, const uint32_t (*omap)[2])
{
    for (size_t i = 0; omap && (i == 0 || omap[i][0] != 0); ++i) {
        add32(stream, omap[i][0]);
        add32(stream, omap[i][1]);
    }
}

static void fill_streams(const struct tiny_pdb *pdb, struct stream *streams)
{
    uint32_t publics_at[SYMBOLS_MAX], globals_at[SYMBOLS_MAX];
    memset(streams, 0, STREAMS * sizeof *streams);
    add32(&streams[1], 20000404);
    add32(&streams[1], 1);
    add32(&streams[1], pdb->info_age);
    memcpy(streams[1].bytes + 12, pdb->guid, 16);
    streams[1].length = 28;
    add_dbi(&streams[3], pdb);
    size_t publics = add_records(&streams[6], pdb->publics, publics_at);
    size_t globals = add_records(&streams[6], pdb->globals, globals_at);
    streams[4].length = 28;
    add_hash_table(&streams[4], pdb->publics, publics, publics_at);
    kdnet_put_le32(streams[4].bytes, (uint32_t)streams[4].length - 28);
    kdnet_put_le32(streams[4].bytes + 4, (uint32_t)publics * 4);
    add_address_map(&streams[4], pdb->publics, publics, publics_at);
    add_hash_table(&streams[5], pdb->globals, globals, globals_at);
    add_sections(&streams[7], pdb->sections);
    add_sections(&streams[9], pdb->sections_before);
    add_omap(&streams[8], pdb->omap);
    add_omap(&streams[10], pdb->omap_back);
}

/* Superblock, two free block maps, the streams one after the other, the directory, its map. */
size_t tiny_pdb_build(const struct tiny_pdb *pdb, uint8_t *out, struct tiny_places *places)
{
    static struct stream streams[STREAMS];
    static struct stream directory;
    size_t starts[STREAMS];
    uint32_t block = 3;
    fill_streams(pdb, streams);
    memset(out, 0, TINY_SIZE);
    directory.length = 0;
    add32(&directory, STREAMS);
    for (int i = 0; i < STREAMS; ++i)
        add32(&directory, (uint32_t)streams[i].length);
    for (int i = 0; i < STREAMS; ++i) {
        starts[i] = (size_t)block * TINY_BLOCK;
        memcpy(out + starts[i], streams[i].bytes, streams[i].length);
        for (size_t done = 0; done < streams[i].length; done += TINY_BLOCK)
            add32(&directory, block++);
    }
    size_t at = (size_t)block * TINY_BLOCK;
    memcpy(out + at, directory.bytes, directory.length);
    uint32_t map = block + (uint32_t)((directory.length + TINY_BLOCK - 1) / TINY_BLOCK);
    for (uint32_t i = block; i < map; ++i)
        kdnet_put_le32(out + (size_t)map * TINY_BLOCK + (size_t)(i - block) * 4, i);
    memcpy(out,
           "Microsoft C/C++ MSF 7.00\r\n\x1a"
           "DS\0\0",
           32);
    kdnet_put_le32(out + 32, TINY_BLOCK);
    kdnet_put_le32(out + 36, 1);
    kdnet_put_le32(out + 40, map + 1);
    kdnet_put_le32(out + 44, (uint32_t)directory.length);
    kdnet_put_le32(out + 52, map);
    if (places)
        *places = (struct tiny_places){at, starts[3], starts[4], starts[6], starts[7]};
    return (size_t)(map + 1) * TINY_BLOCK;
}

size_t tiny_cab_build(const char *name, const uint8_t *content, size_t length, uint8_t *out)
{
    struct stream head = {.length = 0};
    size_t name_size = strlen(name) + 1, files = 36 + 8, data = files + 16 + name_size;
    size_t blocks = (length + 32767) / 32768, at = data;
    memcpy(head.bytes, "MSCF", 4);
    head.length = 4;
    add32(&head, 0);
    add32(&head, (uint32_t)(data + blocks * 8 + length));
    add32(&head, 0);
    add32(&head, (uint32_t)files);
    add32(&head, 0);
    add32(&head, 0x00000103); /* version 1.3, then folders, files, flags */
    head.length = 26;
    add16(&head, 1);
    add16(&head, 1);
    add16(&head, 0);
    add32(&head, 0);
    add32(&head, (uint32_t)data);
    add16(&head, (uint32_t)blocks);
    add16(&head, 0); /* stored */
    add32(&head, (uint32_t)length);
    add32(&head, 0);
    add16(&head, 0);
    add32(&head, 0x00210021); /* date, time */
    add16(&head, 0x20);
    memcpy(head.bytes + head.length, name, name_size);
    memcpy(out, head.bytes, data);
    for (size_t done = 0; done < length; done += 32768) {
        size_t piece = length - done < 32768 ? length - done : 32768;
        kdnet_put_le32(out + at, 0); /* no checksum */
        kdnet_put_le16(out + at + 4, (uint16_t)piece);
        kdnet_put_le16(out + at + 6, (uint16_t)piece);
        memcpy(out + at + 8, content + done, piece);
        at += 8 + piece;
    }
    return at;
}
