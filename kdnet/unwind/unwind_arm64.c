/* SPDX-License-Identifier: Apache-2.0 */
/* ARM64 [doc: "ARM64 exception handling"]. Packed unwind data is expanded into codes, so that one reader serves both
 * forms. */
#include "kdnet/base/wire.h"
#include "kdnet/unwind/arm64_codes.h"
#include "kdnet/unwind/unwind_internal.h"

#include <stddef.h>
#include <string.h>

#define ENTRY_SIZE   8U
#define CODES_MAX    1020U /* bytes: 255 words */
#define SCOPES_MAX   64U   /* epilogs that are examined; a pc in a later epilog counts as in the body */
#define PAIRS_MAX    8U
#define CALL_SAVED   19U
#define CONTEXT_SP   0x100U /* CONTEXT [doc: winnt.h] */
#define CONTEXT_PC   0x108U
#define CONTEXT_X0   0x8U
#define INSTRUCTION  4U
#define PAC_SIGN_BIT 55U
#define PAC_ADDRESS  0x0000ffffffffffffU

/* A function as described by its entry or its .xdata. */
struct function {
    uint32_t begin, length; /* bytes */
    bool has_prolog;        /* false: a fragment, whose prolog belongs to another entry */
    bool packed;
    unsigned scope_count;
    bool one_at_end; /* one epilog at the end of the function, from code `first` on */
    unsigned first;
    uint32_t scopes; /* RVA of the epilog scopes */
    size_t code_count;
    uint8_t code[CODES_MAX + 4]; /* END follows the last code */
};

/* --- .xdata ------------------------------------------------------------------------------------------------------- */

static bool read_word(struct unwinding *u, uint32_t rva, uint32_t *out)
{
    uint8_t word[4];
    if (!kdnet_unwind_read_image(u, rva, word, sizeof word))
        return false;
    *out = kdnet_get_le32(word);
    return true;
}

static bool read_xdata(struct unwinding *u, uint32_t rva, struct function *f)
{
    uint32_t header = 0, more = 0, at = rva + 4;
    if (!read_word(u, rva, &header))
        return false;
    if ((header >> 18 & 3) != 0)
        return kdnet_unwind_fail(u);
    f->length = (header & 0x3ffff) * INSTRUCTION;
    f->one_at_end = header >> 21 & 1;
    unsigned epilogs = header >> 22 & 31, words = header >> 27;
    if (epilogs == 0 && words == 0) {
        if (!read_word(u, at, &more))
            return false;
        at += 4;
        epilogs = more & 0xffff;
        words = more >> 16 & 0xff;
    }
    f->scopes = at;
    f->scope_count = f->one_at_end ? 0 : epilogs;
    f->first = f->one_at_end ? epilogs : 0;
    f->code_count = (size_t)words * 4;
    at += f->scope_count * 4;
    f->code[f->code_count] = CODE_END;
    for (uint32_t done = 0; done < f->code_count; done += 4)
        if (!kdnet_unwind_read_image(u, at + done, f->code + done, 4))
            return false;
    return true;
}

static bool find_function(struct unwinding *u, uint32_t rva, struct function *f)
{
    uint8_t entry[ENTRY_SIZE];
    if (!kdnet_unwind_find(u, rva, ENTRY_SIZE, entry))
        return false;
    uint32_t data = kdnet_get_le32(entry + 4);
    memset(f, 0, offsetof(struct function, code));
    f->begin = kdnet_get_le32(entry);
    f->packed = (data & 3) != 0;
    f->has_prolog = (data & 3) != 2;
    if (!f->packed) {
        if (!read_xdata(u, data, f))
            return false;
    } else {
        f->length = (data >> 2 & 0x7ff) * INSTRUCTION;
        f->one_at_end = true;
        if ((data & 3) == 3 || !kdnet_arm64_expand(data, f->code, &f->code_count))
            return kdnet_unwind_fail(u);
    }
    return rva - f->begin < f->length;
}

/* --- codes -------------------------------------------------------------------------------------------------------- */

static size_t length_of(uint8_t code)
{
    static const uint8_t upper[] = {4, 1, 2, 1, 1, 1, 1, 3}; /* e0 to e7 */
    if (code < 0xc0)
        return 1;
    if (code < 0xe0)
        return 2;
    return code < 0xe8 ? upper[code - 0xe0] : 1;
}

static bool is_end(uint8_t code)
{
    return code == CODE_END;
}

/* Whether a code stands for an instruction. Epilogs of packed data have none where the prolog saves parameters or sets
 * the frame pointer. */
static bool is_instruction(const struct function *f, uint8_t code, bool epilog)
{
    return !(epilog && f->packed && (code == CODE_NOP || code == CODE_SET_FP));
}

