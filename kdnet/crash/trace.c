/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/crash/trace.h"
#include "kdnet/base/wire.h"
#include "kdnet/crash/frame_record.h"

#include <stdio.h>
#include <string.h>

/* KLDR_DATA_TABLE_ENTRY [sym: public symbols of Windows 8.1 to 11; x86: ros]. */
enum {
    ENTRY64_BASE = 0x30,
    ENTRY64_SIZE = 0x40,
    ENTRY64_NAME = 0x58,
    ENTRY64_STAMP = 0x9c,
    ENTRY64_LENGTH = 0xa0,
    ENTRY32_BASE = 0x18,
    ENTRY32_SIZE = 0x20,
    ENTRY32_NAME = 0x2c,
    ENTRY32_LENGTH = 0x34,
};

#define RECORD32_ADDRESS   12U  /* of ExceptionAddress in a 32-bit EXCEPTION_RECORD [doc: winnt.h] */
#define DEBUG_ENTRIES_SIZE 448U /* of a debug directory that are looked at: 16 entries */
#define KERNEL_NAME        "ntoskrnl.exe"
#define IMAGE_SIZE_MAX     0x40000000U

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
    search->code_read = false;
    search->walked = start->module_list == 0;
    search->module_count = 0;
    kdnet_blocks_clear(&search->blocks);
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

/* The image that all of a block lies in, without its first block: that is different on each machine. */
static const struct kdnet_image_place *image_of_block(const struct kdnet_trace *trace, uint64_t address)
{
    for (unsigned i = 0; i < trace->image_count; ++i) {
        const struct kdnet_image_place *image = &trace->image[i];
        uint64_t rva = address - image->base;
        if (rva >= KDNET_BLOCK_SIZE && rva < image->size && image->size - rva >= KDNET_BLOCK_SIZE)
            return image;
    }
    return NULL;
}

/* A block that other machines have told; false: this machine has to be asked. */
static bool give_known(struct kdnet_trace_search *search)
{
    uint64_t want = search->blocks.want;
    const struct kdnet_image_place *image = image_of_block(&search->trace, want);
    const uint8_t *bytes = image ? kdnet_trace_cache_piece(search->start.cache, image, (uint32_t)(want - image->base))
                                 : NULL;
    if (bytes)
        kdnet_blocks_give(&search->blocks, want, bytes, KDNET_BLOCK_SIZE);
    return bytes != NULL;
}

void kdnet_trace_give(struct kdnet_trace_search *search, const uint8_t *data, size_t length)
{
    uint64_t want = search->blocks.want;
    const struct kdnet_image_place *image = image_of_block(&search->trace, want);
    if (image && search->start.cache && length >= KDNET_BLOCK_SIZE)
        kdnet_trace_cache_learn_piece(search->start.cache, search->start.teller, image, (uint32_t)(want - image->base),
                                      data);
    kdnet_blocks_give(&search->blocks, want, data, length);
}

static bool is_wide(const struct kdnet_trace_search *search)
{
    return search->start.machine != KDNET_MACHINE_X86;
}

static uint64_t pointer_at(const struct kdnet_trace_search *search, const uint8_t *bytes)
{
    return is_wide(search) ? kdnet_get_le64(bytes) : kdnet_machine_address(KDNET_MACHINE_X86, kdnet_get_le32(bytes));
}

static enum kdnet_unwind_result read_memory(struct kdnet_trace_search *search, uint64_t address, uint8_t *out,
                                            size_t length)
{
    enum kdnet_blocks_result result = kdnet_blocks_read(&search->blocks, address, out, length);
    return result == KDNET_BLOCKS_OK        ? KDNET_UNWIND_OK
           : result == KDNET_BLOCKS_MISSING ? KDNET_UNWIND_NEEDS
                                            : KDNET_UNWIND_END;
}

/* --- images ------------------------------------------------------------------------------------------------------- */

static bool lies_in(uint64_t address, uint64_t base, uint32_t size)
{
    return address - base < size;
}

