/* SPDX-License-Identifier: Apache-2.0 */
#include "service/targets.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 64

void targets_init(struct targets *targets, uint64_t seed)
{
    memset(targets, 0, sizeof *targets);
    targets->seed = seed;
}

static void free_row(struct target *target)
{
    kdnet_session_free(target->session);
    kdnet_crypto_wipe(&target->key, sizeof target->key);
    free(target);
}

void targets_clear(struct targets *targets)
{
    for (size_t i = 0; i < targets->ids; ++i)
        if (targets->rows[i])
            free_row(targets->rows[i]);
    for (size_t i = 0; i < targets->group_count; ++i) {
        free(targets->groups[i].list[0].ids);
        free(targets->groups[i].list[1].ids);
    }
    free(targets->groups);
    free(targets->rows);
    free(targets->free_ids);
    free(targets->slots);
    free(targets->ip_slots);
    targets_init(targets, targets->seed);
}

struct target *targets_row(const struct targets *targets, uint32_t id)
{
    return id < targets->ids ? targets->rows[id] : NULL;
}

/* Places by address. */

static size_t home_of(const struct targets *targets, const struct address *address, uint16_t local_port)
{
    uint64_t hash = address_hash(address, targets->seed) + (uint64_t)local_port * 0x9e3779b97f4a7c15U;
    return (size_t)(hash ^ hash >> 32) & (targets->slot_count - 1);
}

static struct target_place *place_in(const struct targets *targets, uint32_t slot)
{
    return &targets->rows[(slot - 1) / TARGETS_PLACES]->place[(slot - 1) % TARGETS_PLACES];
}

static void slot_insert(struct targets *targets, uint32_t slot)
{
    const struct target_place *place = place_in(targets, slot);
    size_t at = home_of(targets, &place->address, place->local_port);
    while (targets->slots[at] != 0)
        at = (at + 1) & (targets->slot_count - 1);
    targets->slots[at] = slot;
    ++targets->slots_used;
}

/* Closes the gap at `at`: entries behind it that may move up do (Knuth, algorithm 6.4R). */
static void slot_close_gap(struct targets *targets, size_t at)
{
    size_t mask = targets->slot_count - 1, next = at;
    for (;;) {
        targets->slots[at] = 0;
        size_t home = 0;
        do {
            next = (next + 1) & mask;
            if (targets->slots[next] == 0)
                return;
            const struct target_place *place = place_in(targets, targets->slots[next]);
            home = home_of(targets, &place->address, place->local_port);
        } while (((next - home) & mask) < ((next - at) & mask));
        targets->slots[at] = targets->slots[next];
        at = next;
    }
}

void targets_forget(struct targets *targets, struct target *target, unsigned place)
{
    struct target_place *old = &target->place[place];
    if (!old->used)
        return;
    uint32_t slot = target->id * TARGETS_PLACES + place + 1;
    size_t at = home_of(targets, &old->address, old->local_port);
    while (targets->slots[at] != slot)
        at = (at + 1) & (targets->slot_count - 1);
    slot_close_gap(targets, at);
    --targets->slots_used;
    memset(old, 0, sizeof *old);
}

void targets_forget_listener(struct targets *targets, const struct listener *listener)
{
    for (size_t i = 0; i < targets->ids; ++i)
        for (unsigned place = 0; targets->rows[i] && place < TARGETS_PLACES; ++place)
            if (targets->rows[i]->place[place].listener == listener)
                targets_forget(targets, targets->rows[i], place);
}

static bool resize_slots(struct targets *targets, size_t rows)
{
    size_t wanted = SLOTS_MIN;
    while (wanted < rows * TARGETS_PLACES * 2)
        wanted *= 2;
    if (wanted <= targets->slot_count)
        return true;
    uint32_t *old = targets->slots;
    size_t old_count = targets->slot_count;
    uint32_t *slots = calloc(wanted, sizeof *slots);
    if (!slots)
        return false;
    targets->slots = slots;
    targets->slot_count = wanted;
    targets->slots_used = 0;
    for (size_t i = 0; i < old_count; ++i)
        if (old[i] != 0)
            slot_insert(targets, old[i]);
    free(old);
    return true;
}

