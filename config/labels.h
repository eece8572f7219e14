/* SPDX-License-Identifier: Apache-2.0 */
/*
 * labels: what an operator calls a machine by besides its name. Private to config/.
 *
 * Uses config. A list is made label by label, and becomes one of the configuration's sets: a fleet with a few sets has
 * each of them once.
 */
#ifndef CONFIG_LABELS_H
#define CONFIG_LABELS_H

#include "config/config.h"

struct config_label_list {
    size_t count;
    struct {
        char key[CONFIG_LABEL_KEY_SIZE];
        char value[CONFIG_LABEL_SIZE];
    } label[CONFIG_LABELS_MAX]; /* by key; those behind `count` are not written */
};

/* False: what is wrong and its remedy is in `error`, CONFIG_ERROR_SIZE bytes. This of a key alone,
 * [a-z][a-z0-9_]{0,31}. */
bool config_label_is_key(const char *text, size_t length, char *error);

/* The same of a label; a value is 1 to 64 bytes of UTF-8 without control characters. */
bool config_label_add(struct config_label_list *list, const char *key, size_t key_length, const char *value,
                      size_t value_length, char *error);

/* The set with these labels, NULL when there are none; it lives as long as the configuration's targets. False: out of
 * memory. */
bool config_labels_share(struct kdnetd_config *config, const struct config_label_list *list,
                         const struct config_labels **out);

void config_labels_clear(struct kdnetd_config *config);

#endif
