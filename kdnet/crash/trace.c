/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/crash/trace.h"
#include "kdnet/base/wire.h"
#include "kdnet/crash/frame_record.h"
#include "kdnet/crash/trace_call.h"
#include "kdnet/crash/trace_images.h"
#include "kdnet/kernel/pdb.h"
#include "kdnet/kernel/pe.h"

#include <stdio.h>
#include <string.h>

#define RECORD32_ADDRESS   12U  /* of ExceptionAddress in a 32-bit EXCEPTION_RECORD [doc: winnt.h] */
#define DEBUG_ENTRIES_SIZE 448U /* bytes of a debug directory that are read: 16 entries */

void kdnet_trace_begin(struct kdnet_trace_search *search, const struct kdnet_trace_start *start)
{
    search->start = *start;
    memset(&search->trace, 0, sizeof search->trace);
    search->trace.address_image = search->trace.pdb_image = KDNET_TRACE_NO_IMAGE;
    search->asked = 0;
    search->budget = start->storm ? KDNET_TRACE_IN_STORM : KDNET_TRACE_BLOCKS;
    search->stage = KDNET_TRACE_ADDRESS;
    search->frame = start->frame;
    search->walk = search->weighed = 0;
    search->code_read = search->waits = false;
    search->walked = start->module_list == 0;
    search->module_count = 0;
    kdnet_blocks_clear(&search->blocks);
}

/* --- stages ------------------------------------------------------------------------------------------------------- */

/* Whether an image can be blamed for a crash. */
static bool is_others(const struct kdnet_trace *trace, uint8_t image)
{
    return image < trace->image_count && !kdnet_image_is_of_crash_path(trace->image[image].name);
}

static enum kdnet_unwind_result find_address(struct kdnet_trace_search *search)
{
    enum kdnet_cause_kind kind = KDNET_CAUSE_ADDRESS;
    enum kdnet_machine machine = search->start.machine;
    uint64_t address = kdnet_cause_address(machine, &search->start.bugcheck, &kind);
    uint8_t bytes[8];
    if (address != 0 && kind == KDNET_CAUSE_EXCEPTION_RECORD) {
        uint64_t at = address + (kdnet_trace_is_wide(search) ? KDNET_EXCEPTION_ADDRESS : RECORD32_ADDRESS);
        enum kdnet_unwind_result result = kdnet_trace_read(search, at, bytes, kdnet_trace_is_wide(search) ? 8 : 4);
        if (result == KDNET_UNWIND_NEEDS)
            return result;
        address = result == KDNET_UNWIND_OK ? kdnet_trace_pointer(search, bytes) : 0;
        if (kdnet_machine_is_user_address(machine, address))
            address = 0;
    }
    search->trace.address = address;
    search->stage = KDNET_TRACE_KERNEL;
    return KDNET_UNWIND_OK;
}

/* Sets the budget by how much other machines with this kernel were asked, or are. False: it waits for these. */
static bool weigh_kernel(struct kdnet_trace_search *search, const struct kdnet_image_place *kernel)
{
    const struct kdnet_trace_start *start = &search->start;
    enum kdnet_trace_claimed claimed = KDNET_TRACE_IN_FULL;
    if (start->cache)
        claimed = kdnet_trace_cache_claim_kernel(start->cache, kernel, start->kernel_id, start->teller, start->now_us,
                                                 start->claim_until_us);
    search->budget = claimed == KDNET_TRACE_IN_FULL ? KDNET_TRACE_BLOCKS : KDNET_TRACE_FAMILIAR;
    search->waits = claimed == KDNET_TRACE_BUSY && start->now_us < start->wait_until_us;
    return !search->waits;
}

/* Finds the kernel's image, which needs no list, and needs its header only until two machines have shown it. The
 * kernel is always the first image of the trace. */
