/* SPDX-License-Identifier: Apache-2.0 */
#include "config/labels.h"
#include "config/raw.h"
#include "config/store.h"
#include "config/value.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    struct kdnetd_config *config;
    struct config_report *report;
    const struct config_spot *file;
    unsigned depth;
    struct config_raw_source source;
};

static void complain(struct reader *r, const struct config_spot *spot, const char *error)
{
    config_report_add(r->report, spot, "%s", error);
}

static void out_of_memory(struct reader *r)
{
    complain(r, r->file, "out of memory");
}

static struct config_place place_of(const struct config_spot *spot)
{
    return (struct config_place){spot->source, spot->line, spot->column};
}

/* A field that must be there: its absence is reported at the place of the entry that it is missing in. */
static bool split_needed(struct reader *r, char *string, const struct config_value *entry, const char *field,
                         struct config_value *out)
{
    if (config_raw_split(string, &r->source, out))
        return true;
    config_report_add(r->report, &entry->spot, "has no %s; add one", field);
    return false;
}

static void read_listens(struct reader *r, const struct config_raw *raw)
{
    for (unsigned i = 0; i < raw->listen_count; ++i) {
        char error[CONFIG_ERROR_SIZE];
        struct config_value value;
        struct config_listen listen;
        if (!config_raw_split(raw->listen[i], &r->source, &value))
            continue;
        if (!config_parse_address(value.text, CONFIG_PORT_NEEDED, &listen.address, error)) {
            complain(r, &value.spot, error);
            continue;
        }
        listen.place = place_of(&value.spot);
        if (!config_store_listen(r->config, &listen))
            out_of_memory(r);
    }
}

/* A target's own policy, or the policy for all when `is_for_all`: those settings may be made in one place only. */
static void read_policy(struct reader *r, struct config_raw_policy *raw, bool is_for_all, struct config_policy *policy)
{
    char error[CONFIG_ERROR_SIZE];
    struct config_value value;
    for (int i = 0; i < CONFIG_BREAKS; ++i) {
        enum config_action action = CONFIG_ACTION_UNSET;
        if (!config_raw_split(raw->action[i], &r->source, &value))
            continue;
        if (!config_parse_action(value.text, (enum config_break)i, &action, error))
            complain(r, &value.spot, error);
        else if (!is_for_all ||
                 config_store_claim(r->config, (enum config_setting)(CONFIG_SET_POLICY + i), &value.spot, r->report))
            policy->action[i] = (uint8_t)action;
    }
    if (config_raw_split(raw->hold_for, &r->source, &value)) {
        uint64_t ms = 0;
        if (!config_parse_hold_for(value.text, &ms, error))
            complain(r, &value.spot, error);
        else if (!is_for_all || config_store_claim(r->config, CONFIG_SET_HOLD_FOR, &value.spot, r->report))
            policy->hold_for_ms = ms;
    }
}

static void read_old_keys(struct reader *r, const struct config_raw_target *raw, struct config_new_target *target)
{
    char error[CONFIG_ERROR_SIZE];
    struct config_value value;
    for (unsigned i = 0; i < raw->key_old_count; ++i) {
        if (!config_raw_split(raw->key_old[i], &r->source, &value))
            continue;
        if (target->old_count == CONFIG_OLD_KEYS_MAX) {
            config_report_add(r->report, &value.spot,
                              "is one old key more than the %d that a target may have; leave out "
                              "the oldest",
                              CONFIG_OLD_KEYS_MAX);
            return;
        }
        struct config_old_key *old = &target->old[target->old_count];
        old->place = place_of(&value.spot);
        if (config_parse_key(value.text, strlen(value.text), &old->key, error))
            ++target->old_count;
        else
            complain(r, &value.spot, error);
    }
}

static void read_target_address(struct reader *r, const struct config_raw_target *raw, struct config_target *target)
{
    char error[CONFIG_ERROR_SIZE];
    struct config_value value;
    target->has_address = config_raw_split(raw->address, &r->source, &value);
    if (target->has_address && !config_parse_machine(value.text, &target->address, error))
        complain(r, &value.spot, error);
    if (!config_raw_split(raw->strict, &r->source, &value))
        return;
    if (!config_parse_bool(value.text, &target->strict, error))
        complain(r, &value.spot, error);
    else if (target->strict && !target->has_address)
        complain(r, &value.spot, "needs an address that it is strict about; add address, or take this out");
}

