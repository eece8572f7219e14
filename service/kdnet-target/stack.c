/* SPDX-License-Identifier: Apache-2.0 */
/* The stack of a simulated machine that crashed in its driver, and the record of its registers at the fault. */
#include "kdnet/base/wire.h"
#include "kdnet/crash/cause.h"
#include "kdnet/crash/frame_record.h"
#include "service/kdnet-target/driver_image.h"
#include "service/kdnet-target/machine_internal.h"

#define PAGE      0x1000U
#define STACK     0xffffd000a5a50000U /* one page; the low half on x86 */
#define STACK_AT  0x800U              /* offset in the page of the processor's stack pointer */
#define RECORD_AT 0x200U              /* the registers at the fault */
#define NO_FRAME  0xffffU
#define FRAMES    4U
#define BY_EBP    0x20U /* bytes of an x86 frame */

/* Offsets of registers in a CONTEXT [doc: winnt.h]. */
enum {
    X64_FLAGS = 0x30,
    X64_RSP = 0x98,
    X64_RBP = 0xa0,
    X64_RIP = 0xf8,
    X86_EBP = 0xb4,
    X86_EIP = 0xb8,
    X86_ESP = 0xc4,
    ARM64_FP = 0xf0,
    ARM64_SP = 0x100,
    ARM64_PC = 0x108,
    TRAP64_RBP = 0x158, /* of a trap frame: frame_record.h */
    TRAP64_RIP = 0x168,
    TRAP64_CS = 0x170,
    TRAP64_RSP = 0x180,
    TRAP32_EBP = 0x60,
    TRAP32_EIP = 0x68,
    TRAP32_CS = 0x6c,
};

/* The frame of a function after its prolog. */
struct shape {
    uint16_t size;  /* from its stack pointer to its caller's */
    uint16_t back;  /* from its stack pointer to the return address */
    uint16_t frame; /* from its stack pointer to its frame register's target; NO_FRAME: none */
};

static const struct shape kernel_x64 = {0x30, 0x28, NO_FRAME}; /* memory.c has their unwind data */
static const struct shape kernel_arm64 = {0x30, 0x20, NO_FRAME};
/* The functions of driver/x64.s and driver/arm64.s. */
static const struct shape driver_x64[] = {
    {0x30, 0x28, NO_FRAME}, {0x60, 0x58, NO_FRAME}, {0x90, 0x88, 0x60}, {0x218, 0x210, NO_FRAME}};
static const struct shape driver_arm64[] = {
    {0x30, 0x8, 0}, {0x70, 0x60, NO_FRAME}, {0x280, 0x18, 0x10}, {0x80, 0x70, NO_FRAME}};

const struct driver_image *stack_driver(const struct machine *m)
{
    for (const struct driver_image *image = driver_images; image->bytes; ++image)
        if (image->machine == m->layout->machine)
            return image;
    return NULL;
}

static bool is_arm64(const struct machine *m)
{
    return m->layout->machine == KDNET_MACHINE_ARM64;
}

static bool is_wide(const struct machine *m)
{
    return m->layout->pointer_size == 8;
}

/* Order of the frames: kernel functions, called by the driver's, called by the kernel's. */
static const struct shape *shape_of(const struct machine *m, unsigned frame)
{
    unsigned function = m->config.cause % PAGE / DRIVER_FUNCTION_SIZE;
    if (frame != 2 || !stack_driver(m))
        return is_arm64(m) ? &kernel_arm64 : &kernel_x64;
    return is_arm64(m) ? &driver_arm64[function] : &driver_x64[function];
}

/* Returns the stack pointer of a frame; on x86 its ebp. */
static uint64_t pointer_of(const struct machine *m, unsigned frame)
{
    uint64_t at = STACK + STACK_AT;
    for (unsigned i = 0; i < frame; ++i)
        at += is_wide(m) ? shape_of(m, i)->size : BY_EBP;
    return kdnet_machine_address(m->layout->machine, at);
}

bool stack_is_kept(const struct machine *m)
{
    return m->crashed && m->config.cause != 0 && (!is_arm64(m) || stack_driver(m));
}

/* --- registers ---------------------------------------------------------------------------------------------------- */

/* Returns the frame register's value in the driver's function. */
static uint64_t frame_register(const struct machine *m)
{
    const struct shape *shape = shape_of(m, 2);
    return pointer_of(m, 2) + (shape->frame == NO_FRAME ? 0x5a : shape->frame);
}

