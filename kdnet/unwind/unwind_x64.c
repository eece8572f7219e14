/* SPDX-License-Identifier: Apache-2.0 */
/* x64 [doc: "x64 exception handling"]. */
#include "kdnet/base/wire.h"
#include "kdnet/unwind/unwind_internal.h"

#include <string.h>

#define ENTRY_SIZE        12U
#define INFO_HEADER       4U
#define CODES_MAX         255U
#define EPILOG_MAX        64U /* bytes of code that are decoded */
#define FLAG_CHAINED      4U
#define REGISTERS         16U
#define MACHINE_FRAME_RSP 24U

enum operation {
    PUSH_NONVOL = 0,
    ALLOC_LARGE = 1,
    ALLOC_SMALL = 2,
    SET_FPREG = 3,
    SAVE_NONVOL = 4,
    SAVE_NONVOL_FAR = 5,
    EPILOG = 6, /* version 2; version 1 used the number to save a floating-point register in as many slots */
    SPARE = 7,
    SAVE_XMM128 = 8,
    SAVE_XMM128_FAR = 9,
    PUSH_MACHFRAME = 10,
};

struct function {
    uint32_t begin, end, info;
    uint32_t prolog_at; /* begin of the function that the prolog belongs to */
};

/* Unwind info and its codes. */
struct info {
    uint8_t flags, prolog, count, frame_register, frame_offset;
    uint8_t code[2 * (CODES_MAX + 1)];
    struct function chained;
};

static struct function decode_function(const uint8_t *entry)
{
    uint32_t begin = kdnet_get_le32(entry);
    return (struct function){begin, kdnet_get_le32(entry + 4), kdnet_get_le32(entry + 8), begin};
}

static bool read_info(struct unwinding *u, uint32_t rva, struct info *out)
{
    uint8_t header[INFO_HEADER], chained[ENTRY_SIZE];
    if (!kdnet_unwind_read_image(u, rva, header, sizeof header))
        return false;
    uint8_t version = header[0] & 7;
    if (version != 1 && version != 2)
        return kdnet_unwind_fail(u);
    *out = (struct info){.flags = header[0] >> 3,
                         .prolog = header[1],
                         .count = header[2],
                         .frame_register = header[3] & 15,
                         .frame_offset = header[3] >> 4};
    if (out->count > 0 && !kdnet_unwind_read_image(u, rva + INFO_HEADER, out->code, (size_t)2 * out->count))
        return false;
    if (!(out->flags & FLAG_CHAINED))
        return true;
    if (!kdnet_unwind_read_image(u, rva + INFO_HEADER + 2 * ((out->count + 1U) & ~1U), chained, sizeof chained))
        return false;
    out->chained = decode_function(chained);
    return true;
}

static unsigned slots_of(const uint8_t *code)
{
    switch (code[1] & 15) {
    case ALLOC_LARGE:
        return code[1] >> 4 == 0 ? 2 : 3;
    case SAVE_NONVOL:
    case SAVE_XMM128:
    case EPILOG:
        return 2;
    case SAVE_NONVOL_FAR:
    case SAVE_XMM128_FAR:
    case SPARE:
        return 3;
    default:
        return 1;
    }
}

/* --- epilogs ------------------------------------------------------------------------------------------------------ */

struct code {
    const uint8_t *byte;
    size_t length, at;
};

static bool comes(const struct code *c, size_t count)
{
    return c->length - c->at >= count;
}

static int32_t signed32(const uint8_t *bytes)
{
    return (int32_t)kdnet_get_le32(bytes);
}

/* add rsp, constant: 48 83 c4 ib, 48 81 c4 id. */
static bool take_add(struct code *c, struct kdnet_frame *frame)
{
    const uint8_t *b = c->byte + c->at;
    if (comes(c, 4) && b[0] == 0x48 && b[1] == 0x83 && b[2] == 0xc4) {
        frame->sp += (uint64_t)(int64_t)(int8_t)b[3];
        c->at += 4;
        return true;
    }
    if (comes(c, 7) && b[0] == 0x48 && b[1] == 0x81 && b[2] == 0xc4) {
        frame->sp += (uint64_t)(int64_t)signed32(b + 3);
        c->at += 7;
        return true;
    }
    return false;
}

/* lea rsp, [frame register + displacement]: 48 or 49, 8d, ModRM with reg 4. */
static void take_lea(struct code *c, const struct info *info, struct kdnet_frame *frame)
{
    const uint8_t *b = c->byte + c->at;
    if (info->frame_register == 0 || !comes(c, 4) || (b[0] & 0xfe) != 0x48 || b[1] != 0x8d || (b[2] & 0x38) != 0x20)
        return;
    unsigned base = (b[2] & 7U) | (b[0] & 1U) << 3;
    if (base != info->frame_register || (b[2] & 7) == 4)
        return;
    if (b[2] >> 6 == 1) {
        frame->sp = frame->x[base] + (uint64_t)(int64_t)(int8_t)b[3];
        c->at += 4;
    } else if (b[2] >> 6 == 2 && comes(c, 7)) {
        frame->sp = frame->x[base] + (uint64_t)(int64_t)signed32(b + 3);
        c->at += 7;
    }
}