/* Instructions of a prolog or epilog whose codes begin at `from`. */
static unsigned count_instructions(const struct function *f, size_t from, bool epilog)
{
    unsigned count = 0;
    for (size_t i = from; i < f->code_count && !is_end(f->code[i]) && f->code[i] != CODE_END_C;
         i += length_of(f->code[i]))
        count += is_instruction(f, f->code[i], epilog);
    return count;
}

static size_t skip_codes(const struct function *f, size_t from, unsigned count, bool epilog)
{
    while (from < f->code_count && !is_end(f->code[from])) {
        bool counts = is_instruction(f, f->code[from], epilog);
        if (counts && count == 0)
            break;
        count -= counts;
        from += length_of(f->code[from]);
    }
    return from;
}

/* The walk over the codes of one function. */
struct walk {
    struct unwinding *u;
    struct kdnet_frame *frame;
    unsigned next_pairs; /* save_next codes that wait for the pair before theirs */
    bool pac, by_machine_frame;
};

static bool load(struct walk *w, unsigned reg, uint64_t address)
{
    if (reg > KDNET_ARM64_LR)
        return kdnet_unwind_fail(w->u);
    return kdnet_unwind_u64(w->u, address, &w->frame->x[reg]);
}

/* Loads a pair at sp + offset, and the pairs of save_next behind it; then adds `pop` to sp. */
static bool load_pairs(struct walk *w, unsigned reg, unsigned second, uint64_t offset, uint64_t pop)
{
    uint64_t at = w->frame->sp + offset;
    if (!load(w, reg, at) || !load(w, second, at + 8))
        return false;
    for (unsigned i = 1; i <= w->next_pairs; ++i)
        if (!load(w, reg + 2 * i, at + 16 * i) || !load(w, reg + 2 * i + 1, at + 16 * i + 8))
            return false;
    w->next_pairs = 0;
    w->frame->sp += pop;
    return true;
}

static bool load_one(struct walk *w, unsigned reg, uint64_t offset, uint64_t pop)
{
    if (!load(w, reg, w->frame->sp + offset))
        return false;
    w->frame->sp += pop;
    return true;
}

/* Undoes codes of one byte below c0. */
static bool undo_short(struct walk *w, unsigned code)
{
    if (code < 0x20) { /* alloc_s */
        w->frame->sp += (uint64_t)16 * code;
        return true;
    }
    if (code < 0x40) { /* save_r19r20_x */
        uint64_t pop = (uint64_t)8 * (code & 0x1f);
        return load_pairs(w, CALL_SAVED, CALL_SAVED + 1, 0, pop);
    }
    uint64_t z = code & 0x3f;
    if (code < 0x80) /* save_fplr */
        return load_pairs(w, KDNET_ARM64_FP, KDNET_ARM64_LR, 8 * z, 0);
    return load_pairs(w, KDNET_ARM64_FP, KDNET_ARM64_LR, 0, 8 * (z + 1)); /* save_fplr_x */
}

/* Codes of two bytes, c0 to df. */
static bool undo_pair(struct walk *w, unsigned code)
{
    unsigned reg = CALL_SAVED + (code >> 6 & 15), top = code >> 8;
    uint64_t z = code & 0x3f;
    if (top < 0xc8) { /* alloc_m */
        w->frame->sp += (uint64_t)16 * (code & 0x7ff);
        return true;
    }
    if (top < 0xcc) /* save_regp */
        return load_pairs(w, reg, reg + 1, 8 * z, 0);
    if (top < 0xd0) /* save_regp_x */
        return load_pairs(w, reg, reg + 1, 0, 8 * (z + 1));
    if (top < 0xd4) /* save_reg */
        return load_one(w, reg, 8 * z, 0);
    if (top < 0xd6) /* save_reg_x */
        return load_one(w, CALL_SAVED + (code >> 5 & 15), 0, 8 * ((code & 0x1f) + 1ULL));
    if (top < 0xd8) { /* save_lrpair */
        unsigned first = CALL_SAVED + 2 * (code >> 6 & 7);
        return load_pairs(w, first, KDNET_ARM64_LR, 8 * z, 0);
    }
    w->next_pairs = 0;              /* the rest is floating point: d8 to d15 */
    if (top == 0xda || top == 0xdb) /* save_fregp_x */
        w->frame->sp += 8 * (z + 1);
    else if (top == 0xde) /* save_freg_x */
        w->frame->sp += 8 * ((code & 0x1f) + 1ULL);
    return top != 0xdf || kdnet_unwind_fail(w->u); /* alloc_z: how long a vector is, is not known */
}

static bool undo_machine_frame(struct walk *w)
{
    uint64_t at = w->frame->sp;
    w->by_machine_frame = true;
    return kdnet_unwind_u64(w->u, at, &w->frame->sp) && kdnet_unwind_u64(w->u, at + 8, &w->frame->pc);
}