static uint8_t find_image(const struct kdnet_trace *trace, uint64_t address)
{
    for (uint8_t i = 0; i < trace->image_count; ++i)
        if (lies_in(address, trace->image[i].base, trace->image[i].size))
            return i;
    return KDNET_TRACE_NO_IMAGE;
}

/* An image that a crash can be blamed on. */
static bool is_others(const struct kdnet_trace *trace, uint8_t image)
{
    return image < trace->image_count && !kdnet_image_is_of_crash_path(trace->image[image].name);
}

static uint8_t add_image(struct kdnet_trace *trace, const struct kdnet_image_place *image)
{
    if (trace->image_count == KDNET_TRACE_IMAGES)
        return KDNET_TRACE_NO_IMAGE;
    trace->image[trace->image_count] = *image;
    return trace->image_count++;
}

/* Whether an image's header is paged out. */
static bool has_no_header(struct kdnet_trace_search *search, uint64_t base)
{
    uint32_t start;
    return kdnet_blocks_u32(&search->blocks, base, &start) == KDNET_BLOCKS_UNREADABLE;
}

/* Whether the code around an address is that of an image, as two machines told it: OK. The code of a fault is there
 * when the image's header is paged out. */
static enum kdnet_unwind_result has_code(struct kdnet_trace_search *search, const struct kdnet_image_place *image,
                                         uint64_t address)
{
    uint8_t bytes[KDNET_BLOCK_SIZE];
    uint64_t at = address - address % KDNET_BLOCK_SIZE;
    const uint8_t *known = kdnet_trace_cache_piece(search->start.cache, image, (uint32_t)(at - image->base));
    if (at < image->base || !known)
        return KDNET_UNWIND_END;
    enum kdnet_unwind_result result = read_memory(search, at, bytes, sizeof bytes);
    return result != KDNET_UNWIND_OK                 ? result
           : memcmp(bytes, known, sizeof bytes) == 0 ? KDNET_UNWIND_OK
                                                     : KDNET_UNWIND_END;
}

/* Whether an image lies where it is guessed. */
static enum kdnet_unwind_result check_guess(struct kdnet_trace_search *search, const struct kdnet_image_place *guess,
                                            uint64_t address)
{
    struct kdnet_image_header header;
    enum kdnet_unwind_result result = kdnet_image_header(search->start.machine, &search->blocks, guess->base, &header);
    if (result == KDNET_UNWIND_NEEDS)
        return result;
    if (result != KDNET_UNWIND_OK)
        return has_no_header(search, guess->base) ? has_code(search, guess, address) : KDNET_UNWIND_END;
    return header.size == guess->size && header.stamp == guess->stamp ? KDNET_UNWIND_OK : KDNET_UNWIND_END;
}

/* An image where other machines had it, if its header is there. */
static enum kdnet_unwind_result guess_image(struct kdnet_trace_search *search, uint64_t address)
{
    struct kdnet_image_place guess;
    for (unsigned n = 0;
         n < 4 && kdnet_trace_cache_guess(search->start.cache, search->start.machine, address, n, &guess); ++n) {
        if (!lies_in(address, guess.base, guess.size))
            continue;
        enum kdnet_unwind_result result = check_guess(search, &guess, address);
        if (result == KDNET_UNWIND_NEEDS)
            return result;
        if (result == KDNET_UNWIND_OK && add_image(&search->trace, &guess) != KDNET_TRACE_NO_IMAGE)
            return KDNET_UNWIND_OK;
    }
    return KDNET_UNWIND_END;
}

/* A name in UTF-16 as printable ASCII in lower case. */
static void take_name(const uint8_t *text, size_t length, char out[static KDNET_IMAGE_NAME_SIZE])
{
    size_t count = length / 2 < KDNET_IMAGE_NAME_SIZE - 1 ? length / 2 : KDNET_IMAGE_NAME_SIZE - 1;
    for (size_t i = 0; i < count; ++i) {
        uint16_t c = kdnet_get_le16(text + 2 * i);
        bool upper = c >= 'A' && c <= 'Z', plain = c > ' ' && c < 0x7f && c != '+' && c != '@' && c != '!';
        out[i] = upper ? (char)(c | 0x20) : plain ? (char)c : '_';
    }
    out[count] = '\0';
}