/* Decodes "pop register": 58 to 5f, preceded by 41 for the upper eight. Returns whether one was found; unreadable
 * memory ends the call. */
static bool take_pop(struct unwinding *u, struct code *c, struct kdnet_frame *frame)
{
    const uint8_t *b = c->byte + c->at;
    bool upper = comes(c, 2) && b[0] == 0x41;
    if (!comes(c, upper ? 2 : 1) || (b[upper] & 0xf8) != 0x58)
        return false;
    unsigned reg = (b[upper] & 7U) | (unsigned)upper << 3;
    if (!kdnet_unwind_u64(u, frame->sp, &frame->x[reg]))
        return false;
    frame->sp += 8;
    c->at += upper ? 2 : 1;
    return true;
}

/* ret, ret n, rep ret, or a jump out of the function. */
static bool leaves(const struct code *c, const struct function *f, uint32_t rva)
{
    const uint8_t *b = c->byte + c->at;
    uint32_t target = f->begin, here = rva + (uint32_t)c->at;
    if (comes(c, 1) && (b[0] == 0xc3 || b[0] == 0xc2))
        return true;
    if (comes(c, 2) && b[0] == 0xf3 && b[1] == 0xc3)
        return true;
    if (comes(c, 2) && b[0] == 0xeb)
        target = here + 2 + (b[1] ^ 0x80U) - 0x80U;
    else if (comes(c, 5) && b[0] == 0xe9)
        target = here + 5 + kdnet_get_le32(b + 1);
    else
        return (comes(c, 2) && b[0] == 0xff && b[1] == 0x25) ||
               (comes(c, 3) && (b[0] & 0xf8) == 0x48 && b[1] == 0xff && (b[2] & 0x38) == 0x20);
    return target < f->begin || target >= f->end;
}

/* As much of the code at an address as there is up to EPILOG_MAX bytes: an epilog may end a page. */
static bool read_code(struct unwinding *u, uint64_t address, uint8_t *out, size_t *length)
{
    size_t room = (size_t)(KDNET_BLOCK_SIZE - address % KDNET_BLOCK_SIZE);
    *length = room < EPILOG_MAX ? room : EPILOG_MAX;
    if (!kdnet_unwind_read(u, address, out, *length)) {
        if (u->result == KDNET_UNWIND_NEEDS)
            return false;
        u->result = KDNET_UNWIND_OK; /* paged out: then by the codes */
        *length = 0;
        return true;
    }
    if (*length < EPILOG_MAX && kdnet_unwind_read(u, address + *length, out + *length, EPILOG_MAX - *length))
        *length = EPILOG_MAX;
    if (u->result == KDNET_UNWIND_NEEDS)
        return false;
    u->result = KDNET_UNWIND_OK;
    return true;
}

/* Completes the epilog that the processor stands in. Returns whether it stands in one; u->result says whether the
 * code was readable. */
static bool unwind_epilog(struct unwinding *u, const struct function *f, const struct info *info,
                          struct kdnet_frame *frame)
{
    uint8_t bytes[EPILOG_MAX];
    struct kdnet_frame work = *frame;
    struct code c = {.byte = bytes};
    if (!read_code(u, frame->pc, bytes, &c.length))
        return false;
    if (!take_add(&c, &work))
        take_lea(&c, info, &work);
    while (take_pop(u, &c, &work))
        ;
    if (u->result != KDNET_UNWIND_OK) {
        u->result = u->result == KDNET_UNWIND_NEEDS ? KDNET_UNWIND_NEEDS : KDNET_UNWIND_OK;
        return false;
    }
    if (!leaves(&c, f, (uint32_t)(frame->pc - u->image->base)))
        return false;
    *frame = work;
    return true;
}

/* --- codes -------------------------------------------------------------------------------------------------------- */

static uint64_t operand(const uint8_t *code, unsigned slots, unsigned scale)
{
    return slots == 2 ? (uint64_t)kdnet_get_le16(code + 2) * scale : kdnet_get_le32(code + 2);
}

struct undo {
    uint64_t base;         /* base of the saved registers' offsets */
    bool by_machine_frame; /* pc and sp came from an interrupt's frame */
};

static bool undo_machine_frame(struct unwinding *u, struct kdnet_frame *frame, bool has_error, struct undo *undo)
{
    uint64_t at = frame->sp + (has_error ? 8 : 0);
    undo->by_machine_frame = true;
    return kdnet_unwind_u64(u, at, &frame->pc) && kdnet_unwind_u64(u, at + MACHINE_FRAME_RSP, &frame->sp);
}

