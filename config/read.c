/* SPDX-License-Identifier: Apache-2.0 */
/* YAML files: reads their entries and lists, and the files that they name. */
#include "config/value.h"
#include "config/walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char no_memory[] = "out of memory";

static bool wrong(char *error, const char *text)
{
    (void)snprintf(error, CONFIG_ERROR_SIZE, "%s", text);
    return false;
}

/* Entries */

void config_entry_begin(struct config_walk *walk, enum config_type type, void *entry)
{
    walk->labels.count = 0;
    config_set_entry_defaults(config_group_of(type), entry);
    if (type == CONFIG_TYPE_READS)
        ((struct config_read *)entry)->read.kind = KDNET_READ_U32;
}

static bool end_target(struct config_walk *w, struct config_new_target *wanted, const struct config_seen *seen,
                       bool is_good)
{
    const struct config_group *group = config_group_of(CONFIG_TYPE_TARGETS);
    struct config_target *target = &wanted->target;
    const struct config_seen *strict = &seen[config_find_option(group, "strict") - group->options];
    target->has_address = seen[config_find_option(group, "address") - group->options].line > 0;
    if (target->strict && !target->has_address) {
        config_walk_complain(w, "strict", strict,
                             "needs an address that it is strict about; add address, or take this out");
        return true;
    }
    return !is_good ||
           (config_labels_share(w->config, &w->labels, &target->labels) && config_store_target(w->config, wanted));
}

/* Checks that a sink has the fields of its type, then stores or clears it. */
static bool end_sink(struct config_walk *w, struct config_sink *sink, const struct config_seen *seen, bool is_good)
{
    char error[CONFIG_ERROR_SIZE];
    const struct config_group *group = config_group_of(CONFIG_TYPE_SINKS);
    const char *wrong_field = is_good ? config_check_sink(sink, error) : NULL;
    if (wrong_field) {
        const struct config_seen *at = &seen[config_find_option(group, wrong_field) - group->options];
        const struct config_seen entry = {sink->place.line, sink->place.column, 0};
        config_walk_complain(w, wrong_field, at->line > 0 ? at : &entry, error);
    } else if (is_good && config_store_sink(w->config, sink)) {
        return true;
    }
    config_clear_sink(sink);
    return !is_good || wrong_field;
}

void config_entry_end(struct config_walk *walk, enum config_type type, void *entry, const struct config_seen *seen,
                      const struct config_place *place, bool is_good)
{
    struct config_new_target *target = entry;
    struct config_rva *rva = entry;
    struct config_read *read = entry;
    struct config_sink *sink = entry;
    bool stored = true;
    if (type == CONFIG_TYPE_TARGETS) {
        target->target.place = *place;
        stored = end_target(walk, target, seen, is_good);
    } else if (type == CONFIG_TYPE_RVAS) {
        rva->place = *place;
        stored = !is_good || config_store_rva(walk->config, rva);
    } else if (type == CONFIG_TYPE_SINKS) {
        sink->place = *place;
        stored = end_sink(walk, sink, seen, is_good);
    } else {
        read->place = *place;
        stored = !is_good || config_store_read(walk->config, read);
    }
    if (!stored)
        config_report_add(walk->report, walk->file, "%s", no_memory);
}

/* Lists */

static bool take_listener(struct config_walk *w, const char *text, const struct config_spot *spot, char *error)
{
    struct config_listen listen = {.place = {spot->source, spot->line, spot->column}};
    if (!config_parse_address(text, CONFIG_PORT_NEEDED, &listen.address, error))
        return false;
    return config_store_listen(w->config, &listen) || wrong(error, no_memory);
}

static bool take_old_key(struct config_new_target *target, const char *text, const struct config_spot *spot,
                         char *error)
{
    if (target->old_count == CONFIG_OLD_KEYS_MAX) {
        (void)snprintf(error, CONFIG_ERROR_SIZE,
                       "is one old key more than the %d that a target may have; leave out the oldest",
                       CONFIG_OLD_KEYS_MAX);
        return false;
    }
    struct config_old_key *old = &target->old[target->old_count];
    old->place = (struct config_place){spot->source, spot->line, spot->column};
    target->old_count += config_parse_key(text, strlen(text), &old->key, error);
    return error[0] == '\0';
}

