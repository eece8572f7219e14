/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks: where events go besides the result file, from the store, each at its own pace.
 *
 * Uses config, store, log, jansson, libcurl. Each sink has a thread, a reader of the store and a cursor in it: a sink
 * that is slow, away or wrong delays nobody, and goes on where it was, after a restart too.
 *
 * Thread: sinks_open, sinks_configure and sinks_close on one; all else from any.
 */
#ifndef SERVICE_SINKS_H
#define SERVICE_SINKS_H

#include "config/config.h"
#include "service/store/store.h"

#include <stdbool.h>
#include <stdint.h>

#define SINKS_ERROR_SIZE 256

struct sinks;

struct sinks_status {
    const char *name, *type;            /* borrowed for the call */
    uint64_t delivered;                 /* events, since the start. All counts are */
    uint64_t errors;                    /* tries that failed */
    uint64_t rejected;                  /* events that the receiver refused for good */
    uint64_t dropped;                   /* events that left the store before they were delivered */
    uint64_t failing_us, last_error_us; /* since 1970; 0: it works, there was none */
    char last_error[SINKS_ERROR_SIZE];
};

/* None runs yet. NULL: out of memory. */
struct sinks *sinks_open(void);

/*
 * Starts, changes and ends sinks so that those of the configuration run. One that is told as before goes on. Give the
 * same names to the store (store_options.sinks) before; it must outlive the sinks. Waits for nothing. False: some could
 * not be started, which is in the log.
 */
bool sinks_configure(struct sinks *sinks, struct store *store, const struct kdnetd_config *config);

/* The store has committed events. Never waits but for a short lock. */
void sinks_wake(struct sinks *sinks);

/* The store's on_overrun. */
void sinks_count_dropped(struct sinks *sinks, const char *name, uint64_t count);

/* Delivers again what was told since then, to the sink of that name, as soon as it is done with what it has in hand.
 * False: there is no such sink. */
bool sinks_republish(struct sinks *sinks, const char *name, uint64_t since_us);

void sinks_each(struct sinks *sinks, void (*each)(void *user, const struct sinks_status *status), void *user);

/* Ends all: what was not delivered is delivered after the next start. False: one did not end within `wait_ms`; what it
 * uses stays, its store reader too, and the program can only end by _Exit. */
bool sinks_close(struct sinks *sinks, unsigned wait_ms);

#endif
