/* SPDX-License-Identifier: Apache-2.0 */
#include "service/targets/policies.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 16

struct policies_item {
    struct kdnet_policy policy; /* first member: policies_labels converts its address to the item's */
    struct policies_item *next;
    struct config_labels *labels; /* NULL: none */
};

void policies_init(struct policies *policies)
{
    memset(policies, 0, sizeof *policies);
}

void policies_clear(struct policies *policies)
{
    while (policies->first) {
        struct policies_item *item = policies->first;
        policies->first = item->next;
        free(item->labels);
        free(item);
    }
    free(policies->slots);
    policies_init(policies);
}

void policies_keep(struct policies *policies, struct policies *from)
{
    struct policies_item **last = &policies->first;
    while (*last)
        last = &(*last)->next;
    *last = from->first;
    from->first = NULL;
    policies_clear(from);
}

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

void policies_make(const struct kdnetd_config *config, const struct config_target *target, struct kdnet_policy *out)
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

static bool is_same(const struct policies_item *item, const struct kdnet_policy *policy,
                    const struct config_labels *labels)
{
    bool same = item->policy.hold_for_us == policy->hold_for_us && config_same_labels(item->labels, labels);
    for (int i = 0; i < KDNET_BREAK_KINDS; ++i)
        same = same && item->policy.action[i] == policy->action[i];
    return same;
}

/* Returns the slot of an equal policy, or the free slot for it. */
static struct policies_item **slot_of(const struct policies *policies, const struct kdnet_policy *policy,
                                      const struct config_labels *labels)
{
    uint64_t hash = policy->hold_for_us ^ (labels ? labels->hash : 0);
    for (int i = 0; i < KDNET_BREAK_KINDS; ++i)
        hash = (hash ^ (uint64_t)policy->action[i]) * 0x9e3779b97f4a7c15U;
    size_t at = (size_t)(hash ^ hash >> 32) & (policies->slot_count - 1);
    while (policies->slots[at] && !is_same(policies->slots[at], policy, labels))
        at = (at + 1) & (policies->slot_count - 1);
    return &policies->slots[at];
}

static bool reserve(struct policies *policies)
{
    if (policies->count * 2 < policies->slot_count)
        return true;
    struct policies old = *policies;
    policies->slot_count = old.slot_count > 0 ? old.slot_count * 2 : SLOTS_MIN;
    policies->slots = calloc(policies->slot_count, sizeof(struct policies_item *));
    if (!policies->slots) {
        *policies = old;
        return false;
    }
    for (size_t i = 0; i < old.slot_count; ++i)
        if (old.slots[i])
            *slot_of(policies, &old.slots[i]->policy, old.slots[i]->labels) = old.slots[i];
    free(old.slots);
    return true;
}

/* The configuration is freed once it is applied. */
static struct config_labels *copy_labels(const struct config_labels *labels)
{
    size_t size = sizeof *labels + labels->length;
    struct config_labels *copy = malloc(size);
    if (!copy)
        return NULL;
    memcpy(copy, labels, size);
    copy->next = NULL;
    return copy;
}

static struct policies_item *new_item(const struct kdnet_policy *policy, const struct config_labels *labels)
{
    struct policies_item *item = malloc(sizeof *item);
    if (!item)
        return NULL;
    *item = (struct policies_item){.policy = *policy, .labels = labels ? copy_labels(labels) : NULL};
    if (!labels || item->labels)
        return item;
    free(item);
    return NULL;
}

static const struct kdnet_policy *share(struct policies *policies, const struct kdnet_policy *wanted,
                                        const struct config_labels *labels)
{
    if (!reserve(policies))
        return NULL;
    struct policies_item **slot = slot_of(policies, wanted, labels);
    if (!*slot) {
        struct policies_item *item = new_item(wanted, labels);
        if (!item)
            return NULL;
        item->next = policies->first;
        policies->first = *slot = item;
        ++policies->count;
    }
    return &(*slot)->policy;
}

const struct kdnet_policy *policies_of(struct policies *policies, const struct kdnetd_config *config,
                                       const struct config_target *target)
{
    struct kdnet_policy wanted;
    policies_make(config, target, &wanted);
    return share(policies, &wanted, target->labels);
}

const struct kdnet_policy *policies_to_let_go(struct policies *policies)
{
    struct kdnetd_config config;
    struct kdnet_policy wanted;
    config_init(&config);
    for (int i = 0; i < CONFIG_BREAKS; ++i)
        config.policy.action[i] = CONFIG_ACTION_CONTINUE;
    policies_make(&config, NULL, &wanted);
    return share(policies, &wanted, NULL);
}

const struct config_labels *policies_labels(const struct kdnet_policy *policy)
{
    return ((const struct policies_item *)(const void *)policy)->labels;
}
