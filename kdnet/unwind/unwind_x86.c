/* SPDX-License-Identifier: Apache-2.0 */
/* x86 has no unwind data: frames are chained by ebp where a function keeps it. */
#include "kdnet/unwind/unwind_internal.h"

bool kdnet_unwind_x86(struct unwinding *u, struct kdnet_frame *frame)
{
    uint64_t ebp = kdnet_machine_address(KDNET_MACHINE_X86, frame->x[KDNET_X64_RBP]);
    uint32_t next = 0, pc = 0;
    if (ebp < frame->sp || ebp % 4 != 0)
        return kdnet_unwind_fail(u);
    if (!kdnet_unwind_u32(u, ebp, &next) || !kdnet_unwind_u32(u, ebp + 4, &pc))
        return false;
    frame->pc = kdnet_machine_address(KDNET_MACHINE_X86, pc);
    frame->sp = ebp + 8;
    frame->x[KDNET_X64_RBP] = kdnet_machine_address(KDNET_MACHINE_X86, next);
    frame->exact = false;
    return true;
}
