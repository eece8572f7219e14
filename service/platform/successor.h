/* SPDX-License-Identifier: Apache-2.0 */
/*
 * successor: a fresh process of the program on the disk, which takes over the sockets of this one.
 *
 * The successor starts while its predecessor serves, says when it is ready, and then waits until the predecessor lets
 * it begin. A channel connects the two: its end means that the other process is gone, or has given up. It stays open
 * until the predecessor's process ends.
 *
 *   posix/successor.c    windows/successor_none.c  no service manager there accepts another process
 *
 * Thread: successor_take before there are threads; the others on the server's.
 */
#ifndef SERVICE_PLATFORM_SUCCESSOR_H
#define SERVICE_PLATFORM_SUCCESSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define SUCCESSOR_NAME_SIZE 64

struct successor_socket {
    uv_os_sock_t socket;
    char name[SUCCESSOR_NAME_SIZE]; /* of inherited.h; without ':' and '=' */
};

/* Keeps the arguments for a successor. In a successor: notes what came from its predecessor, and makes the service
 * manager its parent. */
void successor_take(int argc, char **argv);

/* Of the successor */

/* Whether this process is a successor that may not begin yet. */
bool successor_waits(void);

/* The sockets from the predecessor as "DESCRIPTOR=NAME:DESCRIPTOR=NAME"; NULL: this process is no successor. */
const char *successor_sockets(void);

/*
 * Says that this process is ready, and waits for its turn. Returns whether the turn came; `text`: the predecessor's
 * last words, malloc'd, or NULL. False: the predecessor goes on, or is gone, and this process has to end.
 */
bool successor_wait(char **text, size_t *length);

/* The channel of a predecessor whose turn is over: readable when its process has ended. -1: there is none. */
int successor_predecessor(void);

/* Closes that channel. */
void successor_predecessor_ended(void);

/* Of the predecessor */

/* Starts a successor that inherits `sockets`. Returns the channel, or a UV_ code. */
int successor_start(const struct successor_socket *sockets, size_t count);

/* Asks the channel for news, without waiting. Returns the successor's process id when it is ready, 0 while it is not,
 * or a UV_ code when it has ended. */
int64_t successor_ready(int channel);

/* Lets the successor begin, with these last words. Waits a few seconds at most. The channel stays open: its end tells
 * the successor that this process has ended. */
bool successor_begin(int channel, const char *text, size_t length);

/* Closes the channel: the successor ends. */
void successor_drop(int channel);

#endif
