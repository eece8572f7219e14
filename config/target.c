/* SPDX-License-Identifier: Apache-2.0 */
/* Targets of a configuration: the settings of one, comparison, removal of all. */
#include "config/config.h"

#include <openssl/crypto.h>
#include <string.h>

void config_take_targets(struct kdnetd_config *config, struct kdnetd_config *to)
{
    config_init(to);
    to->targets = config->targets;
    to->target_count = config->target_count;
    to->target_capacity = config->target_capacity;
    to->names = config->names;
    to->name_slots = config->name_slots;
    to->old_keys = config->old_keys;
    to->old_key_count = config->old_key_count;
    to->keys = config->keys;
    to->labels = config->labels;
    to->label_slots = config->label_slots;
    to->label_count = config->label_count;
    config->labels = NULL;
    config->label_slots = config->label_count = 0;
    config->targets = NULL;
    config->names = config->keys = NULL;
    config->old_keys = NULL;
    config->target_count = config->target_capacity = config->name_slots = config->key_slots = 0;
    config->old_key_count = config->old_key_capacity = 0;
}

bool config_same_target(const struct config_target *a, const struct config_target *b)
{
    return strcmp(a->name, b->name) == 0 && CRYPTO_memcmp(a->key.bytes, b->key.bytes, sizeof a->key.bytes) == 0 &&
           a->has_address == b->has_address && a->strict == b->strict &&
           memcmp(a->address.ip, b->address.ip, sizeof a->address.ip) == 0 && a->address.port == b->address.port &&
           a->port == b->port && memcmp(a->policy.action, b->policy.action, sizeof a->policy.action) == 0 &&
           a->policy.hold_for_ms == b->policy.hold_for_ms && config_same_labels(a->labels, b->labels);
}

enum config_action config_action_for(const struct kdnetd_config *config, const struct config_target *target,
                                     enum config_break kind)
{
    if (target && target->policy.action[kind] != CONFIG_ACTION_UNSET)
        return (enum config_action)target->policy.action[kind];
    return (enum config_action)config->policy.action[kind];
}

uint64_t config_hold_for(const struct kdnetd_config *config, const struct config_target *target)
{
    return target && target->policy.hold_for_ms > 0 ? target->policy.hold_for_ms : config->policy.hold_for_ms;
}
