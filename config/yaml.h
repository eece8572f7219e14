/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml: a text as libyaml's document, without its keys. Private to config/.
 *
 * libyaml copies a text several times and wipes none of the copies, so it is given one without keys (redact.h); a
 * scalar's key is put back, in its node, when it is read, and the nodes are wiped at the end. What would keep libyaml
 * busy is refused before (bounds.h).
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
 * Opens `length` bytes of YAML, which must stay until close. `file` names the file for messages (file and source are
 * used). Returns true, or false after a report when the text is not YAML, holds more than one document, or there is no
 * memory; then nothing is to be closed. Cost: two passes.
 */
bool config_yaml_open(struct config_yaml *yaml, const char *text, size_t length, const struct config_spot *file,
                      struct config_report *report);

/* Wipes and frees. */
void config_yaml_close(struct config_yaml *yaml);

/* A plain scalar that stands for nothing: empty, ~ or null. */
bool config_yaml_is_null(const yaml_node_t *node);

/* A scalar's text, its keys put back. It belongs to the document. */
const char *config_yaml_text(const struct config_yaml *yaml, const yaml_node_t *node);

#endif
