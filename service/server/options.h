/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options: kdnetd's command line, kept as given so that a reload can apply it again.
 *
 * Options and configuration file have the same settings with the same names.
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
    bool check_for_reload;   /* check only what a reload would refuse, not what this computer lacks */
    bool core_dumps;         /* keys may come into core files */
    const char *config_path; /* NULL: no file */
    struct options_value *values;
    size_t value_count;
};

/* Parses the command line; argv must stay. False: the fault was written to standard error. */
bool options_parse(struct options *options, int argc, char **argv);
void options_clear(struct options *options);

/*
 * Loads and checks the file's configuration with the options over it. Initialises `config`; the caller clears it in any
 * case. `access` may be NULL. Returns whether it is valid; otherwise `report` has each mistake.
 */
bool options_load(const struct options *options, const struct config_access *access, struct kdnetd_config *config,
                  struct config_report *report);

void options_help(FILE *out);

#endif
