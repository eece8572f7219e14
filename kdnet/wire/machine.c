/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/wire/machine.h"
#include "kdnet/base/wire.h"

#include <string.h>

#define STREAM_MAX   16
#define ARM64_BRK    0xd43e0000U
#define X64_BREAK    0xccU
#define X64_REPORT   48
#define X86_REPORT   40
#define ARM64_REPORT 24

#define KERNEL_HALF_64  UINT64_C(0xffff800000000000)
#define KERNEL_HALF_32  0x80000000U
#define KERNEL_TUNED_32 0xc0000000U /* with 4-gigabyte tuning [doc] */
#define REPORT_HAS_SEGS 1U          /* of ReportFlags: the segments are included [ros] */
#define X64_CS_AT       40U
#define X86_CS_AT       28U
#define ARM64_CPSR_AT   4U /* ARM64_NT_CONTEXT of the public winnt.h */
#define ARM64_CPSR_STEP 0x00200000U
#define ARM64_BCR_AT    792U
#define ARM64_BCR_COUNT 8U
#define ARM64_WCR_AT    888U
#define ARM64_WCR_COUNT 2U
#define ARM64_DEBUG_ON  1U /* E of DBGBCR, DBGWCR */

static const struct kdnet_machine_layout layouts[] = {
    {.machine = KDNET_MACHINE_X64,
     .name = "x64",
     .pointer_size = 8,
     .context_size = 1232,
     .context_flags_at = 48,
     .context_all = 0x0010001f,
     .pc_at = 248,
     .argument_at = 128,
     .break_length = 1},
    {.machine = KDNET_MACHINE_X86,
     .name = "x86",
     .pointer_size = 4,
     .context_size = 716,
     .context_flags_at = 0,
     .context_all = 0x0001001f,
     .pc_at = 184,
     .argument_at = 176,
     .break_length = 1},
    {.machine = KDNET_MACHINE_ARM64,
     .name = "arm64",
     .pointer_size = 8,
     .context_size = 912,
     .context_flags_at = 0,
     .context_all = 0x0040001f,
     .pc_at = 264,
     .argument_at = 8,
     .break_length = 4},
};

const struct kdnet_machine_layout *kdnet_machine_layout(enum kdnet_machine machine)
{
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; ++i)
        if (layouts[i].machine == machine)
            return &layouts[i];
    return NULL;
}

const char *kdnet_machine_name(enum kdnet_machine machine)
{
    const struct kdnet_machine_layout *layout = kdnet_machine_layout(machine);
    return layout ? layout->name : "unknown";
}

const char *kdnet_who_name(enum kdnet_who who)
{
    switch (who) {
    case KDNET_WHO_NT:
        return "nt";
    case KDNET_WHO_BOOT:
        return "boot";
    case KDNET_WHO_HYPERVISOR:
        return "hypervisor";
    default:
        return "unknown";
    }
}

uint64_t kdnet_machine_address(enum kdnet_machine machine, uint64_t address)
{
    return machine == KDNET_MACHINE_X86 ? (uint64_t)(int64_t)(int32_t)(uint32_t)address : address;
}

bool kdnet_machine_is_user_address(enum kdnet_machine machine, uint64_t address)
{
    switch (machine) {
    case KDNET_MACHINE_X64:
    case KDNET_MACHINE_ARM64:
        return address < KERNEL_HALF_64;
    case KDNET_MACHINE_X86:
        return (uint32_t)address < KERNEL_HALF_32;
    case KDNET_MACHINE_UNKNOWN:
        break;
    }
    return false;
}

bool kdnet_machine_is_ambiguous_address(enum kdnet_machine machine, uint64_t address)
{
    return machine == KDNET_MACHINE_X86 && (uint32_t)address >= KERNEL_HALF_32 && (uint32_t)address < KERNEL_TUNED_32;
}

/* Clears bits of a 32-bit register in a context. Returns whether one was set. */
static bool clear_bits(uint8_t *at, uint32_t bits)
{
    uint32_t value = kdnet_get_le32(at);
    kdnet_put_le32(at, value & ~bits);
    return (value & bits) != 0;
}

bool kdnet_machine_stop_tracing(const struct kdnet_machine_layout *layout, uint8_t *context)
{
    if (layout->machine != KDNET_MACHINE_ARM64)
        return false;
    bool changed = clear_bits(context + ARM64_CPSR_AT, ARM64_CPSR_STEP);
    for (size_t i = 0; i < ARM64_BCR_COUNT; ++i)
        changed |= clear_bits(context + ARM64_BCR_AT + 4 * i, ARM64_DEBUG_ON);
    for (size_t i = 0; i < ARM64_WCR_COUNT; ++i)
        changed |= clear_bits(context + ARM64_WCR_AT + 4 * i, ARM64_DEBUG_ON);
    return changed;
}

static uint64_t get_register(const struct kdnet_machine_layout *layout, const uint8_t *context, size_t at)
{
    if (layout->pointer_size == 4)
        return kdnet_machine_address(layout->machine, kdnet_get_le32(context + at));
    return kdnet_get_le64(context + at);
}

