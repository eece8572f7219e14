/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/pdb.h"

#include "kdnet/base/wire.h"

#include <stdio.h>
#include <string.h>

#define STREAM_INFO 1
#define STREAM_DBI  3

#define DBI_HEADER_SIZE       64
#define DEBUG_OMAP_TO         3 /* in the optional debug header: an array of stream numbers */
#define DEBUG_OMAP_FROM       4
#define DEBUG_SECTIONS        5
#define DEBUG_SECTIONS_BEFORE 10 /* as they were before the image was rearranged */

#define PUBLICS_HEADER_SIZE 28
#define HASH_HEADER_SIZE    16
#define HASH_VERSION        (0xeffe0000U + 19990810U)
#define HASH_BUCKETS        4096U
#define HASH_BITMAP_SIZE    516U /* 4097 bits, in whole words */
#define HASH_RECORD_SIZE    8U
#define HASH_RECORD_MEMORY  12U /* bucket offsets count records as they were in the memory of the linker */

#define RECORD_HEADER_SIZE  14U /* length, kind, flags or type, offset, segment */
#define KIND_LOCAL_DATA     0x110cU
#define KIND_GLOBAL_DATA    0x110dU
#define KIND_PUBLIC         0x110eU
#define NAME_SIZE           512U
#define SECTION_HEADER_SIZE 40U

/* One of the two hash tables of a PDB. */
struct table {
    uint32_t stream, at; /* place of its header */
    uint32_t records;    /* how many */
    uint32_t buckets;    /* how many have any */
};

struct place {
    bool known;
    uint16_t segment;
    uint32_t offset;
};

/* ------------------------------------------------------------------------------------------------- opening */

/* Reads the number of a stream; MSF_NO_STREAM: there is none. False: it cannot be read. */
static bool debug_stream(const struct pdb *pdb, uint64_t at, uint32_t size, uint32_t index, uint16_t *out)
{
    uint8_t number[2];
    *out = MSF_NO_STREAM;
    if ((index + 1) * 2 > size)
        return true;
    if (!msf_read(&pdb->msf, STREAM_DBI, at + (uint64_t)index * 2, number, sizeof number))
        return false;
    *out = kdnet_get_le16(number);
    return true;
}

/* Reads the numbers of the streams at the end of the DBI stream. False: they cannot be read. To take an OMAP stream for
 * one that is not there would make wrong addresses. */
static bool read_debug_streams(struct pdb *pdb, const uint8_t *dbi)
{
    static const uint8_t before[] = {24, 28, 32, 36, 40, 52}; /* offsets of the sizes of the preceding parts */
    uint64_t at = DBI_HEADER_SIZE;
    for (size_t i = 0; i < sizeof before; ++i)
        at += kdnet_get_le32(dbi + before[i]);
    uint32_t size = kdnet_get_le32(dbi + 48);
    if (!debug_stream(pdb, at, size, DEBUG_OMAP_FROM, &pdb->omap) ||
        !debug_stream(pdb, at, size, DEBUG_OMAP_TO, &pdb->omap_back))
        return false;
    uint32_t sections = pdb->omap != MSF_NO_STREAM ? DEBUG_SECTIONS_BEFORE : DEBUG_SECTIONS;
    return debug_stream(pdb, at, size, sections, &pdb->sections);
}

const char *pdb_open(struct pdb *pdb, const struct symbol_file *file)
{
    uint8_t info[28], dbi[DBI_HEADER_SIZE];
    *pdb = (struct pdb){0};
    const char *mistake = msf_open(&pdb->msf, file);
    if (mistake)
        return mistake;
    if (!msf_read(&pdb->msf, STREAM_INFO, 0, info, sizeof info))
        return "damaged or cut short: no info stream";
    if (!msf_read(&pdb->msf, STREAM_DBI, 0, dbi, sizeof dbi) || kdnet_get_le32(dbi) != UINT32_MAX)
        return "damaged or cut short: no DBI stream";
    memcpy(pdb->guid, info + 12, sizeof pdb->guid);
    pdb->age = kdnet_get_le32(dbi + 8);
    pdb->globals = kdnet_get_le16(dbi + 12);
    pdb->publics = kdnet_get_le16(dbi + 16);
    pdb->records = kdnet_get_le16(dbi + 20);
    pdb->machine = kdnet_get_le16(dbi + 58);
    return read_debug_streams(pdb, dbi) ? NULL : "damaged or cut short: no debug streams";
}

void pdb_close(struct pdb *pdb)
{
    msf_close(&pdb->msf);
}

bool pdb_is(const struct pdb *pdb, const struct kdnet_pdb *wanted)
{
    return memcmp(pdb->guid, wanted->guid, sizeof pdb->guid) == 0 && pdb->age == wanted->age;
}

