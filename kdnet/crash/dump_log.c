/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/crash/dump_log.h"
#include "kdnet/base/wire.h"

#include <string.h>

#define PAGE           0x1000U
#define SIGNATURES_MAX 8U          /* of a read that are tried */
#define SECTION_READS  8U          /* reads of the driver's writable sections */
#define DRIVER_MAX     0x10000000U /* bytes of the driver's image: a path does not lead beyond them */

/* PE [doc: "PE Format"]. */
enum {
    DOS_NT_AT = 0x3c,
    NT_SECTIONS = 6,
    NT_OPTIONAL_SIZE = 20,
    NT_OPTIONAL = 24,
    SECTION_SIZE = 40,
    SECTION_VIRTUAL_SIZE = 8,
    SECTION_RVA = 12,
    SECTION_FLAGS = 36,
};
#define FLAG_DISCARDABLE 0x02000000U
#define FLAG_WRITE       0x80000000U

/* --- places ------------------------------------------------------------------------------------------------------- */

static bool is_same(const struct kdnet_pdb *a, const struct kdnet_pdb *b)
{
    return a->age == b->age && memcmp(a->guid, b->guid, sizeof a->guid) == 0;
}

const struct kdnet_dump_log_path *kdnet_dump_log_recall(const struct kdnet_dump_log_paths *paths,
                                                        const struct kdnet_pdb *pdb)
{
    for (size_t i = 0; i < KDNET_DUMP_LOG_PATHS; ++i)
        if (paths->place[i].path.known && is_same(&paths->place[i].pdb, pdb))
            return &paths->place[i].path;
    return NULL;
}

void kdnet_dump_log_remember(struct kdnet_dump_log_paths *paths, const struct kdnet_pdb *pdb,
                             const struct kdnet_dump_log_path *path)
{
    struct kdnet_dump_log_place *place = NULL;
    for (size_t i = 0; i < KDNET_DUMP_LOG_PATHS && !place; ++i)
        if (paths->place[i].path.known && is_same(&paths->place[i].pdb, pdb))
            place = &paths->place[i];
    if (!place)
        place = &paths->place[paths->next++ % KDNET_DUMP_LOG_PATHS];
    place->pdb = *pdb;
    place->path = *path;
    place->path.known = true;
}

/* --- steps -------------------------------------------------------------------------------------------------------- */

static size_t pointer_size(const struct kdnet_dump_log_search *search)
{
    return search->start.machine == KDNET_MACHINE_X86 ? 4 : 8;
}

/* Returns the pointer's kernel address; 0: no kernel address. */
static uint64_t kernel_pointer(const struct kdnet_dump_log_search *search, const uint8_t *data)
{
    enum kdnet_machine machine = search->start.machine;
    uint64_t value = machine == KDNET_MACHINE_X86 ? kdnet_machine_address(machine, kdnet_get_le32(data))
                                                  : kdnet_get_le64(data);
    bool canonical = machine == KDNET_MACHINE_X86 || value >> 47 == 0x1ffff;
    return canonical && !kdnet_machine_is_user_address(machine, value) ? value : 0;
}

/* Adds a read of kernel memory that no other step reads. A sum that wraps is no kernel address. */
static void add_step(struct kdnet_dump_log_search *search, const struct kdnet_dump_log_step *step)
{
    if (kdnet_machine_is_user_address(search->start.machine, step->address))
        return;
    for (unsigned i = 0; i < search->end; ++i)
        if (search->step[i].address == step->address && search->step[i].kind == step->kind)
            return;
    if (search->end < KDNET_DUMP_LOG_READS)
        search->step[search->end++] = *step;
}

static void add_area(struct kdnet_dump_log_search *search, uint64_t address, bool in_driver, uint32_t offset)
{
    struct kdnet_dump_log_step step = {.kind = KDNET_DUMP_LOG_AREA, .address = address + offset};
    step.path = (struct kdnet_dump_log_path){.in_driver = in_driver, .offset = {offset}};
    add_step(search, &step);
}

