/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options: kdnetd's command line, kept as it was given so that a reload can apply it again.
 *
 * Uses config. Options and configuration file say the same things with the same names.
 */
#ifndef SERVICE_OPTIONS_H
#define SERVICE_OPTIONS_H

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum options_task {
    OPTIONS_SERVE,
    OPTIONS_CHECK,
    OPTIONS_HELP,
    OPTIONS_VERSION,
};

struct options_value {
    char name[CONFIG_NAME_SIZE]; /* "read-deadline" */
    const char *text;            /* borrowed from argv */
};

struct options {
    enum options_task task;
    bool check_for_reload;   /* only what a reload would refuse; not what this computer lacks */
    bool core_dumps;         /* keys may come into core files */
    const char *config_path; /* NULL: no file */
    struct options_value *values;
    size_t value_count;
};

/* Reads the command line; argv must stay. False: what is wrong was written to standard error. */
bool options_parse(struct options *options, int argc, char **argv);
void options_clear(struct options *options);

/*
 * The configuration of the file with the options over it, checked. `config` is initialised here, and to be cleared by
 * the caller in any case. `access` may be NULL. Returns whether it is right; otherwise `report` has each mistake.
 */
bool options_load(const struct options *options, const struct config_access *access, struct kdnetd_config *config,
                  struct config_report *report);

void options_help(FILE *out);

#endif