static bool undo_context(struct walk *w)
{
    uint64_t at = w->frame->sp;
    w->by_machine_frame = true;
    for (unsigned i = 0; i <= KDNET_ARM64_LR; ++i)
        if (!load(w, i, at + CONTEXT_X0 + (uint64_t)8 * i))
            return false;
    return kdnet_unwind_u64(w->u, at + CONTEXT_SP, &w->frame->sp) &&
           kdnet_unwind_u64(w->u, at + CONTEXT_PC, &w->frame->pc);
}

/* Codes from e0 on. */
static bool undo_long(struct walk *w, const uint8_t *code)
{
    switch (code[0]) {
    case 0xe0: /* alloc_l */
        w->frame->sp += 16 * ((uint64_t)code[1] << 16 | (uint64_t)code[2] << 8 | code[3]);
        return true;
    case CODE_SET_FP:
        w->frame->sp = w->frame->x[KDNET_ARM64_FP];
        return true;
    case CODE_ADD_FP:
        w->frame->sp = w->frame->x[KDNET_ARM64_FP] - (uint64_t)8 * code[1];
        return true;
    case CODE_SAVE_NEXT:
        return ++w->next_pairs <= PAIRS_MAX || kdnet_unwind_fail(w->u);
    case CODE_MACHINE_FRAME:
        return undo_machine_frame(w);
    case CODE_CONTEXT:
        return undo_context(w);
    case CODE_PAC:
        w->pac = true;
        return true;
    case CODE_NOP:
    case CODE_END_C:
    case CODE_CLEAR_UNWOUND:
        return true;
    default:
        return kdnet_unwind_fail(w->u);
    }
}

static bool undo_codes(struct walk *w, const struct function *f, size_t from)
{
    for (size_t i = from; i < f->code_count && !is_end(f->code[i]) && !w->by_machine_frame;) {
        const uint8_t *code = f->code + i;
        size_t length = length_of(code[0]);
        if (i + length > f->code_count)
            return kdnet_unwind_fail(w->u);
        bool done = code[0] < 0xc0   ? undo_short(w, code[0])
                    : code[0] < 0xe0 ? undo_pair(w, (unsigned)code[0] << 8 | code[1])
                                     : undo_long(w, code);
        if (!done)
            return false;
        i += length;
    }
    return true;
}

/* --- where in the function ---------------------------------------------------------------------------------------- */

/* Whether `offset` lies in an epilog that starts at `start`, with the codes from `first` on. Its ret belongs to it. */
static bool in_epilog(const struct function *f, uint32_t offset, uint32_t start, size_t first, size_t *from)
{
    uint32_t length = (count_instructions(f, first, true) + 1) * INSTRUCTION;
    if (offset < start || offset - start >= length)
        return false;
    *from = skip_codes(f, first, (offset - start) / INSTRUCTION, true);
    return true;
}

/* From which code on to undo: all of them in the body. */
static bool find_codes(struct unwinding *u, const struct function *f, uint32_t offset, size_t *from)
{
    unsigned prolog = f->has_prolog ? count_instructions(f, 0, false) : 0;
    *from = 0;
    if (offset < prolog * INSTRUCTION) {
        *from = skip_codes(f, 0, prolog - offset / INSTRUCTION, false);
        return true;
    }
    if (f->one_at_end) {
        uint32_t length = (count_instructions(f, f->first, true) + 1) * INSTRUCTION;
        (void)(length <= f->length && in_epilog(f, offset, f->length - length, f->first, from));
        return true;
    }
    for (unsigned i = 0; i < f->scope_count && i < SCOPES_MAX; ++i) {
        uint32_t scope = 0;
        if (!read_word(u, f->scopes + 4 * i, &scope))
            return false;
        if (in_epilog(f, offset, (scope & 0x3ffff) * INSTRUCTION, scope >> 22, from))
            return true;
    }
    return true;
}

static uint64_t without_pac(uint64_t address)
{
    return address >> PAC_SIGN_BIT & 1 ? address | ~PAC_ADDRESS : address & PAC_ADDRESS;
}

bool kdnet_unwind_arm64(struct unwinding *u, struct kdnet_frame *frame)
{
    struct function f;
    struct walk w = {.u = u, .frame = frame};
    bool exact = frame->exact;
    uint32_t rva = (uint32_t)(frame->pc - u->image->base);
    size_t from = 0;
    frame->exact = false;
    bool found = find_function(u, exact ? rva : rva - INSTRUCTION, &f);
    if (u->result != KDNET_UNWIND_OK)
        return false;
    if (found && exact && !find_codes(u, &f, rva - f.begin, &from))
        return false;
    if (found && !undo_codes(&w, &f, from))
        return false;
    frame->exact = w.by_machine_frame;
    if (!w.by_machine_frame)
        frame->pc = w.pac ? without_pac(frame->x[KDNET_ARM64_LR]) : frame->x[KDNET_ARM64_LR];
    return found || exact; /* only where the processor stands may a function have no unwind data */
}
