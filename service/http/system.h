/* SPDX-License-Identifier: Apache-2.0 */
/* system: what HTTP asks of the operating system. system_posix.c or system_windows.c is built. */
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
 * Whether there are files enough: libevent ends the program when it cannot open its own, and machines, results and
 * reloads come first.
 */
bool system_has_files(void);

/* Half of the files that may be open stay for all else; more may be open when the system lets them. */
void system_leave_files(struct http_limits *limits);

/* This thread comes after those that serve machines. */
void system_yield(void);

/* Two ends: what is written to the second wakes who waits for the first. */
bool system_open_wakeup(evutil_socket_t ends[2]);
void system_wake(const evutil_socket_t ends[2]); /* thread: any */
void system_take_wakeup(const evutil_socket_t ends[2]);
void system_close_wakeup(evutil_socket_t ends[2]);

/* A socket that listens, -1: `error`, of HTTP_DETAIL_SIZE, says why and the remedy. */
evutil_socket_t system_listen(const struct sockaddr *name, char *error);
/* Of the Unix socket; notes its file in the endpoint. */
evutil_socket_t system_listen_local(struct endpoint *endpoint, char *error);
void system_unlink_local(const struct endpoint *endpoint); /* if the file is still its own */
void system_close(evutil_socket_t socket);

/* The path of the Unix socket when none is configured. False: there is no folder for it. */
bool system_local_path(char out[static HTTP_PATH_SIZE]);

enum system_accepted { SYSTEM_ACCEPTED, SYSTEM_NONE_WAITS, SYSTEM_TRY_AGAIN, SYSTEM_NO_DESCRIPTORS };

/* Accepts a connection. A peer of TCP that is gone without a word is found out. */
enum system_accepted system_accept(const struct endpoint *endpoint, evutil_socket_t *out);

/* Who is at the other end of the Unix socket: local:USER. */
void system_name_user(evutil_socket_t socket, char out[static CALL_BY_SIZE]);

/* Reads a file that others may not read, up to `size` bytes, none of which is that of a larger file. */
bool system_read_secret(const char *path, char *text, size_t size, size_t *length,
                        char error[static SYSTEM_ERROR_SIZE]);

/* What this process uses; 0: not known. */
struct system_process {
    double cpu_seconds, open_files, max_files, virtual_bytes, resident_bytes, start_seconds;
};
void system_measure(struct system_process *out);

#endif
