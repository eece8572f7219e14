/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unwind_steps FILE: runs the entry point of an x64 image that needs nothing from outside, instruction by instruction,
 * and unwinds the whole stack at each of them: prologs, bodies, epilogs, jumps out. The truth is what the processor
 * did: where each function was entered, with which registers. Ends with 77 where it cannot do that (another processor,
 * ptrace is refused).
 */
#include "tests/unwind/image.h"

#include <stdio.h>
#include <string.h>

#if defined(__x86_64__) && defined(__linux__)

#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define SKIPPED   77
#define STEPS_MAX 2000000U
#define DEPTH_MAX 32U
#define START_MAX 100000U /* instructions until the image is entered */

/* Registers that a function keeps for its caller, by number of the instruction set. */
static const unsigned kept[] = {3, 5, 6, 7, 12, 13, 14, 15};

/* A function that was entered. */
struct entered {
    uint64_t back, sp; /* return address; the stack pointer at its first instruction */
    uint64_t x[16];
};

static struct image image;
static struct kdnet_blocks blocks;
static pid_t child;
static struct entered entered[DEPTH_MAX];
static unsigned depth;

static void registers_of(const struct user_regs_struct *r, uint64_t x[static 16])
{
    const uint64_t all[16] = {r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi,
                              r->r8,  r->r9,  r->r10, r->r11, r->r12, r->r13, r->r14, r->r15};
    memcpy(x, all, sizeof all);
}

static size_t peek(uint64_t at, void *out, size_t length)
{
    struct iovec here = {out, length}, there = {(void *)(uintptr_t)at, length};
    ssize_t got = process_vm_readv(child, &here, 1, &there, 1, 0);
    return got > 0 ? (size_t)got : 0;
}

static bool step(struct user_regs_struct *r)
{
    int status;
    return ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) == 0 && waitpid(child, &status, 0) == child &&
           WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP && ptrace(PTRACE_GETREGS, child, NULL, r) == 0;
}

static int run_image(void)
{
    typedef __attribute__((ms_abi)) uint64_t entry(uint64_t);
    uint8_t *start = image.bytes + image.entry;
    entry *run;
    memcpy(&run, &start, sizeof run);
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        return SKIPPED;
    (void)raise(SIGSTOP);
    (void)run(7);
    return 0;
}

/* --- the truth ---------------------------------------------------------------------------------------------------- */

static bool in_image(uint64_t address)
{
    return address - image.place.base < image.size;
}

static bool enter(const struct user_regs_struct *r)
{
    struct entered *e = &entered[depth];
    if (depth == DEPTH_MAX || peek(r->rsp, &e->back, sizeof e->back) != sizeof e->back)
        return false;
    e->sp = r->rsp;
    registers_of(r, e->x);
    ++depth;
    return true;
}

static bool is_call(uint64_t at)
{
    const uint8_t *code = image.bytes + (at - image.place.base);
    size_t prefix = (code[0] & 0xf0) == 0x40;
    return code[0] == 0xe8 || (code[prefix] == 0xff && (code[prefix + 1] & 0x38) == 0x10);
}

/* --- the check ---------------------------------------------------------------------------------------------------- */

static enum kdnet_unwind_result unwind(struct kdnet_frame *frame)
{
    uint8_t bytes[KDNET_BLOCK_SIZE];
    enum kdnet_unwind_result result;
    while ((result = kdnet_unwind(KDNET_MACHINE_X64, &blocks, &image.place, frame)) == KDNET_UNWIND_NEEDS)
        kdnet_blocks_give(&blocks, blocks.want, bytes, peek(blocks.want, bytes, sizeof bytes));
    return result;
}

/* Each frame's caller is who entered it. */
static bool is_right(const struct user_regs_struct *r)
{
    struct kdnet_frame frame = {.pc = r->rip, .sp = r->rsp, .exact = true};
    registers_of(r, frame.x);
    kdnet_blocks_clear(&blocks);
    for (unsigned i = depth; i-- > 0;) {
        const struct entered *e = &entered[i];
        uint64_t pc = frame.pc;
        bool right = unwind(&frame) == KDNET_UNWIND_OK && frame.pc == e->back && frame.sp == e->sp + 8;
        for (size_t k = 0; k < sizeof kept / sizeof kept[0]; ++k)
            right = right && frame.x[kept[k]] == e->x[kept[k]];
        if (right)
            continue;
        (void)printf("%" PRIx64 ": caller %" PRIx64 " with sp %" PRIx64 ", not %" PRIx64 " with %" PRIx64 "\n", pc,
                     e->back, e->sp + 8, frame.pc, frame.sp);
        return false;
    }
    return true;
}

static int follow(struct user_regs_struct *r)
{
    unsigned steps = 0, wrong = 0, deepest = 0;
    if (!enter(r))
        return 1;
    while (depth > 0 && wrong < 20 && steps < STEPS_MAX) {
        uint64_t before = r->rip;
        wrong += !is_right(r);
        deepest = depth > deepest ? depth : deepest;
        if (!step(r))
            return 1;
        ++steps;
        if (r->rip == entered[depth - 1].back && r->rsp == entered[depth - 1].sp + 8)
            --depth;
        else if (!in_image(r->rip) || (is_call(before) && !enter(r)))
            return 1;
    }
    (void)printf("%u instructions, %u frames deep: %u wrong\n", steps, deepest, wrong);
    return wrong > 0 || depth > 0;
}

int main(int count, char **arguments)
{
    struct user_regs_struct r;
    int status, result = 1;
    if (count != 2)
        return 2;
    image_load(&image, arguments[1], 0x180000000U);
    if ((uintptr_t)image.bytes != image.preferred ||
        mprotect(image.bytes, image.size, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
        return SKIPPED;
    child = fork();
    if (child == 0)
        _exit(run_image());
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status))
        return SKIPPED;
    for (unsigned i = 0; i < START_MAX && step(&r); ++i)
        if (r.rip == image.place.base + image.entry) {
            result = follow(&r);
            break;
        }
    (void)kill(child, SIGKILL);
    (void)waitpid(child, &status, 0);
    return result;
}

#else

int main(void)
{
    return 77;
}

#endif
