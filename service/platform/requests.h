/* SPDX-License-Identifier: Apache-2.0 */
/*
 * requests: requests of the system to the running kdnetd. posix/requests.c: signals (HUP, USR1, USR2, TERM, INT).
 * windows/requests.c: the service control manager, and the console's Ctrl-C, Ctrl-Break and close.
 */
#ifndef SERVICE_PLATFORM_REQUESTS_H
#define SERVICE_PLATFORM_REQUESTS_H

#include <stddef.h>
#include <uv.h>

enum request {
    REQUEST_STOP,
    REQUEST_RELOAD,  /* read the configuration again, open the result file again */
    REQUEST_SUMMARY, /* write a summary to the log */
    REQUEST_UPGRADE, /* hand everything over to a fresh process of the program */
};

#define REQUESTS_SIGNALS 5

struct requests {
    void (*call)(void *user, enum request request);
    void *user;
    uv_signal_t signals[REQUESTS_SIGNALS];
    size_t signal_count;
    uv_async_t control; /* of the service control manager */
    size_t control_count;
};

/* Calls `call` on the loop for each request. Sources of requests that cannot be opened are left out. */
void requests_watch(struct requests *requests, uv_loop_t *loop, void (*call)(void *user, enum request request),
                    void *user);

/* Closes the handles; the struct stays until the loop has closed them. Twice is fine. */
void requests_close(struct requests *requests);

#endif
