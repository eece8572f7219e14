/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "service/runtime/poison.h"
#include "service/targets/targets.h"

#include <cmocka.h>

#define PORT 50000

/* Listeners are only compared by this room. */
static char listener_endpoints[2];
#define LISTENER(i) ((struct listener *)(void *)&listener_endpoints[i])

static int setup(void **state)
{
    static struct targets targets;
    targets_init(&targets, 42);
    *state = &targets;
    return 0;
}

static int teardown(void **state)
{
    targets_clear(*state);
    return 0;
}

static struct address ipv4(uint32_t ip, uint16_t port)
{
    struct address address = {.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, .port = port};
    for (int i = 0; i < 4; ++i)
        address.ip[12 + i] = (uint8_t)(ip >> (24 - 8 * i));
    return address;
}

static struct target *add(struct targets *targets, unsigned number, const struct address *address)
{
    struct config_target config;
    memset(&config, 0, sizeof config);
    (void)snprintf(config.name, sizeof config.name, "t-%u", number);
    config.key.bytes[0] = (uint8_t)number;
    if (address) {
        config.has_address = config.strict = true;
        memcpy(config.address.ip, address->ip, sizeof config.address.ip);
    }
    assert_true(targets_reserve(targets, targets->count + 1));
    struct target *target = targets_add(targets, &config, false);
    assert_non_null(target);
    assert_true(targets_index(targets));
    return target;
}

static void an_unknown_address_has_no_rows(void **state)
{
    struct target *rows[TARGETS_SHARE_MAX];
    struct address a = ipv4(1, 1);
    assert_int_equal(targets_at(*state, &a, PORT, rows), 0);
    (void)add(*state, 1, NULL);
    assert_int_equal(targets_at(*state, &a, PORT, rows), 0);
    assert_int_equal(targets_with_ip(*state, a.ip), TARGETS_NONE);
}

static void a_live_row_is_found_by_address_and_port_of_the_listener(void **state)
{
    struct target *rows[TARGETS_SHARE_MAX], *t = add(*state, 1, NULL);
    struct address a = ipv4(1, 1), other_port = ipv4(1, 2);
    assert_true(targets_set_live(*state, t, &a, LISTENER(0), PORT));
    assert_false(targets_set_live(*state, t, &a, LISTENER(0), PORT));
    assert_int_equal(targets_at(*state, &a, PORT, rows), 1);
    assert_ptr_equal(rows[0], t);
    assert_int_equal(targets_at(*state, &a, PORT + 1, rows), 0);
    assert_int_equal(targets_at(*state, &other_port, PORT, rows), 0);
    assert_ptr_equal(targets_destination(t)->listener, LISTENER(0));
}

static void a_row_that_moves_leaves_its_old_address(void **state)
{
    struct target *rows[TARGETS_SHARE_MAX], *t = add(*state, 1, NULL);
    struct address a = ipv4(1, 1), b = ipv4(2, 1);
    (void)targets_set_live(*state, t, &a, LISTENER(0), PORT);
    assert_true(targets_set_live(*state, t, &b, LISTENER(0), PORT));
    assert_int_equal(targets_at(*state, &a, PORT, rows), 0);
    assert_int_equal(targets_at(*state, &b, PORT, rows), 1);
}

static void a_poke_does_not_move_a_live_row(void **state)
{
    struct target *rows[TARGETS_SHARE_MAX], *t = add(*state, 1, NULL);
    struct address a = ipv4(1, 1), b = ipv4(2, 1);
    (void)targets_set_live(*state, t, &a, LISTENER(0), PORT);
    targets_set_candidate(*state, t, &b, LISTENER(0), PORT);
    struct address destination = targets_address(targets_destination(t));
    assert_true(address_equal(&destination, &a));
    assert_int_equal(targets_at(*state, &a, PORT, rows), 1);
    assert_int_equal(targets_at(*state, &b, PORT, rows), 1);
}