static void read_labels(struct reader *r, const struct config_raw_target *raw, struct config_target *target)
{
    char error[CONFIG_ERROR_SIZE];
    struct config_label_list list = {.count = 0};
    struct config_value key, value;
    size_t before = r->report->count;
    for (unsigned i = 0; i < raw->labels_count && r->report->count == before; ++i)
        if (config_raw_split(raw->labels[i].key, &r->source, &key) &&
            config_raw_split(raw->labels[i].value, &r->source, &value) &&
            !config_label_add(&list, key.text, strlen(key.text), value.text, strlen(value.text), error))
            complain(r, &value.spot, error);
    if (r->report->count == before && !config_labels_share(r->config, &list, &target->labels))
        out_of_memory(r);
}

/* Everything of a target is looked at, so that all its mistakes are reported. */
static bool read_target(struct reader *r, struct config_raw_target *raw, struct config_new_target *wanted)
{
    char error[CONFIG_ERROR_SIZE];
    struct config_value entry, value;
    struct config_target *target = &wanted->target;
    size_t before = r->report->count;
    if (!config_raw_split(raw->place, &r->source, &entry))
        return false;
    target->place = place_of(&entry.spot);
    if (split_needed(r, raw->name, &entry, "name", &value)) {
        target->place = place_of(&value.spot);
        if (!config_parse_name(value.text, strlen(value.text), target->name, error))
            complain(r, &value.spot, error);
    }
    if (split_needed(r, raw->key, &entry, "key", &value) &&
        !config_parse_key(value.text, strlen(value.text), &target->key, error))
        complain(r, &value.spot, error);
    read_old_keys(r, raw, wanted);
    read_target_address(r, raw, target);
    if (config_raw_split(raw->port, &r->source, &value) && !config_parse_port(value.text, &target->port, error))
        complain(r, &value.spot, error);
    read_labels(r, raw, target);
    if (raw->policy)
        read_policy(r, raw->policy, false, &target->policy);
    return r->report->count == before;
}

static void read_targets(struct reader *r, const struct config_raw *raw)
{
    for (unsigned i = 0; i < raw->targets_count; ++i) {
        struct config_new_target target;
        memset(&target, 0, sizeof target);
        if (read_target(r, &raw->targets[i], &target) && !config_store_target(r->config, &target))
            out_of_memory(r);
        OPENSSL_cleanse(&target, sizeof target);
    }
}

static void read_rva(struct reader *r, struct config_raw_rva *raw)
{
    char error[CONFIG_ERROR_SIZE];
    struct config_rva rva = {.rva = 0};
    struct config_value entry, value;
    size_t before = r->report->count;
    if (!config_raw_split(raw->place, &r->source, &entry))
        return;
    rva.place = place_of(&entry.spot);
    if (split_needed(r, raw->guidage, &entry, "guidage", &value) &&
        !config_parse_guidage(value.text, rva.guidage, error))
        complain(r, &value.spot, error);
    if (split_needed(r, raw->symbol, &entry, "symbol", &value) && !config_parse_symbol(value.text, rva.symbol, error))
        complain(r, &value.spot, error);
    if (split_needed(r, raw->rva, &entry, "rva", &value) && !config_parse_rva(value.text, &rva.rva, error))
        complain(r, &value.spot, error);
    if (r->report->count == before && !config_store_rva(r->config, &rva))
        out_of_memory(r);
}

static void read_read(struct reader *r, struct config_raw_read *raw)
{
    char error[CONFIG_ERROR_SIZE];
    struct config_read read = {.read.kind = KDNET_READ_U32};
    struct config_value entry, value;
    size_t before = r->report->count;
    if (!config_raw_split(raw->place, &r->source, &entry))
        return;
    read.place = place_of(&entry.spot);
    if (split_needed(r, raw->name, &entry, "name", &value) &&
        !config_parse_read_name(value.text, read.read.name, error))
        complain(r, &value.spot, error);
    if (split_needed(r, raw->at, &entry, "at", &value) && !config_parse_read_place(value.text, &read.read, error))
        complain(r, &value.spot, error);
    if (config_raw_split(raw->as, &r->source, &value) && !config_parse_read_kind(value.text, &read.read.kind, error))
        complain(r, &value.spot, error);
    if (config_raw_split(raw->when, &r->source, &value) &&
        !config_parse_read_when(value.text, &read.read.always, error))
        complain(r, &value.spot, error);
    if (config_raw_split(raw->once, &r->source, &value) && !config_parse_bool(value.text, &read.read.once, error))
        complain(r, &value.spot, error);
    if (r->report->count == before && !config_store_read(r->config, &read))
        out_of_memory(r);
}

