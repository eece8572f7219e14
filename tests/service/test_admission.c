/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many machines halt at once, on a clock of the test's: who is admitted when. A machine here says its break again and
 * again until it is taken, and answers after its round trip, or never.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "service/worker/admission.h"

#include <cmocka.h>
#include <stdlib.h>

#define STEP_US     1000U
#define PATIENCE_US 80000U /* two timeouts of a quick path */
#define AGAIN_US    500000U
#define DEADLINE_US 2000000U
#define START_US    UINT64_C(1000000000)
#define NEVER       UINT64_MAX

struct machine {
    uint64_t says_us;    /* its break, next; NEVER: it is taken */
    uint64_t answers_us; /* next; NEVER: none is under way */
    unsigned left;       /* answers until it goes on */
    uint64_t stopped_us, taken_us, gone_us;
    bool deaf, halted;
};

struct world {
    struct admission admission;
    struct machine *machines;
    size_t count;
    uint64_t now_us;
    uint64_t round_us; /* of a machine that hears us */
    size_t most;       /* that were read at a time, and answer */
};

static void world_make(struct world *w, size_t count)
{
    *w = (struct world){.count = count, .now_us = START_US, .round_us = 2000};
    admission_init(&w->admission);
    admission_configure(&w->admission, DEADLINE_US, 1);
    assert_true(admission_reserve(&w->admission, count));
    w->machines = calloc(count, sizeof *w->machines);
    assert_non_null(w->machines);
    for (size_t i = 0; i < count; ++i)
        w->machines[i] = (struct machine){.says_us = NEVER, .answers_us = NEVER};
}

static void world_clear(struct world *w)
{
    admission_clear(&w->admission);
    free(w->machines);
}

static void stop(struct world *w, uint32_t id, bool deaf, unsigned pending_sends)
{
    w->machines[id] = (struct machine){
        .says_us = w->now_us, .answers_us = NEVER, .left = pending_sends, .deaf = deaf, .stopped_us = w->now_us};
}

static void note(struct world *w, uint32_t id, bool halted)
{
    w->machines[id].halted = halted;
    admission_note(&w->admission, id, halted, false, PATIENCE_US, w->now_us);
}

static void say(struct world *w, uint32_t id)
{
    struct machine *m = &w->machines[id];
    m->says_us = w->now_us + AGAIN_US;
    if (!admission_takes(&w->admission, id, w->now_us)) {
        admission_wait(&w->admission, id, PATIENCE_US, w->now_us);
        return;
    }
    admission_said(&w->admission, id, w->now_us);
    m->says_us = NEVER;
    m->taken_us = w->now_us;
    note(w, id, true);
    if (!m->deaf)
        m->answers_us = w->now_us + w->round_us;
}

static void answer(struct world *w, uint32_t id)
{
    struct machine *m = &w->machines[id];
    admission_heard(&w->admission, id, w->now_us);
    m->answers_us = --m->left > 0 ? w->now_us + w->round_us : NEVER;
    if (m->left > 0)
        return;
    m->gone_us = w->now_us;
    note(w, id, false);
}

static void step(struct world *w)
{
    uint32_t id;
    size_t read = 0;
    w->now_us += STEP_US;
    while (admission_next(&w->admission, w->now_us, &id))
        if (!w->machines[id].deaf && w->machines[id].says_us != NEVER)
            w->machines[id].says_us = w->now_us + w->round_us;
    for (id = 0; id < w->count; ++id) {
        if (w->now_us >= w->machines[id].says_us)
            say(w, id);
        if (w->now_us >= w->machines[id].answers_us)
            answer(w, id);
        read += w->machines[id].halted && !w->machines[id].deaf;
    }
    w->most = read > w->most ? read : w->most;
}

static void run_until_gone(struct world *w, uint32_t id)
{
    while (w->machines[id].gone_us == 0) {
        step(w);
        assert_true(w->now_us < START_US + 600000000);
    }
}