static void the_live_row_of_a_shared_address_comes_first(void **state)
{
    struct target *rows[TARGETS_SHARE_MAX], *one = add(*state, 1, NULL), *two = add(*state, 2, NULL);
    struct address a = ipv4(1, 1);
    targets_set_candidate(*state, one, &a, LISTENER(0), PORT);
    (void)targets_set_live(*state, two, &a, LISTENER(0), PORT);
    assert_int_equal(targets_at(*state, &a, PORT, rows), 2);
    assert_ptr_equal(rows[0], two);
    assert_ptr_equal(rows[1], one);
}

static void a_row_that_goes_live_takes_the_address_over(void **state)
{
    struct target *rows[TARGETS_SHARE_MAX], *one = add(*state, 1, NULL), *two = add(*state, 2, NULL);
    struct address a = ipv4(1, 1);
    (void)targets_set_live(*state, one, &a, LISTENER(0), PORT);
    targets_set_candidate(*state, two, &a, LISTENER(0), PORT);
    (void)targets_set_live(*state, two, &a, LISTENER(0), PORT);
    assert_int_equal(targets_at(*state, &a, PORT, rows), 2);
    assert_ptr_equal(rows[0], two);
    assert_ptr_equal(rows[1], one); /* a machine may send with its neighbour's address: the neighbour is still found */
    assert_false(targets_is_live(one));
    struct address found = targets_address(targets_destination(one));
    assert_true(address_equal(&found, &a));
    (void)targets_set_live(*state, one, &a, LISTENER(0), PORT); /* and has it back with its next datagram */
    assert_int_equal(targets_at(*state, &a, PORT, rows), 2);
    assert_ptr_equal(rows[0], one);
}

/* However many machines send with one address, the live one is found there. */
static void the_live_row_is_found_among_as_many_as_may_share(void **state)
{
    struct target *rows[TARGETS_SHARE_MAX];
    struct address a = ipv4(1, 1);
    for (unsigned i = 0; i < 40; ++i) {
        struct target *last = add(*state, i, NULL);
        (void)targets_set_live(*state, last, &a, LISTENER(0), PORT);
        assert_in_range(targets_at(*state, &a, PORT, rows), 1, TARGETS_SHARE_MAX);
        assert_ptr_equal(rows[0], last);
    }
    assert_int_equal(((struct targets *)*state)->slots_used, TARGETS_SHARE_MAX);
}

static void candidates_at_one_address_are_bounded(void **state)
{
    struct target *rows[TARGETS_SHARE_MAX];
    struct address a = ipv4(1, 1);
    struct target *last = NULL;
    for (unsigned i = 0; i < 40; ++i) {
        last = add(*state, i, NULL);
        targets_set_candidate(*state, last, &a, LISTENER(0), PORT);
    }
    const struct targets *targets = *state;
    assert_int_equal(targets->slots_used, TARGETS_SHARE_MAX);
    assert_int_equal(targets_at(*state, &a, PORT, rows), TARGETS_SHARE_MAX);
    struct address found = targets_address(targets_destination(last));
    assert_true(address_equal(&found, &a));
}

static void rows_are_found_by_their_configured_address(void **state)
{
    struct address a = ipv4(1, 0), b = ipv4(2, 0), from = ipv4(1, 1234);
    struct target *one = add(*state, 1, &a), *two = add(*state, 2, &a), *three = add(*state, 3, &b);
    uint32_t id = targets_with_ip(*state, a.ip);
    assert_int_equal(id, one->id);
    assert_int_equal(one->next_same_ip, two->id);
    assert_int_equal(two->next_same_ip, TARGETS_NONE);
    assert_int_equal(targets_with_ip(*state, b.ip), three->id);
    assert_true(targets_may_be(one, &from, PORT));
    assert_false(targets_may_be(three, &from, PORT));
    assert_null(key_groups_find(*state, 0, false));
}