static void read_symbols(struct reader *r, const struct config_raw *raw)
{
    for (unsigned i = 0; i < raw->symbols_count; ++i) {
        struct config_value value;
        if (!config_raw_split(raw->symbols[i], &r->source, &value))
            continue;
        if (value.text[0] == '\0')
            complain(r, &value.spot, "is empty; write a folder or the address of a symbol server");
        else if (!config_store_symbols(r->config, value.text))
            out_of_memory(r);
    }
}

static void read_duration(struct reader *r, char *raw, enum config_setting setting, const char *least, const char *most,
                          uint64_t *out)
{
    char error[CONFIG_ERROR_SIZE];
    struct config_value value;
    uint64_t ms = 0;
    if (!config_raw_split(raw, &r->source, &value))
        return;
    if (!config_parse_duration(value.text, least, most, &ms, error))
        complain(r, &value.spot, error);
    else if (config_store_claim(r->config, setting, &value.spot, r->report))
        *out = ms;
}

static void read_events(struct reader *r, char *raw)
{
    struct config_value value;
    if (!config_raw_split(raw, &r->source, &value))
        return;
    if (value.text[0] == '\0')
        complain(r, &value.spot, "is empty; write a file's path, or - for standard output");
    else if (config_store_claim(r->config, CONFIG_SET_EVENTS, &value.spot, r->report)) {
        r->config->events = strdup(value.text);
        if (!r->config->events)
            out_of_memory(r);
    }
}

static void read_ca_file(struct reader *r, char *raw)
{
    struct config_value value;
    if (!config_raw_split(raw, &r->source, &value))
        return;
    if (value.text[0] == '\0') {
        complain(r, &value.spot, "is empty; write the path of a file with certificates, PEM");
    } else if (config_store_claim(r->config, CONFIG_SET_SYMBOLS_CA_FILE, &value.spot, r->report)) {
        r->config->symbols_ca_file = strdup(value.text);
        if (!r->config->symbols_ca_file)
            out_of_memory(r);
    }
}

static void read_http(struct reader *r, char *raw)
{
    char error[CONFIG_ERROR_SIZE];
    struct config_value value;
    struct config_address address;
    if (!config_raw_split(raw, &r->source, &value))
        return;
    if (!config_parse_address(value.text, CONFIG_PORT_NEEDED, &address, error))
        complain(r, &value.spot, error);
    else if (config_store_claim(r->config, CONFIG_SET_HTTP, &value.spot, r->report)) {
        r->config->http = address;
        r->config->has_http = true;
    }
}

static void read_bool(struct reader *r, char *raw, enum config_setting setting, bool *out)
{
    char error[CONFIG_ERROR_SIZE];
    struct config_value value;
    bool given = false;
    if (!config_raw_split(raw, &r->source, &value))
        return;
    if (!config_parse_bool(value.text, &given, error))
        complain(r, &value.spot, error);
    else if (config_store_claim(r->config, setting, &value.spot, r->report))
        *out = given;
}

static void read_words(struct reader *r, const struct config_raw *raw)
{
    char error[CONFIG_ERROR_SIZE];
    struct config_value value;
    enum config_log_level level = CONFIG_LOG_NOTICE;
    read_bool(r, raw->prints, CONFIG_SET_PRINTS, &r->config->prints);
    read_bool(r, raw->default_reads, CONFIG_SET_DEFAULT_READS, &r->config->default_reads);
    read_bool(r, raw->freebind, CONFIG_SET_FREEBIND, &r->config->freebind);
    if (config_raw_split(raw->log_level, &r->source, &value)) {
        if (!config_parse_log_level(value.text, &level, error))
            complain(r, &value.spot, error);
        else if (config_store_claim(r->config, CONFIG_SET_LOG_LEVEL, &value.spot, r->report))
            r->config->log_level = level;
    }
}

static void read_collector(struct reader *r, char *raw)
{
    char error[CONFIG_ERROR_SIZE], name[CONFIG_NAME_SIZE];
    struct config_value value;
    if (!config_raw_split(raw, &r->source, &value))
        return;
    if (!config_parse_name(value.text, strlen(value.text), name, error))
        complain(r, &value.spot, error);
    else if (config_store_claim(r->config, CONFIG_SET_COLLECTOR, &value.spot, r->report))
        memcpy(r->config->collector, name, sizeof name);
}