/* -------------------------------------------------------------------------------------------------- look-up */

uint32_t pdb_hash(const char *name, size_t length)
{
    const uint8_t *next = (const uint8_t *)name;
    uint32_t hash = 0;
    for (; length >= 4; next += 4, length -= 4)
        hash ^= kdnet_get_le32(next);
    if (length >= 2) {
        hash ^= kdnet_get_le16(next);
        next += 2;
        length -= 2;
    }
    if (length == 1)
        hash ^= *next;
    hash |= 0x20202020; /* capitals and small letters alike */
    hash ^= hash >> 11;
    return hash ^ hash >> 16;
}

static bool table_open(const struct pdb *pdb, uint32_t stream, uint32_t at, struct table *out)
{
    uint8_t header[HASH_HEADER_SIZE];
    if (!msf_read(&pdb->msf, stream, at, header, sizeof header) || kdnet_get_le32(header) != UINT32_MAX ||
        kdnet_get_le32(header + 4) != HASH_VERSION)
        return false;
    uint32_t records = kdnet_get_le32(header + 8), buckets = kdnet_get_le32(header + 12);
    *out = (struct table){stream, at, records / HASH_RECORD_SIZE, 0};
    if (records == 0 && buckets == 0)
        return true; /* a table without names */
    if (records % HASH_RECORD_SIZE != 0 || buckets < HASH_BITMAP_SIZE || (buckets - HASH_BITMAP_SIZE) % 4 != 0)
        return false;
    out->buckets = (buckets - HASH_BITMAP_SIZE) / 4;
    return (uint64_t)at + HASH_HEADER_SIZE + records + buckets <= msf_stream_size(&pdb->msf, stream);
}

/* Gets the rank of a bucket among the filled ones; false: the bucket is empty. */
static bool bucket_rank(const uint8_t *bitmap, uint32_t bucket, uint32_t *rank)
{
    if ((bitmap[bucket / 8] >> (bucket % 8) & 1) == 0)
        return false;
    *rank = 0;
    for (uint32_t i = 0; i < bucket; ++i)
        *rank += bitmap[i / 8] >> (i % 8) & 1;
    return true;
}

/* Gets the records of one bucket, first to before `end`; both 0 when empty. Returns false when the table is damaged. */
static bool find_bucket(const struct pdb *pdb, const struct table *table, uint32_t bucket, uint32_t *first,
                        uint32_t *end)
{
    uint8_t bitmap[HASH_BITMAP_SIZE], offsets[8];
    uint32_t rank;
    uint64_t at = (uint64_t)table->at + HASH_HEADER_SIZE + (uint64_t)table->records * HASH_RECORD_SIZE;
    *first = *end = 0;
    if (table->buckets == 0)
        return table->records == 0;
    if (!msf_read(&pdb->msf, table->stream, at, bitmap, sizeof bitmap))
        return false;
    if (!bucket_rank(bitmap, bucket, &rank))
        return true;
    if (rank >= table->buckets)
        return false;
    bool last = rank + 1 == table->buckets;
    if (!msf_read(&pdb->msf, table->stream, at + sizeof bitmap + (uint64_t)rank * 4, offsets, last ? 4 : 8))
        return false;
    *first = kdnet_get_le32(offsets) / HASH_RECORD_MEMORY;
    *end = last ? table->records : kdnet_get_le32(offsets + 4) / HASH_RECORD_MEMORY;
    return *first < *end && *end <= table->records && *end - *first <= PDB_CHAIN_MAX;
}

/* Whether the symbol record at `at` is data or a public symbol of this name. Returns false when it is damaged. */
static bool match_record(const struct pdb *pdb, uint32_t at, const char *name, size_t length, struct place *out)
{
    uint8_t record[RECORD_HEADER_SIZE + NAME_SIZE];
    out->known = false;
    if (!msf_read(&pdb->msf, pdb->records, at, record, 4))
        return false;
    size_t size = (size_t)kdnet_get_le16(record) + 2;
    uint16_t kind = kdnet_get_le16(record + 2);
    if (kind != KIND_PUBLIC && kind != KIND_GLOBAL_DATA && kind != KIND_LOCAL_DATA)
        return true;
    size_t wanted = RECORD_HEADER_SIZE + length + 1;
    if (size < RECORD_HEADER_SIZE + 1 || (uint64_t)at + size > msf_stream_size(&pdb->msf, pdb->records))
        return false;
    if (size < wanted)
        return true;
    if (!msf_read(&pdb->msf, pdb->records, at, record, wanted))
        return false;
    if (memcmp(record + RECORD_HEADER_SIZE, name, length) != 0 || record[wanted - 1] != 0)
        return true;
    *out = (struct place){true, kdnet_get_le16(record + 12), kdnet_get_le32(record + 8)};
    return true;
}