/* What a bucket needs of an image in the list: its name, or in its place its time stamp; and that as its header says.
 */
static enum kdnet_unwind_result add_module(struct kdnet_trace_search *search, const struct kdnet_trace_module *module)
{
    struct kdnet_image_place image = {
        .base = module->base, .size = module->size, .stamp = module->stamp, .machine = (uint16_t)search->start.machine};
    struct kdnet_image_header header;
    uint8_t text[2 * (KDNET_IMAGE_NAME_SIZE - 1)];
    size_t length = module->name_length < sizeof text ? module->name_length : sizeof text;
    enum kdnet_unwind_result result = kdnet_image_header(search->start.machine, &search->blocks, module->base, &header);
    if (result == KDNET_UNWIND_NEEDS)
        return result;
    if (result == KDNET_UNWIND_OK)
        image.stamp = header.stamp;
    result = length > 0 ? read_memory(search, module->name, text, length) : KDNET_UNWIND_END;
    if (result == KDNET_UNWIND_NEEDS)
        return result;
    if (result == KDNET_UNWIND_OK)
        take_name(text, length, image.name);
    else
        (void)snprintf(image.name, sizeof image.name, "image_%08x", (unsigned)image.stamp);
    return add_image(&search->trace, &image) != KDNET_TRACE_NO_IMAGE ? KDNET_UNWIND_OK : KDNET_UNWIND_END;
}

/* --- the list of images ------------------------------------------------------------------------------------------- */

static void take_entry(struct kdnet_trace_search *search, const uint8_t *entry)
{
    bool wide = is_wide(search);
    const uint8_t *name = entry + (wide ? ENTRY64_NAME : ENTRY32_NAME);
    struct kdnet_trace_module *module = &search->module[search->module_count++];
    *module = (struct kdnet_trace_module){
        .base = pointer_at(search, entry + (wide ? ENTRY64_BASE : ENTRY32_BASE)),
        .size = kdnet_get_le32(entry + (wide ? ENTRY64_SIZE : ENTRY32_SIZE)),
        .stamp = wide ? kdnet_get_le32(entry + ENTRY64_STAMP) : 0,
        .name_length = kdnet_get_le16(name),
        .name = pointer_at(search, name + (wide ? 8 : 4)),
    };
    if (module->size > IMAGE_SIZE_MAX)
        module->size = 0;
    search->walk = pointer_at(search, entry);
}

/* One entry more; END: the list is over, or cannot be read. */
static enum kdnet_unwind_result walk_on(struct kdnet_trace_search *search)
{
    uint8_t entry[ENTRY64_LENGTH];
    bool begun = search->walk != 0;
    size_t length = !begun ? (is_wide(search) ? 8 : 4) : is_wide(search) ? ENTRY64_LENGTH : ENTRY32_LENGTH;
    if (search->walked || search->module_count == KDNET_TRACE_MODULES)
        return KDNET_UNWIND_END;
    enum kdnet_unwind_result result = read_memory(search, begun ? search->walk : search->start.module_list, entry,
                                                  length);
    if (result == KDNET_UNWIND_NEEDS)
        return result;
    if (result == KDNET_UNWIND_OK && begun)
        take_entry(search, entry);
    else if (result == KDNET_UNWIND_OK)
        search->walk = pointer_at(search, entry);
    search->walked = result != KDNET_UNWIND_OK || search->walk == 0 || search->walk == search->start.module_list;
    return result;
}