size_t targets_at(const struct targets *targets, const struct address *address, uint16_t local_port,
                  struct target *out[static TARGETS_SHARE_MAX])
{
    size_t count = 0;
    if (targets->slot_count == 0)
        return 0;
    for (size_t at = home_of(targets, address, local_port); targets->slots[at] != 0 && count < TARGETS_SHARE_MAX;
         at = (at + 1) & (targets->slot_count - 1)) {
        const struct target_place *place = place_in(targets, targets->slots[at]);
        if (place->local_port != local_port || !address_equal(&place->address, address))
            continue;
        struct target *target = targets->rows[(targets->slots[at] - 1) / TARGETS_PLACES];
        out[count++] = target;
        if (place == &target->place[TARGETS_PLACE_LIVE] && count > 1) {
            out[count - 1] = out[0];
            out[0] = target;
        }
    }
    return count;
}

static void set_place(struct targets *targets, struct target *target, unsigned place, const struct address *address,
                      struct listener *listener, uint16_t local_port)
{
    targets_forget(targets, target, place);
    target->place[place] =
        (struct target_place){.used = true, .address = *address, .listener = listener, .local_port = local_port};
    slot_insert(targets, target->id * TARGETS_PLACES + place + 1);
}

static bool is_place(const struct target_place *place, const struct address *address, uint16_t local_port)
{
    return place->used && place->local_port == local_port && address_equal(&place->address, address);
}

void targets_set_candidate(struct targets *targets, struct target *target, const struct address *address,
                           struct listener *listener, uint16_t local_port)
{
    struct target *others[TARGETS_SHARE_MAX];
    if (is_place(&target->place[TARGETS_PLACE_LIVE], address, local_port) ||
        is_place(&target->place[TARGETS_PLACE_POKE], address, local_port))
        return;
    if (targets_at(targets, address, local_port, others) == TARGETS_SHARE_MAX)
        targets_forget(targets, others[TARGETS_SHARE_MAX - 1], TARGETS_PLACE_POKE);
    set_place(targets, target, TARGETS_PLACE_POKE, address, listener, local_port);
}

static void list_remove(struct targets *targets, struct target *target)
{
    if (!target->listed)
        return;
    struct targets_list *list = &targets->groups[target->group].list[target->seen];
    uint32_t last = list->ids[--list->count];
    list->ids[target->list_at] = last;
    targets->rows[last]->list_at = target->list_at;
    target->listed = false;
}

/* There is room: list_reserve. */
static void list_add(struct targets *targets, struct target *target)
{
    struct targets_list *list = &targets->groups[target->group].list[target->seen];
    target->list_at = (uint32_t)list->count;
    target->listed = true;
    list->ids[list->count++] = target->id;
}

bool targets_set_live(struct targets *targets, struct target *target, const struct address *address,
                      struct listener *listener, uint16_t local_port)
{
    struct target *others[TARGETS_SHARE_MAX];
    struct target_place *live = &target->place[TARGETS_PLACE_LIVE];
    if (is_place(live, address, local_port)) {
        live->listener = listener;
        return false;
    }
    size_t count = targets_at(targets, address, local_port, others);
    for (size_t i = 0; i < count; ++i)
        if (is_place(&others[i]->place[TARGETS_PLACE_LIVE], address, local_port))
            targets_forget(targets, others[i], TARGETS_PLACE_LIVE);
    if (is_place(&target->place[TARGETS_PLACE_POKE], address, local_port))
        targets_forget(targets, target, TARGETS_PLACE_POKE);
    set_place(targets, target, TARGETS_PLACE_LIVE, address, listener, local_port);
    if (!target->seen && target->listed) {
        list_remove(targets, target);
        target->seen = true;
        list_add(targets, target);
    }
    target->seen = true;
    return true;
}

