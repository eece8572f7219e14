/* SPDX-License-Identifier: Apache-2.0 */
/* The table's rows: they move, they are removed, they leave no key, and they are small. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "service/net/timers.h"
#include "service/runtime/poison.h"
#include "service/targets/snapshots_internal.h"
#include "service/targets/targets.h"
#include "tests/service/target_rows.h"

#include <cmocka.h>

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
    assert_true(one->has_session);
    assert_false(two->has_session);
    assert_memory_equal(kdnet_session_key(targets_session(one)), &key, sizeof key);
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
    const uint8_t *session = (const uint8_t *)targets_session(goes), *row = (const uint8_t *)goes;
    assert_memory_equal(kdnet_session_key(targets_session(goes)), &key, sizeof key);
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

static size_t bytes_of_groups(const struct targets *targets)
{
    size_t bytes = 0;
    for (size_t i = 0; i < targets->group_count; ++i)
        bytes += targets->key_groups[i].capacity * (sizeof(uint32_t) + 1) + sizeof targets->key_groups[i];
    return bytes;
}

/* What an idle machine of a large fleet takes in the tables that have an entry for each, API and store included. Tables
 * whose memory only halted machines touch (admission.h, the timers' heap) are not counted. */
static void an_idle_machine_of_a_fleet_is_small(void **state)
{
    enum { FLEET = 25 * TARGETS_CHUNK, MOST = 560 };
    struct targets *targets = *state;
    struct snapshots *snapshots = snapshots_new();
    struct config_target config;
    memset(&config, 0, sizeof config);
    config.has_address = true;
    assert_true(targets_reserve(targets, FLEET) && snapshots_reserve(snapshots, FLEET));
    for (unsigned i = 0; i < FLEET; ++i) {
        struct address at = ipv4(0x0a000000U + i, 1000);
        (void)snprintf(config.name, sizeof config.name, "server-%u", i);
        memcpy(config.address.ip, at.ip, sizeof at.ip);
        struct target *target = targets_add(targets, &config, false);
        assert_non_null(target);
        (void)targets_set_live(targets, target, &at, LISTENER(0), PORT);
        assert_null(target->more);
        assert_true(snapshots_slot(snapshots, config.name, NULL) != 0);
    }
    assert_true(targets_index(targets));
    size_t bytes = FLEET / TARGETS_CHUNK * (sizeof(struct targets_chunk) + TARGETS_CHUNK * targets->row_size) +
                   (targets->slot_count + targets->ip_slot_count) * sizeof(uint32_t) + bytes_of_groups(targets) +
                   snapshots->capacity / SNAPSHOTS_CHUNK * sizeof(struct snapshots_chunk) +
                   snapshots->index_size * sizeof *snapshots->index + FLEET * sizeof(struct timers_entry);
    snapshots_free(snapshots);
    print_message("%zu bytes for each of %u idle machines\n", bytes / FLEET, (unsigned)FLEET);
    assert_in_range(bytes / FLEET, 1, MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rows_that_were_live_are_told_from_those_that_never_were),
        TEST(rows_that_leave_their_group_hide_none),
        TEST(a_row_goes_to_another_table),
        TEST(a_removed_row_is_found_nowhere),
        TEST(rows_of_old_keys_are_in_a_group_of_their_own),
        TEST(many_moves_leave_the_table_true),
        TEST(what_few_rows_have_goes_when_it_is_over),
        TEST(a_row_has_the_name_that_it_was_given),
        TEST(a_fleet_that_is_replaced_uses_the_same_rows_again),
        TEST(a_removed_row_leaves_no_key),
        TEST(an_idle_machine_of_a_fleet_is_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