static void rows_that_were_live_are_told_from_those_that_never_were(void **state)
{
    struct target *rows[200];
    const struct key_group *group = NULL;
    for (unsigned i = 0; i < 200; ++i)
        rows[i] = add(*state, i, NULL);
    group = key_groups_find(*state, 0, false);
    assert_int_equal(group->count, 200);
    assert_int_equal(group->unseen, 200);
    assert_int_equal(key_group_next(group, true, 0), 200);
    for (unsigned i = 0; i < 200; i += 70) {
        struct address a = ipv4(i + 1, 1);
        (void)targets_set_live(*state, rows[i], &a, LISTENER(0), PORT);
    }
    assert_int_equal(group->unseen, 197);
    assert_int_equal(key_group_next(group, true, 0), 0);
    assert_int_equal(key_group_next(group, true, 1), 70);
    assert_int_equal(key_group_next(group, true, 71), 140);
    assert_int_equal(key_group_next(group, true, 141), 200);
    assert_int_equal(key_group_next(group, false, 0), 1);
    assert_int_equal(key_group_next(group, false, 140), 141);
    assert_int_equal(key_group_next(group, false, 199), 199);
    assert_int_equal(key_group_next(group, false, 200), 200);
}

/* A row that leaves makes a gap, so that nobody changes places; when half of them are gaps, all move up. */
static void rows_that_leave_their_group_hide_none(void **state)
{
    struct targets *targets = *state;
    struct target *one = add(targets, 1, NULL), *two = add(targets, 2, NULL), *three = add(targets, 3, NULL);
    struct address a = ipv4(1, 1);
    uint64_t order = targets->order;
    (void)targets_set_live(targets, three, &a, LISTENER(0), PORT);
    assert_true(targets->order == order);
    targets_remove(targets, one);
    assert_true(targets->order == order);
    const struct key_group *group = key_groups_find(targets, 0, false);
    assert_int_equal(group->count, 3);
    assert_int_equal(group->unseen, 1);
    assert_int_equal(group->ids[key_group_next(group, true, 0)], TARGETS_NONE);
    assert_int_equal(group->ids[key_group_next(group, true, 1)], three->id);
    assert_int_equal(group->ids[key_group_next(group, false, 0)], two->id);
    targets_remove(targets, two);
    assert_true(targets->order != order);
    assert_int_equal(group->count, 1);
    assert_int_equal(group->unseen, 0);
    assert_int_equal(group->ids[key_group_next(group, true, 0)], three->id);
}

/* With all that it is: its session, whether it was live, its configured address. */
static void a_row_goes_to_another_table(void **state)
{
    struct targets *targets = *state, others;
    struct target *rows[TARGETS_SHARE_MAX];
    struct address a = ipv4(1, 1), c = ipv4(7, 0);
    struct target *one = add(targets, 1, NULL), *two = add(targets, 2, &c);
    struct kdnet_session_shared shared = {.crypto = NULL};
    struct kdnet_policy policy;
    struct kdnet_key key = {{7}};
    kdnet_policy_init(&policy);
    targets_init(&others, 5);
    (void)add(&others, 3, NULL);
    targets_begin_session(one, &shared, &policy, &key);
    (void)targets_set_live(targets, one, &a, LISTENER(0), PORT);
    one = targets_release(targets, one);
    two = targets_release(targets, two);
    assert_non_null(one);
    assert_non_null(two);
    assert_int_equal(targets->count, 0);
    assert_int_equal(targets_at(targets, &a, PORT, rows), 0);
    assert_null(targets_adopt(&others, one)); /* there is no room */
    assert_true(targets_reserve(&others, 3));
    one = targets_adopt(&others, one);
    two = targets_adopt(&others, two);
    assert_non_null(one);
    assert_non_null(two);
    assert_true(targets_index(&others));
    assert_string_equal(targets_name(one), "t-1");
    assert_string_equal(targets_name(two), "t-2");
    assert_ptr_equal(one->session, one + 1);
    assert_null(two->session);
    assert_memory_equal(kdnet_session_key(one->session), &key, sizeof key);
    assert_int_equal(key_groups_find(&others, 0, false)->count, 2);
    assert_int_equal(key_groups_find(&others, 0, false)->unseen, 1);
    assert_int_equal(targets_with_ip(&others, c.ip), two->id);
    assert_false(targets_is_live(one));
    (void)targets_set_live(&others, one, &a, LISTENER(0), PORT);
    assert_int_equal(targets_at(&others, &a, PORT, rows), 1);
    assert_ptr_equal(rows[0], one);
    targets_clear(&others);
}

