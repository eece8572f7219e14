/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debugger_data: the kernel's KDDEBUGGER_DATA64, which holds the addresses of its variables.
 *
 * Protocol: PROTOCOL.md section 7 [doc: wdbgexts.h]. The bytes come from a machine that has crashed: nothing is
 * trusted.
 */
#ifndef KDNET_DEBUGGER_DATA_H
#define KDNET_DEBUGGER_DATA_H

#include <stddef.h>
#include <stdint.h>

#define KDNET_DEBUGGER_DATA_SIZE 0x210 /* of KDDEBUGGER_DATA64, through NtBuildLab; the block is longer */

/* Pointers out of KDDEBUGGER_DATA64; all are addresses in the target. */
struct kdnet_debugger_data {
    uint64_t kernel_base;            /* KernBase */
    uint64_t breakpoint_with_status; /* BreakpointWithStatus: the instruction of DbgBreakPointWithStatus */
    uint64_t loaded_module_list;     /* PsLoadedModuleList */
    uint64_t bugcheck_data;          /* KiBugcheckData */
    uint64_t build_lab;              /* NtBuildLab: a string */
};

/* Reads KDNET_DEBUGGER_DATA_SIZE bytes of block. Returns KDNET_OK, KDNET_ERR_SHORT, or KDNET_ERR_FORMAT (no KDBG tag,
 * or too small). */
int kdnet_debugger_data_decode(const uint8_t *block, size_t length, struct kdnet_debugger_data *out);

#endif
