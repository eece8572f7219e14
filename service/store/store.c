/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/store.h"
#include "service/store/store_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void set_path(struct store *store)
{
    const char *path = store->settings.path;
    (void)snprintf(store->status.path, sizeof store->status.path, "%s", path ? path : "");
    store->status.state = path ? STORE_DEGRADED : STORE_OFF;
    if (path)
        (void)snprintf(store->status.error, STORE_ERROR_SIZE, "it is being opened");
}

static void free_store(struct store *store)
{
    store_settings_clear(&store->settings);
    if (store->wanted)
        store_settings_clear(store->wanted);
    free(store->wanted);
    store_group_free(&store->group);
    free(store);
}

/* Makes all that can fail but the thread. */
static bool set_up(struct store *store, const struct store_options *options)
{
    if (!store_settings_copy(&store->settings, options) || !store_group_init(&store->group))
        return false;
    if (uv_mutex_init(&store->lock) != 0)
        return false;
    if (uv_cond_init(&store->changed) == 0)
        return true;
    uv_mutex_destroy(&store->lock);
    return false;
}

struct store *store_open(const struct store_options *options, const struct store_callbacks *callbacks)
{
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        return NULL;
    if (!set_up(store, options)) {
        free_store(store);
        return NULL;
    }
    store->callbacks = *callbacks;
    store->queue.limit_bytes = STORE_QUEUE_BYTES;
    store->catch_up_due = true;
    store->sinks_due = true;
    store->held = options->held;
    store->opened_us = store_wall_us();
    set_path(store);
    if (uv_thread_create(&store->thread, store_write, store) == 0)
        return store;
    uv_cond_destroy(&store->changed);
    uv_mutex_destroy(&store->lock);
    free_store(store);
    return NULL;
}

bool store_configure(struct store *store, const struct store_options *options)
{
    struct store_settings *settings = malloc(sizeof *settings);
    if (!settings || !store_settings_copy(settings, options)) {
        free(settings);
        return false;
    }
    uv_mutex_lock(&store->lock);
    struct store_settings *old = store->wanted;
    store->wanted = settings;
    uv_cond_signal(&store->changed);
    uv_mutex_unlock(&store->lock);
    if (old)
        store_settings_clear(old);
    free(old);
    return true;
}

void store_release(struct store *store)
{
    uv_mutex_lock(&store->lock);
    if (!store->held)
        store->lacking = true;
    store->held = false;
    uv_cond_signal(&store->changed);
    uv_mutex_unlock(&store->lock);
}

void store_end(struct store *store)
{
    uv_mutex_lock(&store->lock);
    store->ending = true;
    uv_cond_signal(&store->changed);
    uv_mutex_unlock(&store->lock);
}

/* Waits for one of the writer's flags; the caller holds the lock. */
static bool wait_for(struct store *store, const bool *flag, unsigned wait_ms)
{
    uint64_t until_ms = store_clock_ms() + wait_ms, now_ms;
    while (!*flag && (now_ms = store_clock_ms()) < until_ms)
        (void)uv_cond_timedwait(&store->changed, &store->lock, (until_ms - now_ms) * 1000000);
    return *flag;
}

static bool wait_for_end(struct store *store, unsigned wait_ms)
{
    uv_mutex_lock(&store->lock);
    bool ended = wait_for(store, &store->ended, wait_ms);
    uv_mutex_unlock(&store->lock);
    return ended;
}

void store_settle(struct store *store, unsigned wait_ms)
{
    uv_mutex_lock(&store->lock);
    store->settle = true;
    store->settled = false;
    uv_cond_broadcast(&store->changed);
    (void)wait_for(store, &store->settled, wait_ms);
    uv_mutex_unlock(&store->lock);
}

bool store_close(struct store *store, unsigned wait_ms)
{
    store_end(store);
    if (!wait_for_end(store, wait_ms))
        return false;
    (void)uv_thread_join(&store->thread);
    store_queued_free(store->queue.first);
    uv_cond_destroy(&store->changed);
    uv_mutex_destroy(&store->lock);
    free_store(store);
    return true;
}

bool store_add(struct store *store, const char *line, size_t length, const struct store_facts *facts)
{
    struct store_queued *queued = store_queued_new(line, length, facts);
    uv_mutex_lock(&store->lock);
    bool taken = queued && !store->ending && store_queue_push(&store->queue, queued);
    if (!taken)
        store->lacking = true;
    /* The writer checks each STORE_COMMIT_MS while lines wait: it is woken for the first line, and for a full group. */
    if (taken && (store->queue.lines == 1 || store->queue.lines == STORE_COMMIT_ROWS))
        uv_cond_signal(&store->changed);
    uv_mutex_unlock(&store->lock);
    if (!taken)
        free(queued);
    return taken;
}

static bool add_note(struct store *store, const struct store_note *note)
{
    struct store_note *copy = malloc(sizeof *copy);
    if (!copy)
        return false;
    *copy = *note;
    uv_mutex_lock(&store->lock);
    bool taken = !store->ending && store->status.state != STORE_OFF;
    if (taken) {
        if (store->note_last)
            store->note_last->next = copy;
        else
            store->note_first = copy;
        store->note_last = copy;
        uv_cond_signal(&store->changed);
    }
    uv_mutex_unlock(&store->lock);
    if (!taken)
        free(copy);
    return taken;
}

bool store_acknowledge(struct store *store, const char *crash, const char *by, const char *note,
                       void (*done)(void *user, enum store_result result), void *user)
{
    struct store_note made = {.time_us = store_wall_us(), .done = done, .user = user};
    (void)snprintf(made.crash, sizeof made.crash, "%s", crash);
    (void)snprintf(made.by, sizeof made.by, "%s", by);
    (void)snprintf(made.note, sizeof made.note, "%s", note ? note : "");
    return strlen(crash) < sizeof made.crash && add_note(store, &made);
}

bool store_sink_ack(struct store *store, const char *sink, uint64_t seq)
{
    struct store_note made = {.is_sink = true, .seq = seq};
    (void)snprintf(made.crash, sizeof made.crash, "%s", sink);
    return add_note(store, &made);
}

bool store_sink_back(struct store *store, const char *sink, uint64_t seq)
{
    struct store_note made = {.is_sink = true, .goes_back = true, .seq = seq};
    (void)snprintf(made.crash, sizeof made.crash, "%s", sink);
    return add_note(store, &made);
}

void store_status(struct store *store, struct store_status *out)
{
    uv_mutex_lock(&store->lock);
    *out = store->status;
    out->waiting = store->queue.lines;
    uv_mutex_unlock(&store->lock);
}

void store_suspect(struct store *store)
{
    atomic_store(&store->suspect, true);
}