static void a_removed_row_is_found_nowhere(void **state)
{
    struct targets *targets = *state;
    struct target *rows[TARGETS_SHARE_MAX];
    struct address a = ipv4(1, 1), b = ipv4(2, 1);
    struct target *one = add(targets, 1, NULL), *two = add(targets, 2, NULL);
    (void)targets_set_live(targets, one, &a, LISTENER(0), PORT);
    targets_set_candidate(targets, one, &b, LISTENER(0), PORT);
    (void)targets_set_live(targets, two, &b, LISTENER(0), PORT);
    uint32_t id = one->id;
    targets_remove(targets, one);
    assert_null(targets_row(targets, id));
    assert_int_equal(targets_at(targets, &a, PORT, rows), 0);
    assert_int_equal(targets_at(targets, &b, PORT, rows), 1);
    assert_int_equal(key_groups_find(targets, 0, false)->count, 2); /* a gap, and the other */
    assert_int_equal(key_groups_find(targets, 0, false)->unseen, 0);
    assert_int_equal(add(targets, 3, NULL)->id, id);
}

static void a_new_configured_address_forgets_places_elsewhere(void **state)
{
    struct target *rows[TARGETS_SHARE_MAX], *t = add(*state, 1, NULL);
    struct address a = ipv4(1, 1), b = ipv4(2, 1);
    struct config_address configured = {.port = 0};
    (void)targets_set_live(*state, t, &a, LISTENER(0), PORT);
    memcpy(configured.ip, a.ip, sizeof configured.ip);
    targets_change(*state, t, &(struct config_target){.has_address = true, .address = configured, .strict = true},
                   false);
    assert_int_equal(targets_at(*state, &a, PORT, rows), 1);
    memcpy(configured.ip, b.ip, sizeof configured.ip);
    targets_change(*state, t, &(struct config_target){.has_address = true, .address = configured, .strict = true},
                   false);
    assert_int_equal(targets_at(*state, &a, PORT, rows), 0);
    assert_null(targets_destination(t));
}

static void a_machine_stays_where_it_is_when_its_configured_address_changes(void **state)
{
    struct target *rows[TARGETS_SHARE_MAX], *t = add(*state, 1, NULL);
    struct address a = ipv4(1, 1), b = ipv4(2, 1);
    struct config_target config = {.has_address = true};
    (void)targets_set_live(*state, t, &a, LISTENER(0), PORT);
    memcpy(config.address.ip, b.ip, sizeof config.address.ip);
    targets_change(*state, t, &config, false);
    assert_true(targets_index(*state));
    assert_true(t->elsewhere);
    assert_int_equal(targets_at(*state, &a, PORT, rows), 1);
    assert_int_equal(targets_with_ip(*state, b.ip), t->id);
    assert_int_equal(targets_with_ip(*state, a.ip), TARGETS_NONE);
    /* It goes to where it is expected, and away again. */
    assert_true(targets_set_live(*state, t, &b, LISTENER(0), PORT));
    assert_false(t->elsewhere);
    assert_null(t->more);
    assert_true(targets_set_live(*state, t, &a, LISTENER(0), PORT));
    assert_true(t->elsewhere);
    assert_int_equal(targets_with_ip(*state, b.ip), t->id);
    targets_forget_listener(*state, LISTENER(0));
    assert_false(t->elsewhere);
    assert_int_equal(targets_with_ip(*state, b.ip), t->id);
    config.has_address = false;
    targets_change(*state, t, &config, false);
    assert_true(targets_index(*state));
    assert_int_equal(targets_with_ip(*state, b.ip), TARGETS_NONE);
}

