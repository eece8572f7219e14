/* SPDX-License-Identifier: Apache-2.0 */
/*
 * observe: passes the workers' reports of targets and events to the API, the metrics and the store.
 *
 * Nothing here makes a worker wait for more than a short lock.
 *
 * Thread: observe_open, observe_configure, observe_close: the server's. The callbacks: a worker's.
 */
#ifndef SERVICE_OBSERVE_H
#define SERVICE_OBSERVE_H

#include "service/output/publisher.h"
#include "service/server/observe_counts.h"
#include "service/sinks/sinks.h"
#include "service/store/store.h"
#include "service/targets/snapshots.h"
#include "service/worker/worker.h"

#include <stdbool.h>
#include <stdint.h>

#define OBSERVE_REFRESH 4096U /* rows whose last_seen is published in one round */

struct observe {
    struct snapshots *snapshots;                  /* NULL: neither API nor store wants them */
    struct store *store;                          /* NULL: could not be opened */
    uv_mutex_t sinks_lock;                        /* of the next, which the store's thread sees */
    struct sinks *sinks;                          /* fed by the store; NULL: the store has no file */
    const char *sink_names[CONFIG_SINKS_MAX + 1]; /* including that of nats */
    void (*on_committed)(void *user, const struct store_event *events, size_t count); /* NULL: nobody listens */
    void *user;
    struct publisher *publisher;
    char collector[CONFIG_NAME_SIZE]; /* of the first configuration */
    char *path;                       /* path of the open store; NULL: none */
    struct observe_counts counts;
};

/* Before any worker has rows: snapshots for so many targets. False: out of memory. */
bool observe_init(struct observe *observe, struct publisher *publisher, const struct kdnetd_config *config);

/* When the rows are there, and before any worker runs: opens the store, and joins the publisher. `held`: the store
 * waits with its file for observe_release, for another process still writes it. */
void observe_open(struct observe *observe, const struct kdnetd_config *config, bool held);

/* The other process has ended. */
void observe_release(struct observe *observe);

/* Another configuration: how much the store keeps, where results are. */
void observe_configure(struct observe *observe, const struct kdnetd_config *config);

/* Stops feeding the sinks and returns them for observe_close_sinks, which any thread may call. */
struct sinks *observe_take_sinks(struct observe *observe);
/* False: a sink hangs, and only platform_end ends the process. */
bool observe_close_sinks(struct sinks *sinks, unsigned wait_ms);

/* Commits what waits, for at most `wait_ms`. Prepares observe_close, which then takes little time, while workers still
 * run. Any thread. */
void observe_settle(struct observe *observe, unsigned wait_ms);

/* Call it when no worker and no sink runs any more. False: the store hangs in a file call, and only platform_end ends
 * the process. */
bool observe_close(struct observe *observe, unsigned wait_ms);

/* As worker_env.h has them; `user` is the observe. */
void observe_target_changed(struct observe *observe, struct worker *worker, struct target *target);
void observe_target_gone(struct observe *observe, struct target *target);

/* Once a second, on the worker's thread: publishes when some of its rows were last heard. *at: where to continue. */
void observe_refresh(struct observe *observe, struct worker *worker, uint32_t *at);

/* `path` as seen from the root: who is told it stands in another folder. */
void observe_absolute(const char *path, char *out, size_t size);

/* Returns the path of a file in the state folder; NULL: no such folder. The caller frees it. */
char *observe_state_path(const struct kdnetd_config *config, const char *name);

/* Returns the store's path; NULL: none. The caller frees it. */
char *observe_store_path(const struct kdnetd_config *config);

#endif
