/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "config/store.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 8

void *config_store_reserve(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    size_t larger = *capacity > 0 ? *capacity * 2 : FIRST_CAPACITY;
    void *copy = larger <= SIZE_MAX / size ? malloc(larger * size) : NULL;
    if (!copy)
        return NULL;
    if (count > 0) {
        memcpy(copy, array, count * size);
        OPENSSL_cleanse(array, count * size);
    }
    free(array);
    *capacity = larger;
    return copy;
}

bool config_store_listen(struct kdnetd_config *config, const struct config_listen *listen)
{
    struct config_listen *listens = config_store_reserve(config->listens, config->listen_count,
                                                         &config->listen_capacity, sizeof *listens);
    if (!listens)
        return false;
    config->listens = listens;
    listens[config->listen_count++] = *listen;
    return true;
}

static bool store_old_key(struct kdnetd_config *config, const struct config_old_key *old)
{
    struct config_old_key *keys = config_store_reserve(config->old_keys, config->old_key_count,
                                                       &config->old_key_capacity, sizeof *keys);
    if (!keys)
        return false;
    config->old_keys = keys;
    keys[config->old_key_count] = *old;
    keys[config->old_key_count++].target = (uint32_t)(config->target_count - 1);
    return true;
}

bool config_store_target(struct kdnetd_config *config, const struct config_new_target *target)
{
    struct config_target *targets = config_store_reserve(config->targets, config->target_count,
                                                         &config->target_capacity, sizeof *targets);
    if (!targets)
        return false;
    config->targets = targets;
    targets[config->target_count++] = target->target;
    for (size_t i = 0; i < target->old_count; ++i)
        if (!store_old_key(config, &target->old[i]))
            return false;
    return true;
}

bool config_store_rva(struct kdnetd_config *config, const struct config_rva *rva)
{
    struct config_rva *rvas = config_store_reserve(config->rvas, config->rva_count, &config->rva_capacity,
                                                   sizeof *rvas);
    if (!rvas)
        return false;
    config->rvas = rvas;
    rvas[config->rva_count++] = *rva;
    return true;
}

bool config_store_read(struct kdnetd_config *config, const struct config_read *read)
{
    struct config_read *reads = config_store_reserve(config->reads, config->read_count, &config->read_capacity,
                                                     sizeof *reads);
    if (!reads)
        return false;
    config->reads = reads;
    reads[config->read_count++] = *read;
    return true;
}

bool config_store_sink(struct kdnetd_config *config, const struct config_sink *sink)
{
    struct config_sink *sinks = config_store_reserve(config->sinks, config->sink_count, &config->sink_capacity,
                                                     sizeof *sinks);
    if (!sinks)
        return false;
    config->sinks = sinks;
    sinks[config->sink_count++] = *sink;
    return true;
}

bool config_store_text(struct config_texts *texts, const char *text)
{
    char **all = config_store_reserve(texts->text, texts->count, &texts->capacity, sizeof *all);
    if (!all)
        return false;
    texts->text = all;
    all[texts->count] = strdup(text);
    return all[texts->count] != NULL && ++texts->count > 0;
}

void config_store_clear_texts(struct config_texts *texts)
{
    for (size_t i = 0; i < texts->count; ++i)
        free(texts->text[i]);
    free(texts->text);
    *texts = (struct config_texts){.text = NULL};
}

/* The command line is source 0, before any file. */
static bool add_source(struct kdnetd_config *config, const char *name, const struct config_file_id *id)
{
    char **sources = config_store_reserve(config->sources, config->source_count, &config->source_capacity,
                                          sizeof *sources);
    if (!sources)
        return false;
    config->sources = sources;
    struct config_file_id *ids = config_store_reserve(config->file_ids, config->source_count, &config->file_id_capacity,
                                                      sizeof *ids);
    if (!ids)
        return false;
    config->file_ids = ids;
    ids[config->source_count] = *id;
    sources[config->source_count] = strdup(name);
    return sources[config->source_count] != NULL && ++config->source_count > 0;
}

bool config_store_source(struct kdnetd_config *config, const char *name, const struct config_file_id *id,
                         uint32_t *source)
{
    static const struct config_file_id none;
    if (config->source_count == 0 && !add_source(config, "command line", &none))
        return false;
    if (!add_source(config, name, id))
        return false;
    *source = (uint32_t)(config->source_count - 1);
    return true;
}

const char *config_store_find_source(const struct kdnetd_config *config, const struct config_file_id *id)
{
    if (id->file == 0)
        return NULL;
    for (size_t i = 0; i < config->source_count; ++i)
        if (config->file_ids[i].device == id->device && config->file_ids[i].file == id->file)
            return config->sources[i];
    return NULL;
}

const char *config_store_place(const struct kdnetd_config *config, const struct config_place *place,
                               char out[static CONFIG_PLACE_SIZE])
{
    if (place->source == CONFIG_SOURCE_OPTIONS || place->source >= config->source_count)
        return "the command line";
    (void)snprintf(out, CONFIG_PLACE_SIZE, "%.*s:%u:%u", CHARACTERS(config->sources[place->source], 250), place->line,
                   place->column);
    return out;
}

bool config_store_claim(struct kdnetd_config *config, enum config_setting setting, const struct config_spot *spot,
                        struct config_report *report)
{
    char text[CONFIG_PLACE_SIZE];
    struct config_place *set_at = &config->set_at[setting];
    if (config->was_set[setting] && spot->source != CONFIG_SOURCE_OPTIONS) {
        if (set_at->source != CONFIG_SOURCE_OPTIONS)
            config_report_add(report, spot, "is set at %s already; set it in one place",
                              config_store_place(config, set_at, text));
        return false;
    }
    config->was_set[setting] = true;
    *set_at = (struct config_place){spot->source, spot->line, spot->column};
    return true;
}

void config_store_check_access(const struct kdnetd_config *config, const char *path, const struct config_file *file,
                               const struct config_spot *spot, struct config_report *report)
{
    struct config_spot whole = {.file = spot->file, .source = spot->source};
    const struct config_access *access = &config->access;
    bool is_open = access->open_to_others ? access->open_to_others(path, access->context) : file->open_to_others;
    if (!is_open)
        return;
    char remedy[CONFIG_ERROR_SIZE];
    config_file_tell_open(file, path, remedy);
    config_report_add(report, &whole, "holds keys and is open to every user of this machine %s", remedy);
}

void config_store_opening(const struct kdnetd_config *config, const char *path)
{
    if (config->access.opening)
        config->access.opening(path, config->access.context);
}

bool config_store_open(struct kdnetd_config *config, const char *path, size_t limit, const struct config_spot *from,
                       struct config_report *report, struct config_file *file, struct config_spot *spot)
{
    char error[CONFIG_ERROR_SIZE];
    *spot = (struct config_spot){.file = path, .source = from ? from->source : (uint32_t)config->source_count};
    config_store_opening(config, path);
    if (!config_file_read(path, limit, file, error)) {
        if (from)
            config_report_add(report, from, "%.*s %s", CHARACTERS(path, 300), error);
        else
            config_report_add(report, spot, "%s", error);
        return false;
    }
    const char *before = config_store_find_source(config, &file->id);
    if (before)
        config_report_add(report, from ? from : spot, "%.*s was read already, as %.*s; name it once",
                          CHARACTERS(path, 300), CHARACTERS(before, 300));
    else if (!config_store_source(config, path, &file->id, &spot->source))
        config_report_add(report, spot, "out of memory");
    else
        return true;
    config_file_clear(file);
    return false;
}
