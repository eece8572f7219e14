/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/kernel/fingerprint.h"
#include "kdnet/wire/machine.h"

#include <string.h>

const char *kdnet_fingerprint_symbol(size_t i)
{
    static const char *const names[KDNET_FINGERPRINT_SYMBOLS] = {
        "KdDebuggerDataBlock", "RtlpBreakWithStatusInstruction", "PsLoadedModuleList", "KiBugCheckData", "NtBuildLab"};
    return i < KDNET_FINGERPRINT_SYMBOLS ? names[i] : "";
}

bool kdnet_fingerprint_make(enum kdnet_machine machine, uint64_t base, uint64_t block,
                            const struct kdnet_debugger_data *data, const char *build_lab,
                            struct kdnet_fingerprint *out)
{
    const uint64_t addresses[KDNET_FINGERPRINT_SYMBOLS] = {
        block, data->breakpoint_with_status, data->loaded_module_list, data->bugcheck_data, data->build_lab};
    memset(out, 0, sizeof *out);
    out->machine = (uint32_t)machine;
    for (size_t i = 0; i < KDNET_FINGERPRINT_SYMBOLS; ++i) {
        uint64_t rva = kdnet_machine_address(machine, addresses[i]) - kdnet_machine_address(machine, base);
        if (rva == 0 || rva > UINT32_MAX)
            return false;
        out->rva[i] = (uint32_t)rva;
    }
    memcpy(out->build_lab, build_lab, strnlen(build_lab, sizeof out->build_lab - 1));
    return true;
}
