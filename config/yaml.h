/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml: parses a text into libyaml's document, without exposing keys to libyaml. Private to config/.
 *
 * libyaml copies a text several times and wipes no copy, so libyaml gets the text without keys (redact.h). Reading a
 * scalar restores its key in the node, and the nodes are wiped at the end. Texts that would keep libyaml busy are
 * refused before (bounds.h).
 */
#ifndef CONFIG_YAML_H
#define CONFIG_YAML_H

#include "config/redact.h"
#include "config/report.h"

#include <yaml.h>

struct config_yaml {
    struct config_redaction redaction;
    yaml_document_t document;
    const yaml_node_t *root; /* NULL: the text has no content */
};

/*
 * Parses `length` bytes of YAML, which must stay until config_yaml_close. `file` names the file in messages (members
 * file and source). Returns true, or false after a report when the text is not YAML, holds more than one document, or
 * memory is out; then there is nothing to close. Cost: two passes.
 */
bool config_yaml_open(struct config_yaml *yaml, const char *text, size_t length, const struct config_spot *file,
                      struct config_report *report);

/* Wipes and frees. */
void config_yaml_close(struct config_yaml *yaml);

/* Whether a plain scalar has no value: empty, ~ or null. */
bool config_yaml_is_null(const yaml_node_t *node);

/* Returns a scalar's text with its keys restored. The document owns the text. */
const char *config_yaml_text(const struct config_yaml *yaml, const yaml_node_t *node);

#endif
