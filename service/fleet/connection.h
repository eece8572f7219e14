/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection: a connection to the NATS servers of the option nats. Only in builds with libnats (KDNETD_NATS).
 *
 * A broken connection is retried for ever, each second, with any of the servers; messages published meanwhile wait in a
 * buffer of FLEET_BUFFER bytes. A silent server is left within FLEET_SILENT_MS. Calls of libnats may block for
 * FLEET_CONNECT_MS: use a thread of their own.
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
#define FLEET_PING_MS    2000 /* ping interval: after two unanswered pings the server is left */
#define FLEET_SILENT_MS  6000 /* bound that follows */
#define FLEET_BUFFER     (1 << 20)
#define FLEET_TOKEN_SIZE (3 * CONFIG_NAME_SIZE)

/* Connects; `name` identifies the client in the servers' own lists. NULL: the fault is in `error`; retry later. */
natsConnection *fleet_connect(const struct config_nats *config, const char *name, char error[static FLEET_ERROR_SIZE]);

/* The same; what is published goes out at once, not with what follows within a millisecond. */
natsConnection *fleet_connect_at_once(const struct config_nats *config, const char *name,
                                      char error[static FLEET_ERROR_SIZE]);

/* Copies the part of the options that connecting needs. False: out of memory; fleet_clear_options frees what is there.
 */
bool fleet_copy_options(const struct config_nats *from, struct config_nats *to);
void fleet_clear_options(struct config_nats *options);

/* Why libnats did not do something, in words. `connection` may be NULL. */
void fleet_explain(natsConnection *connection, natsStatus status, char error[static FLEET_ERROR_SIZE]);

/* Encodes the name of a target or collector as one token of a subject or key: a dot becomes %2E. */
void fleet_token(const char *name, char out[static FLEET_TOKEN_SIZE]);

#endif
