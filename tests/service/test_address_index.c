/* SPDX-License-Identifier: Apache-2.0 */
/* Which rows are at an address: live ones, configured ones, and as many as may share it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/targets/targets.h"
#include "tests/service/target_rows.h"

#include <cmocka.h>

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

/* A batch is looked up ahead: where each look-up begins, and its row, also where another row is at its home. */
static void a_batch_is_looked_up_ahead(void **state)
{
    enum { ROWS = 48, SHIFTED = 8 };
    struct targets *targets = *state;
    struct address places[TARGETS_AHEAD];
    const struct address *asked[TARGETS_AHEAD];
    struct targets_home homes[TARGETS_AHEAD];
    const struct target *found[TARGETS_AHEAD];
    struct target *rows[ROWS], *at[TARGETS_SHARE_MAX];
    size_t same_home = 0;
    assert_true(targets_reserve(targets, ROWS));
    for (uint32_t i = 0; i < TARGETS_AHEAD; ++i) {
        places[i] = ipv4(i + 1, 50000);
        asked[i] = &places[i];
    }
    for (unsigned i = 0; i < ROWS; ++i) {
        rows[i] = add(targets, i + 1, NULL);
        (void)targets_set_live(targets, rows[i], &places[i], LISTENER(0), PORT);
    }
    assert_in_range(targets_prefetch(targets, asked, TARGETS_AHEAD, PORT, homes, found), ROWS, TARGETS_AHEAD);
    for (unsigned i = 0; i < ROWS; ++i) {
        assert_ptr_equal(found[i], rows[i]);
        assert_int_equal(targets_at_home(targets, &places[i], PORT, homes[i], at), 1);
        assert_ptr_equal(at[0], rows[i]);
        for (unsigned k = 0; k < i; ++k)
            same_home += homes[k].at == homes[i].at;
    }
    assert_in_range(same_home, 1, ROWS); /* some are not at their home */
    /* The index grows before the rows are looked up: they are elsewhere now. */
    assert_true(targets_reserve(targets, ROWS * SHIFTED));
    for (unsigned i = 0; i < TARGETS_AHEAD; ++i)
        assert_int_equal(targets_at_home(targets, &places[i], PORT, homes[i], at), i < ROWS);
}

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
        TEST(a_new_configured_address_forgets_places_elsewhere),
        TEST(a_machine_stays_where_it_is_when_its_configured_address_changes),
        TEST(a_listener_that_goes_takes_its_places_along),
        TEST(a_configured_address_stays_when_the_machine_leaves),
        TEST(an_index_of_before_finds_no_removed_row),
        TEST(another_listener_goes_on_with_its_machines),
        TEST(a_batch_is_looked_up_ahead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
