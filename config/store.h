/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: adds elements to a struct kdnetd_config and reads files into it. Private to config/.
 */
#ifndef CONFIG_STORE_H
#define CONFIG_STORE_H

#include "config/config.h"
#include "config/file.h"

#define CONFIG_PLACE_SIZE 320

/*
 * Returns an array with room for one element more than `count`: `array` itself, or a larger copy, with the old array
 * wiped and freed. NULL: out of memory; `array` is unchanged.
 */
void *config_store_reserve(void *array, size_t count, size_t *capacity, size_t size);

/* A target before it enters the configuration. */
struct config_new_target {
    struct config_target target;
    struct config_old_key old[CONFIG_OLD_KEYS_MAX];
    size_t old_count;
};

/* Each adds a copy; false: out of memory. */
bool config_store_listen(struct kdnetd_config *config, const struct config_listen *listen);
bool config_store_target(struct kdnetd_config *config, const struct config_new_target *target);
bool config_store_rva(struct kdnetd_config *config, const struct config_rva *rva);
bool config_store_read(struct kdnetd_config *config, const struct config_read *read);
bool config_store_sink(struct kdnetd_config *config,
                       const struct config_sink *sink); /* takes ownership of the sink's memory */
bool config_store_text(struct config_texts *texts, const char *text);
bool config_store_source(struct kdnetd_config *config, const char *name, const struct config_file_id *id,
                         uint32_t *source);

void config_store_clear_texts(struct config_texts *texts);

/* Returns the field of a sink that is missing or wrong, with the mistake in `error`; NULL: none. */
const char *config_check_sink(const struct config_sink *sink, char *error);

/* Finds duplicate keys and makes the hash of all keys. False: out of memory. */
bool config_check_keys(struct kdnetd_config *config, struct config_report *report);

/* Returns the source with this file identity; NULL: not read yet. */
const char *config_store_find_source(const struct kdnetd_config *config, const struct config_file_id *id);

/*
 * Claims `setting` for the value at `spot`. False: the command line has set it, or a file has, which is then reported.
 */
bool config_store_claim(struct kdnetd_config *config, enum config_setting setting, const struct config_spot *spot,
                        struct config_report *report);

/* FILE:LINE:COLUMN, or "the command line". */
const char *config_store_place(const struct kdnetd_config *config, const struct config_place *place,
                               char out[static CONFIG_PLACE_SIZE]);

/* Reports a file that contains keys and that everybody on this machine may open. */
void config_store_check_access(const struct kdnetd_config *config, const char *path, const struct config_file *file,
                               const struct config_spot *spot, struct config_report *report);

/* Calls the configuration's callback for a file about to be opened. */
void config_store_opening(const struct kdnetd_config *config, const char *path);

/*
 * Reads `path` and adds it to the sources. `from` is the place that names the file (NULL: the caller). False after a
 * report: unreadable, too large, or read before.
 */
bool config_store_open(struct kdnetd_config *config, const char *path, size_t limit, const struct config_spot *from,
                       struct config_report *report, struct config_file *file, struct config_spot *spot);

/* Reads a file with the key of one target, and the further words of a targets file's line. False: the mistake is in
 * `error`. */
bool config_read_key_file(struct kdnetd_config *config, const char *path, struct config_new_target *target,
                          char *error);

/* Reads a targets file that `from` names (NULL: the caller). */
void config_store_targets_file(struct kdnetd_config *config, const char *path, const struct config_spot *from,
                               struct config_report *report);

/* Reads a YAML text of the file `spot`; `depth`: nesting of includes; `file` NULL: the text is from no file. */
void config_store_yaml(struct kdnetd_config *config, const char *text, size_t length, const struct config_spot *spot,
                       const struct config_file *file, unsigned depth, struct config_report *report);

/* Reads a YAML file that `from` names (NULL: the caller). */
void config_store_yaml_file(struct kdnetd_config *config, const char *path, const struct config_spot *from,
                            unsigned depth, struct config_report *report);

#endif