static enum kdnet_unwind_result find_module(struct kdnet_trace_search *search, uint64_t address)
{
    enum kdnet_unwind_result result = KDNET_UNWIND_OK;
    for (unsigned i = 0; result == KDNET_UNWIND_OK; ++i) {
        while (i >= search->module_count && (result = walk_on(search)) == KDNET_UNWIND_OK)
            ;
        if (i < search->module_count && lies_in(address, search->module[i].base, search->module[i].size))
            return add_module(search, &search->module[i]);
        if (i < search->module_count)
            result = KDNET_UNWIND_OK;
    }
    return result;
}

/* The list is walked for an address that nobody can place: the first two machines with it may be asked as much as the
 * first two with a kernel. */
static void weigh_walk(struct kdnet_trace_search *search, uint64_t address)
{
    const struct kdnet_trace_start *start = &search->start;
    const struct kdnet_image_place *kernel = &search->trace.image[0];
    if (!start->cache || start->storm || search->trace.image_count == 0 || search->weighed == address)
        return;
    search->weighed = address;
    if (!kdnet_trace_cache_is_walked(start->cache, kernel, address, start->teller))
        search->budget = KDNET_TRACE_BLOCKS;
    kdnet_trace_cache_learn_walk(start->cache, kernel, address, start->teller);
}

/* The image that an address lies in; END: none is known. */
static enum kdnet_unwind_result locate(struct kdnet_trace_search *search, uint64_t address, uint8_t *image)
{
    *image = find_image(&search->trace, address);
    if (*image != KDNET_TRACE_NO_IMAGE)
        return KDNET_UNWIND_OK;
    if (kdnet_machine_is_user_address(search->start.machine, address))
        return KDNET_UNWIND_END;
    enum kdnet_unwind_result result = guess_image(search, address);
    if (result == KDNET_UNWIND_END) {
        weigh_walk(search, address);
        result = find_module(search, address);
    }
    *image = find_image(&search->trace, address);
    return result;
}

/* --- stages ------------------------------------------------------------------------------------------------------- */

static enum kdnet_unwind_result find_address(struct kdnet_trace_search *search)
{
    enum kdnet_cause_kind kind = KDNET_CAUSE_ADDRESS;
    enum kdnet_machine machine = search->start.machine;
    uint64_t address = kdnet_cause_address(machine, &search->start.bugcheck, &kind);
    uint8_t bytes[8];
    if (address != 0 && kind == KDNET_CAUSE_EXCEPTION_RECORD) {
        uint64_t at = address + (is_wide(search) ? KDNET_EXCEPTION_ADDRESS : RECORD32_ADDRESS);
        enum kdnet_unwind_result result = read_memory(search, at, bytes, is_wide(search) ? 8 : 4);
        if (result == KDNET_UNWIND_NEEDS)
            return result;
        address = result == KDNET_UNWIND_OK ? pointer_at(search, bytes) : 0;
        if (kdnet_machine_is_user_address(machine, address))
            address = 0;
    }
    search->trace.address = address;
    search->stage = KDNET_TRACE_KERNEL;
    return KDNET_UNWIND_OK;
}

/* The kernel's own place needs no list. Whether it is familiar says how much this machine is asked. */
static enum kdnet_unwind_result find_kernel(struct kdnet_trace_search *search)
{
    const struct kdnet_trace_start *start = &search->start;
    struct kdnet_image_place kernel = {
        .name = KERNEL_NAME, .base = start->kernel_base, .machine = (uint16_t)start->machine};
    struct kdnet_image_header header;
    enum kdnet_unwind_result result = kdnet_image_header(start->machine, &search->blocks, start->kernel_base, &header);
    if (result == KDNET_UNWIND_NEEDS)
        return result;
    if (result == KDNET_UNWIND_OK && header.size <= IMAGE_SIZE_MAX) {
        kernel.size = header.size;
        kernel.stamp = header.stamp;
        (void)add_image(&search->trace, &kernel);
        if (!start->storm && kdnet_trace_cache_is_familiar(start->cache, &kernel, start->teller))
            search->budget = KDNET_TRACE_FAMILIAR;
    }
    search->stage = KDNET_TRACE_CAUSE;
    return KDNET_UNWIND_OK;
}

