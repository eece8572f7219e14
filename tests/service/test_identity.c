/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/output/identity.h"

#include <cmocka.h>

static struct kdnet_event event_of(enum kdnet_event_type type)
{
    struct kdnet_event event;
    memset(&event, 0, sizeof event);
    event.type = type;
    memset(event.session, 0xa5, sizeof event.session);
    memset(event.of.crash, 0x6a, sizeof event.of.crash);
    event.of.number = 12;
    event.u.crash_status.phase = KDNET_PHASE_SHUTDOWN;
    event.u.crash_status.conclusion.verdict = KDNET_VERDICT_FAILED;
    return event;
}

static void the_id_of_an_event_is_its_place_in_its_session(void **state)
{
    char id[IDENTITY_SIZE];
    struct kdnet_event event = event_of(KDNET_EVENT_BREAK_IN);
    (void)state;
    event.of.crash_known = true;
    identity_of_event("c1", &event, id);
    assert_string_equal(id, "c1-a5a5a5a5a5a5a5a5-12");
    event = event_of(KDNET_EVENT_CRASH_STATUS);
    identity_of_event("c1", &event, id);
    assert_string_equal(id, "c1-a5a5a5a5a5a5a5a5-12");
}

static void the_id_of_a_result_is_what_it_says_of_which_crash(void **state)
{
    char id[IDENTITY_SIZE];
    struct kdnet_event event = event_of(KDNET_EVENT_CRASH_STATUS);
    (void)state;
    event.of.crash_known = true;
    identity_of_event("c1", &event, id);
    assert_string_equal(id, "6a6a6a6a6a6a6a6a-shutdown-failed");
}

static void what_is_of_no_session_is_numbered_by_time_and_never_twice(void **state)
{
    struct identity_clock clock = {0};
    char id[IDENTITY_SIZE];
    (void)state;
    assert_true(identity_number(&clock, 1000) == 1000);
    assert_true(identity_number(&clock, 1000) == 1001);
    assert_true(identity_number(&clock, 400) == 1002); /* the clock was set back */
    assert_true(identity_number(&clock, 5000) == 5000);
    identity_of_none("c1", 5000, id);
    assert_string_equal(id, "c1-0000000000000000-5000");
}

static void the_longest_id_has_room(void **state)
{
    char id[IDENTITY_SIZE], collector[65];
    (void)state;
    memset(collector, 'c', 64);
    collector[64] = '\0';
    identity_of_none(collector, UINT64_MAX, id);
    assert_int_equal(strlen(id), 64 + 1 + 16 + 1 + 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_id_of_an_event_is_its_place_in_its_session),
        cmocka_unit_test(the_id_of_a_result_is_what_it_says_of_which_crash),
        cmocka_unit_test(what_is_of_no_session_is_numbered_by_time_and_never_twice),
        cmocka_unit_test(the_longest_id_has_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
