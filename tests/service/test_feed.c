/* SPDX-License-Identifier: Apache-2.0 */
/* One sink's work on a clock that stands until it waits: poisoned events, and connections that break by themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "service/sinks/feed.h"

#include <cmocka.h>

#define EVENTS_MAX 64U

/* A store of `stored` events, of which the receiver refuses those whose bit is set. */
struct world {
    uint64_t stored, poisoned, acknowledged, now_ms;
    unsigned taken[EVENTS_MAX];
    unsigned failing_seen;
    bool unavailable; /* the store cannot be read */
    unsigned busy;    /* so many deliveries are answered by `again` */
    bool stops;       /* the sink is to end: nothing is waited for */
    struct feed feed;
};

static enum feed_read read_batch(void *user, uint64_t after, struct feed_batch *batch)
{
    const struct world *w = user;
    char line[64];
    if (w->unavailable)
        return FEED_UNAVAILABLE;
    for (uint64_t seq = after + 1; seq <= w->stored; ++seq) {
        (void)snprintf(line, sizeof line, "{\"id\":\"%u\",\"event\":\"lost\"}", (unsigned)seq);
        assert_true(feed_add(batch, seq, 0, line, strlen(line)));
        batch->scanned = seq;
    }
    return FEED_READ;
}

static void deliver(void *user, struct sink_event *const *events, size_t count, struct sink_answer *answer)
{
    struct world *w = user;
    answer->outcome = w->busy > 0 ? SINK_AGAIN : SINK_DONE;
    w->busy -= w->busy > 0;
    for (size_t i = 0; i < count; ++i)
        if (w->poisoned >> events[i]->seq & 1)
            answer->outcome = SINK_REFUSED;
    for (size_t i = 0; answer->outcome == SINK_DONE && i < count; ++i)
        ++w->taken[events[i]->seq];
}

static void acknowledge(void *user, uint64_t seq)
{
    struct world *w = user;
    w->acknowledged = seq;
}

static bool wait_for(void *user, uint64_t ms, bool for_events)
{
    struct world *w = user;
    (void)for_events;
    w->now_ms += ms;
    return !w->stops;
}

static uint64_t now_ms(void *user)
{
    const struct world *w = user;
    return w->now_ms;
}

static void changed(void *user)
{
    struct world *w = user;
    w->failing_seen += w->feed.failing;
}

static void init(struct world *w, struct feed_env *env)
{
    *w = (struct world){.stored = 0, .now_ms = 1000};
    *env = (struct feed_env){w, read_batch, deliver, acknowledge, wait_for, now_ms, changed};
    feed_init(&w->feed, env, "s", 0, 7);
}

static void turn(struct world *w, unsigned times)
{
    while (times-- > 0)
        assert_true(feed_turn(&w->feed));
}

static void a_poisoned_event_makes_no_receiver_look_broken(void **state)
{
    struct feed_env env;
    struct world w;
    (void)state;
    init(&w, &env);
    w.stored = 40;
    w.poisoned = 1U << 5 | 1U << 9 | 1U << 10;
    turn(&w, 2);
    assert_int_equal(w.feed.rejected, 3);
    assert_int_equal(w.feed.delivered, 37);
    assert_int_equal(w.acknowledged, 40);
    assert_int_equal(w.failing_seen, 0);
    for (unsigned seq = 1; seq <= 40; ++seq)
        assert_int_equal(w.taken[seq], w.poisoned >> seq & 1 ? 0 : 1);
}

static void a_receiver_that_refuses_everything_looks_broken_until_it_takes_one(void **state)
{
    struct feed_env env;
    struct world w;
    (void)state;
    init(&w, &env);
    w.stored = 5;
    w.poisoned = UINT64_MAX;
    turn(&w, 2);
    assert_int_equal(w.feed.rejected, 5);
    assert_true(w.feed.failing);
    w.poisoned = 0;
    w.stored = 6;
    turn(&w, 1);
    assert_false(w.feed.failing);
}