static enum kdnet_unwind_result find_kernel(struct kdnet_trace_search *search)
{
    const struct kdnet_trace_start *start = &search->start;
    struct kdnet_image_place kernel = kdnet_trace_kernel_place(start);
    struct kdnet_image_header header;
    enum kdnet_unwind_result result = KDNET_UNWIND_OK;
    if (kernel.size == 0)
        result = kdnet_trace_header(search, &kernel, &header);
    if (result == KDNET_UNWIND_NEEDS)
        return result;
    if (result == KDNET_UNWIND_OK && kernel.size == 0 && header.size <= KDNET_TRACE_IMAGE_SIZE_MAX) {
        kernel.size = header.size;
        kernel.stamp = header.stamp;
    }
    if (!start->storm && !weigh_kernel(search, &kernel))
        return KDNET_UNWIND_NEEDS;
    (void)kdnet_trace_add_image(&search->trace, &kernel);
    search->stage = KDNET_TRACE_CAUSE;
    return KDNET_UNWIND_OK;
}

static void learn(struct kdnet_trace_search *search, uint8_t image, uint64_t address)
{
    if (search->start.cache && image != KDNET_TRACE_NO_IMAGE && image != 0)
        kdnet_trace_cache_learn_hint(search->start.cache, search->start.teller, &search->trace.image[0],
                                     &search->trace.image[image], address);
}

/* Learns the code around an address in an image that may be blamed. The first machines provide the code; later
 * machines that have the image's header paged out are then recognised by the code. Returns NEEDS or OK. */
static enum kdnet_unwind_result learn_code(struct kdnet_trace_search *search, uint8_t image, uint64_t address)
{
    uint8_t byte;
    struct kdnet_trace *trace = &search->trace;
    if (!search->start.cache || search->budget != KDNET_TRACE_BLOCKS || !is_others(trace, image) || search->code_read)
        return KDNET_UNWIND_OK;
    if (kdnet_trace_read(search, address - address % KDNET_BLOCK_SIZE, &byte, 1) == KDNET_UNWIND_NEEDS)
        return KDNET_UNWIND_NEEDS;
    search->code_read = true;
    return KDNET_UNWIND_OK;
}

/* In a storm a machine is asked little when others have told where such an address lies; else as any other. False: it
 * waits. */
static bool weigh_storm(struct kdnet_trace_search *search)
{
    struct kdnet_image_place guess;
    uint64_t address = search->trace.address;
    bool known = kdnet_trace_find_image(&search->trace, address) == KDNET_TRACE_NO_IMAGE &&
                 kdnet_trace_cache_guess(search->start.cache, search->start.machine, address, 0, &guess);
    if (!search->start.storm || known)
        return true;
    if (!weigh_kernel(search, &search->trace.image[0]))
        return false;
    search->start.storm = false;
    return true;
}

static enum kdnet_unwind_result find_cause(struct kdnet_trace_search *search)
{
    struct kdnet_trace *trace = &search->trace;
    if (!weigh_storm(search))
        return KDNET_UNWIND_NEEDS;
    if (trace->address != 0) {
        if (kdnet_trace_locate(search, trace->address, &trace->address_image) == KDNET_UNWIND_NEEDS ||
            learn_code(search, trace->address_image, trace->address) == KDNET_UNWIND_NEEDS)
            return KDNET_UNWIND_NEEDS;
        learn(search, trace->address_image, trace->address);
    }
    search->stage = search->start.storm ? KDNET_TRACE_DONE : KDNET_TRACE_RECORD;
    return KDNET_UNWIND_OK;
}

/* Finds the frame at the fault, from the bug check's record if there is one; else the current frame. */
static enum kdnet_unwind_result find_record(struct kdnet_trace_search *search)
{
    uint8_t record[KDNET_FRAME_RECORD_MAX];
    enum kdnet_machine machine = search->start.machine;
    enum kdnet_frame_record kind = KDNET_FRAME_CONTEXT;
    uint64_t at = kdnet_frame_record_address(machine, &search->start.bugcheck, &kind);
    uint32_t from = 0, to = 0;
    enum kdnet_unwind_result result = KDNET_UNWIND_END;
    if (at != 0 && kdnet_frame_record_area(machine, kind, &from, &to))
        result = kdnet_trace_read(search, at + from, record + from, to - from);
    if (result == KDNET_UNWIND_NEEDS)
        return result;
    bool found = result == KDNET_UNWIND_OK && kdnet_frame_from_record(machine, kind, at, record, &search->frame);
    search->stage = found || search->start.frame_known ? KDNET_TRACE_STACK : KDNET_TRACE_IDENTITY;
    return KDNET_UNWIND_OK;
}