static void rows_of_old_keys_are_in_a_group_of_their_own(void **state)
{
    struct targets *targets = *state;
    struct target *t = add(targets, 1, NULL), *old = add(targets, 1, NULL);
    targets_age_key(targets, old);
    assert_int_equal(targets->old_keys, 1);
    const struct key_group *group = key_groups_find(targets, 0, true);
    assert_int_equal(key_group_next(group, true, 0), 0);
    assert_int_equal(group->ids[0], old->id);
    assert_int_equal(group->unseen, 0);
    struct keyring *ring = keyring_new();
    assert_true(targets_join_ring(t, ring, KEYRING_CURRENT) && targets_join_ring(old, ring, 1));
    keyring_drop(ring);
    assert_true(targets_stands_for_all(t) && !targets_stands_for_all(old));
    (void)keyring_show(old->more->ring, 1);
    assert_true(targets_is_superseded(t) && !targets_is_superseded(old));
    assert_true(targets_stands_for_all(old) && !targets_stands_for_all(t));
    targets_remove(targets, old);
    assert_int_equal(targets->old_keys, 0);
    assert_true(targets_rename(t, "a-name-that-is-too-long-to-be-here"));
    assert_string_equal(targets_name(t), "a-name-that-is-too-long-to-be-here");
    assert_true(targets_rename(t, "short"));
    assert_string_equal(targets_name(t), "short");
}

static void a_listener_that_goes_takes_its_places_along(void **state)
{
    struct target *one = add(*state, 1, NULL), *two = add(*state, 2, NULL);
    struct address a = ipv4(1, 1), b = ipv4(2, 1);
    (void)targets_set_live(*state, one, &a, LISTENER(0), PORT);
    (void)targets_set_live(*state, two, &b, LISTENER(1), PORT + 1);
    targets_forget_listener(*state, LISTENER(0));
    assert_null(targets_destination(one));
    assert_non_null(targets_destination(two));
}

/* A model: where each of many rows is, against the table, through many moves. */
static void many_moves_leave_the_table_true(void **state)
{
    enum { ROWS = 200, PLACES = 300, STEPS = 20000 };
    struct targets *targets = *state;
    struct target *rows[ROWS], *found[TARGETS_SHARE_MAX];
    int at[ROWS];
    uint32_t seed = 99;
    for (unsigned i = 0; i < ROWS; ++i) {
        rows[i] = add(targets, i, NULL);
        at[i] = -1;
    }
    for (int step = 0; step < STEPS; ++step) {
        seed = seed * 1664525 + 1013904223;
        unsigned row = (seed >> 8) % ROWS, place = (seed >> 16) % PLACES;
        struct address a = ipv4(place / 3, (uint16_t)(place % 3));
        (void)targets_set_live(targets, rows[row], &a, LISTENER(0), PORT);
        for (int i = 0; i < ROWS; ++i)
            if (at[i] == (int)place)
                at[i] = -1;
        at[row] = (int)place;
    }
    for (int i = 0; i < ROWS; ++i) {
        const struct target_endpoint *place = targets_destination(rows[i]);
        assert_int_equal(targets_is_live(rows[i]), at[i] >= 0);
        if (!place)
            continue;
        struct address is = targets_address(place);
        size_t count = targets_at(targets, &is, PORT, found), same = 0;
        for (size_t n = 0; n < count; ++n)
            same += found[n] == rows[i];
        assert_int_equal(same, 1); /* live, or a candidate since another row was live there */
        if (at[i] < 0)
            continue;
        struct address a = ipv4((uint32_t)at[i] / 3, (uint16_t)(at[i] % 3));
        assert_true(address_equal(&is, &a));
        assert_ptr_equal(found[0], rows[i]);
    }
}

static void a_configured_address_stays_when_the_machine_leaves(void **state)
{
    struct targets *targets = *state;
    struct address a = ipv4(1, 0), from = ipv4(1, 1234), moved = ipv4(1, 99);
    struct target *t = add(targets, 1, &a), *rows[TARGETS_SHARE_MAX];
    assert_null(targets_destination(t));
    assert_false(targets_is_live(t));
    (void)targets_set_live(targets, t, &from, LISTENER(0), PORT);
    (void)targets_set_live(targets, t, &moved, LISTENER(0), PORT);
    assert_int_equal(targets_at(targets, &from, PORT, rows), 0);
    targets_forget_listener(targets, LISTENER(0));
    assert_null(targets_destination(t));
    assert_true(targets_may_be(t, &from, PORT));
    assert_true(targets_index(targets));
    assert_int_equal(targets_with_ip(targets, a.ip), t->id);
}

