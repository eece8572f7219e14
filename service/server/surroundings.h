/* SPDX-License-Identifier: Apache-2.0 */
/*
 * surroundings: does this computer have what a configuration names? For `kdnetd --check`.
 *
 * Uses config. What is missing here is a mistake for who sets kdnetd up, and none for a service that runs: that one
 * serves with what there is.
 */
#ifndef SERVICE_SURROUNDINGS_H
#define SERVICE_SURROUNDINGS_H

#include "config/config.h"

#include <stdio.h>

/* Addresses that are listened on, the folder of the results. Returns true when none is missing. */
bool surroundings_check(const struct kdnetd_config *config, struct config_report *report);

/* For root: what the user of the service may not read or write, a line each. It does nothing when there is no such
 * user.
 */
void surroundings_warn(const struct kdnetd_config *config, FILE *out);

#endif
