/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/crash/trace_call.h"
#include "kdnet/base/wire.h"
#include "kdnet/crash/trace_images.h"

#define CALL_MAX        7U /* bytes of the longest x86 call, without prefixes */
#define CALL_NEAR       0xe8U
#define CALL_NEAR_SIZE  5U
#define CALL_INDIRECT   0xffU
#define INDIRECT_REG    2U /* of ModRM: the operation */
#define ARM64_CALL_SIZE 4U

/* Returns the length of "call r/m" by its ModRM and SIB bytes: ff /2. */
static size_t indirect_length(const uint8_t *code)
{
    unsigned mod = code[1] >> 6, rm = code[1] & 7;
    bool sib = mod != 3 && rm == 4;
    bool far = mod == 2 || (mod == 0 && (rm == 5 || (sib && (code[2] & 7) == 5)));
    return 2U + sib + (far ? 4U : mod == 1 ? 1U : 0U);
}

/* Whether the bytes before a return address end with a call. code: CALL_MAX bytes, and one of any value. */
static bool ends_with_call(const uint8_t *code)
{
    if (code[CALL_MAX - CALL_NEAR_SIZE] == CALL_NEAR)
        return true;
    for (size_t at = 0; at + 2 <= CALL_MAX; ++at)
        if (code[at] == CALL_INDIRECT && (code[at + 1] >> 3 & 7) == INDIRECT_REG &&
            at + indirect_length(code + at) == CALL_MAX)
            return true;
    return false;
}

/* BL, BLR, and BLR with authentication. */
static bool is_arm64_call(uint32_t word)
{
    return (word & 0xfc000000U) == 0x94000000U || (word & 0xfffffc1fU) == 0xd63f0000U ||
           (word & 0xfefff800U) == 0xd63f0800U;
}

static bool is_arm64(const struct kdnet_trace_search *search)
{
    return search->start.machine == KDNET_MACHINE_ARM64;
}

static enum kdnet_unwind_result read_return(struct kdnet_trace_search *search, const struct kdnet_frame *frame,
                                            uint64_t *out)
{
    uint8_t bytes[8];
    enum kdnet_unwind_result result = KDNET_UNWIND_OK;
    *out = frame->x[KDNET_ARM64_LR];
    if (is_arm64(search))
        return result;
    result = kdnet_trace_read(search, frame->sp, bytes, kdnet_trace_is_wide(search) ? 8 : 4);
    *out = result == KDNET_UNWIND_OK ? kdnet_trace_pointer(search, bytes) : 0;
    return result;
}

/* Whether a call stands before the address: OK. END: none, or the code is paged out. */
static enum kdnet_unwind_result check_call(struct kdnet_trace_search *search, uint64_t address)
{
    uint8_t code[CALL_MAX + 1] = {0};
    size_t length = is_arm64(search) ? ARM64_CALL_SIZE : CALL_MAX;
    enum kdnet_unwind_result result = kdnet_trace_read(search, address - length, code, length);
    if (result != KDNET_UNWIND_OK)
        return result;
    bool call = is_arm64(search) ? is_arm64_call(kdnet_get_le32(code)) : ends_with_call(code);
    return call ? KDNET_UNWIND_OK : KDNET_UNWIND_END;
}

enum kdnet_unwind_result kdnet_trace_caller_of_nothing(struct kdnet_trace_search *search, struct kdnet_frame *frame)
{
    uint64_t address = 0;
    uint8_t image;
    enum kdnet_machine machine = search->start.machine;
    if (!frame->exact || !kdnet_machine_is_user_address(machine, frame->pc) ||
        kdnet_machine_is_user_address(machine, frame->sp))
        return KDNET_UNWIND_END;
    enum kdnet_unwind_result result = read_return(search, frame, &address);
    if (result == KDNET_UNWIND_OK)
        result = kdnet_machine_is_user_address(machine, address) ? KDNET_UNWIND_END
                                                                 : kdnet_trace_locate(search, address, &image);
    if (result == KDNET_UNWIND_OK)
        result = check_call(search, address);
    if (result != KDNET_UNWIND_OK)
        return result;
    frame->pc = address;
    frame->sp += is_arm64(search) ? 0 : kdnet_trace_is_wide(search) ? 8 : 4;
    frame->x[KDNET_X64_RSP] = is_arm64(search) ? frame->x[KDNET_X64_RSP] : frame->sp;
    frame->exact = false;
    return KDNET_UNWIND_OK;
}
