/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/kernel/debugger_data.h"
#include "kdnet/base/wire.h"
#include "kdnet/error.h"

#include <string.h>

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