/* Finds the writable sections of the driver in its header. */
static void take_header(struct kdnet_dump_log_search *search, const uint8_t *data, size_t length)
{
    if (length < DOS_NT_AT + 4 || kdnet_get_le16(data) != 0x5a4d)
        return;
    size_t nt = kdnet_get_le32(data + DOS_NT_AT);
    if (nt > length || length - nt < NT_OPTIONAL || kdnet_get_le32(data + nt) != 0x4550)
        return;
    size_t count = kdnet_get_le16(data + nt + NT_SECTIONS), reads = 0;
    size_t at = nt + NT_OPTIONAL + kdnet_get_le16(data + nt + NT_OPTIONAL_SIZE);
    for (size_t i = 0; i < count && at + SECTION_SIZE <= length; ++i, at += SECTION_SIZE) {
        uint32_t flags = kdnet_get_le32(data + at + SECTION_FLAGS), rva = kdnet_get_le32(data + at + SECTION_RVA);
        uint32_t size = kdnet_get_le32(data + at + SECTION_VIRTUAL_SIZE);
        if ((flags & FLAG_WRITE) == 0 || (flags & FLAG_DISCARDABLE) != 0 || rva > DRIVER_MAX || size > DRIVER_MAX - rva)
            continue;
        for (uint32_t done = 0; done < size && reads < SECTION_READS; done += KDNET_DUMP_LOG_READ, ++reads)
            add_area(search, search->start.driver, true, rva + done);
    }
}

/* The pointers of an area, each a step further. */
static void add_pointers(struct kdnet_dump_log_search *search, const struct kdnet_dump_log_step *from,
                         const uint8_t *data, size_t length)
{
    size_t size = pointer_size(search);
    if (from->level == KDNET_DUMP_LOG_LEVELS)
        return;
    for (size_t at = (size_t)(0 - from->address) % size; at + size <= length; at += size) {
        struct kdnet_dump_log_step step = {.kind = KDNET_DUMP_LOG_AREA,
                                           .address = kernel_pointer(search, data + at),
                                           .level = (uint8_t)(from->level + 1),
                                           .path = from->path};
        step.path.offset[from->level] += (uint32_t)at;
        step.path.levels = step.level;
        if (step.address != 0)
            add_step(search, &step);
    }
}

/* --- header ------------------------------------------------------------------------------------------------------- */

/* DUMP_HEADER64, DUMP_HEADER [public layout]. */
enum {
    HEADER64_CODE = 0x38,
    HEADER64_PARAMETERS = 0x40,
    HEADER32_CODE = 0x28,
    HEADER32_PARAMETERS = 0x2c,
    HEADER_LEAST = 0x60,
};

/* Whether a block begins with the header of a dump of this very crash. */
static bool is_dump_header(const struct kdnet_dump_log_search *search, const uint8_t *data, size_t length)
{
    const struct kdnet_bugcheck *crash = &search->start.bugcheck;
    bool narrow = pointer_size(search) == 4;
    if (length < HEADER_LEAST || memcmp(data, narrow ? "PAGEDUMP" : "PAGEDU64", 8) != 0 ||
        kdnet_get_le32(data + (narrow ? HEADER32_CODE : HEADER64_CODE)) != crash->code)
        return false;
    for (size_t i = 0; i < 4; ++i)
        if (narrow ? kdnet_get_le32(data + HEADER32_PARAMETERS + 4 * i) != (uint32_t)crash->parameters[i]
                   : kdnet_get_le64(data + HEADER64_PARAMETERS + 8 * i) != crash->parameters[i])
            return false;
    return true;
}

/* --- texts -------------------------------------------------------------------------------------------------------- */

/* Ends a text that is complete, or unreadable from here on. */
static void end_text(struct kdnet_dump_log_search *search)
{
    search->reading = false;
    search->found = kdnet_dump_log_text_matches(&search->text);
}

/* Reads bytes of a text. Stops when the text belongs to another crash. */
static void take_text(struct kdnet_dump_log_search *search, const uint8_t *data, size_t length, size_t wanted)
{
    bool more = length > 0 && kdnet_dump_log_text_give(&search->text, data, length);
    search->reading = more && length == wanted && !search->text.foreign;
    if (!search->reading)
        end_text(search);
}

/* Begins at the first signature whose text is this crash's, or goes on behind the bytes. A signature may stand alone,
 * or before another crash's text. */