/* How long a good machine stands still that stops just after so many deaf ones, ms. */
static uint64_t behind_deaf(size_t deaf, bool printed)
{
    struct world w;
    uint32_t good = (uint32_t)deaf;
    world_make(&w, deaf + 1);
    for (uint32_t id = 0; id < deaf; ++id)
        stop(&w, id, true, 1);
    if (printed)
        admission_said(&w.admission, good, w.now_us);
    step(&w);
    step(&w);
    stop(&w, good, false, 10);
    run_until_gone(&w, good);
    uint64_t waited_us = w.machines[good].gone_us - w.machines[good].stopped_us;
    assert_true(w.admission.limit >= ADMISSION_LIMIT_START); /* their silence says nothing about our load */
    world_clear(&w);
    print_message("%zu deaf, printed %d: %llu ms\n", deaf, printed, (unsigned long long)waited_us / 1000);
    return waited_us / 1000;
}

static void deaf_machines_keep_no_other_waiting(void **state)
{
    (void)state;
    assert_true(behind_deaf(1500, false) < 500);
    assert_true(behind_deaf(6000, false) < 500);
    assert_true(behind_deaf(12000, false) < 700);
}

static void a_machine_that_hears_us_has_a_place_at_once(void **state)
{
    (void)state;
    assert_true(behind_deaf(1500, true) < 50);
    assert_true(behind_deaf(12000, true) < 50);
}

static void a_storm_of_good_machines_is_read_a_limit_at_a_time(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, 10000);
    for (uint32_t id = 0; id < w.count; ++id) {
        admission_said(&w.admission, id, w.now_us); /* they print before they break in */
        stop(&w, id, false, 10);
    }
    for (uint32_t id = 0; id < w.count; ++id)
        run_until_gone(&w, id);
    assert_true(w.most <= ADMISSION_LIMIT_MAX);
    assert_true(w.most >= ADMISSION_LIMIT_START);
    assert_int_equal(w.admission.part, ADMISSION_WHOLE);
    assert_int_equal(w.admission.placed.count, 0);
    assert_int_equal(admission_waiting_count(&w.admission), 0);
    world_clear(&w);
}

/* Workers that share one socket share its places: their datagrams have to fit into one buffer. */
static void workers_that_share_a_socket_share_its_places(void **state)
{
    (void)state;
    static const struct {
        unsigned sharers;
        size_t least, most;
    } cases[] = {{1, 32, 384}, {3, 10, 128}, {64, 8, 8}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        struct admission admission;
        admission_init(&admission);
        admission_configure(&admission, DEADLINE_US, cases[i].sharers);
        assert_int_equal(admission.limit_min, cases[i].least);
        assert_int_equal(admission.limit_max, cases[i].most);
        assert_true(admission.limit <= cases[i].most && admission.limit >= cases[i].least);
        admission_clear(&admission);
    }
}

static void slow_machines_lower_the_limit_and_quick_ones_raise_it(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, 2000);
    w.round_us = 100000; /* ten of them: a second */
    for (uint32_t id = 0; id < w.count; ++id)
        stop(&w, id, false, 10);
    for (uint32_t id = 0; id < w.count; ++id)
        run_until_gone(&w, id);
    size_t slow = w.admission.limit;
    assert_true(slow < ADMISSION_LIMIT_START);
    w.round_us = 1000;
    for (uint32_t id = 0; id < w.count; ++id)
        stop(&w, id, false, 10);
    for (uint32_t id = 0; id < w.count; ++id)
        run_until_gone(&w, id);
    assert_true(w.admission.limit > slow);
    world_clear(&w);
}

/* They have given their places up, and take them again with their first answer. */
static void a_machine_that_answers_late_counts_again(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, 400);
    for (uint32_t id = 0; id < w.count; ++id)
        stop(&w, id, true, 1);
    for (int i = 0; i < 300; ++i)
        step(&w);
    assert_int_equal(w.admission.reading[0] + w.admission.reading[1], 0);
    for (uint32_t id = 0; id < w.count; ++id)
        if (w.machines[id].halted)
            admission_heard(&w.admission, id, w.now_us);
    assert_true(w.admission.reading[0] + w.admission.reading[1] > 0);
    size_t reading = w.admission.reading[0] + w.admission.reading[1];
    for (uint32_t id = 0; id < w.count; ++id)
        admission_heard(&w.admission, id, w.now_us);
    assert_int_equal(w.admission.reading[0] + w.admission.reading[1], reading); /* once each */
    world_clear(&w);
}

