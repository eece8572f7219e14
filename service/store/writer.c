/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's thread: waits for lines, commits them in groups, and keeps the file.
 *
 * Lines taken from the queue stay in `lines` and `notes` until they are committed: after a failure the same group is
 * tried again. The file's identity is checked before and after each commit: a group that went into a file that was
 * moved away meanwhile counts as not committed, and goes into the new file.
 */
#include "service/platform/yield.h"
#include "service/store/catch_up.h"
#include "service/store/line.h"
#include "service/store/store_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_MS 1000U

/* Committing */

static int put_notes(struct store *store)
{
    int code = 0;
    for (struct store_note *note = store->notes; note && code == 0; note = note->next) {
        bool found = true;
        code = note->is_sink
                   ? database_sink_ack(store->database, note->crash, note->seq, note->goes_back)
                   : database_acknowledge(store->database, note->crash, note->by, note->note, note->time_us, &found);
        note->result = found ? STORE_DONE : STORE_MISSING;
    }
    return code;
}

static void tell_notes(struct store *store, bool done)
{
    while (store->notes) {
        struct store_note *note = store->notes;
        store->notes = note->next;
        if (note->done)
            note->done(note->user, done ? note->result : STORE_UNAVAILABLE);
        free(note);
    }
}

static void tell_group(struct store *store)
{
    if (store->group.count > 0 && store->callbacks.on_committed)
        store->callbacks.on_committed(store->callbacks.user, store->group.events, store->group.count);
    store_group_clear(&store->group);
}

static int put_lines(struct store *store)
{
    int code = 0;
    for (struct store_queued *line = store->lines; line && code == 0; line = line->next)
        code = store_group_add(&store->group, store->database, line, false);
    return code;
}

static int put_sinks(struct store *store)
{
    if (!store->sinks_due)
        return 0;
    return database_keep_sinks(store->database, (const char *const *)store->settings.sinks, store->settings.sink_count);
}

/* Ends a transaction whose parts succeeded. Returns whether it is on the disk, in the file that the path names. */
bool store_commit(struct store *store, int code)
{
    if (code == 0)
        code = database_commit(store->database);
    if (code) {
        store_group_clear(&store->group);
        store_fail_code(store, code);
        return false;
    }
    if (!database_is_ours(store->database)) {
        store_group_clear(&store->group);
        return false;
    }
    store->newest = database_newest(store->database);
    return true;
}

static void free_lines(struct store *store)
{
    store_queued_free(store->lines);
    store->lines = NULL;
    store->line_count = 0;
}

static void commit_group(struct store *store)
{
    int code = database_begin(store->database);
    if (code == 0)
        code = put_sinks(store);
    if (code == 0)
        code = put_lines(store);
    if (code == 0)
        code = put_notes(store);
    if (!store_commit(store, code))
        return;
    store->sinks_due = false;
    tell_group(store);
    free_lines(store);
    tell_notes(store, true);
    store_recover(store);
}

/* Catching up */

struct catching {
    struct store *store;
    struct store_queued *first, *last; /* copies of the lines of this transaction */
    size_t count;
    bool failed;
};

bool store_is_ending(struct store *store)
{
    uv_mutex_lock(&store->lock);
    bool ending = store->ending;
    uv_mutex_unlock(&store->lock);
    return ending;
}

/* Commits the lines that were found. */
static bool commit_found(struct catching *catching)
{
    struct store *store = catching->store;
    int code = 0;
    if (catching->count > 0) {
        code = database_begin(store->database);
        for (struct store_queued *line = catching->first; line && code == 0; line = line->next)
            code = store_group_add(&store->group, store->database, line, true);
        catching->failed = !store_commit(store, code);
        if (!catching->failed)
            tell_group(store);
    }
    store_queued_free(catching->first);
    catching->first = catching->last = NULL;
    catching->count = 0;
    return !catching->failed;
}