static void add_frame(struct kdnet_trace_search *search, uint8_t image)
{
    struct kdnet_trace *trace = &search->trace;
    trace->frame[trace->frame_count++] = (struct kdnet_trace_frame){search->frame.pc, image};
    learn(search, image, search->frame.pc);
}

/* Finds a frame's caller by the unwind data of the frame's image. */
static enum kdnet_unwind_result find_caller(struct kdnet_trace_search *search, uint8_t image,
                                            struct kdnet_frame *caller)
{
    const struct kdnet_image_place *place = &search->trace.image[image];
    struct kdnet_image_header header = {.size = 0};
    enum kdnet_unwind_result result = learn_code(search, image, search->frame.pc);
    if (result == KDNET_UNWIND_OK)
        result = kdnet_trace_header(search, place, &header);
    if (result != KDNET_UNWIND_OK)
        return result;
    const struct kdnet_unwind_image unwind = {
        .base = place->base, .size = place->size, .table_rva = header.table_rva, .table_size = header.table_size};
    return kdnet_unwind(search->start.machine, &search->blocks, &unwind, caller);
}

/* Adds one frame: its image, then its caller. */
static enum kdnet_unwind_result find_frame(struct kdnet_trace_search *search)
{
    struct kdnet_frame caller = search->frame;
    uint8_t image;
    enum kdnet_unwind_result result = kdnet_trace_locate(search, search->frame.pc, &image);
    if (result == KDNET_UNWIND_OK)
        result = find_caller(search, image, &caller);
    else if (result == KDNET_UNWIND_END)
        result = kdnet_trace_caller_of_nothing(search, &caller);
    if (result == KDNET_UNWIND_NEEDS)
        return result;
    add_frame(search, image);
    search->frame = caller;
    if (result == KDNET_UNWIND_END || search->trace.frame_count == KDNET_TRACE_FRAMES)
        search->stage = KDNET_TRACE_IDENTITY;
    return KDNET_UNWIND_OK;
}

/* Reads a part of an image. END: unreadable, or out of the image. */
static enum kdnet_unwind_result read_image(struct kdnet_trace_search *search, const struct kdnet_image_place *image,
                                           uint32_t rva, uint8_t *out, size_t length)
{
    if (rva > image->size || length > image->size - rva)
        return KDNET_UNWIND_END;
    return kdnet_trace_read(search, image->base + rva, out, length);
}

/* Reads the symbol file's identity from an image's own headers. */
static enum kdnet_unwind_result read_identity(struct kdnet_trace_search *search, const struct kdnet_image_place *image,
                                              struct kdnet_pdb *out)
{
    uint8_t header[KDNET_PE_HEADER_SIZE], directory[DEBUG_ENTRIES_SIZE], record[KDNET_CODEVIEW_SIZE];
    uint32_t rva = 0, size = 0;
    enum kdnet_unwind_result result = read_image(search, image, 0, header, sizeof header);
    if (result != KDNET_UNWIND_OK || kdnet_pe_debug_directory(header, sizeof header, &rva, &size) != 0)
        return result == KDNET_UNWIND_NEEDS ? result : KDNET_UNWIND_END;
    size = size < sizeof directory ? size : sizeof directory;
    result = read_image(search, image, rva, directory, size);
    if (result != KDNET_UNWIND_OK || kdnet_pe_codeview(directory, size, &rva, &size) != 0)
        return result == KDNET_UNWIND_NEEDS ? result : KDNET_UNWIND_END;
    size = size < sizeof record ? size : sizeof record;
    result = read_image(search, image, rva, record, size);
    if (result != KDNET_UNWIND_OK || kdnet_pdb_decode(record, size, out) != 0)
        return result == KDNET_UNWIND_NEEDS ? result : KDNET_UNWIND_END;
    return KDNET_UNWIND_OK;
}