/* During a reload rows go before the index is made anew. */
static void an_index_of_before_finds_no_removed_row(void **state)
{
    struct targets *targets = *state;
    struct address a = ipv4(1, 0);
    struct target *one = add(targets, 1, &a), *two = add(targets, 2, &a);
    (void)two;
    targets_remove(targets, one);
    assert_int_equal(targets_with_ip(targets, a.ip), TARGETS_NONE);
    assert_true(targets_index(targets));
    assert_int_equal(targets_with_ip(targets, a.ip), two->id);
}

static void what_few_rows_have_goes_when_it_is_over(void **state)
{
    struct targets *targets = *state;
    struct target *t = add(targets, 1, NULL);
    struct address a = ipv4(1, 1);
    targets_set_candidate(targets, t, &a, LISTENER(0), PORT);
    assert_non_null(t->more);
    (void)targets_set_live(targets, t, &a, LISTENER(0), PORT);
    assert_null(t->more);
}

/* Long and short names, with and without a session; and the row that is used again is another's. */
static void a_row_has_the_name_that_it_was_given(void **state)
{
    static const char *const names[] = {"", "s", "fifteen-letters", "sixteen--letters",
                                        "a-name-as-long-as-there-may-be---64-characters-in-all.example.com"};
    struct targets *targets = *state;
    struct target *rows[sizeof names / sizeof names[0]];
    for (unsigned turn = 0; turn < 2; ++turn) {
        for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i) {
            struct config_target config;
            memset(&config, 0, sizeof config);
            (void)snprintf(config.name, sizeof config.name, "%s", names[i]);
            assert_true(targets_reserve(targets, targets->count + 1));
            rows[i] = targets_add(targets, &config, false);
            assert_non_null(rows[i]);
        }
        for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i)
            assert_int_equal(strncmp(targets_name(rows[i]), names[i], CONFIG_NAME_SIZE - 1), 0);
        for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i)
            targets_remove(targets, rows[i]);
    }
}

/* Rows stay where they are while others come and go, and what belongs to no row any more is given back or used again.
 */
static void a_fleet_that_is_replaced_uses_the_same_rows_again(void **state)
{
    enum { ROWS = 3 * TARGETS_CHUNK / 2 };
    struct targets *targets = *state;
    static struct target *rows[ROWS];
    struct config_target config;
    memset(&config, 0, sizeof config);
    assert_true(targets_reserve(targets, ROWS));
    for (unsigned turn = 0; turn < 3; ++turn) {
        for (uint32_t i = 0; i < ROWS; ++i) {
            (void)snprintf(config.name, sizeof config.name, "t-%u-%u", turn, (unsigned)i);
            rows[i] = targets_add(targets, &config, false);
            assert_non_null(rows[i]);
            assert_int_equal(rows[i]->id, i);
        }
        assert_int_equal(targets->ids, ROWS);
        for (uint32_t i = 0; i < TARGETS_CHUNK; ++i)
            targets_remove(targets, rows[i]);
        assert_null(targets->chunks[0]); /* given back */
        assert_null(targets_row(targets, 0));
        for (uint32_t i = TARGETS_CHUNK; i < ROWS; ++i) {
            (void)snprintf(config.name, sizeof config.name, "t-%u-%u", turn, (unsigned)i);
            assert_ptr_equal(targets_row(targets, i), rows[i]);
            assert_string_equal(targets_name(rows[i]), config.name);
            targets_remove(targets, rows[i]);
        }
        assert_int_equal(targets->count, 0);
    }
}

/* The session behind the row is wiped with it, and nothing of it can be read by mistake. */
static void a_removed_row_leaves_no_key(void **state)
{
    struct targets *targets = *state;
    struct target *stays = add(targets, 1, NULL), *goes = add(targets, 2, NULL);
    struct kdnet_session_shared shared = {.crypto = NULL};
    struct kdnet_policy policy;
    struct kdnet_key key = {{0}};
    (void)stays; /* the chunk is there because of it */
    kdnet_policy_init(&policy);
    memset(key.bytes, 0x5a, sizeof key.bytes);
    targets_begin_session(goes, &shared, &policy, &key);
    const uint8_t *session = (const uint8_t *)goes->session, *row = (const uint8_t *)goes;
    assert_memory_equal(kdnet_session_key(goes->session), &key, sizeof key);
    assert_true(session >= row + sizeof *goes);
    assert_true(session + kdnet_session_size() <= row + targets->row_size);
    targets_remove(targets, goes);
#ifdef POISON_WORKS
    assert_ptr_equal(__asan_region_is_poisoned((void *)(uintptr_t)row, targets->row_size), row);
    for (size_t i = 0; i < targets->row_size; ++i)
        assert_true(__asan_address_is_poisoned(row + i));
    unpoison(row, targets->row_size);
#endif
    for (size_t i = 0; i < kdnet_session_size(); ++i)
        assert_int_equal(session[i], 0);
    poison(row, targets->row_size);
}

