/* SPDX-License-Identifier: Apache-2.0 */
/* When memory is out, a session waits, and acts when there is some again: its deadlines do not stay in the past. The
 * linker gives the library the calloc of this file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "kdnet/session/state_internal.h"
#include "tests/session/puppet.h"

#define SECOND_US UINT64_C(1000000)

static bool out_of_memory;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    return out_of_memory ? NULL : __real_calloc(count, size);
}

/* Acts at each deadline until then; returns how often. */
static unsigned act_until(struct puppet *p, uint64_t until_us)
{
    unsigned times = 0;
    while (kdnet_session_deadline(p->session) <= until_us && times < 10000) {
        if (kdnet_session_deadline(p->session) > p->now_us)
            p->now_us = kdnet_session_deadline(p->session);
        kdnet_session_expire(p->session, p->now_us);
        puppet_drain(p);
        ++times;
    }
    p->now_us = until_us;
    return times;
}

static void loss_that_finds_no_memory_is_told_later(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    out_of_memory = true;
    unsigned times = act_until(p, p->now_us + 60 * SECOND_US);
    print_message("%u looks in a minute\n", times);
    assert_in_range(times, 1, 200);
    assert_int_equal(puppet_events(p, KDNET_EVENT_LOST), 0);
    out_of_memory = false;
    (void)act_until(p, p->now_us + 2 * SECOND_US);
    assert_int_equal(puppet_events(p, KDNET_EVENT_LOST), 1);
    assert_true(puppet_event(p, KDNET_EVENT_LOST, 0)->u.lost.silent_us >= 60 * SECOND_US);
    puppet_connect(p);
    assert_true(kdnet_session_is_connected(p->session));
    puppet_free(p);
}

/* For ever, and heard again after all. */
static void session_without_memory_sleeps(void **state)
{
    struct puppet *p = puppet_new();
    (void)state;
    puppet_connect(p);
    out_of_memory = true;
    unsigned times = act_until(p, p->now_us + 3600 * SECOND_US);
    assert_in_range(times, 1, 8000);
    out_of_memory = false;
    puppet_connect(p);
    assert_true(kdnet_session_is_connected(p->session));
    puppet_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_that_finds_no_memory_is_told_later),
        cmocka_unit_test(session_without_memory_sleeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