/* Those that answer once and then fall silent. */
static void a_machine_that_falls_silent_while_it_is_read_gives_its_place_up(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, 401);
    for (uint32_t id = 0; id < 400; ++id)
        stop(&w, id, false, 2);
    for (int i = 0; i < 10; ++i) {
        step(&w);
        for (uint32_t id = 0; id < 400; ++id)
            if (w.machines[id].left == 1)
                w.machines[id].answers_us = NEVER;
    }
    stop(&w, 400, false, 10);
    while (w.machines[400].gone_us == 0) {
        step(&w);
        for (uint32_t id = 0; id < 400; ++id)
            if (w.machines[id].left == 1)
                w.machines[id].answers_us = NEVER;
        assert_true(w.now_us < START_US + 3 * DEADLINE_US);
    }
    world_clear(&w);
}

/* More than any ring of fixed size held. */
static void everybody_who_waits_is_called(void **state)
{
    (void)state;
    struct world w;
    uint32_t id;
    size_t called = 0;
    world_make(&w, 50000);
    for (id = 0; id < w.count; ++id)
        if (!admission_takes(&w.admission, id, w.now_us))
            admission_wait(&w.admission, id, PATIENCE_US, w.now_us);
        else
            admission_note(&w.admission, id, true, false, PATIENCE_US, w.now_us);
    size_t waiting = admission_waiting_count(&w.admission);
    assert_true(waiting > 49000);
    for (int i = 0; i < 5000 && admission_waiting_count(&w.admission) > 0; ++i) {
        w.now_us += STEP_US;
        while (admission_next(&w.admission, w.now_us, &id)) {
            ++called;
            assert_true(admission_is_waiting(&w.admission, id));
        }
    }
    assert_int_equal(called, waiting);
    assert_int_equal(admission_deadline(&w.admission), NEVER);
    world_clear(&w);
}

static void the_others_have_a_share_while_machines_that_hear_us_crowd(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, 5001);
    for (uint32_t id = 0; id < 5000; ++id) {
        admission_said(&w.admission, id, w.now_us);
        stop(&w, id, false, 1000); /* they take their time */
    }
    step(&w);
    stop(&w, 5000, false, 10);
    for (int i = 0; i < 100; ++i)
        step(&w);
    assert_int_equal(w.machines[5000].taken_us, 0); /* all places are taken, and their machines answer */
    for (int i = 0; i < 3000 && w.machines[5000].gone_us == 0; ++i)
        step(&w);
    assert_int_not_equal(w.machines[5000].gone_us, 0);
    assert_true(admission_waiting_count(&w.admission) > 4000); /* it has not waited for all of them */
    world_clear(&w);
}

static void a_machine_that_is_held_or_forgotten_has_no_place(void **state)
{
    (void)state;
    struct world w;
    world_make(&w, 3);
    for (uint32_t id = 0; id < 3; ++id)
        stop(&w, id, true, 1);
    step(&w);
    assert_int_equal(w.admission.placed.count, 3);
    admission_note(&w.admission, 0, true, true, PATIENCE_US, w.now_us);
    assert_int_equal(w.admission.placed.count, 2);
    admission_heard(&w.admission, 0, w.now_us);
    assert_int_equal(w.admission.placed.count, 2);
    admission_note(&w.admission, 0, true, false, PATIENCE_US, w.now_us); /* released, it is asked again */
    admission_heard(&w.admission, 0, w.now_us);
    assert_int_equal(w.admission.placed.count, 3);
    admission_forget(&w.admission, 1);
    admission_forget(&w.admission, 1);
    assert_int_equal(w.admission.placed.count, 2);
    note(&w, 0, false);
    note(&w, 2, false);
    assert_int_equal(w.admission.placed.count, 0);
    assert_int_equal(w.admission.asked[0] + w.admission.asked[1], 0);
    world_clear(&w);
}

/* Called when it was running already: its next break, much later, is like any other. */
static void a_call_without_an_answer_is_forgotten(void **state)
{
    (void)state;
    struct world w;
    uint32_t id, last = 999;
    world_make(&w, 1000);
    for (id = 0; id < w.count; ++id)
        if (!admission_takes(&w.admission, id, w.now_us))
            admission_wait(&w.admission, id, PATIENCE_US, w.now_us);
        else
            admission_note(&w.admission, id, true, false, PATIENCE_US, w.now_us);
    for (int i = 0; i < 3000; ++i) {
        w.now_us += STEP_US;
        while (admission_next(&w.admission, w.now_us, &id))
            continue;
    }
    assert_true(admission_takes(&w.admission, last, w.now_us)); /* it was called */
    for (id = 0; id < last; ++id)
        admission_forget(&w.admission, id);
    w.now_us += 2 * ADMISSION_MISSED_US;
    assert_true(admission_takes(&w.admission, last, w.now_us));
    note(&w, last, true);
    assert_int_equal(w.admission.placed.count, 1);
    world_clear(&w);
}