/* Walks the bucket of a name. Returns NULL, or the fault; out->known when the name was found. */
static const char *find_in_table(const struct pdb *pdb, const struct table *table, const char *name, struct place *out)
{
    size_t length = strlen(name);
    uint32_t first, end;
    out->known = false;
    if (!find_bucket(pdb, table, pdb_hash(name, length) % HASH_BUCKETS, &first, &end))
        return "damaged: its hash table contradicts itself";
    for (uint32_t i = first; i < end; ++i) {
        uint8_t number[4];
        struct place place;
        uint64_t at = (uint64_t)table->at + HASH_HEADER_SIZE + (uint64_t)i * HASH_RECORD_SIZE;
        if (!msf_read(&pdb->msf, table->stream, at, number, sizeof number) || kdnet_get_le32(number) == 0)
            return "damaged: a hash record points nowhere";
        if (!match_record(pdb, kdnet_get_le32(number) - 1, name, length, &place))
            return "damaged: a symbol record is cut short";
        if (place.known && out->known && (place.segment != out->segment || place.offset != out->offset))
            return "several variables have this name";
        if (place.known)
            *out = place;
    }
    return NULL;
}

/* --- addresses ---------------------------------------------------------------------------------------------------- */

bool pdb_map(const struct pdb *pdb, uint16_t omap, uint32_t rva, uint32_t *out)
{
    uint32_t low = 0, high = msf_stream_size(&pdb->msf, omap) / 8;
    uint8_t entry[8];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (!msf_read(&pdb->msf, omap, (uint64_t)middle * 8, entry, 4))
            return false;
        if (kdnet_get_le32(entry) <= rva)
            low = middle + 1;
        else
            high = middle;
    }
    *out = 0;
    if (low == 0)
        return true;
    if (!msf_read(&pdb->msf, omap, (uint64_t)(low - 1) * 8, entry, sizeof entry))
        return false;
    uint32_t to = kdnet_get_le32(entry + 4), inside = rva - kdnet_get_le32(entry);
    if (to != 0 && inside <= UINT32_MAX - to)
        *out = to + inside;
    return true;
}

static bool place_rva(const struct pdb *pdb, const struct place *place, uint32_t *rva)
{
    uint8_t header[SECTION_HEADER_SIZE];
    if (place->segment == 0 || !msf_read(&pdb->msf, pdb->sections,
                                         (uint64_t)(place->segment - 1U) * SECTION_HEADER_SIZE, header, sizeof header))
        return false;
    uint32_t mapped, start = kdnet_get_le32(header + 12); /* VirtualAddress */
    if (place->offset > UINT32_MAX - start)
        return false;
    if (pdb->omap == MSF_NO_STREAM)
        mapped = start + place->offset;
    else if (!pdb_map(pdb, pdb->omap, start + place->offset, &mapped) || mapped == 0)
        return false;
    *rva = mapped;
    return true;
}

static enum symbol_answer find_exactly(const struct pdb *pdb, const char *name, uint32_t *rva, char *reason)
{
    struct table publics, globals;
    struct place place;
    if (!table_open(pdb, pdb->publics, PUBLICS_HEADER_SIZE, &publics))
        return symbol_reason(reason, "damaged, or without public symbols");
    const char *mistake = find_in_table(pdb, &publics, name, &place);
    if (!mistake && !place.known && pdb->globals != MSF_NO_STREAM) {
        if (!table_open(pdb, pdb->globals, 0, &globals))
            return symbol_reason(reason, "damaged: its global symbols cannot be read");
        mistake = find_in_table(pdb, &globals, name, &place);
    }
    if (mistake)
        return symbol_reason(reason, "%s", mistake);
    if (!place.known)
        return SYMBOL_ABSENT;
    if (!place_rva(pdb, &place, rva))
        return symbol_reason(reason, "%s is in section %u, which the image does not have", name, place.segment);
    return SYMBOL_FOUND;
}

enum symbol_answer pdb_find(const struct pdb *pdb, const char *name, uint32_t *rva,
                            char reason[static SYMBOL_REASON_SIZE])
{
    char decorated[NAME_SIZE];
    if (name[0] == 0 || strlen(name) + 2 > sizeof decorated)
        return symbol_reason(reason, "no symbol has such a name");
    enum symbol_answer answer = find_exactly(pdb, name, rva, reason);
    if (answer != SYMBOL_ABSENT || pdb->machine != KDNET_MACHINE_X86)
        return answer;
    (void)snprintf(decorated, sizeof decorated, "_%s", name);
    return find_exactly(pdb, decorated, rva, reason);
}