static void what_a_connection_lost_that_broke_by_itself_comes_once_more(void **state)
{
    struct feed_env env;
    struct world w;
    (void)state;
    init(&w, &env);
    w.feed.held_back_ms = 30000;
    w.stored = 2;
    turn(&w, 3);
    for (unsigned breaks = 0; breaks < 5; ++breaks) {
        feed_lost_connection(&w.feed, "closed");
        turn(&w, 2);
        assert_int_equal(w.taken[2], 2);
    }
    turn(&w, 40); /* idle: what was held back counts as taken */
    assert_int_equal(w.acknowledged, 2);
    unsigned errors = (unsigned)w.feed.errors;
    feed_lost_connection(&w.feed, "closed"); /* as receivers do that close idle connections */
    turn(&w, 2);
    assert_int_equal(w.taken[2], 2);
    assert_int_equal(w.feed.errors, errors);
    w.stored = 3;
    turn(&w, 2);
    assert_int_equal(w.taken[3], 1);
}

static void a_store_that_cannot_be_read_is_waited_for(void **state)
{
    struct feed_env env;
    struct world w;
    (void)state;
    init(&w, &env);
    w.stored = 3;
    w.unavailable = true;
    turn(&w, 5);
    assert_int_equal(w.now_ms, 1000 + 5 * FEED_IDLE_MS);
    assert_int_equal(w.feed.errors, 0); /* the receiver is not to blame */
    w.unavailable = false;
    turn(&w, 1);
    assert_int_equal(w.acknowledged, 3);
    w.unavailable = w.stops = true;
    assert_false(feed_turn(&w.feed));
}

/* Also amid the halves of a batch, of which some are taken. */
static void it_ends_amid_a_batch_and_acknowledges_nothing_of_it(void **state)
{
    struct feed_env env;
    struct world w;
    (void)state;
    init(&w, &env);
    w.stored = 8;
    w.poisoned = 1U << 2;
    w.stops = true;
    assert_false(feed_turn(&w.feed));
    assert_int_equal(w.acknowledged, 0);
    assert_int_equal(w.feed.rejected, 0);
    w.stops = false;
    turn(&w, 1);
    assert_int_equal(w.acknowledged, 8);
    assert_int_equal(w.feed.rejected, 1);
    assert_int_equal(w.taken[2], 0);
}

/* What the connection before had may be lost: all behind the last that counts as taken comes again. */
static void a_new_connection_begins_behind_what_counts_as_taken(void **state)
{
    struct feed_env env;
    struct world w;
    (void)state;
    init(&w, &env);
    w.feed.held_back_ms = 30000;
    w.stored = 1;
    turn(&w, 1);
    w.stored = 2; /* within the same second */
    turn(&w, 1);
    assert_int_equal(w.feed.mark_count, 1);
    assert_int_equal(w.acknowledged, 0);
    w.stored = 3;
    w.busy = 1;
    turn(&w, 1);
    assert_int_equal(w.feed.at, 0);
    assert_int_equal(w.taken[3], 0);
    turn(&w, 1);
    for (unsigned seq = 1; seq <= 3; ++seq)
        assert_int_equal(w.taken[seq], seq < 3 ? 2 : 1);
    turn(&w, 40);
    assert_int_equal(w.acknowledged, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_poisoned_event_makes_no_receiver_look_broken),
        cmocka_unit_test(a_receiver_that_refuses_everything_looks_broken_until_it_takes_one),
        cmocka_unit_test(a_store_that_cannot_be_read_is_waited_for),
        cmocka_unit_test(it_ends_amid_a_batch_and_acknowledges_nothing_of_it),
        cmocka_unit_test(a_new_connection_begins_behind_what_counts_as_taken),
        cmocka_unit_test(what_a_connection_lost_that_broke_by_itself_comes_once_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
