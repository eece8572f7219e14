/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connecting: the TCP connections of a library that may wait for ever in setting them up, and does not tell which.
 *
 * libnats is meant: its connections end without waiting (SO_LINGER of 0 s), as nobody else's here.
 *
 *   posix/connecting.c
 *
 * Thread: any.
 */
#ifndef SERVICE_PLATFORM_CONNECTING_H
#define SERVICE_PLATFORM_CONNECTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct platform_connection {
    uint64_t id; /* of this connection alone */
    int descriptor;
    uint16_t port; /* ours */
    bool blocks;   /* calls wait in the system: libnats' TLS handshake */
};

/* Lists them; returns how many were written to `out`. Some system calls for each open file. */
size_t platform_connections(struct platform_connection *out, size_t max);

/* Ends a connection, if it still is this one: whoever waits for it gets an error. */
void platform_break_connection(const struct platform_connection *connection);

/* Starts a thread that lasts as long as the process. */
bool platform_start_forever(void (*run)(void));

#endif