static void begin_text(struct kdnet_dump_log_search *search, const struct kdnet_dump_log_step *step,
                       const uint8_t *data, size_t length)
{
    size_t at = 0, found;
    bool wide;
    for (unsigned i = 0; i < SIGNATURES_MAX && !search->reading && !search->found &&
                         kdnet_dump_log_find(data + at, length - at, &found, &wide);
         ++i, ++at) {
        at += found;
        kdnet_dump_log_text_begin(&search->text, &search->start.bugcheck, pointer_size(search) == 4, wide);
        search->path = step->path;
        search->path.offset[step->level] += (uint32_t)at;
        search->text_at = step->address + length;
        take_text(search, data + at, length - at, search->wanted - at);
    }
}

/* Follows the pointer of a remembered path: to the next pointer, or to the log. */
static void take_pointer(struct kdnet_dump_log_search *search, const struct kdnet_dump_log_step *step,
                         const uint8_t *data, size_t length)
{
    const struct kdnet_dump_log_path *path = &search->start.path;
    uint64_t pointer = length >= pointer_size(search) ? kernel_pointer(search, data) : 0;
    struct kdnet_dump_log_step next = {.level = (uint8_t)(step->level + 1), .path = *path};
    if (pointer == 0)
        return;
    next.kind = next.level < path->levels ? KDNET_DUMP_LOG_POINTER : KDNET_DUMP_LOG_AREA;
    next.address = pointer + path->offset[next.level];
    if (!kdnet_machine_is_user_address(search->start.machine, next.address))
        search->step[--search->first] = next; /* takes the slot of the step just done */
}

static void take_area(struct kdnet_dump_log_search *search, const struct kdnet_dump_log_step *step, const uint8_t *data,
                      size_t length)
{
    search->header |= is_dump_header(search, data, length);
    begin_text(search, step, data, length);
    if (!search->found)
        add_pointers(search, step, data, length);
}

void kdnet_dump_log_take(struct kdnet_dump_log_search *search, const uint8_t *data, size_t length)
{
    if (search->reading) {
        search->text_at += length;
        take_text(search, data, length, search->wanted);
        return;
    }
    struct kdnet_dump_log_step step = search->step[search->first - 1];
    if (step.kind == KDNET_DUMP_LOG_HEADER)
        take_header(search, data, length);
    else if (step.kind == KDNET_DUMP_LOG_POINTER)
        take_pointer(search, &step, data, length);
    else
        take_area(search, &step, data, length);
}

/* --- the search --------------------------------------------------------------------------------------------------- */

static void add_remembered(struct kdnet_dump_log_search *search)
{
    const struct kdnet_dump_log_path *path = &search->start.path;
    uint64_t root = path->in_driver ? search->start.driver : search->start.block;
    struct kdnet_dump_log_step step = {.address = root + path->offset[0], .path = *path};
    step.kind = path->levels > 0 ? KDNET_DUMP_LOG_POINTER : KDNET_DUMP_LOG_AREA;
    if (path->known && root != 0)
        add_step(search, &step);
}

void kdnet_dump_log_begin(struct kdnet_dump_log_search *search, const struct kdnet_dump_log_start *start)
{
    memset(search, 0, sizeof *search);
    search->start = *start;
    if (kdnet_machine_is_user_address(start->machine, start->block))
        search->start.block = 0;
    if (kdnet_machine_is_user_address(start->machine, start->driver))
        search->start.driver = 0;
    add_remembered(search);
    if (search->start.block != 0)
        add_area(search, search->start.block, false, 0);
    struct kdnet_dump_log_step header = {.kind = KDNET_DUMP_LOG_HEADER, .address = search->start.driver};
    if (header.address != 0)
        add_step(search, &header);
}

bool kdnet_dump_log_next(struct kdnet_dump_log_search *search, uint64_t *address, uint32_t *length)
{
    bool any = search->reading || search->first < search->end;
    if (search->found || search->asked == KDNET_DUMP_LOG_READS || !any) {
        if (search->reading)
            end_text(search);
        return false;
    }
    ++search->asked;
    const struct kdnet_dump_log_step *step = search->reading ? NULL : &search->step[search->first++];
    *address = step ? step->address : search->text_at;
    uint32_t page = (uint32_t)(PAGE - *address % PAGE), most = KDNET_DUMP_LOG_READ;
    if (step && step->kind == KDNET_DUMP_LOG_POINTER)
        most = (uint32_t)pointer_size(search);
    *length = search->wanted = page < most ? page : most;
    return true;
}