static void include_one(struct config_walk *w, const struct config_spot *spot, const char *pattern)
{
    char **paths = NULL;
    size_t count = 0;
    config_store_opening(w->config, pattern);
    if (!config_file_glob(pattern, &paths, &count)) {
        config_report_add(w->report, spot, "cannot be searched; check the folder and who may read it");
        return;
    }
    for (size_t i = 0; i < count; ++i)
        config_store_yaml_file(w->config, paths[i], spot, w->depth + 1, w->report);
    config_file_free_paths(paths, count);
}

/* Reads a file that this one names, with a path relative to this one's folder. */
static bool follow(struct config_walk *w, const char *text, bool is_include, const struct config_spot *spot,
                   char *error)
{
    if (text[0] == '\0')
        return wrong(error, "is empty; write a file's path");
    if (is_include && w->depth >= CONFIG_INCLUDE_DEPTH) {
        (void)snprintf(error, CONFIG_ERROR_SIZE, "is deeper than %d files; include it from a file further up",
                       CONFIG_INCLUDE_DEPTH);
        return false;
    }
    if (w->config->access.memory_only)
        return true;
    char *path = config_file_resolve(w->file->file, text);
    if (!path)
        return wrong(error, no_memory);
    if (is_include)
        include_one(w, spot, path);
    else
        config_store_targets_file(w->config, path, spot, w->report);
    free(path);
    return true;
}

static bool take_text(const struct config_option *option, void *base, const char *text, char *error)
{
    struct config_texts *texts = (struct config_texts *)(void *)((char *)base + option->offset);
    unsigned index = 0;
    if (text[0] != '\0' && option->words && !config_check_words(option, text, &index, error))
        return false;
    if (text[0] != '\0' && option->check && !option->check(text, error))
        return false;
    if (text[0] != '\0')
        return config_store_text(texts, text) || wrong(error, no_memory);
    (void)snprintf(error, CONFIG_ERROR_SIZE, "is empty; write %s", option->remedy);
    return false;
}

bool config_take_listed(struct config_walk *walk, const struct config_option *option, void *base, const char *text,
                        const struct config_spot *spot, char *error)
{
    switch (option->type) {
    case CONFIG_TYPE_LISTENERS:
        return take_listener(walk, text, spot, error);
    case CONFIG_TYPE_OLD_KEYS:
        return take_old_key(base, text, spot, error);
    case CONFIG_TYPE_TEXTS:
        /* A password in a server's URL is a secret as a key is. */
        walk->has_keys = walk->has_keys || (option->check == config_check_nats_server && strchr(text, '@'));
        return take_text(option, base, text, error);
    default:
        return follow(walk, text, option->type == CONFIG_TYPE_INCLUDES, spot, error);
    }
}

/* Files */

static void follow_all(struct config_walk *w, const char *name, const yaml_node_t *node)
{
    if (!node)
        return;
    (void)snprintf(w->field, sizeof w->field, "%s", name);
    config_walk_values(w, config_find_option(&config_top, name), node, w->config);
    w->field[0] = '\0';
}

/* Reads a document, then the files that it names. */
static void read_document(struct config_walk *w, const struct config_file *file)
{
    (void)config_walk(w);
    if (file && w->has_keys)
        config_store_check_access(w->config, w->file->file, file, w->file, w->report);
    follow_all(w, "targets_file", w->targets_files);
    follow_all(w, "include", w->includes);
}

void config_store_yaml(struct kdnetd_config *config, const char *text, size_t length, const struct config_spot *spot,
                       const struct config_file *file, unsigned depth, struct config_report *report)
{
    struct config_yaml yaml;
    struct config_walk walk = {.config = config, .report = report, .yaml = &yaml, .file = spot, .depth = depth};
    if (!config_yaml_open(&yaml, text, length, spot, report))
        return;
    if (yaml.root)
        read_document(&walk, file);
    else if (depth == 1) /* an included file may be empty; an empty main file was truncated */
        config_report_add(report, spot, "is empty; write at least one target, as in the example configuration");
    config_yaml_close(&yaml);
}

void config_store_yaml_file(struct kdnetd_config *config, const char *path, const struct config_spot *from,
                            unsigned depth, struct config_report *report)
{
    struct config_file file;
    struct config_spot spot;
    if (!config_store_open(config, path, CONFIG_YAML_LIMIT, from, report, &file, &spot))
        return;
    /* `sources` keeps the name, but may move while included files are added. */
    spot.file = path;
    config_store_yaml(config, file.text, file.length, &spot, &file, depth, report);
    config_file_clear(&file);
}
