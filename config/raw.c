/* SPDX-License-Identifier: Apache-2.0 */
#include "config/raw.h"
#include "config/bounds.h"
#include "config/clean.h"

#include <cyaml/cyaml.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#define STRING                   (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define FIELD(key, type, member) CYAML_FIELD_STRING_PTR(key, STRING, struct type, member, 0, CYAML_UNLIMITED)
#define LIST_OF(key, type, member, entry)                                                                              \
    CYAML_FIELD_SEQUENCE(key, STRING, struct type, member, &(entry), 0, CYAML_UNLIMITED)
#define LIST(key, member, entry)       LIST_OF(key, config_raw, member, entry)
#define MAP(key, type, member, fields) CYAML_FIELD_MAPPING_PTR(key, STRING, struct type, member, fields)

static const cyaml_schema_value_t string_entry = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED),
};

static const cyaml_schema_field_t policy_fields[] = {
    FIELD("bugcheck_first", config_raw_policy, action[CONFIG_BREAK_BUGCHECK_FIRST]),
    FIELD("bugcheck_second", config_raw_policy, action[CONFIG_BREAK_BUGCHECK_SECOND]),
    FIELD("shutdown", config_raw_policy, action[CONFIG_BREAK_SHUTDOWN]),
    FIELD("break", config_raw_policy, action[CONFIG_BREAK_BREAK]),
    FIELD("exception", config_raw_policy, action[CONFIG_BREAK_EXCEPTION]),
    FIELD("load_symbols", config_raw_policy, action[CONFIG_BREAK_LOAD_SYMBOLS]),
    FIELD("prompt", config_raw_policy, action[CONFIG_BREAK_PROMPT]),
    FIELD("hold_for", config_raw_policy, hold_for),
    CYAML_FIELD_END,
};

/* Fields whose names are not ours: a mapping in the file, a list of these once it is clean. */
static const cyaml_schema_field_t label_fields[] = {
    FIELD(CONFIG_CLEAN_KEY, config_raw_label, key),
    FIELD(CONFIG_CLEAN_VALUE, config_raw_label, value),
    CYAML_FIELD_END,
};
static const cyaml_schema_value_t label_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_raw_label, label_fields),
};

static const cyaml_schema_field_t target_fields[] = {
    FIELD(CONFIG_CLEAN_PLACE, config_raw_target, place),
    FIELD("name", config_raw_target, name),
    FIELD("key", config_raw_target, key),
    LIST_OF("key_old", config_raw_target, key_old, string_entry),
    FIELD("address", config_raw_target, address),
    FIELD("strict", config_raw_target, strict),
    FIELD("port", config_raw_target, port),
    LIST_OF("labels", config_raw_target, labels, label_entry),
    MAP("policy", config_raw_target, policy, policy_fields),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t rva_fields[] = {
    FIELD(CONFIG_CLEAN_PLACE, config_raw_rva, place),
    FIELD("guidage", config_raw_rva, guidage),
    FIELD("symbol", config_raw_rva, symbol),
    FIELD("rva", config_raw_rva, rva),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t read_fields[] = {
    FIELD(CONFIG_CLEAN_PLACE, config_raw_read, place),
    FIELD("name", config_raw_read, name),
    FIELD("at", config_raw_read, at),
    FIELD("as", config_raw_read, as),
    FIELD("when", config_raw_read, when),
    FIELD("once", config_raw_read, once),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t target_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_raw_target, target_fields),
};
static const cyaml_schema_value_t rva_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_raw_rva, rva_fields),
};
static const cyaml_schema_value_t read_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct config_raw_read, read_fields),
};

static const cyaml_schema_field_t top_fields[] = {
    FIELD(CONFIG_CLEAN_PLACE, config_raw, place),
    LIST("listen", listen, string_entry),
    FIELD("freebind", config_raw, freebind),
    LIST("targets", targets, target_entry),
    LIST("targets_file", targets_file, string_entry),
    LIST("include", include, string_entry),
    LIST("rva", rva, rva_entry),
    LIST("symbols", symbols, string_entry),
    FIELD("symbols_ca_file", config_raw, symbols_ca_file),
    LIST("reads", reads, read_entry),
    FIELD("default_reads", config_raw, default_reads),
    MAP("policy", config_raw, policy, policy_fields),
    FIELD("events", config_raw, events),
    FIELD("http", config_raw, http),
    FIELD("read_deadline", config_raw, read_deadline),
    FIELD("lost_after", config_raw, lost_after),
    FIELD("dump_for", config_raw, dump_for),
    FIELD("hold_for", config_raw, hold_for),
    FIELD("prints", config_raw, prints),
    FIELD("log_level", config_raw, log_level),
    FIELD("workers", config_raw, workers),
    FIELD("collector", config_raw, collector),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t top = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct config_raw, top_fields),
};

