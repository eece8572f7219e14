/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/kernel/image_identity.h"
#include "kdnet/error.h"
#include "kdnet/kernel/pdb.h"
#include "kdnet/kernel/pe.h"

#include <string.h>
#include <strings.h>

void kdnet_image_way_next(const struct kdnet_image_way *way, uint32_t *rva, uint32_t *length)
{
    bool header = way->part == KDNET_IMAGE_HEADER;
    *rva = header ? 0 : way->rva;
    *length = header ? KDNET_PE_HEADER_SIZE : way->size;
}

static enum kdnet_image_outcome go_on(struct kdnet_image_way *way, int error, enum kdnet_image_part part)
{
    if (error != KDNET_OK) {
        *way = (struct kdnet_image_way){0};
        return KDNET_IMAGE_UNIDENTIFIED;
    }
    way->part = (uint8_t)part;
    return KDNET_IMAGE_MORE;
}

static enum kdnet_image_outcome take_record(struct kdnet_image_way *way, const uint8_t *data, size_t length,
                                            struct kdnet_pdb *pdb)
{
    *way = (struct kdnet_image_way){0};
    return kdnet_pdb_decode(data, length, pdb) == KDNET_OK ? KDNET_IMAGE_IDENTIFIED : KDNET_IMAGE_UNIDENTIFIED;
}

enum kdnet_image_outcome kdnet_image_way_take(struct kdnet_image_way *way, const uint8_t *data, size_t length,
                                              struct kdnet_pdb *pdb)
{
    int error;
    switch (way->part) {
    case KDNET_IMAGE_HEADER:
        error = kdnet_pe_debug_directory(data, length, &way->rva, &way->size);
        return go_on(way, error, KDNET_IMAGE_DIRECTORY);
    case KDNET_IMAGE_DIRECTORY:
        error = kdnet_pe_codeview(data, length, &way->rva, &way->size);
        if (error == KDNET_OK && way->size > KDNET_CODEVIEW_SIZE)
            way->size = KDNET_CODEVIEW_SIZE;
        return go_on(way, error, KDNET_IMAGE_CODEVIEW);
    default:
        return take_record(way, data, length, pdb);
    }
}

bool kdnet_image_header_is_enough(const uint8_t *header, size_t length)
{
    uint32_t rva, size;
    return kdnet_pe_debug_directory(header, length, &rva, &size) == KDNET_OK;
}

bool kdnet_is_kernel_path(const char *path, size_t length)
{
    static const char *const names[] = {"ntoskrnl.exe", "ntkrnlmp.exe", "ntkrnlpa.exe", "ntkrpamp.exe"};
    size_t start = length;
    while (start > 0 && path[start - 1] != '\\' && path[start - 1] != '/')
        --start;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i)
        if (strlen(names[i]) == length - start && strncasecmp(path + start, names[i], length - start) == 0)
            return true;
    return false;
}
