/* SPDX-License-Identifier: Apache-2.0 */
/* check: checks the places that a configuration's `symbols:` names. */
#ifndef SERVICE_SYMBOLS_CHECK_H
#define SERVICE_SYMBOLS_CHECK_H

#include "config/config.h"

#include <stddef.h>
#include <stdio.h>

#define SYMBOLS_HTTP_WARNING                                                                                           \
    "symbols: http:// can be changed on its way, and a verdict with it; use https:// (results say pdb_http)"

/* Adds a mistake for each element that kdnetd would refuse. Makes no folder, asks no server. */
void symbols_check(const struct kdnetd_config *config, struct config_report *report);

/* Adds a mistake for each local folder that cannot be searched, except folders that kdnetd makes. Blocks as long as
 * a disk may. Returns true when there is none. */
bool symbols_check_folders(const struct kdnetd_config *config, struct config_report *report);

/* Prints a warning for each place that is used, but should not be. */
void symbols_check_warn(const struct kdnetd_config *config, FILE *out);

/* Writes a path in the folder that the service manager keeps for us (STATE_DIRECTORY); NULL without such a folder,
 * or when the name is too long. */
const char *symbols_state_path(const char *name, char *out, size_t size);

#endif