static void set_register(const struct kdnet_machine_layout *layout, uint8_t *context, size_t at, uint64_t value)
{
    if (layout->pointer_size == 4)
        kdnet_put_le32(context + at, (uint32_t)value);
    else
        kdnet_put_le64(context + at, value);
}

uint64_t kdnet_machine_pc(const struct kdnet_machine_layout *layout, const uint8_t *context)
{
    return get_register(layout, context, layout->pc_at);
}

uint64_t kdnet_machine_argument(const struct kdnet_machine_layout *layout, const uint8_t *context)
{
    return get_register(layout, context, layout->argument_at);
}

void kdnet_machine_set_pc(const struct kdnet_machine_layout *layout, uint8_t *context, uint64_t pc)
{
    set_register(layout, context, layout->pc_at, pc);
}

void kdnet_machine_set_argument(const struct kdnet_machine_layout *layout, uint8_t *context, uint64_t value)
{
    set_register(layout, context, layout->argument_at, value);
}

/* The instruction bytes at `at`, `count` of them, when report and count allow them. */
static bool take_stream(const uint8_t *report, size_t length, size_t at, size_t count, struct kdnet_control_report *out)
{
    if (count == 0 || count > STREAM_MAX || at > length || count > length - at)
        return false;
    out->instructions = report + at;
    out->instruction_count = count;
    return true;
}

void kdnet_machine_report(enum kdnet_machine machine, const uint8_t *report, size_t length,
                          struct kdnet_control_report *out)
{
    *out = (struct kdnet_control_report){0};
    switch (machine) {
    case KDNET_MACHINE_X64: /* Dr6, Dr7 u64, EFlags u32, InstructionCount, ReportFlags u16, stream [cap] */
        if (length >= 16) {
            out->dr6 = kdnet_get_le64(report);
            out->dr7 = kdnet_get_le64(report + 8);
        }
        if (length >= X64_CS_AT + 2 && (kdnet_get_le16(report + 22) & REPORT_HAS_SEGS))
            out->code_segment = kdnet_get_le16(report + X64_CS_AT);
        if (length >= 24)
            take_stream(report, length, 24, kdnet_get_le16(report + 20), out);
        break;
    case KDNET_MACHINE_X86: /* Dr6, Dr7 u32, InstructionCount, ReportFlags u16, stream [ros] */
        if (length >= 8) {
            out->dr6 = kdnet_get_le32(report);
            out->dr7 = kdnet_get_le32(report + 4);
        }
        if (length >= X86_CS_AT + 2 && (kdnet_get_le16(report + 10) & REPORT_HAS_SEGS))
            out->code_segment = kdnet_get_le16(report + X86_CS_AT);
        if (length >= 12)
            take_stream(report, length, 12, kdnet_get_le16(report + 8), out);
        break;
    case KDNET_MACHINE_ARM64: /* Cpsr u32, count u32, stream; or Bvr, Wvr u64, count u32, stream [inf] */
        if (length >= 8 && take_stream(report, length, 8, kdnet_get_le32(report + 4), out))
            break;
        if (length >= 20)
            take_stream(report, length, 20, kdnet_get_le32(report + 16), out);
        break;
    case KDNET_MACHINE_UNKNOWN:
        break;
    }
}

size_t kdnet_machine_report_encode(enum kdnet_machine machine, uint64_t dr7, const uint8_t *instructions, size_t count,
                                   uint8_t out[static 48])
{
    static const uint8_t nothing[1];
    if (count > STREAM_MAX)
        count = STREAM_MAX;
    if (count == 0)
        instructions = nothing; /* NULL may not reach memcpy */
    memset(out, 0, X64_REPORT);
    switch (machine) {
    case KDNET_MACHINE_X64:
        kdnet_put_le64(out + 8, dr7);
        kdnet_put_le16(out + 20, (uint16_t)count);
        memcpy(out + 24, instructions, count);
        return X64_REPORT;
    case KDNET_MACHINE_X86:
        kdnet_put_le32(out + 4, (uint32_t)dr7);
        kdnet_put_le16(out + 8, (uint16_t)count);
        memcpy(out + 12, instructions, count);
        return X86_REPORT;
    case KDNET_MACHINE_ARM64:
        kdnet_put_le32(out + 4, (uint32_t)count);
        memcpy(out + 8, instructions, count);
        return ARM64_REPORT;
    case KDNET_MACHINE_UNKNOWN:
        break;
    }
    return 0;
}

bool kdnet_machine_is_breakpoint(enum kdnet_machine machine, const uint8_t *instructions, size_t count)
{
    if (machine == KDNET_MACHINE_ARM64)
        return count >= 4 && kdnet_get_le32(instructions) == ARM64_BRK;
    return count >= 1 && instructions[0] == X64_BREAK;
}

uint64_t kdnet_machine_pointer(const struct kdnet_machine_layout *layout, const uint8_t *data)
{
    uint64_t value = layout->pointer_size == 8 ? kdnet_get_le64(data) : kdnet_get_le32(data);
    return kdnet_machine_address(layout->machine, value);
}
