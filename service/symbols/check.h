/* SPDX-License-Identifier: Apache-2.0 */
/* check: whether the places that a configuration's `symbols:` names can be understood. Uses path, config. */
#ifndef SERVICE_SYMBOLS_CHECK_H
#define SERVICE_SYMBOLS_CHECK_H

#include "config/config.h"

/* Adds a mistake for each element that cannot. No folder is made, no server is asked. */
void symbols_check(const struct kdnetd_config *config, struct config_report *report);

#endif