static void learn(struct kdnet_trace_search *search, uint8_t image, uint64_t address)
{
    if (search->start.cache && image != KDNET_TRACE_NO_IMAGE && image != 0)
        kdnet_trace_cache_learn_hint(search->start.cache, search->start.teller, &search->trace.image[image], address);
}

/* The code around an address in an image that may be blamed: learned from the first machines, so that the image is
 * known on others that have paged its header out. NEEDS, or OK. */
static enum kdnet_unwind_result learn_code(struct kdnet_trace_search *search, uint8_t image, uint64_t address)
{
    uint8_t byte;
    struct kdnet_trace *trace = &search->trace;
    if (!search->start.cache || search->budget != KDNET_TRACE_BLOCKS || !is_others(trace, image) || search->code_read)
        return KDNET_UNWIND_OK;
    if (read_memory(search, address - address % KDNET_BLOCK_SIZE, &byte, 1) == KDNET_UNWIND_NEEDS)
        return KDNET_UNWIND_NEEDS;
    search->code_read = true;
    return KDNET_UNWIND_OK;
}

/* In a storm a machine is asked little when others have told where such an address lies; else as any other. */
static void weigh_storm(struct kdnet_trace_search *search)
{
    struct kdnet_image_place guess;
    uint64_t address = search->trace.address;
    bool known = find_image(&search->trace, address) == KDNET_TRACE_NO_IMAGE &&
                 kdnet_trace_cache_guess(search->start.cache, search->start.machine, address, 0, &guess);
    if (!search->start.storm || known)
        return;
    search->start.storm = false;
    search->budget = search->trace.image_count > 0 &&
                             kdnet_trace_cache_is_familiar(search->start.cache, &search->trace.image[0],
                                                           search->start.teller)
                         ? KDNET_TRACE_FAMILIAR
                         : KDNET_TRACE_BLOCKS;
}

static enum kdnet_unwind_result find_cause(struct kdnet_trace_search *search)
{
    struct kdnet_trace *trace = &search->trace;
    weigh_storm(search);
    if (trace->address != 0) {
        if (locate(search, trace->address, &trace->address_image) == KDNET_UNWIND_NEEDS ||
            learn_code(search, trace->address_image, trace->address) == KDNET_UNWIND_NEEDS)
            return KDNET_UNWIND_NEEDS;
        learn(search, trace->address_image, trace->address);
    }
    search->stage = search->start.storm ? KDNET_TRACE_DONE : KDNET_TRACE_RECORD;
    return KDNET_UNWIND_OK;
}

/* Where the processor stood at the fault, when the bug check says where that is recorded; else where it stands. */
static enum kdnet_unwind_result find_record(struct kdnet_trace_search *search)
{
    uint8_t record[KDNET_FRAME_RECORD_MAX];
    enum kdnet_machine machine = search->start.machine;
    enum kdnet_frame_record kind = KDNET_FRAME_CONTEXT;
    uint64_t at = kdnet_frame_record_address(machine, &search->start.bugcheck, &kind);
    uint32_t from = 0, to = 0;
    enum kdnet_unwind_result result = KDNET_UNWIND_END;
    if (at != 0 && kdnet_frame_record_area(machine, kind, &from, &to))
        result = read_memory(search, at + from, record + from, to - from);
    if (result == KDNET_UNWIND_NEEDS)
        return result;
    bool found = result == KDNET_UNWIND_OK && kdnet_frame_from_record(machine, kind, at, record, &search->frame);
    search->stage = found || search->start.frame_known ? KDNET_TRACE_STACK : KDNET_TRACE_IDENTITY;
    return KDNET_UNWIND_OK;
}

static bool add_frame(struct kdnet_trace_search *search, uint8_t image)
{
    struct kdnet_trace *trace = &search->trace;
    trace->frame[trace->frame_count++] = (struct kdnet_trace_frame){search->frame.pc, image};
    learn(search, image, search->frame.pc);
    return trace->frame_count < KDNET_TRACE_FRAMES && image != KDNET_TRACE_NO_IMAGE;
}

