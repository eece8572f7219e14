/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/unwind/unwind.h"
#include "kdnet/base/wire.h"
#include "kdnet/unwind/unwind_internal.h"

/* PE [doc: "PE Format"], offsets from the NT headers. */
enum {
    DOS_NT_AT = 0x3c,
    NT_MACHINE = 4,
    NT_STAMP = 8,
    NT_MAGIC = 24,
    NT_IMAGE_SIZE = 24 + 56,
    NT32_COUNT = 24 + 92,
    NT64_COUNT = 24 + 108,
    EXCEPTION_DIRECTORY = 3,
    NT_HEADERS_MAX = 24 + 112 + 8 * (EXCEPTION_DIRECTORY + 1),
    MAGIC_PE32 = 0x10b,
    MAGIC_PE64 = 0x20b,
};

static bool take(struct unwinding *u, enum kdnet_blocks_result result)
{
    if (result == KDNET_BLOCKS_OK)
        return true;
    u->result = result == KDNET_BLOCKS_MISSING ? KDNET_UNWIND_NEEDS : KDNET_UNWIND_END;
    return false;
}

static bool may_read(struct unwinding *u)
{
    return u->result == KDNET_UNWIND_OK && (++u->reads <= KDNET_UNWIND_READS_MAX || kdnet_unwind_fail(u));
}

bool kdnet_unwind_fail(struct unwinding *u)
{
    u->result = KDNET_UNWIND_END;
    return false;
}

bool kdnet_unwind_read(struct unwinding *u, uint64_t address, uint8_t *out, size_t length)
{
    return may_read(u) && take(u, kdnet_blocks_read(u->memory, address, out, length));
}

bool kdnet_unwind_read_image(struct unwinding *u, uint32_t rva, uint8_t *out, size_t length)
{
    const struct kdnet_unwind_image *image = u->image;
    if (rva > image->size || length > image->size - rva)
        return kdnet_unwind_fail(u);
    return kdnet_unwind_read(u, image->base + rva, out, length);
}

bool kdnet_unwind_u32(struct unwinding *u, uint64_t address, uint32_t *out)
{
    return may_read(u) && take(u, kdnet_blocks_u32(u->memory, address, out));
}

bool kdnet_unwind_u64(struct unwinding *u, uint64_t address, uint64_t *out)
{
    return may_read(u) && take(u, kdnet_blocks_u64(u->memory, address, out));
}

/* --- the exception directory -------------------------------------------------------------------------------------- */

struct search {
    uint32_t low, high;             /* remaining entries: low to high - 1 */
    uint32_t low_begin, high_begin; /* bounds of the remaining functions' RVAs */
};

/* Where to look next: functions lie about evenly, so the RVA says about where; every other time in the middle. */
static uint32_t choose(const struct search *s, uint32_t rva, unsigned round)
{
    uint32_t count = s->high - s->low;
    if (round % 2 == 1 || s->high_begin <= s->low_begin || rva <= s->low_begin)
        return s->low + count / 2;
    uint64_t part = (uint64_t)(rva - s->low_begin) * count / (s->high_begin - s->low_begin);
    return s->low + (uint32_t)(part < count ? part : count - 1);
}

bool kdnet_unwind_find(struct unwinding *u, uint32_t rva, uint32_t entry_size, uint8_t *entry)
{
    const struct kdnet_unwind_image *image = u->image;
    uint64_t table = image->base + image->table_rva;
    if (image->table_rva > image->size || image->table_size > image->size - image->table_rva)
        return kdnet_unwind_fail(u);
    struct search s = {.high = image->table_size / entry_size, .high_begin = image->size};
    for (unsigned round = 0; s.low < s.high; ++round) {
        uint32_t at = choose(&s, rva, round), begin;
        if (!kdnet_unwind_u32(u, table + (uint64_t)at * entry_size, &begin))
            return false;
        if (begin <= rva) {
            s.low = at + 1;
            s.low_begin = begin;
        } else {
            s.high = at;
            s.high_begin = begin;
        }
    }
    return s.low > 0 && kdnet_unwind_read(u, table + (uint64_t)(s.low - 1) * entry_size, entry, entry_size);
}

