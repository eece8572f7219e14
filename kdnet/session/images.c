/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other images than the kernel that values are read from: found in the kernel's list of loaded images, each once in a
 * boot. The list is in the memory of a machine that has crashed: it may be paged out, damaged, loop, or never end.
 */
#include "kdnet/session/gather_internal.h"

#include <stdlib.h>
#include <string.h>

struct kdnet_module *kdnet_images_find(const struct kdnet_session *session, const char *name)
{
    const struct kdnet_facts *facts = session->boot->facts;
    for (size_t i = 0; i < facts->module_count; ++i)
        if (strcmp(facts->modules[i].name, name) == 0)
            return &facts->modules[i];
    return NULL;
}

/* Whether a value of this break still waits for that image. */
static bool is_waited_for(const struct kdnet_session *session, const char *name)
{
    const struct kdnet_reads *reads = kdnet_gather_reads(session);
    for (size_t i = 0; reads && i < reads->count; ++i)
        if (session->talk->gather->unit[i].stage == KDNET_UNIT_WAITS && strcmp(reads->read[i].module, name) == 0)
            return true;
    return false;
}

/* A row for each image that values are of; whether a value waits for one that is not found yet. */
static bool name_modules(struct kdnet_session *session, const struct kdnet_reads *reads)
{
    struct kdnet_facts *facts = session->boot->facts;
    bool waits = false;
    for (size_t i = 0; i < reads->count; ++i) {
        if (session->talk->gather->unit[i].stage != KDNET_UNIT_WAITS)
            continue;
        const char *name = reads->read[i].module;
        if (!facts->modules)
            facts->modules = calloc(KDNET_MODULES_MAX, sizeof *facts->modules);
        if (facts->modules && facts->module_count < KDNET_MODULES_MAX && !kdnet_images_find(session, name))
            memcpy(facts->modules[facts->module_count++].name, name, sizeof facts->modules[0].name);
        const struct kdnet_module *module = kdnet_images_find(session, name);
        waits |= module && module->base == 0;
    }
    return waits;
}

/* Whether every image that is looked for has been found. */
static bool all_found(const struct kdnet_facts *facts)
{
    for (size_t i = 0; i < facts->module_count; ++i)
        if (facts->modules[i].base == 0)
            return false;
    return true;
}

static void end_walk(struct kdnet_session *session)
{
    session->talk->gather->walk_over = true;
}

static bool ask_list(struct kdnet_session *session)
{
    struct kdnet_gather *gather = session->talk->gather;
    const struct kdnet_boot *boot = session->boot;
    gather->head = kdnet_halt_address(session, boot->data_known ? boot->data.loaded_module_list
                                                                : boot->version.loaded_module_list);
    gather->asks = KDNET_ASKS_LIST;
    return gather->head != 0 && kdnet_request_read(session, KDNET_STEP_EVIDENCE, gather->head,
                                                   (uint32_t)kdnet_halt_layout(session)->pointer_size);
}

/* Goes to an entry; the walk ends at the list's head, at a null pointer, where it has been before, and after
 * KDNET_WALK_MAX entries. */
static void go_to(struct kdnet_session *session, uint64_t entry)
{
    struct kdnet_gather *gather = session->talk->gather;
    if (entry == 0 || entry == gather->head || entry == gather->mark || ++gather->walked > KDNET_WALK_MAX ||
        all_found(session->boot->facts)) {
        end_walk(session);
        return;
    }
    gather->at = entry;
    if ((gather->walked & (gather->walked - 1)) == 0) /* Brent: a loop comes back to one of these */
        gather->mark = entry;
}

static bool ask_entry(struct kdnet_session *session)
{
    struct kdnet_gather *gather = session->talk->gather;
    gather->asks = KDNET_ASKS_ENTRY;
    return kdnet_request_read(session, KDNET_STEP_EVIDENCE, gather->at, KDNET_LOADED_IMAGE_SIZE);
}

static bool ask_name(struct kdnet_session *session)
{
    struct kdnet_gather *gather = session->talk->gather;
    gather->asks = KDNET_ASKS_NAME;
    return kdnet_request_read(session, KDNET_STEP_EVIDENCE, gather->image.name, gather->image.name_length);
}