/* False: there was no memory to find out. */
static bool is_of_this_run(const struct store *store, const char *text, size_t length, bool *is)
{
    struct store_line line;
    *is = false;
    if (!store_line_parse(text, length, &line))
        return !line.no_memory;
    *is = line.time_us >= store->opened_us;
    store_line_clear(&line);
    return true;
}

/* New sinks begin here: behind the events of earlier runs, and ahead of this run's. */
static bool begin_sinks(struct catching *catching)
{
    struct store *store = catching->store;
    if (!commit_found(catching))
        return false;
    int code = database_begin(store->database);
    if (code == 0)
        code = put_sinks(store);
    catching->failed = !store_commit(store, code);
    store->sinks_due = catching->failed;
    return !catching->failed;
}

/* False: the rest is read another time. */
static bool on_found(void *user, const char *text, size_t length)
{
    struct catching *catching = user;
    struct store *store = catching->store;
    char id[STORE_TEXT_SIZE];
    bool has = false, is_new = false;
    if (store_line_id(text, length, id)) {
        int code = database_has(store->database, id, &has);
        if (code) {
            store_fail_code(store, code);
            catching->failed = true;
            return false;
        }
    }
    if (has)
        return true;
    if (store->sinks_due && !is_of_this_run(store, text, length, &is_new))
        return false;
    if (is_new && !begin_sinks(catching))
        return false;
    struct store_queued *copy = store_queued_new(text, length, NULL);
    if (!copy)
        return false;
    if (catching->last)
        catching->last->next = copy;
    else
        catching->first = copy;
    catching->last = copy;
    return ++catching->count < STORE_COMMIT_ROWS || (commit_found(catching) && !store_is_ending(store));
}

static void catch_up(struct store *store)
{
    struct catching catching = {.store = store};
    if (!store->catch_up_due || !store->database)
        return;
    bool whole = !store->settings.results ||
                 catch_up_read(store->settings.results, STORE_CATCH_UP_BYTES, on_found, &catching);
    if (!catching.failed)
        (void)commit_found(&catching);
    store_queued_free(catching.first);
    if (whole && !catching.failed)
        store->catch_up_due = false;
}

/* Once a second */

static void renew_status(struct store *store)
{
    uv_mutex_lock(&store->lock);
    if (store->database) {
        store->status.events = database_events(store->database);
        store->status.bytes = database_bytes(store->database);
    }
    uv_mutex_unlock(&store->lock);
}

static void do_second(struct store *store)
{
    uint64_t now_ms = store_clock_ms();
    if (now_ms - store->second_ms < SECOND_MS && store->second_ms != 0)
        return;
    store->second_ms = now_ms;
    store_look_at_file(store);
    store_put_targets(store);
    store_retain(store);
}

/* The thread */

