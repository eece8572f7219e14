/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk: stores YAML nodes in a configuration, by the rows of options.def. Private to config/.
 *
 * Looks up each field among the rows of its group, checks that the node has the row's shape, and stores each value in
 * its member. Every mistake is reported with line, column and field. Memory and time are bounded by the text's length;
 * nodes that aliases repeat count each time.
 */
#ifndef CONFIG_WALK_H
#define CONFIG_WALK_H

#include "config/labels.h"
#include "config/option.h"
#include "config/yaml.h"

#define CONFIG_FIELD_SIZE  128
#define CONFIG_MOST_FIELDS 64 /* fields of one group */

struct config_walk {
    struct kdnetd_config *config;
    struct config_report *report;
    struct config_yaml *yaml;
    const struct config_spot *file;
    unsigned depth; /* depth of includes */

    size_t steps, step_limit; /* fields and entries looked at */
    size_t bytes, byte_limit; /* of values */
    yaml_mark_t looked_at;    /* the last node */
    bool failed;              /* reported; nothing more is to be done */
    bool has_keys;            /* the text contained keys of machines */
    bool in_entry;            /* fields of a list's entry are no settings */

    const yaml_node_t *targets_files, *includes;
    struct config_label_list labels; /* of the entry */
    char field[CONFIG_FIELD_SIZE];   /* where we are: targets[0].policy.break */
};

/* Place of each field of a group; line 0: absent. */
struct config_seen {
    uint32_t line, column; /* of the field's value */
    uint32_t key_line;
};

/* Walks the document, except for the files that it names, whose nodes are left in the walk. Values stored before a
 * mistake stay. False after a report. */
bool config_walk(struct config_walk *walk);

/* Takes the values of an option's node, one or a list. `base` is the struct of the option's group. */
void config_walk_values(struct config_walk *walk, const struct config_option *option, const yaml_node_t *node,
                        void *base);

/* Reports a mistake in the field `field` of the current entry, at `seen`. */
void config_walk_complain(struct config_walk *walk, const char *field, const struct config_seen *seen,
                          const char *error);

/* Begin and end an entry (entries.c): `seen` is indexed by the group's rows, `place` is the entry's. The end stores
 * an entry without mistakes, if the entry as a whole is valid. */
void config_entry_begin(struct config_walk *walk, enum config_type type, void *entry);
void config_entry_end(struct config_walk *walk, enum config_type type, void *entry, const struct config_seen *seen,
                      const struct config_place *place, bool is_good);

/* Takes a value of a list (entries.c). False: `error` has the mistake, or is empty when it was reported already. */
bool config_take_listed(struct config_walk *walk, const struct config_option *option, void *base, const char *text,
                        const struct config_spot *spot, char *error);

#endif
