/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection: a connection to the NATS servers of the option nats. Only in a build with libnats (KDNETD_NATS).
 *
 * Uses config, libnats. A connection that breaks is made again for ever, each second, to any of the servers; what is
 * published meanwhile waits in a buffer of FLEET_BUFFER bytes. A server that says nothing is left within
 * FLEET_SILENT_MS. Calls of libnats may block for FLEET_CONNECT_MS: on a thread of their own.
 *
 * Thread: any; a connection as libnats says.
 */
#ifndef SERVICE_FLEET_CONNECTION_H
#define SERVICE_FLEET_CONNECTION_H

#include "config/config.h"

#include <nats/nats.h>
#include <stdbool.h>

#define FLEET_ERROR_SIZE 256
#define FLEET_CONNECT_MS 2000 /* for one server */
#define FLEET_RETRY_MS   1000 /* between two tries */
#define FLEET_PING_MS    2000 /* two that are not answered: the server is left */
#define FLEET_SILENT_MS  6000 /* so long it takes at most */
#define FLEET_BUFFER     (1 << 20)
#define FLEET_TOKEN_SIZE (3 * CONFIG_NAME_SIZE)

/* `name`: who connects, for the servers' own lists. NULL: what is wrong is in `error`; try again later. */
natsConnection *fleet_connect(const struct config_nats *config, const char *name, char error[static FLEET_ERROR_SIZE]);

/* Why libnats did not do something, in words. `connection` may be NULL. */
void fleet_explain(natsConnection *connection, natsStatus status, char error[static FLEET_ERROR_SIZE]);

/* A name of a target or collector as one token of a subject or key: a dot is %2E. */
void fleet_token(const char *name, char out[static FLEET_TOKEN_SIZE]);

#endif
