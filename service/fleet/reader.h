/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader: reads a stream or bucket in order, and then what is added. Only in builds with libnats (KDNETD_NATS).
 *
 * Nothing is acknowledged and nothing is left on the servers: a reader changes no stream.
 *
 * Thread: one.
 */
#ifndef SERVICE_FLEET_READER_H
#define SERVICE_FLEET_READER_H

#include "service/fleet/connection.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLEET_WAIT_MS 5000   /* wait for a message that is known to exist */
#define FLEET_READ_MS 600000 /* ... and for all of them */

struct fleet_message {
    const char *data; /* borrowed for the call; anything at all */
    size_t length;
    uint64_t time_us; /* when the servers took the message, since 1970 */
};
typedef void fleet_each(void *user, const struct fleet_message *message);

struct fleet_reader;

/* Opens a reader. filter: a subject, with * and >. since_us: only messages that the servers took later; 0: all.
 * NULL: the fault is in `error`; `silent`: nobody answered. */
struct fleet_reader *fleet_reader_open(natsConnection *connection, const char *stream, const char *filter,
                                       uint64_t since_us, bool *silent, char error[static FLEET_ERROR_SIZE]);

/* Gives all present messages, and further ones that come within `wait_ms`. False: the fault is in `error`. */
bool fleet_reader_read(struct fleet_reader *reader, int64_t wait_ms, fleet_each *each, void *user,
                       char error[static FLEET_ERROR_SIZE]);

void fleet_reader_close(struct fleet_reader *reader);

#endif
