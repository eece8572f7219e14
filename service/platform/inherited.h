/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inherited: UDP sockets that outlive this process, so that a restart loses no datagram.
 *
 * The service manager keeps them and hands them over at the start (LISTEN_FDS): those of a socket unit, and those that
 * a kdnetd before this one asked it to keep. Datagrams that come meanwhile wait in the socket.
 *
 *   posix/inherited.c  systemd's protocol    windows/inherited_windows.c  no service manager keeps sockets
 *
 * Thread: inherited_take before there are threads; the others on the server's.
 */
#ifndef SERVICE_PLATFORM_INHERITED_H
#define SERVICE_PLATFORM_INHERITED_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

/* Once, at the start: notes what was handed over, so that no child and no second look takes it. */
void inherited_take(void);

/* The sockets bound to this very address, at most `room`, in the order of their workers. They belong to the caller
 * then. */
size_t inherited_sockets(const struct sockaddr *local, uv_os_sock_t *out, size_t room);

/* Closes those that nobody took; they are no longer kept. Returns how many of them a socket unit opened. */
size_t inherited_close_rest(void);

/* Another descriptor of the same socket. Returns 0 or a UV_ code. */
int inherited_duplicate(uv_os_sock_t socket, uv_os_sock_t *out);

/* Lets the service manager keep a socket, the index-th of its address; and no longer. */
void inherited_keep(const struct sockaddr *local, unsigned index, uv_os_sock_t socket);
void inherited_forget(const struct sockaddr *local, unsigned index);

#endif
