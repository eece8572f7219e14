/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/crash/trace_images.h"
#include "kdnet/base/wire.h"

#include <stdio.h>
#include <string.h>

#define KERNEL_NAME "ntoskrnl.exe"

/* KLDR_DATA_TABLE_ENTRY [sym: public symbols of Windows 8.1 to 11; x86: ros]. */
enum {
    ENTRY64_DEBUG = 0x28,
    ENTRY64_BASE = 0x30,
    ENTRY64_SIZE = 0x40,
    ENTRY64_NAME = 0x58,
    ENTRY64_STAMP = 0x9c,
    ENTRY64_LENGTH = 0xa0,
    ENTRY32_DEBUG = 0x14, /* before the base, as on x64 */
    ENTRY32_BASE = 0x18,
    ENTRY32_SIZE = 0x20,
    ENTRY32_NAME = 0x2c,
    ENTRY32_LENGTH = 0x34,
};

#define STAMPED_BUILD 9200U /* the first whose list has time stamps, on 64-bit machines */

/* NON_PAGED_DEBUG_INFO [doc: winnt.h; sym]: what a debugger needs of an image's header, for when that is paged out. */
enum {
    DEBUG_SIGNATURE = 0x494e,
    DEBUG_MACHINE = 8,
    DEBUG_STAMP = 12,
    DEBUG_IMAGE_SIZE = 20,
    DEBUG_BASE = 24,
    DEBUG_LENGTH = 32,
};

/* --- memory ------------------------------------------------------------------------------------------------------- */

/* Returns the image that contains the whole block, except for the image's first block, which differs between
 * machines. */
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

/* Takes a block from the cache, or leaves a block out of the kernel's half unread. False: the machine has to be
 * asked. */
bool kdnet_trace_give_known(struct kdnet_trace_search *search)
{
    uint64_t want = search->blocks.want;
    if (kdnet_machine_is_user_address(search->start.machine, want)) {
        kdnet_blocks_give(&search->blocks, want, NULL, 0);
        return true;
    }
    const struct kdnet_image_place *image = image_of_block(&search->trace, want);
    const uint8_t *bytes = image ? kdnet_trace_cache_piece(search->start.cache, image, (uint32_t)(want - image->base))
                                 : NULL;
    if (bytes)
        kdnet_blocks_give(&search->blocks, want, bytes, KDNET_BLOCK_SIZE);
    return bytes != NULL;
}

void kdnet_trace_take_block(struct kdnet_trace_search *search, const uint8_t *data, size_t length)
{
    uint64_t want = search->blocks.want;
    const struct kdnet_image_place *image = image_of_block(&search->trace, want);
    if (image && search->start.cache && length >= KDNET_BLOCK_SIZE)
        kdnet_trace_cache_learn_piece(search->start.cache, search->start.teller, image, (uint32_t)(want - image->base),
                                      data);
    kdnet_blocks_give(&search->blocks, want, data, length);
}

bool kdnet_trace_is_wide(const struct kdnet_trace_search *search)
{
    return search->start.machine != KDNET_MACHINE_X86;
}

uint64_t kdnet_trace_pointer(const struct kdnet_trace_search *search, const uint8_t *bytes)
{
    return kdnet_trace_is_wide(search) ? kdnet_get_le64(bytes)
                                       : kdnet_machine_address(KDNET_MACHINE_X86, kdnet_get_le32(bytes));
}

