/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_limit: the longest that a step of `kdnetctl fleet` may take. libnats can hang, and then nothing but the end of
 * this process helps. Private to kdnetctl/.
 */
#ifndef SERVICE_CTL_FLEET_LIMIT_H
#define SERVICE_CTL_FLEET_LIMIT_H

#include "service/kdnetctl/command.h"

/* From now on, this process has so long until the next call, or until it has ended; 0: no limit. Then it says `text`
 * (NULL: nothing; left out when nobody reads standard error), and ends with `status`, whatever its threads do. */
void fleet_limit(const struct command *command, unsigned seconds, int status, const char *text);

#endif
