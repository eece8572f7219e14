/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/crash/frame_record.h"
#include "kdnet/base/wire.h"
#include "kdnet/crash/cause.h"

#define CONTEXT_HAS_CONTROL 1U
#define PRIVILEGE           3U /* of a segment selector; 0: the kernel */

/* Offsets of registers in a CONTEXT [doc: winnt.h; sym]. */
struct context_layout {
    uint32_t flags_at, machine_flag, from, to;
};
static const struct context_layout context_x64 = {
    .flags_at = 0x30, .machine_flag = 0x100000, .from = 0x30, .to = 0x100};
static const struct context_layout context_x86 = {.flags_at = 0, .machine_flag = 0x10000, .from = 0, .to = 0xc8};
static const struct context_layout context_arm64 = {.flags_at = 0, .machine_flag = 0x400000, .from = 0, .to = 0x110};

enum {
    X64_RAX = 0x78,
    X64_REGISTERS = 16,
    X64_RIP = 0xf8,
    X86_EBP = 0xb4,
    X86_EIP = 0xb8,
    X86_ESP = 0xc4,
    ARM64_X0 = 0x08,
    ARM64_REGISTERS = 31,
    ARM64_SP = 0x100,
    ARM64_PC = 0x108,
};

/* KTRAP_FRAME: x64 [sym], x86 [ros]. A trap in the kernel of x86 pushes no stack pointer: the stack goes on there. */
enum {
    TRAP64_RBX = 0x140,
    TRAP64_RDI = 0x148,
    TRAP64_RSI = 0x150,
    TRAP64_RBP = 0x158,
    TRAP64_RIP = 0x168,
    TRAP64_CS = 0x170,
    TRAP64_RSP = 0x180,
    TRAP64_END = 0x188,
    TRAP32_EBP = 0x60,
    TRAP32_EIP = 0x68,
    TRAP32_CS = 0x6c,
    TRAP32_END = 0x74,
};

/*
 * Source of each row: learn.microsoft.com, "Bug check code reference", the page of the code, table "Parameters". File
 * systems' bug checks have a record only when their exception filter is on the stack.
 */
const struct kdnet_frame_rule kdnet_frame_rules[] = {
    {0x00000023U, 3, KDNET_FRAME_CONTEXT}, {0x00000024U, 3, KDNET_FRAME_CONTEXT}, {0x00000027U, 3, KDNET_FRAME_CONTEXT},
    {0x0000003bU, 3, KDNET_FRAME_CONTEXT}, {0x0000007eU, 4, KDNET_FRAME_CONTEXT}, {0x0000008eU, 3, KDNET_FRAME_TRAP},
    {0x00000139U, 2, KDNET_FRAME_TRAP},
};

const size_t kdnet_frame_rule_count = sizeof kdnet_frame_rules / sizeof kdnet_frame_rules[0];

uint64_t kdnet_frame_record_address(enum kdnet_machine machine, const struct kdnet_bugcheck *bugcheck,
                                    enum kdnet_frame_record *kind)
{
    for (size_t i = 0; i < kdnet_frame_rule_count; ++i) {
        const struct kdnet_frame_rule *rule = &kdnet_frame_rules[i];
        if (rule->code != kdnet_cause_code(bugcheck->code))
            continue;
        uint64_t address = kdnet_machine_address(machine, bugcheck->parameters[rule->parameter - 1]);
        *kind = (enum kdnet_frame_record)rule->kind;
        return kdnet_machine_is_user_address(machine, address) ? 0 : address;
    }
    return 0;
}

static const struct context_layout *context_of(enum kdnet_machine machine)
{
    switch (machine) {
    case KDNET_MACHINE_X64:
        return &context_x64;
    case KDNET_MACHINE_X86:
        return &context_x86;
    case KDNET_MACHINE_ARM64:
        return &context_arm64;
    default:
        return NULL;
    }
}

bool kdnet_frame_record_area(enum kdnet_machine machine, enum kdnet_frame_record kind, uint32_t *from, uint32_t *to)
{
    const struct context_layout *context = context_of(machine);
    if (kind == KDNET_FRAME_CONTEXT && context) {
        *from = context->from;
        *to = context->to;
    } else if (kind == KDNET_FRAME_TRAP && machine == KDNET_MACHINE_X64) {
        *from = TRAP64_RBX;
        *to = TRAP64_END;
    } else if (kind == KDNET_FRAME_TRAP && machine == KDNET_MACHINE_X86) {
        *from = TRAP32_EBP;
        *to = TRAP32_END;
    } else {
        return false;
    }
    return true;
}

