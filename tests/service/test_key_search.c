/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "service/worker/key_search.h"

#include <cmocka.h>

#define PORT      50000
#define KEY_UNITS 20

struct world {
    struct targets targets;
    struct key_search key_search;
    uint32_t order[8192]; /* ids as they were tried */
    size_t tries, unknown, opened;
    uint32_t opens;   /* the id whose key opens the pokes; TARGETS_NONE: each poke has the id in it that opens it */
    size_t together;  /* keys whose hits the filter tells together */
    uint32_t passing; /* a poke of this id passes the filter with the keys of the next ids, too, which do not open it */
};

static struct world world;

/* Listeners are only compared by this room. */
static char listener_endpoint;
#define LISTENER ((struct listener *)(void *)&listener_endpoint)

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
        config.has_address = config.strict = true;
        memcpy(config.address.ip, address.ip, sizeof config.address.ip);
    }
    assert_true(targets_reserve(&world.targets, world.targets.count + 1));
    struct target *target = targets_add(&world.targets, &config, false);
    assert_non_null(target);
    return target;
}

static int setup(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.opens = TARGETS_NONE;
    world.together = 1;
    world.passing = TARGETS_NONE;
    targets_init(&world.targets, 1);
    return key_search_init(&world.key_search, 1) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    key_search_clear(&world.key_search);
    targets_clear(&world.targets);
    return 0;
}

/* The id that opens a poke is in its payload, where the filter looks. */
static uint32_t opener(const uint8_t *block)
{
    uint32_t opens;
    memcpy(&opens, block, sizeof opens);
    return opens;
}

static bool passes(const struct target *target, uint32_t opens)
{
    return opens == target->id || (opens == world.passing && target->id > opens && target->id <= opens + 3);
}

/* Some keys, as far as there are. */
static size_t filter_some(struct target *const *rows, size_t from, size_t to,
                          const struct kdnet_key_filter_batch *candidates, struct kdnet_key_filter_hit *hits)
{
    size_t found = 0;
    for (size_t row = from; row < to; ++row, ++world.tries)
        if (world.tries < sizeof world.order / sizeof world.order[0])
            world.order[world.tries] = rows[row]->id;
    for (size_t i = 0; i < candidates->count; ++i)
        for (size_t row = from; row < to; ++row)
            if (passes(rows[row], opener(candidates->blocks[i].bytes)))
                hits[found++] = (struct kdnet_key_filter_hit){.key = (uint16_t)row, .block = (uint16_t)i};
    return found;
}

static size_t filter(void *user, struct target *const *rows, size_t row_count,
                     const struct kdnet_key_filter_batch *candidates, struct kdnet_key_filter_hit *hits,
                     size_t *hit_count)
{
    size_t tried = 0;
    (void)user;
    assert_in_range(row_count, 1, KEY_SEARCH_KEYS);
    *hit_count = 0;
    while (tried < row_count && *hit_count == 0) {
        size_t to = tried + world.together < row_count ? tried + world.together : row_count;
        *hit_count = filter_some(rows, tried, to, candidates, hits);
        tried = to;
    }
    return tried;
}

static bool handle_poke(void *user, struct target *target, const struct search_poke *search_poke)
{
    uint32_t opens = opener(search_poke->payload + KDNET_HEADER_LENGTH);
    (void)user;
    assert_true(passes(target, opens));
    world.opened += opens == target->id;
    return opens == target->id;
}

static void no_key(void *user, const struct search_poke *search_poke)
{
    (void)user;
    (void)search_poke;
    ++world.unknown;
}

static bool poke_for(uint32_t id, uint32_t ip, uint16_t port, uint16_t local_port)
{
    uint8_t payload[KEY_SEARCH_PAYLOAD] = {0};
    struct address source = ipv4(ip, port);
    const struct key_search_origin origin = {.listener_id = 1, .local_port = local_port};
    memcpy(payload + KDNET_HEADER_LENGTH, &id, sizeof id);
    return key_search_add(&world.key_search, &source, &origin, payload, sizeof payload);
}

static bool poke(uint32_t ip, uint16_t port)
{
    return poke_for(world.opens, ip, port, PORT);
}

/* Returns whether there is more to do. */
static bool work(size_t units)
{
    const struct key_search_calls calls = {
        .filter = filter, .key_units = KEY_UNITS, .open = handle_poke, .unknown = no_key};
    (void)key_search_work(&world.key_search, &world.targets, units, &calls);
    return world.key_search.count > 0;
}

static void work_all(void)
{
    while (work(1000))
        ;
}

static void keys_are_tried_in_the_order_of_likelihood(void **state)
{
    (void)state;
    struct address elsewhere = ipv4(9, 9);
    struct target *seen = add(0, 0), *unseen = add(0, 0), *own = add(7, 0), *other_ip = add(8, 0),
                  *other_port = add(0, 1);
    struct target *of_port = add(0, PORT);
    (void)targets_set_live(&world.targets, seen, &elsewhere, LISTENER, PORT);
    assert_true(targets_index(&world.targets));
    assert_true(poke(7, 1));
    work_all();
    assert_int_equal(world.tries, 4);
    assert_int_equal(world.order[0], own->id);
    assert_int_equal(world.order[1], of_port->id);
    assert_int_equal(world.order[2], unseen->id);
    assert_int_equal(world.order[3], seen->id);
    assert_int_equal(world.unknown, 1);
    (void)other_ip;
    (void)other_port;
}

