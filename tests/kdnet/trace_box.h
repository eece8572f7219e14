/* SPDX-License-Identifier: Apache-2.0 */
/* A crashed machine for tests of trace: a kernel, a driver among many images, a stack; and what becomes of a search on
 * it. For one source file of a test, which includes cmocka before. */
#ifndef TESTS_KDNET_TRACE_BOX_H
#define TESTS_KDNET_TRACE_BOX_H

#include "kdnet/base/wire.h"
#include "kdnet/crash/trace.h"

#include <stdio.h>
#include <string.h>

#define NT_SIZE     0x20000U
#define DRIVER_SIZE 0x8000U
#define POOL_SIZE   0x20000U
#define TABLE       0x1000U
#define INFO        0x4000U
#define FAULT       0x5678U /* in the first driver */
#define DRIVER_AT   150U    /* in the list */
#define IMAGES      200U
#define ENTRY_SIZE  0x180U
#define FRAME_SIZE  0x28U
#define FRAME_COUNT 5U
#define NT_STAMP    0xaabbccddU
#define STAMP       0x5f3a1b2cU

/* A driver that crashes machines. */
struct box_driver {
    const char *name; /* as the list has it */
    uint32_t stamp, fault;
    unsigned at; /* in the list */
};

/* One machine: its kernel and driver somewhere, its list of images, and a stack. */
struct box {
    unsigned kernel; /* which of several: each has frames of another size */
    struct box_driver with;
    uint64_t nt, driver, pool, stack;
    uint8_t nt_bytes[NT_SIZE], driver_bytes[DRIVER_SIZE], pool_bytes[POOL_SIZE], stack_bytes[0x1000];
    bool no_list, no_driver, no_tables; /* paged out */
    bool no_header;                     /* of the driver, and its tables */
    unsigned asked;
};

static struct box box;
static struct kdnet_trace_search search;

/* --- the machine -------------------------------------------------------------------------------------------------- */

/* An image whose functions, 0x100 bytes each from 0x5000 on, have a frame of FRAME_SIZE + 8 * more bytes. */
static void make_image(uint8_t *bytes, uint32_t size, uint32_t stamp, uint64_t base, unsigned more)
{
    uint8_t *nt = bytes + 0x80;
    memset(bytes, 0, 0x5000);
    for (uint32_t i = 0x5000; i < size; i += 4)
        kdnet_put_le32(bytes + i, stamp * (i | 1));
    memcpy(bytes, "MZ", 2);
    bytes[0x3c] = 0x80;
    memcpy(nt, "PE", 2);
    kdnet_put_le16(nt + 4, 0x8664);
    kdnet_put_le32(nt + 8, stamp);
    kdnet_put_le16(nt + 24, 0x20b);
    kdnet_put_le64(nt + 48, base); /* as the loader writes it: different on each machine */
    kdnet_put_le32(nt + 80, size);
    kdnet_put_le32(nt + 132, 16);
    kdnet_put_le32(nt + 136 + 24, TABLE);
    unsigned count = (size - 0x5000) / 0x100;
    kdnet_put_le32(nt + 136 + 28, count * 12);
    for (unsigned i = 0; i < count; ++i) {
        kdnet_put_le32(bytes + TABLE + (size_t)12 * i, 0x5000 + 0x100 * i);
        kdnet_put_le32(bytes + TABLE + (size_t)12 * i + 4, 0x5100 + 0x100 * i);
        kdnet_put_le32(bytes + TABLE + (size_t)12 * i + 8, INFO);
    }
    memcpy(bytes + INFO, (const uint8_t[]){1, 4, 1, 0, 4, (uint8_t)(0x42 + 0x10 * more)}, 6); /* sub rsp, 28 */
}

static void put_name(uint32_t at, const char *name)
{
    for (size_t i = 0; name[i] != '\0'; ++i)
        kdnet_put_le16(box.pool_bytes + at + 2 * i, (uint8_t)name[i]);
}