static bool may_be_wanted(const struct kdnet_facts *facts, const struct kdnet_loaded_image *image)
{
    for (size_t i = 0; i < facts->module_count; ++i)
        if (facts->modules[i].base == 0 && kdnet_module_may_be(facts->modules[i].name, image->name_length))
            return true;
    return false;
}

static void take_entry(struct kdnet_session *session, const uint8_t *data)
{
    struct kdnet_gather *gather = session->talk->gather;
    kdnet_loaded_image_decode(kdnet_halt_layout(session), data, &gather->image);
    if (may_be_wanted(session->boot->facts, &gather->image) && gather->image.base != 0 && gather->image.name != 0)
        gather->asks = KDNET_ASKS_NAME; /* comes next */
    else
        go_to(session, gather->image.next);
}

static void take_name(struct kdnet_session *session, const uint8_t *data, size_t length)
{
    struct kdnet_gather *gather = session->talk->gather;
    struct kdnet_facts *facts = session->boot->facts;
    for (size_t i = 0; i < facts->module_count; ++i)
        if (facts->modules[i].base == 0 && kdnet_module_is(facts->modules[i].name, data, length))
            facts->modules[i].base = gather->image.base;
    gather->asks = KDNET_ASKS_ENTRY;
    go_to(session, gather->image.next);
}

void kdnet_images_take(struct kdnet_session *session, const uint8_t *data, size_t length)
{
    struct kdnet_gather *gather = session->talk->gather;
    const struct kdnet_machine_layout *layout = kdnet_halt_layout(session);
    if (gather->asks == KDNET_ASKS_NAME)
        take_name(session, data, length); /* one that is paged out is nobody's */
    else if (gather->asks == KDNET_ASKS_LIST && length >= layout->pointer_size)
        go_to(session, kdnet_pointer(layout, data));
    else if (gather->asks == KDNET_ASKS_ENTRY && length >= KDNET_LOADED_IMAGE_SIZE)
        take_entry(session, data);
    else
        end_walk(session); /* paged out: what is behind it cannot be reached */
}

/* Asks for the identity of an image that was found. */
static bool ask_identity(struct kdnet_session *session)
{
    const struct kdnet_facts *facts = session->boot->facts;
    for (size_t i = 0; i < facts->module_count; ++i) {
        const struct kdnet_module *module = &facts->modules[i];
        if (module->base != 0 && !module->pdb_tried && is_waited_for(session, module->name))
            return kdnet_reading_identity(session, (unsigned)i + 1);
    }
    return false;
}

bool kdnet_images_next(struct kdnet_session *session)
{
    const struct kdnet_reads *reads = kdnet_gather_reads(session);
    struct kdnet_gather *gather = session->talk->gather;
    if (!gather->walk_over && gather->walked == 0) {
        if (name_modules(session, reads) && ask_list(session))
            return true;
        end_walk(session);
    }
    if (!gather->walk_over)
        return gather->asks == KDNET_ASKS_NAME ? ask_name(session) : ask_entry(session);
    return ask_identity(session);
}

uint64_t kdnet_image_base(const struct kdnet_session *session)
{
    unsigned image = session->talk->halt.image;
    return image == 0 ? kdnet_halt_kernel_base(session) : session->boot->facts->modules[image - 1].base;
}

void kdnet_image_identified(struct kdnet_session *session, const struct kdnet_pdb *pdb)
{
    struct kdnet_boot *boot = session->boot;
    unsigned image = session->talk->halt.image;
    if (image == 0) {
        boot->pdb_tried = true;
        boot->pdb_known = pdb != NULL;
        boot->directory_size = boot->codeview_size = 0;
        if (pdb)
            boot->pdb = *pdb;
        return;
    }
    struct kdnet_module *module = &boot->facts->modules[image - 1];
    module->pdb_tried = true;
    module->pdb_known = pdb != NULL;
    if (pdb)
        module->pdb = *pdb;
}