/* Finds the blamed image's identity; the kernel's is known from the image_identity probe. */
static enum kdnet_unwind_result find_identity(struct kdnet_trace_search *search)
{
    struct kdnet_trace *trace = &search->trace;
    uint64_t address;
    const struct kdnet_image_place *image = kdnet_trace_blames(trace, &address);
    enum kdnet_unwind_result result = image && image != &trace->image[0] ? read_identity(search, image, &trace->pdb)
                                                                         : KDNET_UNWIND_END;
    if (result == KDNET_UNWIND_NEEDS)
        return result;
    if (result == KDNET_UNWIND_OK)
        trace->pdb_image = (uint8_t)(image - trace->image);
    search->stage = KDNET_TRACE_DONE;
    return KDNET_UNWIND_OK;
}

static enum kdnet_unwind_result work(struct kdnet_trace_search *search)
{
    switch (search->stage) {
    case KDNET_TRACE_ADDRESS:
        return find_address(search);
    case KDNET_TRACE_KERNEL:
        return find_kernel(search);
    case KDNET_TRACE_CAUSE:
        return find_cause(search);
    case KDNET_TRACE_RECORD:
        return find_record(search);
    case KDNET_TRACE_STACK:
        return find_frame(search);
    case KDNET_TRACE_IDENTITY:
        return find_identity(search);
    case KDNET_TRACE_DONE:
    default:
        return KDNET_UNWIND_END;
    }
}

static void end(struct kdnet_trace_search *search)
{
    struct kdnet_trace *trace = &search->trace;
    trace->cut = search->stage < KDNET_TRACE_IDENTITY;
    if (trace->cut && search->stage == KDNET_TRACE_STACK && trace->frame_count < KDNET_TRACE_FRAMES)
        add_frame(search, kdnet_trace_find_image(trace, search->frame.pc));
    search->stage = KDNET_TRACE_DONE;
    kdnet_trace_end_walk(search);
    if (search->start.cache && trace->image_count > 0 && search->budget == KDNET_TRACE_BLOCKS)
        kdnet_trace_cache_learn_kernel(search->start.cache, &trace->image[0], search->start.kernel_id,
                                       search->start.teller);
}

void kdnet_trace_give(struct kdnet_trace_search *search, const uint8_t *data, size_t length)
{
    kdnet_trace_take_block(search, data, length);
}

bool kdnet_trace_next(struct kdnet_trace_search *search, uint64_t *want)
{
    if (search->stage == KDNET_TRACE_DONE)
        return false;
    search->waits = false;
    while (search->stage != KDNET_TRACE_DONE) {
        enum kdnet_unwind_result result = work(search);
        if (search->waits)
            return false;
        if (result != KDNET_UNWIND_NEEDS || kdnet_trace_give_known(search))
            continue;
        if (search->asked++ < search->budget) {
            if (search->start.cache && search->budget == KDNET_TRACE_BLOCKS)
                kdnet_trace_claims_renew(&search->start.cache->claims, search->start.teller,
                                         search->start.claim_until_us);
            *want = search->blocks.want;
            return true;
        }
        break;
    }
    end(search);
    return false;
}

/* --- groups ------------------------------------------------------------------------------------------------------- */

const struct kdnet_image_place *kdnet_trace_blames(const struct kdnet_trace *trace, uint64_t *address)
{
    *address = trace->address;
    if (is_others(trace, trace->address_image))
        return &trace->image[trace->address_image];
    for (unsigned i = 0; i < trace->frame_count; ++i)
        if (is_others(trace, trace->frame[i].image)) {
            *address = trace->frame[i].address;
            return &trace->image[trace->frame[i].image];
        }
    return trace->address_image < trace->image_count ? &trace->image[trace->address_image] : NULL;
}

void kdnet_trace_bucket(const struct kdnet_trace *trace, uint32_t code, uint16_t build,
                        char out[static KDNET_BUCKET_SIZE])
{
    uint64_t address;
    const struct kdnet_image_place *place = kdnet_trace_blames(trace, &address);
    kdnet_bucket_text(code, place, address, build, out);
}
