/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inherited: UDP sockets that outlive this process, so that a restart loses no datagram.
 *
 * The service manager keeps the sockets and hands them over at the start (LISTEN_FDS): those of a socket unit, and
 * those that a previous kdnetd asked it to keep. Datagrams that come meanwhile wait in the socket. A successor
 * (successor.h) has them from its predecessor instead, which still reads from them.
 *
 *   posix/inherited.c  systemd's protocol    windows/inherited_windows.c  no service manager keeps sockets
 *
 * Thread: inherited_take before there are threads; the others on the server's.
 */
#ifndef SERVICE_PLATFORM_INHERITED_H
#define SERVICE_PLATFORM_INHERITED_H

#include "service/platform/successor.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

/* Notes the sockets handed over, once, at the start, so that no child process and no second call takes them. */
void inherited_take(void);

/* The sockets bound to this very address, at most `room`, in the order of their workers. They belong to the caller
 * then. */
size_t inherited_sockets(const struct sockaddr *local, uv_os_sock_t *out, size_t room);

/* Closes sockets that nobody took; the service manager no longer keeps them. Returns how many of them a socket unit
 * opened. */
size_t inherited_close_rest(void);

/* Duplicates a descriptor of a socket. Returns 0 or a UV_ code. */
int inherited_duplicate(uv_os_sock_t socket, uv_os_sock_t *out);

/* Asks the service manager to keep a socket, the index-th of its address; ends that. */
void inherited_keep(const struct sockaddr *local, unsigned index, uv_os_sock_t socket);
void inherited_forget(const struct sockaddr *local, unsigned index);

/* This process is a successor, and its turn has come: the service manager listens to it from now on, and is told what
 * to keep. */
void inherited_begin(void);

/* Names a socket for a successor. False: it is a duplicate of one in `before`, which is not passed on. */
bool inherited_pass_on(const struct sockaddr *local, unsigned index, uv_os_sock_t socket,
                       const struct successor_socket *before, size_t count, struct successor_socket *out);

#endif
