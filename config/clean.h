/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clean: a YAML text, checked for its shape, as a YAML text that fits the schema. Private to config/; why: raw.h.
 */
#ifndef CONFIG_CLEAN_H
#define CONFIG_CLEAN_H

#include "config/config.h"

#include <cyaml/cyaml.h>

/* The field of each mapping, of ours and not for people to write, that has the mapping's place. */
#define CONFIG_CLEAN_PLACE "@"

/* The two fields of an entry of a list that stands for a mapping with names of the writer's own: a label's. */
#define CONFIG_CLEAN_KEY   "@key"
#define CONFIG_CLEAN_VALUE "@value"

struct config_clean {
    char *text; /* NULL when the input has no content */
    size_t length;
};

/*
 * Writes to `out` what fits `schema`; every scalar is LINE:COLUMN:FIELD:TEXT. Reports the rest: what libyaml refuses,
 * unknown and doubled fields, values of the wrong shape, values left out. One value where a list may stand is a list of
 * one.
 *
 * Returns false, after a report, when the text is not YAML, its top is not a mapping, or it unfolds (through aliases)
 * to far more than it is. Cost: one pass; memory is bounded by the input's length.
 */
bool config_clean_yaml(const char *text, size_t length, const cyaml_schema_value_t *schema,
                       const struct config_spot *file, struct config_report *report, struct config_clean *out);

/* Wipes and frees. */
void config_clean_clear(struct config_clean *clean);

#endif
