/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the public symbol of an address: the publics stream ends with a list of all public symbols sorted by
 * address. */
#include "service/symbols/pdb.h"

#include "kdnet/base/wire.h"

#include <string.h>

#define HEADER_SIZE         28U /* of the publics stream: size of the hash table at 0, of the address map at 4 */
#define SECTION_HEADER_SIZE 40U
#define SECTIONS_MAX        1024U
#define RECORD_HEADER_SIZE  14U /* length, kind, flags, offset, segment */
#define KIND_PUBLIC         0x110eU
#define SAME_PLACE_MAX      64U /* symbols with one address that are compared */

/* Where a symbol is: segments count from 1. */
struct place {
    uint16_t segment;
    uint32_t offset;
};

/* The address map. */
struct map {
    uint64_t at;
    uint32_t count;
};

static bool map_open(const struct pdb *pdb, struct map *out)
{
    uint8_t header[HEADER_SIZE];
    if (!msf_read(&pdb->msf, pdb->publics, 0, header, sizeof header))
        return false;
    uint32_t size = kdnet_get_le32(header + 4);
    *out = (struct map){.at = (uint64_t)HEADER_SIZE + kdnet_get_le32(header), .count = size / 4};
    return out->at + size <= msf_stream_size(&pdb->msf, pdb->publics);
}

/* The section of an address, and where the section begins. Segment 0: none has the address. False: they cannot be
 * read. */
static bool find_place(const struct pdb *pdb, uint32_t rva, struct place *out, uint32_t *start)
{
    uint32_t count = msf_stream_size(&pdb->msf, pdb->sections) / SECTION_HEADER_SIZE;
    uint8_t header[SECTION_HEADER_SIZE];
    *out = (struct place){0};
    if (count == 0)
        return false;
    for (uint32_t i = 0; i < count && i < SECTIONS_MAX; ++i) {
        if (!msf_read(&pdb->msf, pdb->sections, (uint64_t)i * SECTION_HEADER_SIZE, header, sizeof header))
            return false;
        uint32_t size = kdnet_get_le32(header + 8), from = kdnet_get_le32(header + 12);
        if (rva < from || rva - from >= size)
            continue;
        *out = (struct place){(uint16_t)(i + 1), rva - from};
        *start = from;
        return true;
    }
    return true;
}

/* Reads the symbol record of an entry of the map; false: the map is damaged. */
static bool read_record(const struct pdb *pdb, const struct map *map, uint32_t entry, struct place *place,
                        char name[static SYMBOL_NAME_SIZE])
{
    uint8_t number[4], record[RECORD_HEADER_SIZE];
    if (!msf_read(&pdb->msf, pdb->publics, map->at + (uint64_t)entry * 4, number, sizeof number))
        return false;
    uint32_t at = kdnet_get_le32(number);
    if (!msf_read(&pdb->msf, pdb->records, at, record, sizeof record) || kdnet_get_le16(record + 2) != KIND_PUBLIC)
        return false;
    *place = (struct place){kdnet_get_le16(record + 12), kdnet_get_le32(record + 8)};
    size_t size = (size_t)kdnet_get_le16(record) + 2;
    if (size <= RECORD_HEADER_SIZE)
        return false;
    size_t length = size - RECORD_HEADER_SIZE < SYMBOL_NAME_SIZE - 1 ? size - RECORD_HEADER_SIZE : SYMBOL_NAME_SIZE - 1;
    name[length] = 0;
    return msf_read(&pdb->msf, pdb->records, (uint64_t)at + RECORD_HEADER_SIZE, name, length);
}

static bool is_behind(const struct place *a, const struct place *b)
{
    return a->segment != b->segment ? a->segment > b->segment : a->offset > b->offset;
}

/* Counts the map's entries at or before a place; false: the map is damaged. */
static bool count_before(const struct pdb *pdb, const struct map *map, const struct place *wanted, uint32_t *out)
{
    uint32_t low = 0, high = map->count;
    char name[SYMBOL_NAME_SIZE];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct place place;
        if (!read_record(pdb, map, middle, &place, name))
            return false;
        if (is_behind(&place, wanted))
            high = middle;
        else
            low = middle + 1;
    }
    *out = low;
    return true;
}

/* Offers the nearest symbols in the section that begins at `start`. */
static bool offer_nearest(const struct pdb *pdb, const struct map *map, uint32_t before, const struct place *wanted,
                          uint32_t start, struct symbol_address *address)
{
    struct place first = {0};
    for (uint32_t i = 0; i < before && i < SAME_PLACE_MAX; ++i) {
        struct place place;
        char name[SYMBOL_NAME_SIZE];
        if (!read_record(pdb, map, before - 1 - i, &place, name))
            return false;
        if (i == 0)
            first = place;
        if (place.segment != wanted->segment || place.offset != first.offset)
            break;
        symbol_address_offer(address, start + place.offset, name);
    }
    return true;
}

void pdb_find_address(const struct pdb *pdb, struct symbol_address *address, char reason[static SYMBOL_REASON_SIZE])
{
    struct symbol_address moved = {.rva = address->rva, .answer = SYMBOL_ABSENT};
    struct place wanted = {0};
    struct map map;
    uint32_t start = 0, before;
    address->answer = SYMBOL_ABSENT;
    bool is_whole = pdb->omap == MSF_NO_STREAM || pdb_map(pdb, pdb->omap_back, address->rva, &moved.rva);
    if (is_whole && moved.rva == 0)
        return;
    is_whole = is_whole && find_place(pdb, moved.rva, &wanted, &start);
    if (is_whole && wanted.segment == 0)
        return;
    if (!is_whole || !map_open(pdb, &map) || !count_before(pdb, &map, &wanted, &before) ||
        !offer_nearest(pdb, &map, before, &wanted, start, &moved)) {
        address->answer = symbol_reason(reason, "damaged, or without an address map of its public symbols");
        return;
    }
    moved.rva = address->rva;
    *address = moved;
}
