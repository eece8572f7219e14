/* SPDX-License-Identifier: Apache-2.0 */
/* store_place: a folder with a store in it, what the store told of, and events to give to it. Only for tests. */
#ifndef TESTS_SERVICE_STORE_PLACE_H
#define TESTS_SERVICE_STORE_PLACE_H

#include "service/store/store_read.h"
#include "tests/support/remove_tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#define PATIENCE_MS 30000 /* for what happens by itself; nothing waits so long when all is well */

/* A folder with a store in it, and what was told of. */
struct place {
    char folder[64], path[96], results[96];
    struct store *store;
    struct store_reader *reader;
    struct store_options options;
    uv_mutex_t lock;
    uint64_t told, caught_up, last_seq, overrun;
    char last_id[STORE_ID_SIZE];
    char targets[512];
};

static inline void on_committed(void *user, const struct store_event *events, size_t count)
{
    struct place *place = user;
    uv_mutex_lock(&place->lock);
    for (size_t i = 0; i < count; ++i) {
        assert_true(events[i].seq > place->last_seq);
        assert_int_equal(strlen(events[i].line), events[i].length);
        place->last_seq = events[i].seq;
        place->caught_up += events[i].caught_up;
        (void)snprintf(place->last_id, sizeof place->last_id, "%s", events[i].id);
    }
    place->told += count;
    uv_mutex_unlock(&place->lock);
}

static inline void on_target(void *user, const struct store_target *target)
{
    struct place *place = user;
    size_t used = strlen(place->targets);
    (void)snprintf(place->targets + used, sizeof place->targets - used, "%s=%s %s %s %s %s;", target->name,
                   target->state, target->address ? target->address : "-", target->kernel ? target->kernel : "-",
                   target->crash ? target->crash : "-", target->verdict ? target->verdict : "-");
}

static inline void on_overrun(void *user, const char *sink, uint64_t count)
{
    struct place *place = user;
    assert_string_equal(sink, "soc");
    uv_mutex_lock(&place->lock);
    place->overrun += count;
    uv_mutex_unlock(&place->lock);
}

static inline void open_store(struct place *place)
{
    const struct store_callbacks callbacks = {
        .user = place, .on_committed = on_committed, .on_target = on_target, .on_overrun = on_overrun};
    place->last_seq = 0;
    place->targets[0] = '\0';
    place->store = store_open(&place->options, &callbacks);
    assert_non_null(place->store);
    place->reader = store_reader_open(place->store);
    assert_non_null(place->reader);
}

static inline void close_store(struct place *place)
{
    store_reader_close(place->reader);
    assert_true(store_close(place->store, PATIENCE_MS));
}

static inline struct place *new_place(void)
{
    struct place *place = calloc(1, sizeof *place);
    assert_non_null(place);
    (void)snprintf(place->folder, sizeof place->folder, "/tmp/kdnetd-store.XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->path, sizeof place->path, "%s/kdnetd.db", place->folder);
    (void)snprintf(place->results, sizeof place->results, "%s/events.jsonl", place->folder);
    place->options = (struct store_options){.path = place->path, .results = place->results};
    assert_int_equal(uv_mutex_init(&place->lock), 0);
    return place;
}

static inline void remove_place(struct place *place)
{
    assert_true(remove_tree(place->folder));
    uv_mutex_destroy(&place->lock);
    free(place);
}

static inline void add(struct place *place, const char *line)
{
    assert_true(store_add(place->store, line, strlen(line), NULL));
}

/* An event of its own: number n, at second n. */
static inline const char *event(unsigned n, char out[static 256])
{
    (void)snprintf(out, 256,
                   "{\"time\":\"2026-11-22T10:%02u:%02u.%06uZ\",\"event\":\"connected\",\"id\":\"c-s-%u\","
                   "\"collector\":\"c\",\"target\":\"web-%u\",\"boot\":null,\"crash\":null,\"labels\":{}}",
                   n / 60 % 60, n % 60, n / 3600, n, n % 7);
    return out;
}

static inline uint64_t told(struct place *place)
{
    uv_mutex_lock(&place->lock);
    uint64_t count = place->told;
    uv_mutex_unlock(&place->lock);
    return count;
}

static inline void await_told(struct place *place, uint64_t count)
{
    for (unsigned i = 0; i < PATIENCE_MS && told(place) < count; ++i)
        uv_sleep(1);
    assert_int_equal(told(place), count);
}

static inline enum store_state state_of(struct place *place, char error[static STORE_ERROR_SIZE])
{
    struct store_status *status = malloc(sizeof *status);
    assert_non_null(status);
    store_status(place->store, status);
    enum store_state state = status->state;
    (void)snprintf(error, STORE_ERROR_SIZE, "%s", status->error);
    free(status);
    return state;
}

static inline void await_state(struct place *place, enum store_state wanted)
{
    char error[STORE_ERROR_SIZE];
    for (unsigned i = 0; i < PATIENCE_MS && state_of(place, error) != wanted; ++i)
        uv_sleep(1);
    assert_int_equal(state_of(place, error), wanted);
    assert_int_equal(error[0] != '\0', wanted == STORE_DEGRADED);
}

struct listing {
    unsigned count;
    char ids[4096];
};

static inline bool list_event(void *user, const struct store_event *e)
{
    struct listing *listing = user;
    size_t used = strlen(listing->ids);
    ++listing->count;
    (void)snprintf(listing->ids + used, sizeof listing->ids - used, "%s ", e->id);
    return true;
}

static inline struct listing events(struct place *place, const struct store_event_query *query)
{
    struct listing listing = {0};
    assert_int_equal(store_events(place->reader, query, list_event, &listing), STORE_DONE);
    return listing;
}

static inline bool check_sink(void *user, const struct store_sink *sink)
{
    assert_string_equal(sink->name, "soc");
    *(uint64_t *)user = sink->behind_events;
    assert_int_equal(sink->oldest_us != 0, sink->behind_events != 0);
    return true;
}

static inline void write_text(const char *path, const char *mode, const char *text)
{
    FILE *file = fopen(path, mode);
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline void write_results(struct place *place, unsigned from, unsigned to)
{
    char line[256];
    for (unsigned n = from; n <= to; ++n) {
        write_text(place->results, "a", event(n, line));
        write_text(place->results, "a", "\n");
    }
}

#ifdef KDNETD_STORE
#define HAS_STORE true
#else
#define HAS_STORE false
#endif

#endif
