/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/kernel/kernel.h"
#include "kdnet/error.h"
#include "kdnet/base/wire.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* KDDEBUGGER_DATA64 (public header wdbgexts.h). */
enum {
    KDBG_TAG = 0x10,
    KDBG_SIZE = 0x14,
    KDBG_KERNEL_BASE = 0x18,
    KDBG_BREAKPOINT = 0x20,
    KDBG_MODULES = 0x48,
    KDBG_BUGCHECK = 0x88,
    KDBG_BUILD_LAB = 0x208,
};

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

#define RSDS_NAME 24

int kdnet_debugger_data_decode(const uint8_t *block, size_t length, struct kdnet_debugger_data *out)
{
    if (length < KDNET_DEBUGGER_DATA_SIZE)
        return KDNET_ERR_SHORT;
    if (memcmp(block + KDBG_TAG, "KDBG", 4) != 0 || kdnet_get_le32(block + KDBG_SIZE) < KDNET_DEBUGGER_DATA_SIZE)
        return KDNET_ERR_FORMAT;
    out->kernel_base = kdnet_get_le64(block + KDBG_KERNEL_BASE);
    out->breakpoint_with_status = kdnet_get_le64(block + KDBG_BREAKPOINT);
    out->loaded_module_list = kdnet_get_le64(block + KDBG_MODULES);
    out->bugcheck_data = kdnet_get_le64(block + KDBG_BUGCHECK);
    out->build_lab = kdnet_get_le64(block + KDBG_BUILD_LAB);
    return KDNET_OK;
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

const char *kdnet_print_symbol(size_t i)
{
    static const char *const names[KDNET_PRINT_SYMBOLS] = {"KdDebuggerDataBlock", "RtlpBreakWithStatusInstruction",
                                                           "PsLoadedModuleList", "KiBugCheckData", "NtBuildLab"};
    return i < KDNET_PRINT_SYMBOLS ? names[i] : "";
}

bool kdnet_image_print(enum kdnet_machine machine, uint64_t base, uint64_t block,
                       const struct kdnet_debugger_data *data, const char *build_lab, struct kdnet_image_print *out)
{
    const uint64_t addresses[KDNET_PRINT_SYMBOLS] = {block, data->breakpoint_with_status, data->loaded_module_list,
                                                     data->bugcheck_data, data->build_lab};
    memset(out, 0, sizeof *out);
    out->machine = (uint32_t)machine;
    for (size_t i = 0; i < KDNET_PRINT_SYMBOLS; ++i) {
        uint64_t rva = kdnet_machine_address(machine, addresses[i]) - kdnet_machine_address(machine, base);
        if (rva == 0 || rva > UINT32_MAX)
            return false;
        out->rva[i] = (uint32_t)rva;
    }
    memcpy(out->build_lab, build_lab, strnlen(build_lab, sizeof out->build_lab - 1));
    return true;
}

int kdnet_bugcheck_decode(const struct kdnet_machine_layout *layout, const uint8_t *data, size_t length,
                          struct kdnet_bugcheck *out)
{
    if (length < KDNET_BUGCHECK_VALUES * layout->pointer_size)
        return KDNET_ERR_SHORT;
    out->code = kdnet_get_le32(data);
    for (size_t i = 0; i < 4; ++i) {
        const uint8_t *p = data + (i + 1) * layout->pointer_size;
        out->parameters[i] = layout->pointer_size == 8 ? kdnet_get_le64(p) : kdnet_get_le32(p);
    }
    return KDNET_OK;
}

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
        if (found_rva == 0 || found_size <= RSDS_NAME)
            return KDNET_ERR_FORMAT;
        *rva = found_rva;
        *size = found_size;
        return KDNET_OK;
    }
    return KDNET_ERR_FORMAT;
}

int kdnet_pdb_decode(const uint8_t *record, size_t length, struct kdnet_pdb *out)
{
    if (length <= RSDS_NAME)
        return KDNET_ERR_SHORT;
    if (memcmp(record, "RSDS", 4) != 0)
        return KDNET_ERR_FORMAT;
    const char *name = (const char *)record + RSDS_NAME;
    size_t name_length = strnlen(name, length - RSDS_NAME);
    if (name_length == 0)
        return KDNET_ERR_FORMAT;
    if (name_length > sizeof out->name - 1)
        name_length = sizeof out->name - 1;
    for (size_t i = 0; i < name_length; ++i)
        if (name[i] < 0x20 || name[i] > 0x7e)
            return KDNET_ERR_FORMAT;
    memset(out, 0, sizeof *out);
    memcpy(out->guid, record + 4, sizeof out->guid);
    out->age = kdnet_get_le32(record + 20);
    memcpy(out->name, name, name_length);
    return KDNET_OK;
}

void kdnet_pdb_guidage(const struct kdnet_pdb *pdb, char out[static KDNET_GUIDAGE_SIZE])
{
    const uint8_t *g = pdb->guid;
    int n = snprintf(out, KDNET_GUIDAGE_SIZE, "%08X%04X%04X", (unsigned)kdnet_get_le32(g), kdnet_get_le16(g + 4),
                     kdnet_get_le16(g + 6));
    for (size_t i = 8; i < 16; ++i)
        n += snprintf(out + n, KDNET_GUIDAGE_SIZE - (size_t)n, "%02X", g[i]);
    (void)snprintf(out + n, KDNET_GUIDAGE_SIZE - (size_t)n, "%X", (unsigned)pdb->age);
}

/* Parses 0xHEX with 1 to 16 digits at *p; false when absent. */
static bool take_hex(const char **p, const char *end, uint64_t *value)
{
    const char *c = *p;
    if (end - c < 3 || c[0] != '0' || (c[1] != 'x' && c[1] != 'X'))
        return false;
    int digits = 0;
    *value = 0;
    for (c += 2; c < end && digits < 16; ++c, ++digits) {
        char lower = (char)(*c | 0x20);
        if (*c >= '0' && *c <= '9')
            *value = *value << 4 | (uint64_t)(*c - '0');
        else if (lower >= 'a' && lower <= 'f')
            *value = *value << 4 | (uint64_t)(lower - 'a' + 10);
        else
            break;
    }
    *p = c;
    return digits > 0;
}

static void skip(const char **p, const char *end, const char *what)
{
    while (*p < end && strchr(what, **p) && **p != '\0')
        ++*p;
}

bool kdnet_bugcheck_from_text(const char *text, size_t length, struct kdnet_bugcheck *out)
{
    static const char start[] = "*** Fatal System Error: ";
    const char *p = memmem(text, length, start, sizeof start - 1);
    if (!p)
        return false;
    const char *end = text + length;
    uint64_t value;
    struct kdnet_bugcheck found;
    p += sizeof start - 1;
    if (!take_hex(&p, end, &value) || value > UINT32_MAX)
        return false;
    found.code = (uint32_t)value;
    skip(&p, end, " \t\r\n(");
    for (size_t i = 0; i < 4; ++i) {
        if (!take_hex(&p, end, &found.parameters[i]))
            return false;
        skip(&p, end, ", ");
    }
    if (p == end || *p != ')') /* cut within or behind the last number */
        return false;
    *out = found;
    return true;
}
