/* SPDX-License-Identifier: Apache-2.0 */
/* Machines of two workers at one listener, by a clock of our own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/net/hearing.h"

#include <cmocka.h>

#define SECOND     UINT64_C(1000000)
#define LISTENER   4U
#define LOST_AFTER (30 * SECOND)
#define MANY       200U
#define WORKERS    2U

/* A machine pokes every 3 s from its own start on, as long as it lives. */
struct machine {
    uint64_t seen_us;
    bool alive, lost, told;
};

static struct {
    struct machine machines[MANY];
    size_t count, told, silent, heard, said; /* said: machines, with the last silence */
    uint64_t now_us, lost_after_us;
    struct losses losses[WORKERS];
    struct hearing hearing;
    struct hearing_facts facts;
} world;

static void begin(size_t count, uint64_t lost_after_us)
{
    memset(&world, 0, sizeof world);
    world.count = count;
    world.lost_after_us = lost_after_us;
    world.now_us = 1000 * SECOND;
    for (size_t i = 0; i < count; ++i) {
        world.machines[i].alive = true;
        world.machines[i].seen_us = world.now_us - i * 31 % 30 * SECOND / 10;
    }
}

static bool is_still(void *user, const struct loss *loss)
{
    (void)user;
    return world.machines[loss->row].seen_us == loss->last_seen_us;
}

static void publish(void *user, const struct loss *loss)
{
    (void)user;
    assert_int_equal(loss->listener, LISTENER);
    assert_false(world.machines[loss->row].told);
    world.machines[loss->row].told = true;
    ++world.told;
}

static void poke(struct machine *machine)
{
    machine->seen_us = world.facts.heard_us = world.now_us;
    machine->lost = machine->told = false;
}

static void look(size_t i)
{
    struct machine *machine = &world.machines[i];
    if (machine->alive && world.now_us - machine->seen_us >= 3 * SECOND)
        poke(machine);
    if (machine->lost || world.now_us - machine->seen_us < world.lost_after_us)
        return;
    machine->lost = true;
    const struct loss loss = {.row = (uint32_t)i,
                              .listener = LISTENER,
                              .last_seen_us = machine->seen_us,
                              .silent = world.hearing.verdict == HEARING_SILENT};
    assert_true(losses_add(&world.losses[i % WORKERS], &loss));
}

/* What the workers answer, and what the server makes of it. */
static void round_of_all(void)
{
    const struct losses_calls calls = {.is_still = is_still, .publish = publish};
    world.facts.waiting = 0;
    for (size_t i = 0; i < WORKERS; ++i) {
        losses_settle(&world.losses[i], LISTENER, world.hearing.verdict, world.facts.heard_us, world.lost_after_us,
                      world.now_us, &calls);
        world.facts.waiting += losses_of(&world.losses[i], LISTENER);
    }
    world.facts.counted = world.hearing.count;
    world.facts.machines = world.facts.waiting;
    for (size_t i = 0; i < world.count; ++i)
        world.facts.machines += !world.machines[i].lost && world.machines[i].seen_us != 0;
    enum hearing_news news = hearing_judge(&world.hearing, &world.facts, world.lost_after_us, world.now_us);
    world.silent += news == HEARING_FELL_SILENT;
    world.heard += news == HEARING_HEARD_AGAIN;
    world.said = world.hearing.machines;
}

static void run(uint64_t seconds)
{
    for (uint64_t tenths = seconds * 10; tenths > 0; --tenths) {
        world.now_us += SECOND / 10;
        for (size_t i = 0; i < world.count; ++i)
            look(i);
        if (tenths % 10 == 0)
            round_of_all();
    }
}

static void set_alive(size_t from, size_t to, bool alive)
{
    for (size_t i = from; i < to; ++i)
        world.machines[i].alive = alive;
}

