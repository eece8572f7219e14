/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_env: what workers see, without a server: no symbols, no event log, and callbacks that count. Only for tests, one
 * at a time.
 */
#ifndef TESTS_SERVICE_FAKE_ENV_H
#define TESTS_SERVICE_FAKE_ENV_H

#include "service/worker/worker.h"
#include "service/worker/worker_env.h"
#include "service/worker/worker_loop.h"

#include <stdlib.h>
#include <string.h>

#define FAKE_WORKERS 4U

static struct {
    struct worker_env env;
    struct worker workers[FAKE_WORKERS];
    struct mailbox *mailboxes[FAKE_WORKERS];
    struct event_log event_log; /* not open: it takes no lines */
    struct publisher publisher;
    struct locals locals;
    atomic_uint keys_shown;
    unsigned troubles, unknown_pokes, changed, gone;
    enum worker_trouble trouble; /* the last */
} fake;

static inline void fake_trouble(void *user, uint32_t listener_id, enum worker_trouble trouble, int error)
{
    (void)user;
    (void)listener_id;
    (void)error;
    fake.trouble = trouble;
    ++fake.troubles;
}

static inline void fake_unknown_poke(void *user, const struct search_poke *poke)
{
    (void)user;
    (void)poke;
    ++fake.unknown_pokes;
}

static inline void fake_changed(void *user, struct worker *worker, struct target *target)
{
    (void)user;
    (void)worker;
    (void)target;
    ++fake.changed;
}

static inline void fake_gone(void *user, struct worker *worker, struct target *target)
{
    (void)user;
    (void)worker;
    (void)target;
    ++fake.gone;
}

/* So many workers, whose threads do not run: a test turns their loops. Aborts when one cannot be made. */
static inline void fake_begin(unsigned workers)
{
    memset(&fake, 0, sizeof fake);
    publisher_init(&fake.publisher, &fake.event_log);
    if (locals_init(&fake.locals) != 0)
        abort();
    fake.env = (struct worker_env){.seed = 1,
                                   .steer = {.seed = 1, .workers = workers},
                                   .worker_count = workers,
                                   .mailboxes = fake.mailboxes,
                                   .locals = &fake.locals,
                                   .publisher = &fake.publisher,
                                   .keys_shown = &fake.keys_shown,
                                   .trouble = fake_trouble,
                                   .unknown_poke = fake_unknown_poke,
                                   .target_changed = fake_changed,
                                   .target_gone = fake_gone};
    for (unsigned i = 0; i < workers; ++i) {
        fake.mailboxes[i] = &fake.workers[i].mailbox;
        if (!worker_init(&fake.workers[i], &fake.env, i))
            abort();
    }
}

/* Some rounds of each worker's loop, none of which waits. */
static inline void fake_turn(void)
{
    for (unsigned round = 0; round < 4; ++round)
        for (unsigned i = 0; i < fake.env.worker_count; ++i)
            (void)uv_run(&fake.workers[i].loop, UV_RUN_NOWAIT);
}

static inline void fake_end(void)
{
    for (unsigned i = 0; i < fake.env.worker_count; ++i)
        worker_finish(&fake.workers[i]);
    for (bool some = true; some;) {
        some = false;
        for (unsigned i = 0; i < fake.env.worker_count; ++i)
            some = mailbox_handle(&fake.workers[i].mailbox) || some;
    }
    for (unsigned i = 0; i < fake.env.worker_count; ++i)
        worker_clear(&fake.workers[i], false);
    locals_clear(&fake.locals);
}

#endif