/* More than this computer has time for: the first have their results, the last go on unread. */
static void no_machine_stands_in_line_for_ever(void **state)
{
    (void)state;
    static const unsigned questions = 12, questions_unread = 4;
    struct world w;
    size_t unread = 0;
    uint64_t longest_us = 0, line_us = ADMISSION_LINE_FACTOR * DEADLINE_US;
    world_make(&w, 6000);
    w.round_us = 150000;
    for (uint32_t id = 0; id < w.count; ++id)
        stop(&w, id, false, questions);
    for (size_t gone = 0; gone < w.count;) {
        assert_true(w.now_us < START_US + 2 * line_us);
        for (uint32_t id = 0; id < w.count; ++id)
            if (admission_is_late(&w.admission, id) && w.machines[id].left == questions) {
                w.machines[id].left = questions_unread;
                ++unread;
            }
        step(&w);
        gone = 0;
        for (uint32_t id = 0; id < w.count; ++id)
            gone += w.machines[id].gone_us != 0;
    }
    for (uint32_t id = 0; id < w.count; ++id) {
        uint64_t stood_us = w.machines[id].gone_us - w.machines[id].stopped_us;
        longest_us = stood_us > longest_us ? stood_us : longest_us;
    }
    print_message("%zu of %zu unread, at most %llu ms\n", unread, w.count, (unsigned long long)longest_us / 1000);
    assert_in_range(unread, 1, w.count - ADMISSION_LIMIT_START);
    assert_int_equal(w.admission.late.count, 0);
    world_clear(&w);
}

/* Its clock stood still while kdnetd did, and the machine stood all the same. */
static void the_wait_counts_standstills_of_this_computer(void **state)
{
    (void)state;
    struct world w;
    uint32_t id, last = ADMISSION_LIMIT_START + 40;
    world_make(&w, last + 1);
    for (id = 0; id <= last; ++id) {
        stop(&w, id, false, 1);
        say(&w, id);
    }
    while (admission_next(&w.admission, w.now_us, &id))
        assert_true(id < last);
    assert_true(admission_is_in_line(&w.admission, last));
    w.admission.lag_us = ADMISSION_LINE_FACTOR * DEADLINE_US;
    w.now_us += STEP_US;
    assert_true(admission_next(&w.admission, w.now_us, &id));
    while (id != last)
        assert_true(admission_next(&w.admission, w.now_us, &id));
    assert_true(admission_is_late(&w.admission, last));
    w.now_us += 2 * ADMISSION_MISSED_US; /* it did not hear the call, and breaks in another time */
    (void)admission_takes(&w.admission, last, w.now_us);
    assert_false(admission_is_late(&w.admission, last));
    world_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(deaf_machines_keep_no_other_waiting),
        cmocka_unit_test(a_machine_that_hears_us_has_a_place_at_once),
        cmocka_unit_test(a_storm_of_good_machines_is_read_a_limit_at_a_time),
        cmocka_unit_test(workers_that_share_a_socket_share_its_places),
        cmocka_unit_test(slow_machines_lower_the_limit_and_quick_ones_raise_it),
        cmocka_unit_test(a_machine_that_answers_late_counts_again),
        cmocka_unit_test(a_machine_that_falls_silent_while_it_is_read_gives_its_place_up),
        cmocka_unit_test(everybody_who_waits_is_called),
        cmocka_unit_test(the_others_have_a_share_while_machines_that_hear_us_crowd),
        cmocka_unit_test(a_machine_that_is_held_or_forgotten_has_no_place),
        cmocka_unit_test(a_call_without_an_answer_is_forgotten),
        cmocka_unit_test(no_machine_stands_in_line_for_ever),
        cmocka_unit_test(the_wait_counts_standstills_of_this_computer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