const struct target_place *targets_destination(const struct target *target)
{
    for (unsigned i = 0; i < TARGETS_PLACES; ++i)
        if (target->place[i].used)
            return &target->place[i];
    return NULL;
}

bool targets_may_be(const struct target *target, const struct address *address, uint16_t local_port)
{
    return (target->port == 0 || target->port == local_port) &&
           (!target->has_address || address_same_ip(address, target->address.ip));
}

/* Groups: which keys to try. */

const struct targets_group *targets_group_of(const struct targets *targets, uint16_t port)
{
    for (size_t i = 0; i < targets->group_count; ++i)
        if (targets->groups[i].port == port)
            return &targets->groups[i];
    return NULL;
}

static bool find_group(struct targets *targets, uint16_t port, uint32_t *group)
{
    for (uint32_t i = 0; i < targets->group_count; ++i)
        if (targets->groups[i].port == port) {
            *group = i;
            return true;
        }
    struct targets_group *groups = realloc(targets->groups, (targets->group_count + 1) * sizeof *groups);
    if (!groups)
        return false;
    targets->groups = groups;
    memset(&groups[targets->group_count], 0, sizeof *groups);
    groups[targets->group_count].port = port;
    *group = (uint32_t)targets->group_count++;
    return true;
}

/* Both lists of a group get room for all its rows, so that a row can change lists without memory. */
static bool list_reserve(struct targets_group *group)
{
    size_t needed = group->list[0].count + group->list[1].count + 1;
    for (int i = 0; i < 2; ++i) {
        struct targets_list *list = &group->list[i];
        if (list->capacity >= needed)
            continue;
        size_t capacity = needed < 8 ? 8 : needed * 2;
        uint32_t *ids = realloc(list->ids, capacity * sizeof *ids);
        if (!ids)
            return false;
        list->ids = ids;
        list->capacity = capacity;
    }
    return true;
}

/* Rows. */

bool targets_reserve(struct targets *targets, size_t ids)
{
    if (!resize_slots(targets, ids))
        return false;
    if (ids <= targets->capacity)
        return true;
    struct target **rows = realloc(targets->rows, ids * sizeof(struct target *));
    if (!rows)
        return false;
    targets->rows = rows;
    uint32_t *free_ids = realloc(targets->free_ids, ids * sizeof *free_ids);
    if (!free_ids)
        return false;
    targets->free_ids = free_ids;
    targets->capacity = ids;
    return true;
}

static bool enlist(struct targets *targets, struct target *target)
{
    if (target->has_address)
        return true;
    if (!find_group(targets, target->port, &target->group) || !list_reserve(&targets->groups[target->group]))
        return false;
    list_add(targets, target);
    return true;
}

struct target *targets_add(struct targets *targets, const struct config_target *config)
{
    if (targets->free_count == 0 && targets->ids == targets->capacity)
        return NULL;
    struct target *target = calloc(1, sizeof *target);
    if (!target)
        return NULL;
    memcpy(target->name, config->name, sizeof target->name);
    target->key = config->key;
    target->has_address = config->has_address;
    target->address = address_from_config(&config->address);
    target->port = config->port;
    target->next_same_ip = TARGETS_NONE;
    target->id = targets->free_count > 0 ? targets->free_ids[targets->free_count - 1] : (uint32_t)targets->ids;
    if (target->id == targets->ids)
        targets->rows[targets->ids++] = NULL;
    else
        --targets->free_count;
    targets->rows[target->id] = target;
    ++targets->count;
    if (!enlist(targets, target)) {
        targets_remove(targets, target);
        return NULL;
    }
    return target;
}

void targets_remove(struct targets *targets, struct target *target)
{
    for (unsigned place = 0; place < TARGETS_PLACES; ++place)
        targets_forget(targets, target, place);
    list_remove(targets, target);
    targets->rows[target->id] = NULL;
    targets->free_ids[targets->free_count++] = target->id;
    --targets->count;
    free_row(target);
}

