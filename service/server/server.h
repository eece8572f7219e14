/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: the daemon: it starts and ends the workers, opens their sockets, applies configurations, takes signals, and
 * says in the log, to the service manager and in events what all workers together have done.
 *
 * The only room that knows all others. server_internal.h has what its parts share.
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
 * config   right and checked; its content is taken over, and `config` is left empty.
 * Returns whether it ended as it was told to; otherwise the log says why not.
 */
bool server_run(const struct options *options, struct kdnetd_config *config);

#endif
