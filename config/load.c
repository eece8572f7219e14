/* SPDX-License-Identifier: Apache-2.0 */
/* Initialises and clears a configuration. */
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