static void expect(size_t told, size_t silent, size_t heard)
{
    assert_int_equal(world.told, told);
    assert_int_equal(world.silent, silent);
    assert_int_equal(world.heard, heard);
    if (world.losses[0].count + world.losses[1].count == 0) {
        assert_null(world.losses[0].items);
        assert_null(world.losses[1].items);
    }
}

static int clear(void **state)
{
    (void)state;
    for (size_t i = 0; i < WORKERS; ++i)
        losses_clear(&world.losses[i]);
    return 0;
}

static void machines_that_die_while_others_are_heard_are_lost(void **state)
{
    (void)state;
    for (size_t dead = 1; dead < 20; ++dead) {
        begin(20, LOST_AFTER);
        run(20);
        set_alive(0, dead, false);
        run(25);
        expect(0, 0, 0);
        run(12); /* lost_after, and a moment for the verdict */
        expect(dead, 0, 0);
        run(200);
        expect(dead, 0, 0);
    }
}

static void few_machines_are_told_one_by_one(void **state)
{
    (void)state;
    for (size_t count = 1; count < HEARING_MACHINES; ++count) {
        begin(count, LOST_AFTER);
        run(20);
        set_alive(0, count, false);
        run(38);
        expect(count, 0, 0);
        clear(NULL);
    }
}

static void all_at_once_are_one_silent_listener(void **state)
{
    static const size_t counts[] = {3, 4, 20, MANY};
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; ++i) {
        begin(counts[i], LOST_AFTER);
        run(20);
        set_alive(0, counts[i], false);
        run(38);
        expect(0, 1, 0);
        assert_int_equal(world.said, counts[i]);
        run(10000);
        expect(0, 1, 0);
        set_alive(0, counts[i], true);
        run(100);
        expect(0, 1, 1);
        assert_int_equal(world.losses[0].count, 0);
        set_alive(0, 1, false);
        run(38);
        expect(counts[i] > 1, 1, 1);
    }
}

static void who_does_not_come_back_with_the_others_is_lost(void **state)
{
    (void)state;
    begin(20, LOST_AFTER);
    run(20);
    set_alive(0, 20, false);
    run(60);
    set_alive(3, 20, true);
    run(25);
    expect(0, 1, 1);
    run(12);
    expect(3, 1, 1);
    run(100);
    expect(3, 1, 1);
}

static void a_listener_may_fall_silent_again_and_again(void **state)
{
    (void)state;
    begin(5, LOST_AFTER);
    for (size_t i = 1; i < 6; ++i) {
        set_alive(0, 5, true);
        run(20);
        set_alive(0, 5, false);
        run(50);
        expect(0, i, i - 1);
    }
}

/* One that died a while before the network did was lost by itself. */
static void who_died_before_is_lost(void **state)
{
    (void)state;
    begin(10, LOST_AFTER);
    run(20);
    set_alive(0, 1, false);
    run(16);
    set_alive(0, 10, false);
    run(60);
    expect(1, 1, 0);
    assert_int_equal(world.said, 9);
}

static void with_any_lost_after(void **state)
{
    static const uint64_t seconds[] = {4, 5, 6, 10, 60, 600};
    (void)state;
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; ++i) {
        begin(20, seconds[i] * SECOND);
        run(20);
        set_alive(0, 1, false);
        run(seconds[i] + 8);
        expect(1, 0, 0);
        set_alive(1, 20, false);
        run(seconds[i] + 10);
        expect(1, 1, 0);
        set_alive(1, 20, true);
        run(seconds[i] * 3);
        expect(1, 1, 1);
        clear(NULL);
    }
}

#define TEST(name) cmocka_unit_test_teardown(name, clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(machines_that_die_while_others_are_heard_are_lost),
        TEST(few_machines_are_told_one_by_one),
        TEST(all_at_once_are_one_silent_listener),
        TEST(who_does_not_come_back_with_the_others_is_lost),
        TEST(a_listener_may_fall_silent_again_and_again),
        TEST(who_died_before_is_lost),
        TEST(with_any_lost_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
