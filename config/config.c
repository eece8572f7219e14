/* SPDX-License-Identifier: Apache-2.0 */
#include "config/config.h"
#include "config/labels.h"
#include "config/option.h"
#include "config/value.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

void config_init(struct kdnetd_config *config)
{
    *config = (struct kdnetd_config){.listens = NULL};
    config_set_defaults(config);
}

static void free_strings(char **strings, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        free(strings[i]);
    free(strings);
}

void config_clear(struct kdnetd_config *config)
{
    if (config->targets)
        OPENSSL_cleanse(config->targets, config->target_count * sizeof *config->targets);
    free(config->targets);
    if (config->old_keys)
        OPENSSL_cleanse(config->old_keys, config->old_key_count * sizeof *config->old_keys);
    free(config->old_keys);
    free(config->keys);
    free(config->listens);
    free(config->rvas);
    free(config->reads);
    for (size_t i = 0; i < config->sink_count; ++i)
        config_clear_sink(&config->sinks[i]);
    free(config->sinks);
    config_clear_settings(config);
    free_strings(config->sources, config->source_count);
    free(config->file_ids);
    free(config->names);
    config_labels_clear(config);
    config_init(config);
}

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

bool config_load(const char *path, struct kdnetd_config *config, struct config_report *report)
{
    size_t before = report->count;
    config_store_yaml_file(config, path, NULL, 1, report);
    return report->count == before;
}

bool config_load_text(const char *text, size_t length, const char *name, struct kdnetd_config *config,
                      struct config_report *report)
{
    static const struct config_file_id none;
    struct config_spot spot = {.file = name};
    size_t before = report->count;
    if (length > CONFIG_YAML_LIMIT)
        config_report_add(report, &spot, "is larger than %zu MiB; divide it into several files",
                          CONFIG_YAML_LIMIT >> 20);
    else if (!config_store_source(config, name, &none, &spot.source))
        config_report_add(report, &spot, "out of memory");
    else
        config_store_yaml(config, text, length, &spot, NULL, 1, report);
    return report->count == before;
}

bool config_load_targets(const char *path, struct kdnetd_config *config, struct config_report *report)
{
    size_t before = report->count;
    config_store_targets_file(config, path, NULL, report);
    return report->count == before;
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
