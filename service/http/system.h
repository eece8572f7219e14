/* SPDX-License-Identifier: Apache-2.0 */
/* system: HTTP's use of the operating system. system_posix.c or system_windows.c is built. */
#ifndef SERVICE_HTTP_SYSTEM_H
#define SERVICE_HTTP_SYSTEM_H

#include "service/http/call.h"
#include "service/http/http_limits.h"

#include <event2/util.h>
#include <stdbool.h>
#include <stddef.h>

#define SYSTEM_ERROR_SIZE 384

struct endpoint;
struct sockaddr;

/*
 * Whether enough descriptors are free: libevent ends the program when it cannot open its own, and machines, results and
 * reloads come first.
 */
bool system_has_files(void);

/* Leaves half of the permitted descriptors to everything else; raises the limit where permitted. */
void system_leave_files(struct http_limits *limits);

/* Lowers this thread's priority below those that serve machines. */
void system_yield(void);

/* Makes two ends: a write to the second wakes whoever waits for the first. */
bool system_open_wakeup(evutil_socket_t ends[2]);
void system_wake(const evutil_socket_t ends[2]); /* thread: any */
void system_take_wakeup(const evutil_socket_t ends[2]);
void system_close_wakeup(evutil_socket_t ends[2]);

/* Makes a listening socket. -1: `error`, of HTTP_DETAIL_SIZE, has the fault and the remedy. */
evutil_socket_t system_listen(const struct sockaddr *name, char *error);
/* Makes the listening Unix socket; notes its file in the endpoint. */
evutil_socket_t system_listen_local(struct endpoint *endpoint, char *error);
void system_unlink_local(const struct endpoint *endpoint); /* deletes the file if it is still ours */
void system_close(evutil_socket_t socket);

/* Writes the default path of the Unix socket. False: there is no folder for it. */
bool system_local_path(char out[static HTTP_PATH_SIZE]);

enum system_accepted { SYSTEM_ACCEPTED, SYSTEM_NONE_WAITS, SYSTEM_TRY_AGAIN, SYSTEM_NO_DESCRIPTORS };

/* Accepts a connection. Dead TCP peers are detected. */
enum system_accepted system_accept(const struct endpoint *endpoint, evutil_socket_t *out);

/* Writes the user at the other end of the Unix socket: local:USER. */
void system_name_user(evutil_socket_t socket, char out[static CALL_BY_SIZE]);

/* Reads a file that others may not read, up to `size` bytes; nothing of a larger file. */
bool system_read_secret(const char *path, char *text, size_t size, size_t *length,
                        char error[static SYSTEM_ERROR_SIZE]);

/* Resources of this process; 0: unknown. */
struct system_process {
    double cpu_seconds, open_files, max_files, virtual_bytes, resident_bytes, start_seconds;
};
void system_measure(struct system_process *out);

#endif
