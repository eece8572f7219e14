/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard: bounds the time in which libnats sets up a connection. Only in builds with libnats (KDNETD_NATS).
 *
 * libnats 3.4 waits for ever for a server that greets and then says nothing, with a processor to itself, and for one
 * that stops in the TLS handshake; meanwhile nobody may even ask for the connection's state. So a thread looks at our
 * connections while any of them is not up, and ends those that have taken too long. libnats then goes on to another
 * server, or reports the fault.
 *
 * Thread: any.
 */
#ifndef SERVICE_FLEET_GUARD_H
#define SERVICE_FLEET_GUARD_H

#include <stdint.h>

#define FLEET_GREET_MS                                                                                                 \
    3000 /* from the start to the answer to our greeting; libnats means to wait 2 s (FLEET_CONNECT_MS) */
#define FLEET_TLS_MS 5000 /* the same while a TLS handshake is in it */

/* One connection begins to be set up. */
void guard_begin(void);
/* ... and is not there in the end. */
void guard_failed(void);

/* A connection is up, for the first time or again; `port`: ours. */
void guard_up(const void *connection, uint16_t port);
/* ... was lost, and is being set up again. */
void guard_lost(const void *connection);
/* ... has ended, lost before or not. */
void guard_ended(const void *connection);

/* How many connections the guard has ended, of the whole process. */
unsigned guard_broken(void);

#endif