static void addresses_that_are_not_strict_and_old_keys_are_tried_last(void **state)
{
    (void)state;
    struct address here = ipv4(8, 9);
    struct target *old = add(0, 0), *any = add(0, 0), *other_ip = add(0, 0);
    struct config_target config = {.has_address = true};
    memcpy(config.address.ip, here.ip, sizeof config.address.ip);
    targets_change(&world.targets, other_ip, &config, false);
    targets_age_key(&world.targets, old);
    assert_true(targets_index(&world.targets));
    assert_true(poke(7, 1));
    work_all();
    assert_int_equal(world.tries, 3);
    assert_int_equal(world.order[0], any->id);
    assert_int_equal(world.order[1], other_ip->id);
    assert_int_equal(world.order[2], old->id);
}

static void the_right_key_ends_the_trial(void **state)
{
    (void)state;
    world.opens = add(0, 0)->id;
    (void)add(0, 0);
    assert_true(poke(1, 1));
    work_all();
    assert_int_equal(world.tries, 1);
    assert_int_equal(world.opened, 1);
    assert_int_equal(world.unknown, 0);
    assert_true(poke(1, 1)); /* its place in the queue is free again */
    assert_int_equal(world.key_search.count, 1);
}

/* A configured address that many machines share, behind a router: each poke finds its own. */
static void machines_behind_one_address_are_told_apart(void **state)
{
    (void)state;
    uint32_t ids[40];
    for (size_t i = 0; i < 40; ++i)
        ids[i] = add(7, 0)->id;
    assert_true(targets_index(&world.targets));
    for (uint16_t i = 0; i < 40; ++i)
        assert_true(poke_for(ids[39 - i], 7, i, PORT));
    assert_true(poke_for(TARGETS_NONE, 7, 99, PORT));
    work_all();
    assert_int_equal(world.opened, 40);
    assert_int_equal(world.unknown, 1);
}

static void one_poke_of_a_source_waits_at_a_time(void **state)
{
    (void)state;
    assert_true(poke(1, 1));
    assert_true(poke(1, 1));
    assert_int_equal(world.key_search.count, 1);
    assert_true(poke(1, 2));
    assert_int_equal(world.key_search.count, 2);
}

static void one_ip_address_gets_half_of_the_queue(void **state)
{
    (void)state;
    size_t taken = 0;
    for (uint32_t port = 1; port <= 65535; ++port)
        taken += poke(1, (uint16_t)port);
    assert_int_equal(taken, KEY_SEARCH_PER_IP);
    assert_true(poke(2, 1));
}

/* A flood on one port leaves room for another port's machines, and they take turns. */
static void a_flooded_port_leaves_the_others_their_share(void **state)
{
    (void)state;
    uint32_t other = add(0, PORT + 1)->id;
    for (int i = 0; i < 3000; ++i)
        (void)add(0, PORT);
    size_t taken = 0;
    assert_true(poke_for(other, 1, 1, PORT + 1));
    for (uint32_t ip = 2; ip < 20000; ++ip)
        taken += poke_for(TARGETS_NONE, ip, 1, PORT);
    assert_int_equal(taken, KEY_SEARCH_PER_PORT);
    (void)work(1000);
    (void)work(1000);
    assert_int_equal(world.opened, 1);
    for (uint32_t ip = 2; ip < 1000; ++ip)
        assert_true(poke_for(other, ip, 2, PORT + 1));
}

/* Every poke meets its key, whatever comes and goes between the slices, and none is called unknown. */
static void thousands_that_poke_at_once_are_all_known(void **state)
{
    enum { MACHINES = 5000 };
    (void)state;
    for (uint32_t i = 0; i < MACHINES; ++i)
        assert_int_equal(add(0, i % 3 == 0 ? PORT : 0)->id, i);
    for (uint32_t i = 0; i < MACHINES; ++i) {
        assert_true(poke_for((i * 7) % MACHINES, i + 1, 1, PORT));
        if (i % 100 == 0)
            (void)work(100);
    }
    for (uint32_t i = 0; work(5000); i = (i + 1) % MACHINES) {
        struct address a = ipv4(i + 100000, 1); /* machines connect meanwhile */
        (void)targets_set_live(&world.targets, targets_row(&world.targets, i), &a, LISTENER, PORT);
    }
    assert_int_equal(world.opened, MACHINES);
    assert_int_equal(world.unknown, 0);
}

