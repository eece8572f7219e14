/* SPDX-License-Identifier: Apache-2.0 */
/* What leaves the store: by age, by size, and what a wrong clock must not take away. */
#include "service/store/store_read.h"
#include "tests/service/store_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include <cmocka.h>

static void test_retains_days_and_bytes(void **state)
{
    static const char *const sinks[] = {"soc"};
    char line[256];
    struct place *place = new_place();
    struct store_status *status = malloc(sizeof *status);
    (void)state;
    assert_non_null(status);
    place->options.sinks = sinks;
    place->options.sink_count = 1;
    place->options.retain_days = 36500; /* the test's events have a date of their own */
    place->options.retain_bytes = 200000;
    open_store(place);
    for (unsigned n = 1; n <= 3000; ++n)
        add(place, event(n, line));
    await_told(place, 3000);
    uint64_t overrun = 0;
    for (unsigned i = 0; i < PATIENCE_MS; ++i) {
        uv_mutex_lock(&place->lock);
        overrun = place->overrun;
        uv_mutex_unlock(&place->lock);
        store_status(place->store, status);
        if (status->events < 1000 && overrun == 3000 - status->events && overrun == status->overrun)
            break; /* not between two of its steps */
        uv_sleep(1);
    }
    assert_in_range(status->events, 100, 1000);
    assert_int_equal(overrun, 3000 - status->events);
    assert_int_equal(status->overrun, overrun);
    struct listing newest = events(place, &(struct store_event_query){.tail = 1});
    assert_string_equal(newest.ids, "c-s-3000 ");
    free(status);
    close_store(place);
    remove_place(place);
}

static void test_old_events_go(void **state)
{
    char line[256], now_text[32];
    struct place *place = new_place();
    time_t now = time(NULL);
    struct tm utc;
    (void)state;
    assert_non_null(gmtime_r(&now, &utc));
    (void)strftime(now_text, sizeof now_text, "%Y-%m-%dT%H:%M:%SZ", &utc);
    place->options.retain_days = 1;
    open_store(place);
    add(place, "{\"time\":\"2020-01-01T00:00:00.000000Z\",\"event\":\"lost\",\"id\":\"c-s-1\",\"target\":\"web-1\"}");
    (void)snprintf(line, sizeof line, "{\"time\":\"%s\",\"event\":\"lost\",\"id\":\"c-s-2\",\"target\":\"web-1\"}",
                   now_text);
    add(place, line);
    await_told(place, 2);
    struct listing left = {.count = 2};
    for (unsigned i = 0; i < PATIENCE_MS && left.count > 1; ++i) {
        left = events(place, &(struct store_event_query){0});
        uv_sleep(1);
    }
    assert_string_equal(left.ids, "c-s-2 ");
    close_store(place);
    remove_place(place);
}

/* As when the computer comes up with a clock that is years ahead. */
static void test_a_clock_that_is_ahead_empties_no_store(void **state)
{
    char line[256];
    struct place *place = new_place();
    (void)state;
    place->options.retain_days = 36500;
    open_store(place);
    for (unsigned n = 1; n <= 10; ++n)
        add(place, event(n, line));
    await_told(place, 10);
    close_store(place);
    place->options.retain_days = 2; /* the events are older, by the clock */
    open_store(place);
    await_state(place, STORE_OK);
    for (unsigned i = 0; i < 3; ++i)
        store_settle(place->store, PATIENCE_MS); /* does what is due once a second */
    struct listing left = events(place, &(struct store_event_query){0});
    assert_int_equal(left.count, 10);
    close_store(place);
    remove_place(place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retains_days_and_bytes),
        cmocka_unit_test(test_old_events_go),
        cmocka_unit_test(test_a_clock_that_is_ahead_empties_no_store),
    };
    if (!HAS_STORE) {
        (void)puts("skipped: this build has no SQLite");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
