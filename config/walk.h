/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk: YAML's nodes into a configuration, by the rows of options.def. Private to config/.
 *
 * Each field is looked up among the rows of its group, its node must have the row's shape, and each value is put into
 * its place; every mistake is reported with line, column and field. Memory and time are bounded by the text's length:
 * what aliases unfold to counts.
 */
#ifndef CONFIG_WALK_H
#define CONFIG_WALK_H

#include "config/labels.h"
#include "config/option.h"
#include "config/yaml.h"

#define CONFIG_FIELD_SIZE  128
#define CONFIG_MOST_FIELDS 64 /* of one group */

struct config_walk {
    struct kdnetd_config *config;
    struct config_report *report;
    struct config_yaml *yaml;
    const struct config_spot *file;
    unsigned depth; /* files that included one another to come here */

    size_t steps, step_limit; /* fields and entries looked at */
    size_t bytes, byte_limit; /* of values */
    yaml_mark_t looked_at;    /* the last node */
    bool failed;              /* reported; nothing more is to be done */
    bool has_keys;            /* keys of machines were in it */
    bool in_entry;            /* fields of a list's entry are no settings */

    const yaml_node_t *targets_files, *includes;
    struct config_label_list labels; /* of the entry */
    char field[CONFIG_FIELD_SIZE];   /* where we are: targets[0].policy.break */
};

/* Where each field of a group stands; line 0: it does not. */
struct config_seen {
    uint32_t line, column; /* of its value */
    uint32_t key_line;
};

/* Walks the document but for the files that it names: those nodes are left in the walk. Anything stored before a
 * mistake stays. False after a report. */
bool config_walk(struct config_walk *walk);

/* Takes the values of an option's node, one or a list. `base` is the struct of its group. */
void config_walk_values(struct config_walk *walk, const struct config_option *option, const yaml_node_t *node,
                        void *base);

/* Reports a mistake of the entry at hand: of its field `field`, which stands at `seen`. */
void config_walk_complain(struct config_walk *walk, const char *field, const struct config_seen *seen,
                          const char *error);

/* What begins and ends an entry (entries.c): `seen` is by the group's rows, `place` the entry's. Stores an entry that
 * has been good so far, if it is good as a whole. */
void config_entry_begin(struct config_walk *walk, enum config_type type, void *entry);
void config_entry_end(struct config_walk *walk, enum config_type type, void *entry, const struct config_seen *seen,
                      const struct config_place *place, bool is_good);

/* A value of a list (entries.c). False: `error` says what is wrong; it is empty when that was reported already. */
bool config_take_listed(struct config_walk *walk, const struct config_option *option, void *base, const char *text,
                        const struct config_spot *spot, char *error);

#endif