/* One frame: the image that it lies in, then its caller. */
static enum kdnet_unwind_result find_frame(struct kdnet_trace_search *search)
{
    struct kdnet_unwind_image place = {.size = 0};
    struct kdnet_image_header header = {.size = 0};
    uint8_t image;
    enum kdnet_unwind_result result = locate(search, search->frame.pc, &image);
    if (result == KDNET_UNWIND_OK)
        result = learn_code(search, image, search->frame.pc);
    if (result == KDNET_UNWIND_OK) {
        place = (struct kdnet_unwind_image){.base = search->trace.image[image].base,
                                            .size = search->trace.image[image].size};
        result = kdnet_image_header(search->start.machine, &search->blocks, place.base, &header);
        place.table_rva = header.table_rva;
        place.table_size = header.table_size;
    }
    struct kdnet_frame caller = search->frame;
    if (result == KDNET_UNWIND_OK)
        result = kdnet_unwind(search->start.machine, &search->blocks, &place, &caller);
    if (result == KDNET_UNWIND_NEEDS)
        return result;
    bool more = add_frame(search, image);
    search->frame = caller;
    if (result == KDNET_UNWIND_END || !more)
        search->stage = KDNET_TRACE_IDENTITY;
    return KDNET_UNWIND_OK;
}

/* Which symbol file belongs to an image, by its own headers. */
static enum kdnet_unwind_result read_identity(struct kdnet_trace_search *search, uint64_t base, struct kdnet_pdb *out)
{
    uint8_t header[KDNET_PE_HEADER_SIZE], directory[DEBUG_ENTRIES_SIZE], record[KDNET_CODEVIEW_SIZE];
    uint32_t rva = 0, size = 0;
    enum kdnet_unwind_result result = read_memory(search, base, header, sizeof header);
    if (result != KDNET_UNWIND_OK || kdnet_pe_debug_directory(header, sizeof header, &rva, &size) != 0)
        return result == KDNET_UNWIND_NEEDS ? result : KDNET_UNWIND_END;
    size = size < sizeof directory ? size : sizeof directory;
    result = read_memory(search, base + rva, directory, size);
    if (result != KDNET_UNWIND_OK || kdnet_pe_codeview(directory, size, &rva, &size) != 0)
        return result == KDNET_UNWIND_NEEDS ? result : KDNET_UNWIND_END;
    size = size < sizeof record ? size : sizeof record;
    result = read_memory(search, base + rva, record, size);
    if (result != KDNET_UNWIND_OK || kdnet_pdb_decode(record, size, out) != 0)
        return result == KDNET_UNWIND_NEEDS ? result : KDNET_UNWIND_END;
    return KDNET_UNWIND_OK;
}

/* Of the image that is blamed; the kernel's own is known from elsewhere. */
static enum kdnet_unwind_result find_identity(struct kdnet_trace_search *search)
{
    struct kdnet_trace *trace = &search->trace;
    uint64_t address;
    const struct kdnet_image_place *image = kdnet_trace_blames(trace, &address);
    enum kdnet_unwind_result result = image && image != &trace->image[0]
                                          ? read_identity(search, image->base, &trace->pdb)
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
        (void)add_frame(search, find_image(trace, search->frame.pc));
    search->stage = KDNET_TRACE_DONE;
    if (search->start.cache && trace->image_count > 0)
        kdnet_trace_cache_learn_kernel(search->start.cache, &trace->image[0], search->start.teller);
}

bool kdnet_trace_next(struct kdnet_trace_search *search, uint64_t *want)
{
    if (search->stage == KDNET_TRACE_DONE)
        return false;
    while (search->stage != KDNET_TRACE_DONE) {
        if (work(search) != KDNET_UNWIND_NEEDS || give_known(search))
            continue;
        if (search->asked++ < search->budget) {
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
