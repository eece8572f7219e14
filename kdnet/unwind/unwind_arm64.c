/* SPDX-License-Identifier: Apache-2.0 */
/* ARM64 [doc: "ARM64 exception handling"]. Packed unwind data is expanded into codes, so that one reader serves both
 * forms. */
#include "kdnet/base/wire.h"
#include "kdnet/unwind/unwind_internal.h"

#include <stddef.h>
#include <string.h>

#define ENTRY_SIZE   8U
#define CODES_MAX    1020U /* bytes: 255 words */
#define PACKED_MAX   64U
#define SCOPES_MAX   64U /* epilogs that are examined; a pc in a later epilog counts as in the body */
#define PAIRS_MAX    8U
#define CALL_SAVED   19U
#define CONTEXT_SP   0x100U /* CONTEXT [doc: winnt.h] */
#define CONTEXT_PC   0x108U
#define CONTEXT_X0   0x8U
#define INSTRUCTION  4U
#define PAC_SIGN_BIT 55U
#define PAC_ADDRESS  0x0000ffffffffffffU

enum {
    CODE_SET_FP = 0xe1,
    CODE_ADD_FP = 0xe2,
    CODE_NOP = 0xe3,
    CODE_END = 0xe4,
    CODE_END_C = 0xe5,
    CODE_SAVE_NEXT = 0xe6,
    CODE_MACHINE_FRAME = 0xe9,
    CODE_CONTEXT = 0xea,
    CODE_CLEAR_UNWOUND = 0xec,
    CODE_PAC = 0xfc,
};

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

/* --- packed ------------------------------------------------------------------------------------------------------- */

struct writer {
    uint8_t *code;
    size_t count;
};

static void put(struct writer *w, unsigned byte)
{
    if (w->count < PACKED_MAX)
        w->code[w->count++] = (uint8_t)byte;
}

static void put2(struct writer *w, unsigned code)
{
    put(w, code >> 8);
    put(w, code & 0xff);
}

struct packed {
    unsigned float_count, int_count, home, chain, frame_size; /* chain: CR; sizes in bytes */
    unsigned int_size, saved_size, local_size;
};

static struct packed decode_packed(uint32_t data)
{
    struct packed p = {.float_count = data >> 13 & 7,
                       .int_count = data >> 16 & 15,
                       .home = data >> 20 & 1,
                       .chain = data >> 21 & 3,
                       .frame_size = (data >> 23) * 16};
    p.float_count += p.float_count > 0;
    p.int_size = p.int_count * 8 + (p.chain == 1 ? 8 : 0);
    p.saved_size = (p.int_size + p.float_count * 8 + 64 * p.home + 15) & ~15U;
    p.local_size = p.frame_size - p.saved_size;
    return p;
}

/* Codes of "sub sp, sp, size": one instruction, or two. */
static void put_alloc(struct writer *w, unsigned size)
{
    if (size > 4080) {
        put2(w, 0xc000 | (size - 4080) / 16);
        size = 4080;
    }
    if (size >= 512)
        put2(w, 0xc000 | size / 16);
    else if (size > 0)
        put(w, size / 16);
}

/* Step 5 of the canonical prolog: locals, and the frame chain. */
static void put_locals(struct writer *w, const struct packed *p)
{
    if (p->chain < 2) {
        put_alloc(w, p->local_size);
        return;
    }
    put(w, CODE_SET_FP);
    if (p->local_size <= 512) {
        put(w, 0x80 | (p->local_size / 8 - 1)); /* stp x29, lr, [sp, #-size]! */
    } else {
        put(w, 0x40); /* stp x29, lr, [sp] */
        put_alloc(w, p->local_size);
    }
}

/* Codes of floating-point pairs behind the integers; the first pair allocates when there are no integers. */
static void put_floats(struct writer *w, const struct packed *p)
{
    bool first_allocates = p->int_size == 0;
    for (unsigned pair = p->float_count / 2; p->float_count % 2 == 1 || pair > 0;) {
        unsigned reg = p->float_count - p->float_count % 2;
        if (p->float_count % 2 == 1) { /* an odd register comes last */
            put2(w, 0xdc00 | reg << 6 | (p->int_size + 8 * reg) / 8);
            struct packed even = *p;
            even.float_count = reg;
            put_floats(w, &even);
            return;
        }
        --pair;
        if (pair == 0 && first_allocates)
            put2(w, 0xda00 | (p->saved_size / 8 - 1));
        else
            put2(w, 0xd800 | 2 * pair << 6 | (p->int_size + 16 * pair) / 8);
    }
}

/* The first save of the integers allocates the area of all saved registers. */
static void put_first_ints(struct writer *w, const struct packed *p)
{
    unsigned words = p->saved_size / 8;
    if (p->int_count >= 2) {
        put2(w, 0xcc00 | (words - 1)); /* stp x19, x20, [sp, #-size]! */
    } else if (p->int_count == 1 && p->chain == 1) {
        put2(w, 0xd600); /* stp x19, lr, [sp] */
        put_alloc(w, p->saved_size);
    } else if (p->int_count == 1) {
        put2(w, 0xd400 | (words - 1)); /* str x19, [sp, #-size]! */
    } else if (p->chain == 1) {
        put2(w, 0xd400 | 11U << 5 | (words - 1)); /* str lr, [sp, #-size]! */
    }
}

static void put_ints(struct writer *w, const struct packed *p)
{
    unsigned odd = p->int_count % 2, top = p->int_count - odd;
    if (p->int_count > 1 && p->chain == 1 && odd)
        put2(w, 0xd600 | top / 2 << 6 | top); /* stp xN, lr, [sp, #] */
    else if (p->int_count > 1 && p->chain == 1)
        put2(w, 0xd000 | 11U << 6 | top); /* str lr, [sp, #] */
    else if (p->int_count > 1 && odd)
        put2(w, 0xd000 | top << 6 | top); /* str xN, [sp, #] */
    for (unsigned pair = top / 2; pair > 1; --pair)
        put2(w, 0xc800 | 2 * (pair - 1) << 6 | 2 * (pair - 1)); /* stp xN, xM, [sp, #] */
    put_first_ints(w, p);
}

/* The codes of a packed prolog, the last instruction first. */
static bool expand(uint32_t data, struct function *f)
{
    struct writer w = {.code = f->code};
    struct packed p = decode_packed(data);
    if (p.saved_size > p.frame_size || p.int_count > 10 || (p.chain >= 2 && p.local_size < 16))
        return false;
    put_locals(&w, &p);
    bool home_allocates = p.home && p.int_size == 0 && p.float_count == 0;
    for (unsigned i = home_allocates; i < 4 * p.home; ++i)
        put(&w, CODE_NOP); /* stp x0, x1 … x6, x7 */
    put_floats(&w, &p);
    if (home_allocates)
        put_alloc(&w, p.saved_size);
    put_ints(&w, &p);
    if (p.chain == 2)
        put(&w, CODE_PAC);
    put(&w, CODE_END);
    f->code_count = w.count;
    return true;
}

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
        if ((data & 3) == 3 || !expand(data, f))
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