static bool undo_code(struct unwinding *u, const struct info *info, const uint8_t *code, struct kdnet_frame *frame,
                      struct undo *undo)
{
    unsigned reg = code[1] >> 4, slots = slots_of(code);
    switch (code[1] & 15) {
    case PUSH_NONVOL:
        frame->sp += 8;
        return kdnet_unwind_u64(u, frame->sp - 8, &frame->x[reg]);
    case ALLOC_LARGE:
        frame->sp += operand(code, slots, 8);
        return reg <= 1 || kdnet_unwind_fail(u);
    case ALLOC_SMALL:
        frame->sp += 8 * reg + 8;
        return true;
    case SET_FPREG:
        frame->sp = frame->x[info->frame_register] - 16U * info->frame_offset;
        return true;
    case SAVE_NONVOL:
    case SAVE_NONVOL_FAR:
        return kdnet_unwind_u64(u, undo->base + operand(code, slots, 8), &frame->x[reg]);
    case PUSH_MACHFRAME:
        return undo_machine_frame(u, frame, reg == 1, undo);
    case EPILOG:
    case SPARE:
    case SAVE_XMM128:
    case SAVE_XMM128_FAR:
        return true;
    default:
        return kdnet_unwind_fail(u);
    }
}

/* Undoes the codes of the prolog that the processor has executed: those at offsets up to `offset`. */
static bool undo_codes(struct unwinding *u, const struct info *info, uint32_t offset, struct kdnet_frame *frame,
                       struct undo *undo)
{
    for (unsigned i = 0; i < info->count && !undo->by_machine_frame;) {
        const uint8_t *code = info->code + (size_t)2 * i;
        unsigned slots = slots_of(code);
        if (i + slots > info->count)
            return kdnet_unwind_fail(u);
        if ((code[1] & 15) != EPILOG && code[0] <= offset && !undo_code(u, info, code, frame, undo))
            return false;
        i += slots;
    }
    return true;
}

/* Returns the stack pointer that registers were saved relative to: the frame register's value once it is set. */
static uint64_t find_base(const struct info *info, uint32_t offset, const struct kdnet_frame *frame)
{
    bool set = info->frame_register != 0 && (offset >= info->prolog || (info->flags & FLAG_CHAINED));
    for (unsigned i = 0; info->frame_register != 0 && !set && i < info->count;
         i += slots_of(info->code + (size_t)2 * i))
        set = (info->code[2 * i + 1] & 15) == SET_FPREG && info->code[2 * i] <= offset;
    return set ? frame->x[info->frame_register] - 16U * info->frame_offset : frame->sp;
}

static bool undo_function(struct unwinding *u, struct info *info, uint32_t offset, struct kdnet_frame *frame,
                          struct undo *undo)
{
    undo->base = find_base(info, offset, frame);
    for (unsigned depth = 0; undo_codes(u, info, offset, frame, undo); ++depth) {
        if (!(info->flags & FLAG_CHAINED) || undo->by_machine_frame)
            return true;
        if (depth >= KDNET_UNWIND_CHAIN_MAX)
            return kdnet_unwind_fail(u);
        if (!read_info(u, info->chained.info, info))
            return false;
        offset = UINT32_MAX; /* the whole prolog of the parent function was executed */
    }
    return false;
}

static bool return_to_caller(struct unwinding *u, struct kdnet_frame *frame)
{
    frame->sp += 8;
    return kdnet_unwind_u64(u, frame->sp - 8, &frame->pc);
}

/* Finds a function's entry. The entry of a separated part points to the function's own entry, which has the unwind
 * info and the prolog. */
static bool find_function(struct unwinding *u, uint32_t rva, struct function *out)
{
    uint8_t entry[ENTRY_SIZE];
    if (!kdnet_unwind_find(u, rva, ENTRY_SIZE, entry))
        return false;
    *out = decode_function(entry);
    if (rva >= out->end)
        return false;
    if (!(out->info & 1))
        return true;
    if (!kdnet_unwind_read_image(u, out->info & ~1U, entry, sizeof entry))
        return false;
    out->prolog_at = kdnet_get_le32(entry);
    out->info = kdnet_get_le32(entry + 8);
    return !(out->info & 1) || kdnet_unwind_fail(u);
}

bool kdnet_unwind_x64(struct unwinding *u, struct kdnet_frame *frame)
{
    struct function f;
    struct info info;
    struct undo undo = {.by_machine_frame = false};
    bool exact = frame->exact, done = false;
    uint32_t rva = (uint32_t)(frame->pc - u->image->base);
    frame->exact = false;
    frame->x[KDNET_X64_RSP] = frame->sp;
    if (!find_function(u, exact ? rva : rva - 1, &f)) {
        if (u->result != KDNET_UNWIND_OK)
            return false;
        done = return_to_caller(u, frame); /* a leaf */
    } else if (read_info(u, f.info, &info)) {
        uint32_t offset = rva - f.prolog_at; /* a part before the function wraps: behind any prolog */
        bool epilog = exact && offset >= info.prolog && unwind_epilog(u, &f, &info, frame);
        if (u->result != KDNET_UNWIND_OK)
            return false;
        done = (epilog || undo_function(u, &info, offset, frame, &undo)) &&
               (undo.by_machine_frame || return_to_caller(u, frame));
        frame->exact = undo.by_machine_frame;
    }
    frame->x[KDNET_X64_RSP] = frame->sp;
    return done;
}
