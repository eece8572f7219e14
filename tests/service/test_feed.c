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
    struct feed feed;
};

static enum feed_read read_batch(void *user, uint64_t after, struct feed_batch *batch)
{
    const struct world *w = user;
    char line[64];
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
    answer->outcome = SINK_DONE;
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
    return true;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_poisoned_event_makes_no_receiver_look_broken),
        cmocka_unit_test(a_receiver_that_refuses_everything_looks_broken_until_it_takes_one),
        cmocka_unit_test(what_a_connection_lost_that_broke_by_itself_comes_once_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
