/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks: deliver events from the store to other systems, each at its own pace.
 *
 * Each sink has a thread, a reader of the store and a cursor in the store: a sink that is slow, unreachable or
 * misconfigured delays no other, and continues where it was, also after a restart.
 *
 * Thread: sinks_open, sinks_configure and sinks_close on one; the rest from any.
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
    uint64_t errors;                    /* failed tries */
    uint64_t rejected;                  /* events that the receiver refused for good */
    uint64_t dropped;                   /* events that left the store before their delivery */
    uint64_t failing_us, last_error_us; /* since 1970; 0: works; no error yet */
    char last_error[SINKS_ERROR_SIZE];
};

/* None runs yet. NULL: out of memory. */
struct sinks *sinks_open(void);

/*
 * Starts, changes and ends sinks to match the configuration. An unchanged sink keeps running, and does
 * not wait any longer before its next try. Give the same names to
 * the store (store_options.sinks) before; the store must outlive the sinks. Does not wait. False: some sinks could not
 * be started; the log says which.
 */
bool sinks_configure(struct sinks *sinks, struct store *store, const struct kdnetd_config *config);

/* The store has committed events. Never waits but for a short lock. */
void sinks_wake(struct sinks *sinks);

/* The store's on_overrun. */
void sinks_count_dropped(struct sinks *sinks, const char *name, uint64_t count);

/* Makes the named sink deliver events since `since_us` again, after its current batch. False: no such sink. */
bool sinks_republish(struct sinks *sinks, const char *name, uint64_t since_us);

void sinks_each(struct sinks *sinks, void (*each)(void *user, const struct sinks_status *status), void *user);

/* Ends all sinks; undelivered events are delivered after the next start. False: a sink did not end within `wait_ms`;
 * it still uses its data and a store reader, so the program can only end by platform_end. */
bool sinks_close(struct sinks *sinks, unsigned wait_ms);

#endif