/* The list's head is at 0 of the pool; entries of 0x180 bytes behind it, with their names. */
static void make_list(void)
{
    kdnet_put_le64(box.pool_bytes, box.pool + 0x100);
    for (unsigned i = 0; i < IMAGES; ++i) {
        char name[32];
        uint32_t at = 0x100 + ENTRY_SIZE * i;
        uint8_t *entry = box.pool_bytes + at;
        bool driver = i == box.with.at;
        (void)snprintf(name, sizeof name, "other%u.sys", i);
        if (driver)
            (void)snprintf(name, sizeof name, "%s", box.with.name);
        kdnet_put_le64(entry, i + 1 < IMAGES ? box.pool + at + ENTRY_SIZE : box.pool);
        kdnet_put_le64(entry + 0x30, driver ? box.driver : 0xfffff90000000000U + 0x10000U * i);
        kdnet_put_le32(entry + 0x40, driver ? DRIVER_SIZE : 0x8000);
        kdnet_put_le16(entry + 0x58, (uint16_t)(2 * strlen(name)));
        kdnet_put_le64(entry + 0x60, box.pool + at + 0x100);
        kdnet_put_le32(entry + 0x9c, driver ? box.with.stamp : 0x1000 + i);
        put_name(at + 0x100, name);
    }
}

/* The image of each frame, and its place there: nt, nt, nt, the driver, nt; then nobody. */
static uint64_t frame_base(unsigned i)
{
    return i == 3 ? box.driver : box.nt;
}

static uint32_t frame_offset(unsigned i)
{
    static const uint32_t offsets[FRAME_COUNT] = {0x5110, 0x5220, 0x9330, 0, 0xa440};
    return i == 3 ? box.with.fault : offsets[i] + 0x100 * box.kernel;
}

static void make_stack(struct kdnet_frame *frame)
{
    size_t at = 0x100;
    memset(box.stack_bytes, 0, sizeof box.stack_bytes);
    for (unsigned i = 0; i + 1 < FRAME_COUNT; ++i) {
        at += FRAME_SIZE + 8 * (i == 3 ? 0 : box.kernel) + 8;
        kdnet_put_le64(box.stack_bytes + at - 8, frame_base(i + 1) + frame_offset(i + 1));
    }
    memset(frame, 0, sizeof *frame);
    frame->pc = frame_base(0) + frame_offset(0);
    frame->sp = box.stack + 0x100;
    frame->exact = true;
}

/* A machine, with all it has somewhere else than others. */
static void make_box_of(uint64_t seed, unsigned kernel, const struct box_driver *with, struct kdnet_trace_start *start)
{
    memset(&box, 0, offsetof(struct box, nt_bytes));
    memset(box.pool_bytes, 0, sizeof box.pool_bytes);
    box.no_list = box.no_driver = box.no_tables = box.no_header = false;
    box.kernel = kernel;
    box.with = *with;
    box.nt = 0xfffff80000000000U + seed * 0x200000U;
    box.driver = 0xfffff88000000000U + seed * 0x11000U;
    box.pool = 0xffffa00000000000U + seed * 0x100000U;
    box.stack = 0xffffb00000000000U + seed * 0x10000U;
    make_image(box.nt_bytes, NT_SIZE, NT_STAMP + kernel, box.nt, kernel);
    make_image(box.driver_bytes, DRIVER_SIZE, with->stamp, box.driver, 0);
    make_list();
    *start = (struct kdnet_trace_start){.machine = KDNET_MACHINE_X64,
                                        .bugcheck = {.code = 0xd1},
                                        .kernel_base = box.nt,
                                        .module_list = box.pool,
                                        .frame_known = true,
                                        .teller = seed};
    start->bugcheck.parameters[3] = box.driver + with->fault;
    make_stack(&start->frame);
}

static const uint8_t *find_bytes(uint64_t at)
{
    if (at - box.nt < NT_SIZE)
        return box.no_tables && at - box.nt >= TABLE ? NULL : box.nt_bytes + (at - box.nt);
    if (at - box.driver < DRIVER_SIZE && !box.no_driver && (!box.no_header || at - box.driver >= 0x5000))
        return box.driver_bytes + (at - box.driver);
    if (at - box.pool < POOL_SIZE && !box.no_list)
        return box.pool_bytes + (at - box.pool);
    if (at - box.stack < sizeof box.stack_bytes)
        return box.stack_bytes + (at - box.stack);
    return NULL;
}

static const struct kdnet_trace *run(const struct kdnet_trace_start *start)
{
    uint64_t want;
    kdnet_trace_begin(&search, start);
    for (box.asked = 0; kdnet_trace_next(&search, &want); ++box.asked) {
        const uint8_t *bytes = find_bytes(want);
        assert_int_equal(want % KDNET_BLOCK_SIZE, 0);
        kdnet_trace_give(&search, bytes, bytes ? KDNET_BLOCK_SIZE : 0);
    }
    assert_false(kdnet_trace_next(&search, &want));
    return &search.trace;
}

#endif
