/* SPDX-License-Identifier: Apache-2.0 */
/*
 * labels: an operator's further names of a machine. Private to config/.
 *
 * A list is built label by label, and then becomes one of the configuration's shared sets: a fleet with a few different
 * sets stores each of them once.
 */
#ifndef CONFIG_LABELS_H
#define CONFIG_LABELS_H

#include "config/config.h"

struct config_label_list {
    size_t count;
    struct {
        char key[CONFIG_LABEL_KEY_SIZE];
        char value[CONFIG_LABEL_SIZE];
    } label[CONFIG_LABELS_MAX]; /* sorted by key; entries from `count` on are unset */
};

/* Checks a label's key, [a-z][a-z0-9_]{0,31}. False: the mistake and its remedy are in `error`, CONFIG_ERROR_SIZE
 * bytes. */
bool config_label_is_key(const char *text, size_t length, char *error);

/* Adds a label after checking it; a value is 1 to 64 bytes of UTF-8 without control characters. False: as above. */
bool config_label_add(struct config_label_list *list, const char *key, size_t key_length, const char *value,
                      size_t value_length, char *error);

/* Gets the shared set with these labels, NULL when there are none; it lives as long as the configuration's targets.
 * False: out of memory. */
bool config_labels_share(struct kdnetd_config *config, const struct config_label_list *list,
                         const struct config_labels **out);

void config_labels_clear(struct kdnetd_config *config);

#endif