static void read_workers(struct reader *r, char *raw)
{
    char error[CONFIG_ERROR_SIZE];
    struct config_value value;
    unsigned workers = 0;
    if (!config_raw_split(raw, &r->source, &value))
        return;
    if (!config_parse_workers(value.text, &workers, error))
        complain(r, &value.spot, error);
    else if (config_store_claim(r->config, CONFIG_SET_WORKERS, &value.spot, r->report))
        r->config->workers = workers;
}

static void read_settings(struct reader *r, const struct config_raw *raw)
{
    struct kdnetd_config *config = r->config;
    struct config_raw_policy hold_for = {.hold_for = raw->hold_for};
    read_policy(r, &hold_for, true, &config->policy);
    if (raw->policy)
        read_policy(r, raw->policy, true, &config->policy);
    read_duration(r, raw->read_deadline, CONFIG_SET_READ_DEADLINE, CONFIG_READ_DEADLINE_LIMITS,
                  &config->read_deadline_ms);
    read_duration(r, raw->lost_after, CONFIG_SET_LOST_AFTER, CONFIG_LOST_AFTER_LIMITS, &config->lost_after_ms);
    read_duration(r, raw->dump_for, CONFIG_SET_DUMP_FOR, CONFIG_DUMP_FOR_LIMITS, &config->dump_for_ms);
    read_events(r, raw->events);
    read_http(r, raw->http);
    read_ca_file(r, raw->symbols_ca_file);
    read_words(r, raw);
    read_workers(r, raw->workers);
    read_collector(r, raw->collector);
}

static void include_one(struct reader *r, const struct config_value *value, const char *pattern)
{
    char **paths = NULL;
    size_t count = 0;
    config_store_opening(r->config, pattern);
    if (!config_file_glob(pattern, &paths, &count)) {
        complain(r, &value->spot, "cannot be searched; check the folder and who may read it");
        return;
    }
    for (size_t i = 0; i < count; ++i)
        config_store_yaml_file(r->config, paths[i], &value->spot, r->depth + 1, r->report);
    config_file_free_paths(paths, count);
}

/* Files that this one names: targets files, and files that it includes. Their paths start at its folder. */
static void read_named_files(struct reader *r, char **raw, unsigned count, bool is_include)
{
    for (unsigned i = 0; i < count; ++i) {
        struct config_value value;
        if (!config_raw_split(raw[i], &r->source, &value))
            continue;
        if (value.text[0] == '\0') {
            complain(r, &value.spot, "is empty; write a file's path");
            continue;
        }
        if (is_include && r->depth >= CONFIG_INCLUDE_DEPTH) {
            config_report_add(r->report, &value.spot, "is deeper than %d files; include it from a file further up",
                              CONFIG_INCLUDE_DEPTH);
            continue;
        }
        if (r->config->access.memory_only)
            continue;
        char *path = config_file_resolve(r->file->file, value.text);
        if (!path)
            out_of_memory(r);
        else if (is_include)
            include_one(r, &value, path);
        else
            config_store_targets_file(r->config, path, &value.spot, r->report);
        free(path);
    }
}

static bool has_keys(const struct config_raw *raw)
{
    for (unsigned i = 0; i < raw->targets_count; ++i)
        if (raw->targets[i].key)
            return true;
    return false;
}

void config_store_yaml(struct kdnetd_config *config, const char *text, size_t length, const struct config_spot *spot,
                       const struct config_file *file, unsigned depth, struct config_report *report)
{
    struct reader r = {.config = config, .report = report, .file = spot, .depth = depth};
    bool is_empty = false;
    struct config_raw *raw = config_raw_load(text, length, spot, report, &is_empty);
    /* An included file may wait for its content; the main one that says nothing is a file cut short. */
    if (is_empty && depth == 1)
        complain(&r, spot, "is empty; write at least one target, as in the example configuration");
    if (!raw)
        return;
    r.source = (struct config_raw_source){spot, &raw->redaction};
    if (file && has_keys(raw))
        config_store_check_access(config, spot->file, file, spot, report);
    read_listens(&r, raw);
    read_settings(&r, raw);
    read_targets(&r, raw);
    for (unsigned i = 0; i < raw->rva_count; ++i)
        read_rva(&r, &raw->rva[i]);
    for (unsigned i = 0; i < raw->reads_count; ++i)
        read_read(&r, &raw->reads[i]);
    read_symbols(&r, raw);
    read_named_files(&r, raw->targets_file, raw->targets_file_count, false);
    read_named_files(&r, raw->include, raw->include_count, true);
    config_raw_free(raw);
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
