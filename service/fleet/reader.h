/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader: what a stream or bucket holds, in order, and what comes to it. Only in a build with libnats (KDNETD_NATS).
 *
 * Uses connection. Nothing is acknowledged and nothing is left on the servers: a reader changes no stream.
 *
 * Thread: one.
 */
#ifndef SERVICE_FLEET_READER_H
#define SERVICE_FLEET_READER_H

#include "service/fleet/connection.h"

#include <stddef.h>
#include <stdint.h>

#define FLEET_WAIT_MS 5000 /* for the next message, when there is one */

struct fleet_message {
    const char *data; /* borrowed for the call; anything at all */
    size_t length;
    uint64_t time_us; /* when the servers took it, since 1970 */
};
typedef void fleet_each(void *user, const struct fleet_message *message);

struct fleet_reader;

/* filter: a subject, with * and >. since_us: when the servers took it at the earliest; 0: all. NULL: `error` says why.
 */
struct fleet_reader *fleet_reader_open(natsConnection *connection, const char *stream, const char *filter,
                                       uint64_t since_us, char error[static FLEET_ERROR_SIZE]);

/* Gives all that is there, and what comes until nothing has come for `wait_ms`. False: `error` says what is wrong. */
bool fleet_reader_read(struct fleet_reader *reader, int64_t wait_ms, fleet_each *each, void *user,
                       char error[static FLEET_ERROR_SIZE]);

void fleet_reader_close(struct fleet_reader *reader);

#endif