/* --- images ------------------------------------------------------------------------------------------------------- */

static bool read_header(struct unwinding *u, enum kdnet_machine machine, uint64_t base, struct kdnet_image_header *out)
{
    uint8_t nt[NT_HEADERS_MAX];
    uint32_t dos = 0, at = 0;
    if (!kdnet_unwind_u32(u, base, &dos) || !kdnet_unwind_u32(u, base + DOS_NT_AT, &at))
        return false;
    if ((dos & 0xffff) != 0x5a4d || at > KDNET_BLOCK_SIZE - sizeof nt)
        return kdnet_unwind_fail(u);
    if (!kdnet_unwind_read(u, base + at, nt, sizeof nt))
        return false;
    uint16_t magic = kdnet_get_le16(nt + NT_MAGIC);
    if (kdnet_get_le32(nt) != 0x4550 || kdnet_get_le16(nt + NT_MACHINE) != (uint16_t)machine ||
        (magic != MAGIC_PE32 && magic != MAGIC_PE64))
        return kdnet_unwind_fail(u);
    const uint8_t *count = nt + (magic == MAGIC_PE64 ? NT64_COUNT : NT32_COUNT);
    const uint8_t *directory = count + 4 + (size_t)8 * EXCEPTION_DIRECTORY;
    *out = (struct kdnet_image_header){
        .size = kdnet_get_le32(nt + NT_IMAGE_SIZE), .stamp = kdnet_get_le32(nt + NT_STAMP), .at = at};
    if (kdnet_get_le32(count) > EXCEPTION_DIRECTORY) {
        out->table_rva = kdnet_get_le32(directory);
        out->table_size = kdnet_get_le32(directory + 4);
    }
    return true;
}

enum kdnet_unwind_result kdnet_image_header(enum kdnet_machine machine, struct kdnet_blocks *memory, uint64_t base,
                                            struct kdnet_image_header *out)
{
    struct unwinding u = {.memory = memory};
    struct kdnet_image_header header;
    if (read_header(&u, machine, base, &header))
        *out = header;
    return u.result;
}

/* --- frames ------------------------------------------------------------------------------------------------------- */

static bool step(enum kdnet_machine machine, struct unwinding *u, struct kdnet_frame *frame)
{
    switch (machine) {
    case KDNET_MACHINE_X64:
        return kdnet_unwind_x64(u, frame);
    case KDNET_MACHINE_ARM64:
        return kdnet_unwind_arm64(u, frame);
    case KDNET_MACHINE_X86:
        return kdnet_unwind_x86(u, frame);
    default:
        return kdnet_unwind_fail(u);
    }
}

enum kdnet_unwind_result kdnet_unwind(enum kdnet_machine machine, struct kdnet_blocks *memory,
                                      const struct kdnet_unwind_image *image, struct kdnet_frame *frame)
{
    struct unwinding u = {.memory = memory, .image = image};
    struct kdnet_frame caller = *frame;
    bool done = step(machine, &u, &caller);
    if (u.result == KDNET_UNWIND_NEEDS && ++memory->needed <= KDNET_UNWIND_NEEDS_MAX)
        return KDNET_UNWIND_NEEDS;
    memory->needed = 0;
    if (!done)
        return KDNET_UNWIND_END;
    caller.pc = kdnet_machine_address(machine, caller.pc);
    /* A caller's frame lies above, unless an interrupt has switched stacks; only a leaf function on ARM64 has no
     * frame of its own. An interrupted call of a null pointer stands at 0. */
    if ((caller.pc == 0 && !caller.exact) || (caller.sp < frame->sp && !caller.exact) ||
        (caller.sp == frame->sp && caller.pc == frame->pc))
        return KDNET_UNWIND_END;
    *frame = caller;
    return KDNET_UNWIND_OK;
}
