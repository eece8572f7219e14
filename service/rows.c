/* SPDX-License-Identifier: Apache-2.0 */
/* The rows, and by configured address: a part of the room targets. */
#include "service/targets_internal.h"

#include <stdlib.h>
#include <string.h>

void targets_init(struct targets *targets, uint64_t seed)
{
    memset(targets, 0, sizeof *targets);
    targets->seed = seed;
}

void targets_free(struct target *target)
{
    kdnet_session_free(target->session);
    free(target->more);
    free(target);
}

void targets_clear(struct targets *targets)
{
    for (size_t i = 0; i < targets->ids; ++i)
        if (targets->rows[i])
            targets_free(targets->rows[i]);
    targets_clear_groups(targets);
    free(targets->rows);
    free(targets->slots);
    free(targets->ip_slots);
    targets_init(targets, targets->seed);
}

struct target *targets_row(const struct targets *targets, uint32_t id)
{
    return id < targets->ids ? targets->rows[id] : NULL;
}

bool targets_reserve(struct targets *targets, size_t ids)
{
    if (!targets_reserve_places(targets, ids))
        return false;
    if (ids <= targets->capacity)
        return true;
    struct target **rows = realloc(targets->rows, ids * sizeof(struct target *));
    if (!rows)
        return false;
    targets->rows = rows;
    targets->capacity = ids;
    return true;
}

/* An id that no row has; TARGETS_NONE: there is no room. */
static uint32_t free_id(struct targets *targets)
{
    if (targets->count < targets->ids)
        while (targets->free_from < targets->ids && targets->rows[targets->free_from])
            ++targets->free_from;
    else
        targets->free_from = targets->ids;
    if (targets->free_from == targets->capacity)
        return TARGETS_NONE;
    if (targets->free_from == targets->ids)
        targets->rows[targets->ids++] = NULL;
    return (uint32_t)targets->free_from;
}

static void set_configured(struct targets *targets, struct target *target, bool has_address,
                           const struct config_address *address)
{
    targets->addressed += has_address;
    targets->addressed -= target->has_address;
    target->has_address = has_address;
    if (has_address)
        memcpy(target->live.ip, address->ip, sizeof target->live.ip);
}

bool targets_adopt(struct targets *targets, struct target *target)
{
    uint32_t id = free_id(targets);
    if (id == TARGETS_NONE)
        return false;
    target->id = id;
    target->next_same_ip = TARGETS_NONE;
    targets->rows[id] = target;
    ++targets->count;
    targets->addressed += target->has_address;
    if (targets_enlist(targets, target))
        return true;
    targets_release(targets, target);
    return false;
}

struct target *targets_add(struct targets *targets, const struct config_target *config)
{
    size_t name_size = strlen(config->name) + 1, size = offsetof(struct target, name) + name_size;
    if (size < sizeof(struct target)) /* a short name fits into its padding */
        size = sizeof(struct target);
    struct target *target = calloc(1, size);
    if (!target)
        return NULL;
    memcpy(target->name, config->name, name_size);
    target->port = config->port;
    target->has_address = config->has_address;
    if (config->has_address)
        memcpy(target->live.ip, config->address.ip, sizeof target->live.ip);
    if (targets_adopt(targets, target))
        return target;
    targets_free(target);
    return NULL;
}

void targets_release(struct targets *targets, struct target *target)
{
    targets_forget_places(targets, target);
    targets_delist(targets, target);
    targets->addressed -= target->has_address;
    targets->rows[target->id] = NULL;
    if (target->id < targets->free_from)
        targets->free_from = target->id;
    --targets->count;
}

void targets_remove(struct targets *targets, struct target *target)
{
    targets_release(targets, target);
    targets_free(target);
}

struct address targets_configured(const struct target *target)
{
    struct address address = {.port = 0};
    memcpy(address.ip, target->live.ip, sizeof address.ip);
    return address;
}

/* What was live elsewhere is forgotten before its IP address is overwritten: the index is by it. */
void targets_set_address(struct targets *targets, struct target *target, bool has_address,
                         const struct config_address *address)
{
    struct address live = targets_address(&target->live);
    targets_delist(targets, target);
    if (has_address && !address_same_ip(&live, address->ip))
        targets_forget_places(targets, target);
    set_configured(targets, target, has_address, address);
    targets_forget_forbidden(targets, target);
    (void)targets_enlist(targets, target); /* without memory it is still found by its places */
}

bool targets_may_be(const struct target *target, const struct address *address, uint16_t local_port)
{
    return (target->port == 0 || target->port == local_port) &&
           (!target->has_address || address_same_ip(address, target->live.ip));
}

bool targets_index(struct targets *targets)
{
    size_t wanted = targets->addressed * 3 / 2 + TARGETS_SLOTS_MIN;
    free(targets->ip_slots);
    targets->ip_slot_count = 0;
    targets->ip_slots = calloc(wanted, sizeof *targets->ip_slots);
    if (!targets->ip_slots)
        return false;
    targets->ip_slot_count = wanted;
    for (size_t i = targets->ids; i-- > 0;) {
        struct target *target = targets->rows[i];
        if (!target || !target->has_address)
            continue;
        struct address address = targets_configured(target);
        size_t at = targets_home(address_hash_ip(address.ip, targets->seed), wanted);
        while (targets->ip_slots[at] != 0 &&
               !address_same_ip(&address, targets->rows[targets->ip_slots[at] - 1]->live.ip))
            at = targets_after(at, wanted);
        target->next_same_ip = targets->ip_slots[at] != 0 ? targets->ip_slots[at] - 1 : TARGETS_NONE;
        targets->ip_slots[at] = target->id + 1;
    }
    return true;
}

/* Between targets_remove and targets_index, a chain may begin with an id that is gone or another's. */
uint32_t targets_with_ip(const struct targets *targets, const uint8_t ip[static 16])
{
    if (targets->ip_slot_count == 0)
        return TARGETS_NONE;
    size_t at = targets_home(address_hash_ip(ip, targets->seed), targets->ip_slot_count);
    for (; targets->ip_slots[at] != 0; at = targets_after(at, targets->ip_slot_count)) {
        const struct target *target = targets->rows[targets->ip_slots[at] - 1];
        if (target && target->has_address && memcmp(target->live.ip, ip, sizeof target->live.ip) == 0)
            return target->id;
    }
    return TARGETS_NONE;
}
