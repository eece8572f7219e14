/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "service/trials.h"

#include <cmocka.h>

#define PORT 50000

struct world {
    struct targets targets;
    struct trials trials;
    uint32_t order[8192]; /* ids as they were tried */
    size_t tries, unknown;
    uint32_t opens; /* the id whose key opens the poke */
    uint64_t now_us;
};

static struct world world;

static struct address ipv4(uint32_t ip, uint16_t port)
{
    struct address address = {.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, .port = port};
    for (int i = 0; i < 4; ++i)
        address.ip[12 + i] = (uint8_t)(ip >> (24 - 8 * i));
    return address;
}

static struct target *add(uint32_t ip, uint16_t port)
{
    struct config_target config;
    memset(&config, 0, sizeof config);
    (void)snprintf(config.name, sizeof config.name, "t-%zu", world.targets.count);
    config.port = port;
    if (ip != 0) {
        struct address address = ipv4(ip, 0);
        config.has_address = true;
        memcpy(config.address.ip, address.ip, sizeof config.address.ip);
    }
    assert_true(targets_reserve(&world.targets, world.targets.count + 1));
    struct target *target = targets_add(&world.targets, &config);
    assert_non_null(target);
    return target;
}

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.opens = TARGETS_NONE;
    world.now_us = 1000000;
    targets_init(&world.targets, 1);
    return trials_init(&world.trials, 1) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    trials_clear(&world.trials);
    targets_clear(&world.targets);
    return 0;
}

static bool try_row(void *user, struct target *target, const struct trial *trial)
{
    (void)user;
    (void)trial;
    if (world.tries < sizeof world.order / sizeof world.order[0])
        world.order[world.tries] = target->id;
    ++world.tries;
    return target->id == world.opens;
}

static void no_key(void *user, const struct trial *trial)
{
    (void)user;
    (void)trial;
    ++world.unknown;
}

static bool poke(uint32_t ip, uint16_t port)
{
    static const uint8_t payload[TRIALS_PAYLOAD];
    struct address source = ipv4(ip, port);
    return trials_add(&world.trials, &source, 1, PORT, payload, sizeof payload);
}

static bool work(void)
{
    bool wait = false;
    return trials_work(&world.trials, &world.targets, world.now_us, try_row, no_key, NULL, &wait);
}

static void keys_are_tried_in_the_order_of_likelihood(void **state)
{
    (void)state;
    struct address elsewhere = ipv4(9, 9);
    struct target *seen = add(0, 0), *unseen = add(0, 0), *own = add(7, 0), *other_ip = add(8, 0),
                  *other_port = add(0, 1);
    struct target *of_port = add(0, PORT);
    (void)targets_set_live(&world.targets, seen, &elsewhere, NULL, PORT);
    assert_true(targets_index(&world.targets));
    assert_true(poke(7, 1));
    assert_false(work());
    assert_int_equal(world.tries, 4);
    assert_int_equal(world.order[0], own->id);
    assert_int_equal(world.order[1], of_port->id);
    assert_int_equal(world.order[2], unseen->id);
    assert_int_equal(world.order[3], seen->id);
    assert_int_equal(world.unknown, 1);
    (void)other_ip;
    (void)other_port;
}

static void the_right_key_ends_the_trial(void **state)
{
    (void)state;
    (void)add(0, 0);
    world.opens = add(0, 0)->id; /* lists are walked from their ends */
    assert_true(poke(1, 1));
    assert_false(work());
    assert_int_equal(world.tries, 1);
    assert_int_equal(world.unknown, 0);
    assert_true(poke(1, 1)); /* its place in the queue is free again */
}

static void one_poke_of_a_source_waits_at_a_time(void **state)
{
    (void)state;
    assert_true(poke(1, 1));
    assert_true(poke(1, 1));
    assert_int_equal(world.trials.count, 1);
    assert_true(poke(1, 2));
    assert_int_equal(world.trials.count, 2);
    assert_int_equal(world.trials.refused, 0);
}

static void one_ip_address_gets_half_of_the_queue(void **state)
{
    (void)state;
    size_t taken = 0;
    for (uint32_t port = 1; port <= 65535; ++port)
        taken += poke(1, (uint16_t)port);
    assert_int_equal(taken, TRIALS_PER_IP);
    assert_true(poke(2, 1));
}

static void a_slice_is_bounded_and_goes_on_where_it_stopped(void **state)
{
    (void)state;
    for (int i = 0; i < 5000; ++i)
        (void)add(0, 0);
    world.opens = 0;
    assert_true(poke(1, 1));
    assert_true(work());
    assert_int_equal(world.tries, TRIALS_SLICE);
    while (work())
        ;
    assert_int_equal(world.tries, 5000);
    assert_int_equal(world.order[4999], 0);
    assert_int_equal(world.unknown, 0);
}

/* Between two slices other machines connect, and their rows leave the list: the last one takes the place of each. */
static void rows_that_leave_the_list_meanwhile_hide_none(void **state)
{
    (void)state;
    for (int i = 0; i < 5000; ++i)
        (void)add(0, 0);
    world.opens = 10;
    assert_true(poke(1, 1));
    assert_true(work());
    for (uint32_t id = 4000; id < 4900; ++id)
        targets_remove(&world.targets, targets_row(&world.targets, id));
    for (uint32_t id = 20; id < 900; ++id)
        targets_remove(&world.targets, targets_row(&world.targets, id));
    while (work())
        ;
    assert_int_equal(world.unknown, 0);
    assert_int_equal(world.order[world.tries - 1], 10);
}

static void keys_tried_in_a_second_are_bounded(void **state)
{
    (void)state;
    bool wait = false, more = true;
    for (int i = 0; i < 1000; ++i)
        (void)add(0, 0);
    for (uint32_t ip = 1; ip <= 5000; ++ip)
        assert_true(poke(ip, 1));
    while (more && !wait)
        more = trials_work(&world.trials, &world.targets, world.now_us, try_row, no_key, NULL, &wait);
    assert_true(more);
    assert_true(world.tries <= TRIALS_PER_SECOND);
    assert_true(world.tries > TRIALS_PER_SECOND - 10000);
    world.now_us += 1000000;
    assert_true(work());
}

static void what_is_longer_than_a_poke_is_refused(void **state)
{
    (void)state;
    static const uint8_t payload[TRIALS_PAYLOAD + 1];
    struct address source = ipv4(1, 1);
    assert_int_equal(TRIALS_PAYLOAD, 374);
    assert_false(trials_add(&world.trials, &source, 1, PORT, payload, sizeof payload));
    assert_int_equal(world.trials.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_are_tried_in_the_order_of_likelihood),
        TEST(the_right_key_ends_the_trial),
        TEST(one_poke_of_a_source_waits_at_a_time),
        TEST(one_ip_address_gets_half_of_the_queue),
        TEST(a_slice_is_bounded_and_goes_on_where_it_stopped),
        TEST(rows_that_leave_the_list_meanwhile_hide_none),
        TEST(keys_tried_in_a_second_are_bounded),
        TEST(what_is_longer_than_a_poke_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
