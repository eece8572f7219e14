/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/msf.h"

#include "kdnet/base/wire.h"

#include <stdlib.h>
#include <string.h>

#define SUPERBLOCK_SIZE 56
#define NO_SIZE         UINT32_MAX /* a deleted stream */

static const char magic[32] = "Microsoft C/C++ MSF 7.00\r\n\x1a"
                              "DS\0\0";

static uint32_t blocks_of(const struct msf *msf, uint32_t bytes)
{
    return bytes / msf->block_size + (bytes % msf->block_size != 0);
}

static uint32_t directory_word(const struct msf *msf, uint32_t index)
{
    return kdnet_get_le32(msf->directory + (size_t)index * 4);
}

static uint32_t raw_size(const struct msf *msf, uint32_t stream)
{
    uint32_t size = directory_word(msf, 1 + stream);
    return size == NO_SIZE ? 0 : size;
}

static bool read_block_part(const struct msf *msf, uint32_t block, uint32_t offset, void *out, size_t length)
{
    if (block >= msf->block_count)
        return false;
    return symbol_file_read(msf->file, (uint64_t)block * msf->block_size + offset, out, length);
}

/* The numbers of the directory's own blocks stand in a run of blocks from `map` on. */
static bool read_directory(struct msf *msf, uint32_t map)
{
    uint32_t count = blocks_of(msf, msf->directory_size);
    for (uint32_t i = 0; i < count; ++i) {
        uint8_t number[4];
        uint64_t at = (uint64_t)map * msf->block_size + (uint64_t)i * 4;
        uint32_t done = i * msf->block_size, left = msf->directory_size - done;
        if (!symbol_file_read(msf->file, at, number, sizeof number))
            return false;
        if (!read_block_part(msf, kdnet_get_le32(number), 0, msf->directory + done,
                             left < msf->block_size ? left : msf->block_size))
            return false;
    }
    return true;
}

/* Where each stream's block numbers start; false when they do not fit in the directory. */
static bool index_streams(struct msf *msf)
{
    uint32_t words = msf->directory_size / 4;
    msf->stream_count = words > 0 ? directory_word(msf, 0) : 0;
    if (words == 0 || msf->stream_count > words - 1) {
        msf->stream_count = 0;
        return false;
    }
    msf->first_block = malloc(((size_t)msf->stream_count + 1) * sizeof *msf->first_block);
    if (!msf->first_block)
        return false;
    uint32_t next = 1 + msf->stream_count;
    for (uint32_t i = 0; i < msf->stream_count; ++i) {
        uint32_t blocks = blocks_of(msf, raw_size(msf, i));
        msf->first_block[i] = next;
        if (blocks > words - next)
            return false;
        next += blocks;
    }
    return true;
}

const char *msf_open(struct msf *msf, const struct symbol_file *file)
{
    uint8_t header[SUPERBLOCK_SIZE];
    *msf = (struct msf){.file = file};
    if (!symbol_file_read(file, 0, header, sizeof header) || memcmp(header, magic, sizeof magic) != 0)
        return "not a PDB (no MSF 7.00 header)";
    msf->block_size = kdnet_get_le32(header + 32);
    msf->block_count = kdnet_get_le32(header + 40);
    msf->directory_size = kdnet_get_le32(header + 44);
    if (msf->block_size < 512 || msf->block_size > 65536 || (msf->block_size & (msf->block_size - 1)) != 0)
        return "damaged: an impossible block size";
    if (msf->directory_size > MSF_DIRECTORY_MAX || msf->directory_size > file->size)
        return "damaged: its stream directory is too large";
    msf->directory = malloc((size_t)msf->directory_size + 1);
    if (!msf->directory)
        return "no memory for its stream directory";
    if (!read_directory(msf, kdnet_get_le32(header + 52)))
        return "damaged or cut short: its stream directory cannot be read";
    return index_streams(msf) ? NULL : "damaged: its stream directory contradicts itself";
}

void msf_close(struct msf *msf)
{
    free(msf->directory);
    free(msf->first_block);
    *msf = (struct msf){0};
}

uint32_t msf_stream_size(const struct msf *msf, uint32_t stream)
{
    return stream < msf->stream_count ? raw_size(msf, stream) : 0;
}

bool msf_read(const struct msf *msf, uint32_t stream, uint64_t offset, void *out, size_t length)
{
    uint32_t size = msf_stream_size(msf, stream);
    uint8_t *next = out;
    if (offset > size || length > size - offset)
        return false;
    while (length > 0) {
        uint32_t inside = (uint32_t)(offset % msf->block_size);
        size_t piece = msf->block_size - inside < length ? msf->block_size - inside : length;
        uint32_t block = directory_word(msf, msf->first_block[stream] + (uint32_t)(offset / msf->block_size));
        if (!read_block_part(msf, block, inside, next, piece))
            return false;
        next += piece;
        offset += piece;
        length -= piece;
    }
    return true;
}
