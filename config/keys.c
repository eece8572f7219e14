/* SPDX-License-Identifier: Apache-2.0 */
/* Keys by number: the targets' keys, then their old keys; and the search for duplicate keys. */
#include "config/store.h"
#include "kdnet/base/hash.h"

#include <stdlib.h>
#include <string.h>

struct slots {
    uint32_t *numbers; /* key number + 1; 0 empty */
    size_t count;      /* a power of two */
    bool by_port;
};

size_t config_key_count(const struct kdnetd_config *config)
{
    return config->target_count + config->old_key_count;
}

const struct kdnet_key *config_key(const struct kdnetd_config *config, size_t number)
{
    return number < config->target_count ? &config->targets[number].key
                                         : &config->old_keys[number - config->target_count].key;
}

size_t config_key_target(const struct kdnetd_config *config, size_t number)
{
    return number < config->target_count ? number : config->old_keys[number - config->target_count].target;
}

static uint16_t port_of(const struct kdnetd_config *config, size_t number)
{
    return config->targets[config_key_target(config, number)].port;
}

static bool is_same(const struct kdnet_key *a, const struct kdnet_key *b)
{
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static uint64_t hash_of(const struct kdnet_key *key, uint16_t port)
{
    return kdnet_hash(KDNET_HASH_START ^ port, key->bytes, sizeof key->bytes);
}

/* Returns the slot of an equal key, or the empty slot for it. */
static uint32_t *slot_of(const struct kdnetd_config *config, const struct slots *slots, const struct kdnet_key *key,
                         uint16_t port)
{
    uint64_t hash = hash_of(key, slots->by_port ? port : 0);
    size_t at = (size_t)(hash ^ hash >> 32) & (slots->count - 1);
    for (; slots->numbers[at] != 0; at = (at + 1) & (slots->count - 1)) {
        size_t number = slots->numbers[at] - 1;
        if (is_same(config_key(config, number), key) && (!slots->by_port || port_of(config, number) == port))
            break;
    }
    return &slots->numbers[at];
}

static bool init_slots(struct slots *slots, size_t keys, bool by_port)
{
    *slots = (struct slots){.count = 16, .by_port = by_port};
    while (slots->count < keys * 2)
        slots->count *= 2;
    slots->numbers = calloc(slots->count, sizeof *slots->numbers);
    return slots->numbers != NULL;
}

/*
 * Returns an earlier key that is equal on a common port; otherwise notes this key. A target on all ports clashes with
 * every equal key; a target on one port, with equal keys on that port or on all ports.
 */
static size_t find_clash(const struct kdnetd_config *config, const struct slots *any, const struct slots *by_port,
                         size_t number)
{
    const struct kdnet_key *key = config_key(config, number);
    uint16_t port = port_of(config, number);
    uint32_t *slot = slot_of(config, by_port, key, port), *first = slot_of(config, any, key, port);
    if (*slot != 0)
        return *slot - 1;
    *slot = (uint32_t)number + 1;
    if (*first != 0 && (port == 0 || port_of(config, *first - 1) == 0))
        return *first - 1;
    if (*first == 0)
        *first = (uint32_t)number + 1;
    return CONFIG_NO_KEY;
}

static void report_clash(const struct kdnetd_config *config, size_t number, size_t other, struct config_report *report)
{
    char text[CONFIG_PLACE_SIZE];
    bool is_old = number >= config->target_count;
    const struct config_target *target = &config->targets[config_key_target(config, number)];
    const struct config_target *owner = &config->targets[config_key_target(config, other)];
    const struct config_place *place = is_old ? &config->old_keys[number - config->target_count].place : &target->place;
    bool is_option = place->source == CONFIG_SOURCE_OPTIONS || place->source >= config->source_count;
    struct config_spot spot = {is_option ? "command line" : config->sources[place->source], place->source, place->line,
                               place->column, is_old ? "key_old" : "key"};
    if (target == owner)
        config_report_add(report, &spot, "%s has this key already; take it out here", target->name);
    else if (is_old || other >= config->target_count)
        config_report_add(report, &spot,
                          "%s has the key of %s (%s) on the same port, new or old, and two machines with one key "
                          "cannot be told apart; take it out of one of them",
                          target->name, owner->name, config_store_place(config, &owner->place, text));
    else
        config_report_add(report, &spot,
                          "%s has the key of %s (%s) on the same port, and two machines with one key cannot be told "
                          "apart; make a new one: kdnetctl keygen %s",
                          target->name, owner->name, config_store_place(config, &owner->place, text), target->name);
}

bool config_check_keys(struct kdnetd_config *config, struct config_report *report)
{
    struct slots any, by_port;
    size_t count = config_key_count(config);
    if (count >= UINT32_MAX || !init_slots(&any, count, false))
        return false;
    bool good = init_slots(&by_port, count, true);
    for (size_t number = 0; good && number < count; ++number) {
        size_t other = find_clash(config, &any, &by_port, number);
        if (other != CONFIG_NO_KEY)
            report_clash(config, number, other, report);
    }
    free(any.numbers);
    free(config->keys);
    config->keys = by_port.numbers;
    config->key_slots = good ? by_port.count : 0;
    return good;
}

/* Returns the index of a target's first old key, or where it would be. */
static size_t first_old(const struct kdnetd_config *config, size_t target)
{
    size_t low = 0, high = config->old_key_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (config->old_keys[middle].target < target)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t config_key_slot(const struct kdnetd_config *config, size_t number)
{
    if (number < config->target_count)
        return 0;
    size_t old = number - config->target_count;
    return old - first_old(config, config->old_keys[old].target) + 1;
}

bool config_has_old_keys(const struct kdnetd_config *config, size_t target)
{
    size_t old = first_old(config, target);
    return old < config->old_key_count && config->old_keys[old].target == target;
}

size_t config_find_key(const struct kdnetd_config *config, const struct kdnet_key *key, uint16_t port, const char *name)
{
    const struct slots slots = {config->keys, config->key_slots, true};
    uint32_t slot = slots.count > 0 ? *slot_of(config, &slots, key, port) : 0;
    if (slot != 0)
        return slot - 1;
    const struct config_target *target = config_find_target(config, name);
    if (!target)
        return CONFIG_NO_KEY;
    size_t index = (size_t)(target - config->targets);
    if (is_same(&target->key, key))
        return index;
    for (size_t old = first_old(config, index); old < config->old_key_count && config->old_keys[old].target == index;
         ++old)
        if (is_same(&config->old_keys[old].key, key))
            return config->target_count + old;
    return CONFIG_NO_KEY;
}