static uint64_t address32(const uint8_t *bytes)
{
    return kdnet_machine_address(KDNET_MACHINE_X86, kdnet_get_le32(bytes));
}

bool kdnet_frame_from_context(enum kdnet_machine machine, const uint8_t *context, struct kdnet_frame *out)
{
    struct kdnet_frame frame = {.exact = true};
    switch (machine) {
    case KDNET_MACHINE_X64:
        for (size_t i = 0; i < X64_REGISTERS; ++i)
            frame.x[i] = kdnet_get_le64(context + X64_RAX + 8 * i);
        frame.pc = kdnet_get_le64(context + X64_RIP);
        frame.sp = frame.x[KDNET_X64_RSP];
        break;
    case KDNET_MACHINE_ARM64:
        for (size_t i = 0; i < ARM64_REGISTERS; ++i)
            frame.x[i] = kdnet_get_le64(context + ARM64_X0 + 8 * i);
        frame.sp = kdnet_get_le64(context + ARM64_SP);
        frame.pc = kdnet_get_le64(context + ARM64_PC);
        break;
    case KDNET_MACHINE_X86:
        frame.x[KDNET_X64_RBP] = address32(context + X86_EBP);
        frame.pc = address32(context + X86_EIP);
        frame.sp = address32(context + X86_ESP);
        break;
    default:
        return false;
    }
    *out = frame;
    return true;
}

static bool has_flags(const struct context_layout *layout, const uint8_t *context)
{
    uint32_t flags = kdnet_get_le32(context + layout->flags_at), wanted = layout->machine_flag | CONTEXT_HAS_CONTROL;
    return (flags & wanted) == wanted;
}

/* Decodes a trap frame. Registers that a trap frame lacks matter only to a function that uses one as frame pointer.
 * False: the frame is a program's. */
static bool decode_trap(enum kdnet_machine machine, uint64_t address, const uint8_t *trap, struct kdnet_frame *out)
{
    struct kdnet_frame frame = {.exact = true};
    bool wide = machine == KDNET_MACHINE_X64;
    if (wide) {
        frame.x[3] = kdnet_get_le64(trap + TRAP64_RBX);
        frame.x[7] = kdnet_get_le64(trap + TRAP64_RDI);
        frame.x[6] = kdnet_get_le64(trap + TRAP64_RSI);
        frame.x[KDNET_X64_RBP] = kdnet_get_le64(trap + TRAP64_RBP);
        frame.pc = kdnet_get_le64(trap + TRAP64_RIP);
        frame.sp = frame.x[KDNET_X64_RSP] = kdnet_get_le64(trap + TRAP64_RSP);
    } else {
        frame.x[KDNET_X64_RBP] = address32(trap + TRAP32_EBP);
        frame.pc = address32(trap + TRAP32_EIP);
        frame.sp = kdnet_machine_address(machine, address + TRAP32_END);
    }
    *out = frame;
    return (kdnet_get_le16(trap + (wide ? TRAP64_CS : TRAP32_CS)) & PRIVILEGE) == 0;
}

bool kdnet_frame_from_record(enum kdnet_machine machine, enum kdnet_frame_record kind, uint64_t address,
                             const uint8_t *record, struct kdnet_frame *out)
{
    const struct context_layout *context = context_of(machine);
    struct kdnet_frame frame;
    uint64_t unit = machine == KDNET_MACHINE_X86 ? 4 : 8;
    bool decoded = kind == KDNET_FRAME_TRAP
                       ? decode_trap(machine, address, record, &frame)
                       : context && has_flags(context, record) && kdnet_frame_from_context(machine, record, &frame);
    bool null_call = decoded && frame.pc == 0; /* a null pointer was called */
    if (!decoded || frame.sp % unit != 0 || (kdnet_machine_is_user_address(machine, frame.pc) && !null_call) ||
        kdnet_machine_is_user_address(machine, frame.sp))
        return false;
    *out = frame;
    return true;
}
