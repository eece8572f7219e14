/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: the daemon: sockets, sessions, timers, signals on one libuv loop.
 *
 * Uses everything else here. Its parts: server.c (the loop, signals, start and end), listener.c (sockets), dispatch.c
 * (which target is a datagram's), publish.c (events to results and log), reload.c (configuration).
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