static bool same_path(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

/* The path has changed: status and messages are about the new one from now on. */
static void move(struct store *store)
{
    const char *path = store->settings.path;
    store_close_file(store);
    store->catch_up_due = true;
    store->told = false;
    store->age_us = 0;
    uv_mutex_lock(&store->lock);
    store->status.state = path ? STORE_DEGRADED : STORE_OFF;
    store->status.error[0] = '\0';
    store->status.events = store->status.bytes = 0;
    (void)snprintf(store->status.path, sizeof store->status.path, "%s", path ? path : "");
    uv_mutex_unlock(&store->lock);
    (void)atomic_fetch_add(&store->generation, 1);
}

static void apply_settings(struct store *store, struct store_settings *settings)
{
    if (!settings)
        return;
    bool moved = !same_path(settings->path, store->settings.path);
    store_settings_clear(&store->settings);
    store->settings = *settings;
    free(settings);
    store->sinks_due = true;
    store->retry_ms = store->second_ms = 0;
    if (moved)
        move(store);
}

/* Whether the writer has something to do now; the lock is held. */
static bool is_due(const struct store *store)
{
    return store->ending || store->settle || store->wanted || store->note_first ||
           store->queue.lines >= STORE_COMMIT_ROWS;
}

/* Waits until a group is full, its oldest line has waited STORE_COMMIT_MS, or a second is over. */
static void wait_for_work(struct store *store)
{
    uint64_t from_ms = store_clock_ms(), first_ms = store->lines ? from_ms : 0;
    while (!is_due(store)) {
        uint64_t now_ms = store_clock_ms();
        if (store->queue.lines > 0 && first_ms == 0)
            first_ms = now_ms;
        uint64_t until_ms = first_ms ? first_ms + STORE_COMMIT_MS : from_ms + SECOND_MS;
        if (now_ms >= until_ms)
            return;
        (void)uv_cond_timedwait(&store->changed, &store->lock, (until_ms - now_ms) * 1000000);
    }
}

static void take_lines(struct store *store)
{
    if (!store->lines)
        store->lines = store_queue_take(&store->queue, STORE_COMMIT_ROWS, &store->line_count);
    if (!store->notes) {
        store->notes = store->note_first;
        store->note_first = store->note_last = NULL;
    }
    if (store->lacking && store->queue.lines == 0) {
        store->lacking = false;
        store->catch_up_due = true;
    }
}

/* While the store is degraded and a group waits, waits only for the next try; the caller holds the lock. */
static void wait_to_retry(struct store *store)
{
    if (!store->ending && !store->wanted)
        (void)uv_cond_timedwait(&store->changed, &store->lock, (uint64_t)STORE_COMMIT_MS * 1000000);
}

/* Takes new lines beside the uncommitted ones. Returns whether the store has to end after that. */
static bool take_work(struct store *store, bool *settle)
{
    uv_mutex_lock(&store->lock);
    if (store->told && store->lines)
        wait_to_retry(store);
    else
        wait_for_work(store);
    take_lines(store);
    *settle = store->settle;
    store->settle = false;
    struct store_settings *settings = store->wanted;
    store->wanted = NULL;
    bool ends = store->ending && (store->queue.lines == 0 || store->told);
    uv_mutex_unlock(&store->lock);
    apply_settings(store, settings);
    return ends;
}

/* Without a file: reports the lines and drops them. */
static void pass_lines(struct store *store)
{
    for (struct store_queued *line = store->lines; line; line = line->next)
        store_group_pass(&store->group, line, ++store->newest);
    tell_group(store);
    free_lines(store);
    tell_notes(store, false);
}

static void work(struct store *store)
{
    if (!store->settings.path) {
        pass_lines(store);
        return;
    }
    do_second(store);
    bool may_try = store->database && (!store->told || store_clock_ms() >= store->retry_ms);
    if (may_try)
        catch_up(store);
    if (may_try && store->database && (store->lines || store->notes || store->sinks_due || store->told))
        commit_group(store);
    if (store->told)
        tell_notes(store, false);
    renew_status(store);
}

/* Also does the once-a-second work that is due soon. */
static void settle(struct store *store)
{
    store->second_ms = 0;
    work(store);
    if (store->database)
        database_settle(store->database);
    uv_mutex_lock(&store->lock);
    store->settled = true;
    uv_cond_broadcast(&store->changed);
    uv_mutex_unlock(&store->lock);
}

/* Lines come into the queue meanwhile. */
static void wait_for_release(struct store *store)
{
    uint64_t until_ms = store_clock_ms() + STORE_HELD_MS, now_ms;
    uv_mutex_lock(&store->lock);
    while (store->held && !store->ending && (now_ms = store_clock_ms()) < until_ms)
        (void)uv_cond_timedwait(&store->changed, &store->lock, (until_ms - now_ms) * 1000000);
    store->held = false;
    uv_mutex_unlock(&store->lock);
}

void store_write(void *user)
{
    struct store *store = user;
    platform_step_back();
    wait_for_release(store);
    work(store);
    for (bool ends = false, settles = false; !ends;) {
        ends = take_work(store, &settles);
        if (settles)
            settle(store);
        else
            work(store);
    }
    free_lines(store);
    tell_notes(store, false);
    store_close_file(store);
    uv_mutex_lock(&store->lock);
    store->ended = true;
    uv_cond_broadcast(&store->changed);
    uv_mutex_unlock(&store->lock);
}
