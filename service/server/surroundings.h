/* SPDX-License-Identifier: Apache-2.0 */
/*
 * surroundings: checks that this computer has what a configuration names, for `kdnetd --check`.
 *
 * A missing thing is a mistake while kdnetd is being set up, but not for a running service, which serves with what
 * there is.
 */
#ifndef SERVICE_SURROUNDINGS_H
#define SERVICE_SURROUNDINGS_H

#include "config/config.h"

#include <stdio.h>

/* Checks listening addresses and the folder of the results. Returns true when none is missing. */
bool surroundings_check(const struct kdnetd_config *config, struct config_report *report);

/* For root: prints what the service's user may not read or write, a line each. Does nothing when there is no such
 * user. */
void surroundings_warn(const struct kdnetd_config *config, FILE *out);

#endif
