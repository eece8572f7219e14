/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw: YAML text to a struct of strings, each with its place. Private to config/.
 *
 * libcyaml's schema (raw.c) says which fields there are and how they nest. libcyaml stops at the first mistake and
 * forgets where a good value stood, so two steps use that one schema: clean.c walks libyaml's document beside the
 * schema, reports every unknown, doubled or misshapen field, and writes what is left as a clean document, in which each
 * value carries its place; libcyaml loads that one. What the strings mean is read.c's business.
 */
#ifndef CONFIG_RAW_H
#define CONFIG_RAW_H

#include "config/config.h"
#include "config/redact.h"

/* Each string is LINE:COLUMN:FIELD:TEXT until config_raw_split; NULL when the field is not there. */
struct config_raw_policy {
    char *action[CONFIG_BREAKS];
    char *hold_for;
};

struct config_raw_label {
    char *key;
    char *value;
};

struct config_raw_target {
    char *place; /* of the entry itself, for what is missing in it; its TEXT is empty */
    char *name;
    char *key;
    char **key_old;
    unsigned key_old_count;
    char *address;
    char *strict;
    char *port;
    struct config_raw_label *labels;
    unsigned labels_count;
    struct config_raw_policy *policy;
};

struct config_raw_rva {
    char *place;
    char *guidage;
    char *symbol;
    char *rva;
};

struct config_raw_read {
    char *place;
    char *name;
    char *at;
    char *as;
    char *when;
    char *once;
};

struct config_raw {
    char *place;
    char **listen;
    struct config_raw_target *targets;
    char **targets_file;
    char **include;
    struct config_raw_rva *rva;
    struct config_raw_read *reads;
    char **symbols;
    unsigned listen_count, targets_count, targets_file_count, include_count, rva_count, reads_count, symbols_count;
    struct config_raw_policy *policy;
    char *events, *http, *read_deadline, *lost_after, *dump_for, *hold_for, *prints, *log_level;
    char *default_reads, *symbols_ca_file, *workers, *freebind, *collector;
    struct config_redaction redaction; /* of the text that this was loaded from */
};

/* What a string of a raw struct is of. */
struct config_raw_source {
    const struct config_spot *file;
    const struct config_redaction *redaction;
};

/* A value with its place; both point into the string that was split. */
struct config_value {
    struct config_spot spot;
    const char *text;
};

/*
 * Loads `length` bytes of YAML, which must stay as long as the struct does. `file` names the file for messages (file
 * and source are used). No library sees a key (redact.h), and none gets a text that would keep it busy (bounds.h).
 *
 * Returns the struct, to be freed with config_raw_free, or NULL when the text is not YAML or there is no memory, which
 * is reported, or when there is nothing in it: then *is_empty is true, and reporting it is the caller's business.
 */
struct config_raw *config_raw_load(const char *text, size_t length, const struct config_spot *file,
                                   struct config_report *report, bool *is_empty);

/* Frees and wipes; NULL is fine. */
void config_raw_free(struct config_raw *raw);

/* Cuts a string of a raw struct in its parts, once, and puts its keys back. False when it is NULL. */
bool config_raw_split(char *string, const struct config_raw_source *source, struct config_value *out);

#endif