/* Before each block of libcyaml's: how much it holds, so that a key in it can be wiped. */
union block {
    size_t capacity;
    max_align_t align;
};

static void *wiping_free(union block *old)
{
    if (old) {
        OPENSSL_cleanse(old + 1, old->capacity);
        free(old);
    }
    return NULL;
}

/* libcyaml grows a list by one entry at a time: a block that grows doubles, or long lists would take quadratic time. */
static void *wiping_memory(void *context, void *pointer, size_t size)
{
    (void)context;
    union block *old = pointer ? (union block *)pointer - 1 : NULL;
    if (size == 0)
        return wiping_free(old);
    if (old && size <= old->capacity)
        return pointer;
    size_t capacity = old && old->capacity <= SIZE_MAX / 4 && size < old->capacity * 2 ? old->capacity * 2 : size;
    union block *fresh = capacity <= SIZE_MAX - sizeof *fresh ? malloc(sizeof *fresh + capacity) : NULL;
    if (!fresh)
        return NULL;
    fresh->capacity = capacity;
    if (old)
        memcpy(fresh + 1, old + 1, old->capacity);
    (void)wiping_free(old);
    return fresh + 1;
}

/* Keeps libcyaml's first complaint: the later ones are its way back up. */
__attribute__((format(printf, 3, 0))) static void keep_first(cyaml_log_t level, void *context, const char *format,
                                                             va_list arguments)
{
    char *message = context;
    if (level >= CYAML_LOG_ERROR && message[0] == '\0')
        (void)vsnprintf(message, CONFIG_ERROR_SIZE, format, arguments);
}

static cyaml_config_t cyaml_settings(char *message)
{
    return (cyaml_config_t){
        .log_fn = message ? keep_first : NULL,
        .log_ctx = message,
        .log_level = CYAML_LOG_ERROR,
        .mem_fn = wiping_memory,
        .flags = CYAML_CFG_NO_ALIAS,
    };
}

static struct config_raw *load_clean(const struct config_clean *clean, const struct config_spot *file,
                                     struct config_report *report)
{
    char message[CONFIG_ERROR_SIZE] = "";
    cyaml_data_t *data = NULL;
    cyaml_config_t settings = cyaml_settings(message);
    cyaml_err_t code = cyaml_load_data((const uint8_t *)clean->text, clean->length, &settings, &top, &data, NULL);
    if (code == CYAML_OK)
        return data;
    message[strcspn(message, "\n")] = '\0';
    config_report_add(report, file, "cannot be loaded: %s (%s); write it as the example configuration is written",
                      cyaml_strerror(code), message);
    return NULL;
}

struct config_raw *config_raw_load(const char *text, size_t length, const struct config_spot *file,
                                   struct config_report *report, bool *is_empty)
{
    struct config_clean clean = {.text = NULL};
    struct config_redaction redaction;
    struct config_raw *raw = NULL;
    *is_empty = false;
    if (!config_redact(text, length, &redaction)) {
        config_report_add(report, file, "out of memory");
        return NULL;
    }
    if (config_bounds_check(redaction.text, length, file, report) &&
        config_clean_yaml(redaction.text, length, &top, file, report, &clean)) {
        *is_empty = !clean.text;
        raw = clean.text ? load_clean(&clean, file, report) : NULL;
        config_clean_clear(&clean);
    }
    if (raw)
        raw->redaction = redaction;
    else
        config_redact_clear(&redaction);
    return raw;
}

void config_raw_free(struct config_raw *raw)
{
    cyaml_config_t settings = cyaml_settings(NULL);
    if (!raw)
        return;
    config_redact_clear(&raw->redaction);
    (void)cyaml_free(&settings, &top, raw, 0);
}

bool config_raw_split(char *string, const struct config_raw_source *source, struct config_value *out)
{
    if (!string)
        return false;
    char *end = NULL, *text = NULL;
    out->spot = *source->file;
    out->spot.line = (uint32_t)strtoul(string, &end, 10);
    out->spot.column = (uint32_t)strtoul(end + 1, &end, 10);
    out->spot.field = end + 1;
    text = strchr(end + 1, ':');
    *text = '\0';
    config_redact_restore(source->redaction, text + 1);
    out->text = text + 1;
    return true;
}
