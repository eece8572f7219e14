/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/kernel/pe.h"
#include "kdnet/base/wire.h"
#include "kdnet/error.h"
#include "kdnet/kernel/pdb.h"

#include <string.h>

/* PE: offsets from the PE signature, and of a debug directory entry. */
enum {
    PE_LFANEW = 0x3c,
    PE_OPTIONAL = 24,
    PE32_MAGIC = 0x10b,
    PE32PLUS_MAGIC = 0x20b,
    PE32_DIRECTORIES = 96,
    PE32PLUS_DIRECTORIES = 112,
    PE_DIRECTORY_DEBUG = 6,
    DEBUG_ENTRY_SIZE = 28,
    DEBUG_TYPE = 12,
    DEBUG_DATA_SIZE = 16,
    DEBUG_DATA_RVA = 20,
    DEBUG_TYPE_CODEVIEW = 2,
    DEBUG_ENTRIES_MAX = 36, /* kernels have two to five */
};

int kdnet_pe_debug_directory(const uint8_t *header, size_t length, uint32_t *rva, uint32_t *size)
{
    if (length < PE_LFANEW + 4 || header[0] != 'M' || header[1] != 'Z')
        return KDNET_ERR_FORMAT;
    size_t pe = kdnet_get_le32(header + PE_LFANEW);
    if (pe > length || length - pe < PE_OPTIONAL + 2 || memcmp(header + pe, "PE\0\0", 4) != 0)
        return KDNET_ERR_FORMAT;
    size_t optional = pe + PE_OPTIONAL;
    uint16_t magic = kdnet_get_le16(header + optional);
    if (magic != PE32_MAGIC && magic != PE32PLUS_MAGIC)
        return KDNET_ERR_FORMAT;
    size_t directories = optional + (magic == PE32_MAGIC ? PE32_DIRECTORIES : PE32PLUS_DIRECTORIES);
    size_t entry = directories + (size_t)PE_DIRECTORY_DEBUG * 8;
    if (entry + 8 > length || kdnet_get_le32(header + directories - 4) <= PE_DIRECTORY_DEBUG)
        return KDNET_ERR_FORMAT;
    uint32_t found_rva = kdnet_get_le32(header + entry), found_size = kdnet_get_le32(header + entry + 4);
    if (found_rva == 0 || found_size < DEBUG_ENTRY_SIZE)
        return KDNET_ERR_FORMAT;
    *rva = found_rva;
    *size = found_size;
    return KDNET_OK;
}

int kdnet_pe_codeview(const uint8_t *directory, size_t length, uint32_t *rva, uint32_t *size)
{
    size_t count = length / DEBUG_ENTRY_SIZE;
    if (count > DEBUG_ENTRIES_MAX)
        count = DEBUG_ENTRIES_MAX;
    for (size_t i = 0; i < count; ++i) {
        const uint8_t *entry = directory + i * DEBUG_ENTRY_SIZE;
        if (kdnet_get_le32(entry + DEBUG_TYPE) != DEBUG_TYPE_CODEVIEW)
            continue;
        uint32_t found_rva = kdnet_get_le32(entry + DEBUG_DATA_RVA),
                 found_size = kdnet_get_le32(entry + DEBUG_DATA_SIZE);
        if (found_rva == 0 || found_size <= KDNET_CODEVIEW_NAME)
            return KDNET_ERR_FORMAT;
        *rva = found_rva;
        *size = found_size;
        return KDNET_OK;
    }
    return KDNET_ERR_FORMAT;
}