static void a_slice_is_bounded_and_goes_on_where_it_stopped(void **state)
{
    (void)state;
    for (int i = 0; i < 5000; ++i)
        (void)add(0, 0);
    world.opens = 4999;
    assert_true(poke(1, 1));
    assert_true(work(1000));
    assert_in_range(world.tries, 1, 1000 / KEY_UNITS + 1);
    work_all();
    assert_int_equal(world.tries, 5000);
    assert_int_equal(world.order[4999], 4999);
    assert_int_equal(world.unknown, 0);
}

/* The work of a key on many pokes counts for each: a slice takes as long for a thousand as for one. */
static void many_pokes_make_fewer_keys_a_slice(void **state)
{
    (void)state;
    for (int i = 0; i < 5000; ++i)
        (void)add(0, 0);
    for (uint32_t ip = 1; ip <= KEY_SEARCH_BATCH; ++ip)
        assert_true(poke(ip, 1));
    assert_true(work((size_t)2 * KEY_SEARCH_BATCH)); /* looks for configured addresses, and the first keys */
    world.tries = 0;
    assert_true(work((size_t)10 * KEY_SEARCH_BATCH));
    assert_in_range(world.tries, 9, 11);
}

/* Between two slices a reload takes rows out: the last ones take the places of those, and the batch begins anew. */
static void rows_that_leave_the_list_meanwhile_hide_none(void **state)
{
    (void)state;
    for (int i = 0; i < 5000; ++i)
        (void)add(0, 0);
    world.opens = 4999;
    assert_true(poke(1, 1));
    assert_true(work(20000));
    for (uint32_t id = 4000; id < 4900; ++id)
        targets_remove(&world.targets, targets_row(&world.targets, id));
    for (uint32_t id = 20; id < 900; ++id)
        targets_remove(&world.targets, targets_row(&world.targets, id));
    work_all();
    assert_int_equal(world.unknown, 0);
    assert_int_equal(world.opened, 1);
}

/* The right key and wrong ones pass for the same poke, told together or one by one: each poke is opened once, by the
 * right one, and none is lost. */
static void pokes_that_pass_with_wrong_keys_too_are_opened_by_the_right_one(void **state)
{
    enum { MACHINES = 40, POKES = 30 };
    (void)state;
    for (uint32_t i = 0; i < MACHINES; ++i)
        assert_int_equal(add(0, 0)->id, i);
    for (world.together = 1; world.together <= 8; ++world.together)
        for (uint32_t id = 0; id < MACHINES; ++id) {
            world.opened = 0;
            world.passing = id;
            for (uint32_t i = 0; i < POKES; ++i)
                assert_true(poke_for(i % 3 == 0 ? (id + i) % MACHINES : id, i + 1, 1, PORT));
            work_all();
            assert_int_equal(world.opened, POKES);
            assert_int_equal(world.unknown, 0);
        }
}

/* After hits the filter has tried fewer keys than it was given: the others come again, also when rows between them are
 * not of this turn. */
static void keys_after_a_hit_are_not_passed_over(void **state)
{
    enum { MACHINES = 200 };
    (void)state;
    for (uint32_t i = 0; i < MACHINES; ++i) {
        struct address elsewhere = ipv4(1000 + i, 9);
        struct target *row = add(0, 0);
        if (i % 5 == 2 || i % 7 == 1)
            (void)targets_set_live(&world.targets, row, &elsewhere, LISTENER, PORT);
    }
    for (world.together = 1; world.together <= 8; ++world.together) {
        world.opened = 0;
        for (uint32_t id = 0; id < MACHINES; ++id)
            assert_true(poke_for(id, id + 1, 1, PORT));
        work_all();
        assert_int_equal(world.opened, MACHINES);
        assert_int_equal(world.unknown, 0);
    }
}

static void what_is_longer_than_a_poke_is_refused(void **state)
{
    (void)state;
    static const uint8_t payload[KEY_SEARCH_PAYLOAD + 1];
    const struct key_search_origin origin = {.listener_id = 1, .local_port = PORT};
    struct address source = ipv4(1, 1);
    assert_int_equal(KEY_SEARCH_PAYLOAD, 374);
    assert_false(key_search_add(&world.key_search, &source, &origin, payload, sizeof payload));
    assert_int_equal(world.key_search.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_are_tried_in_the_order_of_likelihood),
        TEST(addresses_that_are_not_strict_and_old_keys_are_tried_last),
        TEST(the_right_key_ends_the_trial),
        TEST(one_poke_of_a_source_waits_at_a_time),
        TEST(one_ip_address_gets_half_of_the_queue),
        TEST(a_slice_is_bounded_and_goes_on_where_it_stopped),
        TEST(rows_that_leave_the_list_meanwhile_hide_none),
        TEST(machines_behind_one_address_are_told_apart),
        TEST(a_flooded_port_leaves_the_others_their_share),
        TEST(thousands_that_poke_at_once_are_all_known),
        TEST(many_pokes_make_fewer_keys_a_slice),
        TEST(pokes_that_pass_with_wrong_keys_too_are_opened_by_the_right_one),
        TEST(keys_after_a_hit_are_not_passed_over),
        TEST(what_is_longer_than_a_poke_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
