/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of config_advise. Each adds warnings to the report. */
#ifndef CONFIG_ADVICE_H
#define CONFIG_ADVICE_H

#include "config/config.h"

/* The file of a place, or "command line". */
const char *advice_file(const struct kdnetd_config *config, const struct config_place *place);

void advise_http(const struct kdnetd_config *config, struct config_report *report);

#endif
