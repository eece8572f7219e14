/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds images other than the kernel that values are read from, in the kernel's list of loaded images, once a boot. The
 * list is in the memory of a machine that has crashed: it may be paged out, damaged, looping, or endless.
 */
#include "kdnet/kernel/loaded_image.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/probes/evidence_state_internal.h"
#include "kdnet/session/probes/module_list_internal.h"
#include "kdnet/session/request_internal.h"

#include <stdlib.h>
#include <string.h>

struct kdnet_module *kdnet_module_list_find(const struct kdnet_session *session, const char *name)
{
    const struct kdnet_boot_cache *cache = session->kernel_info->boot_cache;
    for (size_t i = 0; i < cache->module_count; ++i)
        if (strcmp(cache->modules[i].name, name) == 0)
            return &cache->modules[i];
    return NULL;
}

/* Whether a value of this break still waits for the image. */
static bool is_waited_for(const struct kdnet_session *session, const char *name)
{
    const struct kdnet_reads *reads = kdnet_evidence_probe_reads(session);
    for (size_t i = 0; reads && i < reads->count; ++i)
        if (session->active->evidence_probe->unit[i].stage == KDNET_UNIT_WAITS &&
            strcmp(reads->read[i].module, name) == 0)
            return true;
    return false;
}

/* Makes an entry for each image that values refer to. Returns whether a value waits for an image not found yet. */
static bool name_modules(struct kdnet_session *session, const struct kdnet_reads *reads)
{
    struct kdnet_boot_cache *cache = session->kernel_info->boot_cache;
    bool waits = false;
    for (size_t i = 0; i < reads->count; ++i) {
        if (session->active->evidence_probe->unit[i].stage != KDNET_UNIT_WAITS)
            continue;
        const char *name = reads->read[i].module;
        if (!cache->modules)
            cache->modules = calloc(KDNET_MODULES_MAX, sizeof *cache->modules);
        if (cache->modules && cache->module_count < KDNET_MODULES_MAX && !kdnet_module_list_find(session, name))
            memcpy(cache->modules[cache->module_count++].name, name, sizeof cache->modules[0].name);
        const struct kdnet_module *module = kdnet_module_list_find(session, name);
        waits |= module && module->base == 0;
    }
    return waits;
}

/* Whether all wanted images were found. */
static bool all_found(const struct kdnet_boot_cache *cache)
{
    for (size_t i = 0; i < cache->module_count; ++i)
        if (cache->modules[i].base == 0)
            return false;
    return true;
}

static void end_walk(struct kdnet_session *session)
{
    session->active->evidence_probe->walk_over = true;
}

static bool ask_list(struct kdnet_session *session)
{
    struct kdnet_evidence_probe *probe = session->active->evidence_probe;
    const struct kdnet_kernel_info *info = session->kernel_info;
    probe->head = kdnet_halt_address(session, kdnet_is_known(&info->facts, KDNET_FACT_DEBUGGER_DATA)
                                                  ? info->data.loaded_module_list
                                                  : info->version.loaded_module_list);
    probe->asks = KDNET_ASKS_LIST;
    return probe->head != 0 && kdnet_request_read(session, KDNET_FOR_PROBE, probe->head,
                                                  (uint32_t)kdnet_halt_layout(session)->pointer_size);
}

/* Goes to an entry. The walk ends at the list's head, at a null pointer, at a visited entry, and after
 * KDNET_WALK_MAX entries. */
static void go_to(struct kdnet_session *session, uint64_t entry)
{
    struct kdnet_evidence_probe *probe = session->active->evidence_probe;
    if (entry == 0 || entry == probe->head || entry == probe->mark || ++probe->walked > KDNET_WALK_MAX ||
        all_found(session->kernel_info->boot_cache)) {
        end_walk(session);
        return;
    }
    probe->at = entry;
    if ((probe->walked & (probe->walked - 1)) == 0) /* Brent's algorithm: a loop comes back to one of these entries */
        probe->mark = entry;
}

static bool ask_entry(struct kdnet_session *session)
{
    struct kdnet_evidence_probe *probe = session->active->evidence_probe;
    probe->asks = KDNET_ASKS_ENTRY;
    return kdnet_request_read(session, KDNET_FOR_PROBE, probe->at, KDNET_LOADED_IMAGE_SIZE);
}

static bool ask_name(struct kdnet_session *session)
{
    struct kdnet_evidence_probe *probe = session->active->evidence_probe;
    probe->asks = KDNET_ASKS_NAME;
    return kdnet_request_read(session, KDNET_FOR_PROBE, probe->image.name, probe->image.name_length);
}

