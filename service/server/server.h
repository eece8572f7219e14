/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: the daemon: starts and ends the workers, opens their sockets, applies configurations, handles signals, and
 * reports the work of all workers to the log, the service manager and as events.
 *
 * The only room that knows all others. server_internal.h is shared by its parts.
 */
#ifndef SERVICE_SERVER_H
#define SERVICE_SERVER_H

#include "config/config.h"
#include "service/server/options.h"

#include <stdbool.h>

/*
 * Serves until a signal ends it.
 *
 * options  for reloads; borrowed.
 * config   checked and valid; its content is taken over, and `config` is left empty.
 * Returns whether it ended as requested; otherwise the log has the reason.
 */
bool server_run(const struct options *options, struct kdnetd_config *config);

#endif