void stack_put_registers(const struct machine *m, uint8_t *context)
{
    if (!stack_is_kept(m))
        return;
    if (!is_wide(m)) {
        kdnet_put_le32(context + X86_EBP, (uint32_t)pointer_of(m, 0));
        kdnet_put_le32(context + X86_ESP, (uint32_t)pointer_of(m, 0) - BY_EBP);
        return;
    }
    kdnet_put_le64(context + (is_arm64(m) ? ARM64_SP : X64_RSP), pointer_of(m, 0));
    kdnet_put_le64(context + (is_arm64(m) ? ARM64_FP : X64_RBP), frame_register(m));
}

static void put_context(const struct machine *m, uint8_t *record)
{
    uint64_t pc = m->driver_base + m->config.cause, sp = pointer_of(m, 2);
    kdnet_put_le32(record + m->layout->context_flags_at, m->layout->context_all);
    if (!is_wide(m)) {
        kdnet_put_le32(record + X86_EBP, (uint32_t)sp);
        kdnet_put_le32(record + X86_EIP, (uint32_t)pc);
        kdnet_put_le32(record + X86_ESP, (uint32_t)sp - BY_EBP);
        return;
    }
    kdnet_put_le64(record + (is_arm64(m) ? ARM64_PC : X64_RIP), pc);
    kdnet_put_le64(record + (is_arm64(m) ? ARM64_SP : X64_RSP), sp);
    kdnet_put_le64(record + (is_arm64(m) ? ARM64_FP : X64_RBP), frame_register(m));
}

static void put_trap(const struct machine *m, uint8_t *record)
{
    uint64_t pc = m->driver_base + m->config.cause, sp = pointer_of(m, 2);
    if (is_wide(m)) {
        kdnet_put_le64(record + TRAP64_RIP, pc);
        kdnet_put_le64(record + TRAP64_RSP, sp);
        kdnet_put_le64(record + TRAP64_RBP, frame_register(m));
        kdnet_put_le16(record + TRAP64_CS, 0x10);
    } else {
        kdnet_put_le32(record + TRAP32_EIP, (uint32_t)pc);
        kdnet_put_le32(record + TRAP32_EBP, (uint32_t)sp);
        kdnet_put_le16(record + TRAP32_CS, 8);
    }
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

static void put_record(const struct machine *m, uint8_t *record)
{
    for (size_t i = 0; i < kdnet_frame_rule_count; ++i)
        if (kdnet_frame_rules[i].code == kdnet_cause_code((uint32_t)m->bugcheck.code)) {
            if (kdnet_frame_rules[i].kind == KDNET_FRAME_CONTEXT)
                put_context(m, record);
            else
                put_trap(m, record);
        }
}

bool stack_fill(const struct machine *m, uint64_t address, uint8_t *page)
{
    uint64_t at = kdnet_machine_address(m->layout->machine, STACK);
    const uint64_t callers[FRAMES] = {memory_address(m, 0x1700), m->driver_base + m->config.cause,
                                      memory_address(m, 0x1800), 0};
    if (!stack_is_kept(m) || address - at >= PAGE)
        return false;
    for (unsigned i = 0; i < FRAMES; ++i) {
        uint8_t *frame = page + (pointer_of(m, i) - at);
        if (is_wide(m)) {
            kdnet_put_le64(frame + shape_of(m, i)->back, callers[i]);
        } else {
            kdnet_put_le32(frame, (uint32_t)pointer_of(m, i + 1));
            kdnet_put_le32(frame + 4, (uint32_t)callers[i]);
        }
    }
    put_record(m, page + RECORD_AT);
    return true;
}

/* --- the bug check ------------------------------------------------------------------------------------------------ */

void stack_blame(struct machine *m)
{
    const struct kdnet_cause_rule *rule = kdnet_cause_rule((uint32_t)m->bugcheck.code);
    uint64_t mask = is_wide(m) ? UINT64_MAX : UINT32_MAX;
    if (m->config.cause == 0 || m->who != KDNET_WHO_NT)
        return;
    if (rule && rule->kind == KDNET_CAUSE_ADDRESS)
        m->bugcheck.parameters[rule->parameter - 1] = (m->driver_base + m->config.cause) & mask;
    for (size_t i = 0; i < kdnet_frame_rule_count; ++i)
        if (kdnet_frame_rules[i].code == kdnet_cause_code((uint32_t)m->bugcheck.code))
            m->bugcheck.parameters[kdnet_frame_rules[i].parameter - 1] = (STACK + RECORD_AT) & mask;
}