void targets_set_address(struct targets *targets, struct target *target, bool has_address,
                         const struct config_address *address)
{
    if (!target->has_address)
        list_remove(targets, target);
    target->has_address = has_address;
    target->address = address_from_config(address);
    for (unsigned place = 0; place < TARGETS_PLACES; ++place)
        if (target->place[place].used &&
            !targets_may_be(target, &target->place[place].address, target->place[place].local_port))
            targets_forget(targets, target, place);
    (void)enlist(targets, target); /* without memory it is still found by its places */
}

bool targets_index(struct targets *targets)
{
    size_t wanted = SLOTS_MIN;
    while (wanted < targets->count * 2)
        wanted *= 2;
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
        size_t at = (size_t)address_hash_ip(target->address.ip, targets->seed) & (wanted - 1);
        while (targets->ip_slots[at] != 0 &&
               !address_same_ip(&target->address, targets->rows[targets->ip_slots[at] - 1]->address.ip))
            at = (at + 1) & (wanted - 1);
        target->next_same_ip = targets->ip_slots[at] != 0 ? targets->ip_slots[at] - 1 : TARGETS_NONE;
        targets->ip_slots[at] = target->id + 1;
    }
    return true;
}

uint32_t targets_with_ip(const struct targets *targets, const uint8_t ip[static 16])
{
    if (targets->ip_slot_count == 0)
        return TARGETS_NONE;
    size_t mask = targets->ip_slot_count - 1, at = (size_t)address_hash_ip(ip, targets->seed) & mask;
    for (; targets->ip_slots[at] != 0; at = (at + 1) & mask)
        if (address_same_ip(&targets->rows[targets->ip_slots[at] - 1]->address, ip))
            return targets->ip_slots[at] - 1;
    return TARGETS_NONE;
}

/* Policy. */

static enum kdnet_action action_of(enum config_action action)
{
    switch (action) {
    case CONFIG_ACTION_HOLD:
        return KDNET_ACTION_HOLD;
    case CONFIG_ACTION_REBOOT:
        return KDNET_ACTION_REBOOT;
    case CONFIG_ACTION_UNSET:
    case CONFIG_ACTION_CONTINUE:
    default:
        return KDNET_ACTION_CONTINUE;
    }
}

void targets_policy(const struct kdnetd_config *config, const struct config_target *target, struct kdnet_policy *out)
{
    static const enum kdnet_break_kind kinds[CONFIG_BREAKS] = {
        [CONFIG_BREAK_BUGCHECK_FIRST] = KDNET_BREAK_KIND_BUGCHECK_FIRST,
        [CONFIG_BREAK_BUGCHECK_SECOND] = KDNET_BREAK_KIND_BUGCHECK_SECOND,
        [CONFIG_BREAK_SHUTDOWN] = KDNET_BREAK_KIND_SHUTDOWN,
        [CONFIG_BREAK_BREAK] = KDNET_BREAK_KIND_BREAK,
        [CONFIG_BREAK_EXCEPTION] = KDNET_BREAK_KIND_EXCEPTION,
        [CONFIG_BREAK_LOAD_SYMBOLS] = KDNET_BREAK_KIND_LOAD_SYMBOLS,
        [CONFIG_BREAK_PROMPT] = KDNET_BREAK_KIND_PROMPT,
    };
    kdnet_policy_init(out);
    for (int i = 0; i < CONFIG_BREAKS; ++i)
        out->action[kinds[i]] = action_of(config_action_for(config, target, (enum config_break)i));
    uint64_t hold_for_ms = config_hold_for(config, target);
    out->hold_for_us = hold_for_ms == CONFIG_HOLD_FOR_EVER || hold_for_ms > UINT64_MAX / 1000 ? 0 : hold_for_ms * 1000;
}