static bool may_be_wanted(const struct kdnet_boot_cache *cache, const struct kdnet_loaded_image *image)
{
    for (size_t i = 0; i < cache->module_count; ++i)
        if (cache->modules[i].base == 0 && kdnet_loaded_image_may_be(cache->modules[i].name, image->name_length))
            return true;
    return false;
}

static void take_entry(struct kdnet_session *session, const uint8_t *data)
{
    struct kdnet_evidence_probe *probe = session->active->evidence_probe;
    kdnet_loaded_image_decode(kdnet_halt_layout(session), data, &probe->image);
    if (may_be_wanted(session->kernel_info->boot_cache, &probe->image) && probe->image.base != 0 &&
        probe->image.name != 0)
        probe->asks = KDNET_ASKS_NAME; /* comes next */
    else
        go_to(session, probe->image.next);
}

static void take_name(struct kdnet_session *session, const uint8_t *data, size_t length)
{
    struct kdnet_evidence_probe *probe = session->active->evidence_probe;
    struct kdnet_boot_cache *cache = session->kernel_info->boot_cache;
    for (size_t i = 0; i < cache->module_count; ++i)
        if (cache->modules[i].base == 0 && kdnet_loaded_image_is(cache->modules[i].name, data, length))
            cache->modules[i].base = probe->image.base;
    probe->asks = KDNET_ASKS_ENTRY;
    go_to(session, probe->image.next);
}

/* --- identity ----------------------------------------------------------------------------------------------------- */

/* Reads the next part of the identity of an image that was found. */
static bool ask_identity(struct kdnet_session *session)
{
    struct kdnet_evidence_probe *probe = session->active->evidence_probe;
    const struct kdnet_boot_cache *cache = session->kernel_info->boot_cache;
    if (probe->asks == KDNET_ASKS_IDENTITY && probe->module && probe->way.part != KDNET_IMAGE_HEADER)
        return kdnet_request_image_way(session, &probe->way, probe->module->base);
    for (size_t i = 0; i < cache->module_count; ++i) {
        struct kdnet_module *module = &cache->modules[i];
        if (module->base == 0 || module->pdb_tried || !is_waited_for(session, module->name))
            continue;
        probe->asks = KDNET_ASKS_IDENTITY;
        probe->module = module;
        probe->way = (struct kdnet_image_way){0};
        return kdnet_request_image_way(session, &probe->way, module->base);
    }
    return false;
}

static enum kdnet_probe_outcome take_identity(struct kdnet_session *session, const uint8_t *data, size_t length)
{
    struct kdnet_evidence_probe *probe = session->active->evidence_probe;
    struct kdnet_module *module = probe->module;
    enum kdnet_image_outcome outcome = length > 0 ? kdnet_image_way_take(&probe->way, data, length, &module->pdb)
                                                  : KDNET_IMAGE_UNIDENTIFIED;
    if (outcome == KDNET_IMAGE_MORE)
        return KDNET_PROBE_MORE;
    probe->way = (struct kdnet_image_way){0};
    module->pdb_tried = true;
    module->pdb_known = outcome == KDNET_IMAGE_IDENTIFIED;
    return KDNET_PROBE_TAKEN;
}

/* --- both --------------------------------------------------------------------------------------------------------- */

bool kdnet_module_list_next(struct kdnet_session *session)
{
    const struct kdnet_reads *reads = kdnet_evidence_probe_reads(session);
    struct kdnet_evidence_probe *probe = session->active->evidence_probe;
    if (!probe->walk_over && probe->walked == 0) {
        if (name_modules(session, reads) && ask_list(session))
            return true;
        end_walk(session);
    }
    if (!probe->walk_over)
        return probe->asks == KDNET_ASKS_NAME ? ask_name(session) : ask_entry(session);
    return ask_identity(session);
}

enum kdnet_probe_outcome kdnet_module_list_take(struct kdnet_session *session, const uint8_t *data, size_t length)
{
    struct kdnet_evidence_probe *probe = session->active->evidence_probe;
    const struct kdnet_machine_layout *layout = kdnet_halt_layout(session);
    if (probe->asks == KDNET_ASKS_IDENTITY)
        return take_identity(session, data, length);
    if (probe->asks == KDNET_ASKS_NAME)
        take_name(session, data, length); /* an image whose name is paged out matches no name */
    else if (probe->asks == KDNET_ASKS_LIST && length >= layout->pointer_size)
        go_to(session, kdnet_machine_pointer(layout, data));
    else if (probe->asks == KDNET_ASKS_ENTRY && length >= KDNET_LOADED_IMAGE_SIZE)
        take_entry(session, data);
    else
        end_walk(session); /* the entry is paged out: entries behind it cannot be reached */
    return KDNET_PROBE_TAKEN;
}
