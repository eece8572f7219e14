/* SPDX-License-Identifier: Apache-2.0 */
/* Every event line passes through the publisher: each sink gets it once, with what it is known by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "service/output/publisher.h"

#include <cmocka.h>

/* What a sink was given last. */
struct seen {
    unsigned count;
    char id[IDENTITY_SIZE], type[32], target[32], crash[IDENTITY_NAME_SIZE], line[4096];
    uint64_t time_us;
    enum event_worth worth;
    bool session;
};

static void take(void *user, const struct published_event *event)
{
    struct seen *seen = user;
    ++seen->count;
    (void)snprintf(seen->id, sizeof seen->id, "%s", event->id);
    (void)snprintf(seen->type, sizeof seen->type, "%s", event->type);
    (void)snprintf(seen->target, sizeof seen->target, "%s", event->target ? event->target : "");
    (void)snprintf(seen->crash, sizeof seen->crash, "%s", event->crash ? event->crash : "");
    (void)snprintf(seen->line, sizeof seen->line, "%s", event->line);
    assert_int_equal(event->length, strlen(event->line));
    seen->time_us = event->time_us;
    seen->worth = event->worth;
    seen->session = event->event != NULL;
}

static struct event_log event_log; /* not open: it takes no lines */
static const struct event_json_subject subject = {
    .time_us = UINT64_C(1700000000000000), .collector = "c1", .target = "web-17"};

static void assert_line_has(const struct seen *seen, const char *name, const char *value)
{
    char wanted[256];
    (void)snprintf(wanted, sizeof wanted, "\"%s\":\"%s\"", name, value);
    assert_non_null(strstr(seen->line, wanted));
}

static void an_event_of_a_session_reaches_each_sink_with_its_id_and_crash(void **state)
{
    struct publisher publisher;
    struct seen first = {.count = 0}, second = {.count = 0};
    const struct kdnet_event event = {
        .type = KDNET_EVENT_CRASH_STATUS,
        .of = {.crash_known = true, .crash = {0xab, 0xcd}},
        .u.crash_status = {.phase = KDNET_PHASE_SHUTDOWN, .conclusion = {.verdict = KDNET_VERDICT_WRITTEN}}};
    (void)state;
    publisher_init(&publisher, &event_log);
    assert_true(publisher_join(&publisher, take, &first));
    assert_true(publisher_join(&publisher, take, &second));
    assert_int_equal(publisher_event(&publisher, &subject, &event), 0); /* no event log takes it */
    assert_int_equal(first.count, 1);
    assert_string_equal(first.id, "abcd000000000000-shutdown-written");
    assert_string_equal(first.type, "crash_status");
    assert_string_equal(first.target, "web-17");
    assert_string_equal(first.crash, "abcd000000000000");
    assert_int_equal(first.time_us, subject.time_us);
    assert_int_equal(first.worth, EVENT_WORTH_VERDICT);
    assert_true(first.session);
    assert_line_has(&first, "id", first.id);
    assert_line_has(&first, "event", "crash_status");
    assert_int_equal(first.line[strlen(first.line) - 1], '\n');
    assert_memory_equal(&first, &second, sizeof first.id);
    assert_int_equal(second.count, 1);
}

static void events_of_no_session_have_increasing_ids(void **state)
{
    struct publisher publisher;
    struct seen seen = {.count = 0};
    struct event_json_subject removed = subject;
    struct event_json_unknown unknown = {.time_us = subject.time_us, .collector = "c1", .count = 3};
    struct event_json_listener listener = {.time_us = subject.time_us, .collector = "c1", .silent = true};
    (void)state;
    publisher_init(&publisher, &event_log);
    assert_true(publisher_join(&publisher, take, &seen));
    (void)publisher_removed(&publisher, &removed);
    assert_string_equal(seen.id, "c1-0000000000000000-1700000000000000");
    assert_string_equal(seen.type, "removed");
    assert_string_equal(seen.target, "web-17");
    (void)publisher_unknown(&publisher, &unknown, NULL, "what to do");
    assert_string_equal(seen.id, "c1-0000000000000000-1700000000000001");
    assert_string_equal(seen.type, "unknown_target");
    assert_string_equal(seen.target, "");
    (void)publisher_listener(&publisher, &listener);
    assert_string_equal(seen.type, "listener_silent");
    assert_int_equal(seen.worth, EVENT_WORTH_BREAK);
    listener.silent = false;
    (void)publisher_listener(&publisher, &listener);
    assert_string_equal(seen.type, "listener_heard");
    assert_string_equal(seen.id, "c1-0000000000000000-1700000000000003");
    assert_line_has(&seen, "id", seen.id);
    assert_false(seen.session);
    assert_int_equal(seen.count, 4);
}

static void what_nobody_takes_is_not_made(void **state)
{
    struct publisher publisher;
    struct event_json_subject removed = subject;
    (void)state;
    publisher_init(&publisher, &event_log);
    assert_false(publisher_is_wanted(&publisher));
    assert_int_equal(publisher_removed(&publisher, &removed), 0);
    assert_int_equal(removed.number, 0);
}

static void there_is_room_for_some_sinks(void **state)
{
    struct publisher publisher;
    struct seen seen = {.count = 0};
    (void)state;
    publisher_init(&publisher, &event_log);
    for (unsigned i = 0; i < PUBLISHER_SINKS; ++i)
        assert_true(publisher_join(&publisher, take, &seen));
    assert_false(publisher_join(&publisher, take, &seen));
    assert_true(publisher_is_wanted(&publisher));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_of_a_session_reaches_each_sink_with_its_id_and_crash),
        cmocka_unit_test(events_of_no_session_have_increasing_ids),
        cmocka_unit_test(what_nobody_takes_is_not_made),
        cmocka_unit_test(there_is_room_for_some_sinks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
