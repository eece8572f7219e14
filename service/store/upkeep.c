/* SPDX-License-Identifier: Apache-2.0 */
/* The store's work once a second: stores the targets' states, removes old rows. */
#include "service/runtime/log.h"
#include "service/store/store_internal.h"

#define HOUR_US      UINT64_C(3600000000)
#define DAY_US       (24 * HOUR_US)
#define BEHIND_US    (30 * DAY_US) /* a fleet may well have had nothing to tell for some weeks */
#define RETAIN_ROWS  5000U         /* rows removed in one transaction */
#define TARGETS_MOST 2000U

/* From where the time goes on by which events are old: find_age_us. Before anything is added. */
void store_begin_age(struct store *store)
{
    uint64_t newest_us = 0;
    if (store->age_us != 0 || database_newest_us(store->database, &newest_us) != 0)
        return;
    store->age_us = newest_us > 0 ? newest_us + DAY_US : store_wall_us();
    store->aged_ms = store_clock_ms();
}

struct putting {
    struct database *database;
    int code; /* the first error */
};

static void put_target(void *user, const struct store_target *target)
{
    struct putting *putting = user;
    if (putting->code == 0)
        putting->code = database_put_target(putting->database, target);
}

void store_put_targets(struct store *store)
{
    size_t stored = TARGETS_MOST;
    while (store->callbacks.changed_targets && store->database && !store->told && stored == TARGETS_MOST) {
        struct putting putting = {store->database, database_begin(store->database)};
        stored = putting.code
                     ? 0
                     : store->callbacks.changed_targets(store->callbacks.user, put_target, &putting, TARGETS_MOST);
        if (!store_commit(store, putting.code) || store_is_ending(store))
            return;
    }
}

static void tell_gone(struct store *store, const struct database_gone *gone)
{
    struct log_line line;
    if (gone->overrun == 0)
        return;
    uv_mutex_lock(&store->lock);
    store->status.overrun += gone->overrun;
    uv_mutex_unlock(&store->lock);
    log_begin(&line, CONFIG_LOG_WARNING,
              "events left the store before a sink had taken them: see to the sink, or retain more");
    log_text(&line, "sink", gone->sink);
    log_number(&line, "events", gone->overrun);
    log_end(&line);
    if (store->callbacks.on_overrun)
        store->callbacks.on_overrun(store->callbacks.user, gone->sink, gone->overrun);
}

/*
 * The time that decides which events are old: the clock's, but it advances at most twice as fast as real time, starting
 * a day after the newest event. So a clock that jumps ahead by years, or is wrong at the start, empties no store.
 */
static uint64_t find_age_us(struct store *store)
{
    uint64_t wall_us = store_wall_us(), now_ms = store_clock_ms();
    struct log_line line;
    if (store->age_us == 0)
        return 0; /* the file could not be asked: nothing is too old */
    store->age_us += 2 * (now_ms - store->aged_ms) * 1000;
    store->aged_ms = now_ms;
    if (store->age_us > wall_us)
        store->age_us = wall_us;
    bool behind = wall_us - store->age_us > BEHIND_US;
    if (behind && !store->age_told) {
        log_begin(&line, CONFIG_LOG_WARNING,
                  "the clock is far ahead of the newest stored event: is it right? Events leave the store by their age "
                  "at most twice as fast as time passes, until it has caught up");
        log_number(&line, "ahead_hours", (wall_us - store->age_us) / HOUR_US);
        log_end(&line);
    }
    store->age_told = behind;
    return store->age_us;
}

void store_retain(struct store *store)
{
    struct database_gone gone;
    if (!store->database || store->told)
        return;
    int code = database_begin(store->database);
    if (code == 0)
        code = database_retain(store->database, store->settings.retain_days, store->settings.retain_bytes,
                               find_age_us(store), RETAIN_ROWS, &gone);
    if (store_commit(store, code))
        tell_gone(store, &gone);
}