/* A fleet of a million: with a session of 376 bytes and what the indexes and timers have, 493 bytes. */
static void a_row_is_small(void **state)
{
    (void)state;
    assert_true(sizeof(struct target) <= 88);
}

/* Two addresses of one port: what came by one of them goes over, the rest is forgotten with the listener. */
static void another_listener_goes_on_with_its_machines(void **state)
{
    struct targets *targets = *state;
    struct address a = ipv4(1, 1), b = ipv4(2, 1), c = ipv4(3, 1);
    struct target *rows[3];
    for (unsigned i = 0; i < 3; ++i)
        rows[i] = add(targets, i, NULL);
    a.via = 1;
    b.via = 2;
    (void)targets_set_live(targets, rows[0], &a, LISTENER(0), PORT);
    (void)targets_set_live(targets, rows[1], &b, LISTENER(0), PORT);
    targets_set_candidate(targets, rows[2], &c, LISTENER(0), PORT);
    assert_int_equal(targets_route(rows[0]).via, 1);
    targets_pass_listener(targets, LISTENER(0), LISTENER(1), 1, 0);
    targets_forget_listener(targets, LISTENER(0));
    assert_ptr_equal(rows[0]->live.listener, LISTENER(1));
    assert_int_equal(targets_route(rows[0]).via, 0);
    assert_false(targets_is_live(rows[1]));
    assert_null(targets_destination(rows[2]));
    targets_pass_listener(targets, LISTENER(1), LISTENER(0), TARGETS_ANY_VIA, 9);
    assert_ptr_equal(rows[0]->live.listener, LISTENER(0));
    assert_int_equal(targets_route(rows[0]).via, 9);
    a.via = 5; /* it asks another address of ours now: the same place */
    assert_false(targets_set_live(targets, rows[0], &a, LISTENER(0), PORT));
    assert_int_equal(targets_route(rows[0]).via, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_unknown_address_has_no_rows),
        TEST(a_live_row_is_found_by_address_and_port_of_the_listener),
        TEST(a_row_that_moves_leaves_its_old_address),
        TEST(a_poke_does_not_move_a_live_row),
        TEST(the_live_row_of_a_shared_address_comes_first),
        TEST(a_row_that_goes_live_takes_the_address_over),
        TEST(the_live_row_is_found_among_as_many_as_may_share),
        TEST(candidates_at_one_address_are_bounded),
        TEST(rows_are_found_by_their_configured_address),
        TEST(rows_that_were_live_are_told_from_those_that_never_were),
        TEST(rows_that_leave_their_group_hide_none),
        TEST(a_row_goes_to_another_table),
        TEST(a_removed_row_is_found_nowhere),
        TEST(a_new_configured_address_forgets_places_elsewhere),
        TEST(a_machine_stays_where_it_is_when_its_configured_address_changes),
        TEST(rows_of_old_keys_are_in_a_group_of_their_own),
        TEST(a_listener_that_goes_takes_its_places_along),
        TEST(many_moves_leave_the_table_true),
        TEST(a_configured_address_stays_when_the_machine_leaves),
        TEST(an_index_of_before_finds_no_removed_row),
        TEST(what_few_rows_have_goes_when_it_is_over),
        TEST(a_row_has_the_name_that_it_was_given),
        TEST(a_fleet_that_is_replaced_uses_the_same_rows_again),
        TEST(a_removed_row_leaves_no_key),
        TEST(another_listener_goes_on_with_its_machines),
        TEST(a_row_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