enum kdnet_unwind_result kdnet_trace_read(struct kdnet_trace_search *search, uint64_t address, uint8_t *out,
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

uint8_t kdnet_trace_find_image(const struct kdnet_trace *trace, uint64_t address)
{
    for (uint8_t i = 0; i < trace->image_count; ++i)
        if (lies_in(address, trace->image[i].base, trace->image[i].size))
            return i;
    return KDNET_TRACE_NO_IMAGE;
}

uint8_t kdnet_trace_add_image(struct kdnet_trace *trace, const struct kdnet_image_place *image)
{
    if (trace->image_count == KDNET_TRACE_IMAGES)
        return KDNET_TRACE_NO_IMAGE;
    trace->image[trace->image_count] = *image;
    return trace->image_count++;
}

struct kdnet_image_place kdnet_trace_kernel_place(const struct kdnet_trace_start *start)
{
    struct kdnet_image_place kernel = {
        .name = KERNEL_NAME, .base = start->kernel_base, .machine = (uint16_t)start->machine};
    (void)kdnet_trace_cache_recall_kernel(start->cache, start->kernel_id, start->teller, &kernel);
    return kernel;
}

/* Reads an image's header in the machine's own memory. */
static enum kdnet_unwind_result read_header(struct kdnet_trace_search *search, uint64_t base,
                                            struct kdnet_image_header *out)
{
    const struct kdnet_trace_start *start = &search->start;
    enum kdnet_unwind_result result = kdnet_image_header(start->machine, &search->blocks, base, out);
    if (result == KDNET_UNWIND_OK && start->cache)
        kdnet_trace_cache_learn_header(start->cache, start->teller, start->machine, out);
    return result;
}

enum kdnet_unwind_result kdnet_trace_header(struct kdnet_trace_search *search, const struct kdnet_image_place *image,
                                            struct kdnet_image_header *out)
{
    const struct kdnet_image_header *known = image->size > 0 ? kdnet_trace_cache_header(search->start.cache, image)
                                                             : NULL;
    enum kdnet_unwind_result result = read_header(search, image->base, out);
    if (result == KDNET_UNWIND_OK || !known)
        return result;
    *out = *known;
    return KDNET_UNWIND_OK;
}

/* Whether an image's header is paged out. */
static bool has_no_header(struct kdnet_trace_search *search, uint64_t base)
{
    uint32_t start;
    return kdnet_blocks_u32(&search->blocks, base, &start) == KDNET_BLOCKS_UNREADABLE;
}

/* Whether the code around an address equals the image's code as two machines showed it: OK. The code at a fault is
 * readable when the image's header is paged out. */
static enum kdnet_unwind_result has_code(struct kdnet_trace_search *search, const struct kdnet_image_place *image,
                                         uint64_t address)
{
    uint8_t bytes[KDNET_BLOCK_SIZE];
    uint64_t at = address - address % KDNET_BLOCK_SIZE;
    const uint8_t *known = kdnet_trace_cache_piece(search->start.cache, image, (uint32_t)(at - image->base));
    if (at < image->base || !known)
        return KDNET_UNWIND_END;
    enum kdnet_unwind_result result = kdnet_trace_read(search, at, bytes, sizeof bytes);
    return result != KDNET_UNWIND_OK                 ? result
           : memcmp(bytes, known, sizeof bytes) == 0 ? KDNET_UNWIND_OK
                                                     : KDNET_UNWIND_END;
}

/* Checks whether an image lies at a guessed address. */
static enum kdnet_unwind_result check_guess(struct kdnet_trace_search *search, const struct kdnet_image_place *guess,
                                            uint64_t address)
{
    struct kdnet_image_header header;
    enum kdnet_unwind_result result = read_header(search, guess->base, &header);
    if (result == KDNET_UNWIND_NEEDS)
        return result;
    if (result != KDNET_UNWIND_OK)
        return has_no_header(search, guess->base) ? has_code(search, guess, address) : KDNET_UNWIND_END;
    return header.size == guess->size && header.stamp == guess->stamp ? KDNET_UNWIND_OK : KDNET_UNWIND_END;
}

/* Tries an image where other machines had it; the header there decides. */
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
        if (result == KDNET_UNWIND_OK && kdnet_trace_add_image(&search->trace, &guess) != KDNET_TRACE_NO_IMAGE)
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

/* The kernel itself, whose header is paged out: takes its size from the list. */
static enum kdnet_unwind_result take_kernel(struct kdnet_trace_search *search, const struct kdnet_image_place *image)
{
    struct kdnet_image_place *kernel = &search->trace.image[0];
    kernel->size = image->size;
    kernel->stamp = image->stamp;
    return KDNET_UNWIND_OK;
}

/* Finds the time stamp of an image whose header is paged out, in its non-paged debug info, which must name this very
 * image. NEEDS or OK; *stamp stays as it is where nothing tells. */
static enum kdnet_unwind_result find_stamp(struct kdnet_trace_search *search, const struct kdnet_trace_module *module,
                                           uint32_t *stamp)
{
    uint8_t info[DEBUG_LENGTH];
    if (module->stamp != 0 || module->debug == 0)
        return KDNET_UNWIND_OK;
    enum kdnet_unwind_result result = kdnet_trace_read(search, module->debug, info, sizeof info);
    if (result == KDNET_UNWIND_NEEDS)
        return result;
    uint64_t base = result == KDNET_UNWIND_OK
                        ? kdnet_machine_address(search->start.machine, kdnet_get_le64(info + DEBUG_BASE))
                        : 0;
    if (result == KDNET_UNWIND_OK && kdnet_get_le16(info) == DEBUG_SIGNATURE && base == module->base &&
        kdnet_get_le16(info + DEBUG_MACHINE) == (uint16_t)search->start.machine &&
        kdnet_get_le32(info + DEBUG_IMAGE_SIZE) == module->size)
        *stamp = kdnet_get_le32(info + DEBUG_STAMP);
    return KDNET_UNWIND_OK;
}

/* Adds an image from the list when a bucket can use it: its name, or else its time stamp, each checked in its
 * header. */
static enum kdnet_unwind_result add_module(struct kdnet_trace_search *search, const struct kdnet_trace_module *module)
{
    struct kdnet_image_place image = {
        .base = module->base, .size = module->size, .stamp = module->stamp, .machine = (uint16_t)search->start.machine};
    struct kdnet_image_header header;
    uint8_t text[2 * (KDNET_IMAGE_NAME_SIZE - 1)];
    size_t length = module->name_length < sizeof text ? module->name_length : sizeof text;
    enum kdnet_unwind_result result = read_header(search, module->base, &header);
    if (result == KDNET_UNWIND_NEEDS)
        return result;
    if (result == KDNET_UNWIND_OK)
        image.stamp = header.stamp;
    else if (find_stamp(search, module, &image.stamp) == KDNET_UNWIND_NEEDS)
        return KDNET_UNWIND_NEEDS;
    if (image.base == search->start.kernel_base && search->trace.image_count > 0)
        return take_kernel(search, &image);
    result = length > 0 ? kdnet_trace_read(search, module->name, text, length) : KDNET_UNWIND_END;
    if (result == KDNET_UNWIND_NEEDS)
        return result;
    if (result == KDNET_UNWIND_OK)
        take_name(text, length, image.name);
    else
        (void)snprintf(image.name, sizeof image.name, "image_%08x", (unsigned)image.stamp);
    return kdnet_trace_add_image(&search->trace, &image) != KDNET_TRACE_NO_IMAGE ? KDNET_UNWIND_OK : KDNET_UNWIND_END;
}

/* --- the list of images ------------------------------------------------------------------------------------------- */

static void take_entry(struct kdnet_trace_search *search, const uint8_t *entry)
{
    bool wide = kdnet_trace_is_wide(search), old = search->start.build > 0 && search->start.build < STAMPED_BUILD;
    const uint8_t *name = entry + (wide ? ENTRY64_NAME : ENTRY32_NAME);
    struct kdnet_trace_module *module = &search->module[search->module_count++];
    *module = (struct kdnet_trace_module){
        .base = kdnet_trace_pointer(search, entry + (wide ? ENTRY64_BASE : ENTRY32_BASE)),
        .size = kdnet_get_le32(entry + (wide ? ENTRY64_SIZE : ENTRY32_SIZE)),
        .stamp = wide && !old ? kdnet_get_le32(entry + ENTRY64_STAMP) : 0,
        .debug = kdnet_trace_pointer(search, entry + (wide ? ENTRY64_DEBUG : ENTRY32_DEBUG)),
        .name_length = kdnet_get_le16(name),
        .name = kdnet_trace_pointer(search, name + (wide ? 8 : 4)),
    };
    if (module->size > KDNET_TRACE_IMAGE_SIZE_MAX)
        module->size = 0;
    search->walk = kdnet_trace_pointer(search, entry);
}

/* Walks to the next entry; END: the list has ended, or is unreadable. */
static enum kdnet_unwind_result walk_on(struct kdnet_trace_search *search)
{
    uint8_t entry[ENTRY64_LENGTH];
    bool begun = search->walk != 0;
    size_t length = !begun                        ? (kdnet_trace_is_wide(search) ? 8 : 4)
                    : kdnet_trace_is_wide(search) ? ENTRY64_LENGTH
                                                  : ENTRY32_LENGTH;
    if (search->walked || search->module_count == KDNET_TRACE_MODULES)
        return KDNET_UNWIND_END;
    enum kdnet_unwind_result result = kdnet_trace_read(search, begun ? search->walk : search->start.module_list, entry,
                                                       length);
    if (result == KDNET_UNWIND_NEEDS)
        return result;
    if (result == KDNET_UNWIND_OK && begun)
        take_entry(search, entry);
    else if (result == KDNET_UNWIND_OK)
        search->walk = kdnet_trace_pointer(search, entry);
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

/* Sets the budget for a list walk. No machine could place the address yet: the first two machines with this address
 * may be asked as much as the first two with a kernel. While two walk, the others wait, or are asked little. False: it
 * waits. */
static bool weigh_walk(struct kdnet_trace_search *search, uint64_t address)
{
    const struct kdnet_trace_start *start = &search->start;
    if (!start->cache || start->storm || search->trace.image_count == 0 || search->weighed == address)
        return true;
    enum kdnet_trace_claimed claimed = kdnet_trace_cache_claim_walk(
        start->cache, &search->trace.image[0], address, start->teller, start->now_us, start->claim_until_us);
    search->waits = claimed == KDNET_TRACE_BUSY && start->now_us < start->wait_until_us;
    if (search->waits)
        return false;
    search->weighed = address;
    if (claimed != KDNET_TRACE_LITTLE)
        search->budget = claimed == KDNET_TRACE_IN_FULL ? KDNET_TRACE_BLOCKS : KDNET_TRACE_FAMILIAR;
    return true;
}

void kdnet_trace_end_walk(struct kdnet_trace_search *search)
{
    const struct kdnet_trace_start *start = &search->start;
    if (search->weighed != 0 && (search->walked || search->budget == KDNET_TRACE_BLOCKS) &&
        kdnet_trace_find_image(&search->trace, search->weighed) == KDNET_TRACE_NO_IMAGE)
        kdnet_trace_cache_learn_walk(start->cache, &search->trace.image[0], search->weighed, start->teller);
}

/* Finds the image that contains an address; END: unknown. */
enum kdnet_unwind_result kdnet_trace_locate(struct kdnet_trace_search *search, uint64_t address, uint8_t *image)
{
    *image = kdnet_trace_find_image(&search->trace, address);
    if (*image != KDNET_TRACE_NO_IMAGE)
        return KDNET_UNWIND_OK;
    if (kdnet_machine_is_user_address(search->start.machine, address))
        return KDNET_UNWIND_END;
    enum kdnet_unwind_result result = guess_image(search, address);
    if (result == KDNET_UNWIND_END) {
        if (!weigh_walk(search, address))
            return KDNET_UNWIND_NEEDS;
        result = find_module(search, address);
        if (result == KDNET_UNWIND_END)
            kdnet_trace_end_walk(search);
    }
    *image = kdnet_trace_find_image(&search->trace, address);
    return result;
}
