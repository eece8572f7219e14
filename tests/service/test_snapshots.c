/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/targets/snapshots.h"

#include <cmocka.h>

#define LONG_NAME "a-name-that-does-not-fit-into-its-slot"

/* What a reader was handed. */
static struct {
    size_t count, stop_at;
    char names[16][64];
    struct snapshot_view last;
} seen;

static bool see(void *user, const struct snapshot_view *view)
{
    (void)user;
    if (seen.count < 16)
        (void)snprintf(seen.names[seen.count], sizeof seen.names[0], "%s", view->name);
    seen.last = *view;
    return ++seen.count != seen.stop_at;
}

static void look_again(void)
{
    memset(&seen, 0, sizeof seen);
}

static int make(void **state)
{
    *state = snapshots_new();
    look_again();
    return *state ? 0 : -1;
}

static int unmake(void **state)
{
    snapshots_free(*state);
    return 0;
}

static struct snapshot connected(void)
{
    struct snapshot snapshot = {.state = TARGET_CONNECTED, .version = 5, .worker = 3, .listener_port = 50000};
    snapshot.has_boot = true;
    memset(snapshot.boot, 0xb0, sizeof snapshot.boot);
    snapshot.has_address = address_parse("192.0.2.7:40001", &snapshot.address);
    assert_true(snapshot.has_address);
    return snapshot;
}

static void a_name_has_a_slot_until_it_goes(void **state)
{
    struct snapshots *all = *state;
    struct config_labels *labels = (struct config_labels *)(uintptr_t)&seen;
    assert_int_equal(snapshots_find(all, "web-1"), 0);
    assert_true(snapshots_reserve(all, 5000));
    uint32_t slot = snapshots_slot(all, "web-1", NULL), other = snapshots_slot(all, LONG_NAME, labels);
    assert_true(slot != 0 && other != 0 && slot != other);
    assert_int_equal(snapshots_slot(all, "web-1", labels), slot);
    assert_int_equal(snapshots_find(all, LONG_NAME), other);
    assert_true(snapshots_look(all, LONG_NAME, see, NULL));
    assert_ptr_equal(seen.last.labels, labels);
    snapshots_set_labels(all, other, NULL);
    assert_true(snapshots_look(all, LONG_NAME, see, NULL));
    assert_null(seen.last.labels);
    snapshots_remove(all, other);
    snapshots_remove(all, other);
    assert_int_equal(snapshots_find(all, LONG_NAME), 0);
    assert_false(snapshots_look(all, LONG_NAME, see, NULL));
    assert_int_equal(seen.count, 2);
}

static void a_slot_is_given_away_only_after_a_collection(void **state)
{
    struct snapshots *all = *state;
    uint32_t slot = snapshots_slot(all, LONG_NAME, NULL);
    snapshots_note_hold(all, slot, 77);
    snapshots_remove(all, slot);
    uint32_t meanwhile = snapshots_slot(all, "web-2", NULL);
    assert_int_not_equal(meanwhile, slot);
    snapshots_collect(all);
    assert_int_equal(snapshots_slot(all, "web-3", NULL), slot);
    assert_true(snapshots_look(all, "web-3", see, NULL));
    assert_int_equal(seen.last.more.held_until_us, 0); /* nothing of the target before */
    assert_int_equal(seen.last.snapshot.state, TARGET_NEVER_SEEN);
    snapshots_remove(all, meanwhile);
    assert_int_equal(snapshots_slot(all, "web-2", NULL), meanwhile); /* back before it was collected */
    snapshots_collect(all);
    assert_int_equal(snapshots_find(all, "web-2"), meanwhile);
}

static void names_are_read_in_order(void **state)
{
    struct snapshots *all = *state;
    static const char *const names[] = {"d", "b", LONG_NAME, "c"};
    for (size_t i = 0; i < 4; ++i)
        assert_int_not_equal(snapshots_slot(all, names[i], NULL), 0);
    for (unsigned round = 0; round < 2; ++round, look_again()) {
        snapshots_each(all, NULL, see, NULL);
        assert_int_equal(seen.count, 4);
        assert_string_equal(seen.names[0], LONG_NAME);
        assert_string_equal(seen.names[3], "d");
    }
    snapshots_each(all, "bb", see, NULL);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.names[0], "c");
    look_again();
    seen.stop_at = 2;
    snapshots_each(all, NULL, see, NULL);
    assert_int_equal(seen.count, 2);
    look_again();
    snapshots_remove(all, snapshots_find(all, "c"));
    snapshots_each(all, "b", see, NULL);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.names[0], "d");
}

static void a_state_is_published_with_its_time(void **state)
{
    struct snapshots *all = *state;
    uint32_t slot = snapshots_slot(all, "web-1", NULL);
    struct snapshot snapshot = connected();
    assert_true(snapshots_publish(all, slot, &snapshot, 1000));
    assert_false(snapshots_publish(all, slot, &snapshot, 2000));
    snapshots_heard(all, slot, 2500);
    assert_true(snapshots_look(all, "web-1", see, NULL));
    const struct snapshot *read = &seen.last.snapshot;
    assert_int_equal(read->since_us, 1000);
    assert_int_equal(read->last_seen_us, 2500);
    assert_true(read->has_boot && read->has_address && !read->has_session && !read->stale);
    assert_true(address_equal(&read->address, &snapshot.address));
    assert_memory_equal(read->boot, snapshot.boot, sizeof read->boot);
    assert_int_equal(read->version, 5);
    assert_int_equal(read->worker, 3);
    assert_int_equal(read->listener_port, 50000);
    snapshot.state = TARGET_HELD;
    assert_true(snapshots_publish(all, slot, &snapshot, 3000));
    assert_int_equal(snapshots_state(all, slot), TARGET_HELD);
}

static void what_an_earlier_process_left_is_stale(void **state)
{
    struct snapshots *all = *state;
    uint32_t slot = snapshots_slot(all, "web-1", NULL);
    struct snapshot stored = connected(), never = {.state = TARGET_NEVER_SEEN};
    stored.state = TARGET_HELD;
    stored.since_us = 500;
    snapshots_restore(all, slot, &stored);
    assert_false(snapshots_publish(all, slot, &never, 1000)); /* it stays while the machine says nothing */
    assert_true(snapshots_look(all, "web-1", see, NULL));
    assert_true(seen.last.snapshot.stale);
    assert_int_equal(seen.last.snapshot.state, TARGET_HELD);
    assert_int_equal(seen.last.snapshot.since_us, 500);
    assert_true(snapshots_publish(all, slot, &stored, 2000)); /* the same, and now it is known */
    snapshots_restore(all, slot, &never);
    assert_true(snapshots_look(all, "web-1", see, NULL));
    assert_false(seen.last.snapshot.stale);
    assert_int_equal(seen.last.snapshot.since_us, 2000);
}

static void a_kernel_belongs_to_a_boot(void **state)
{
    struct snapshots *all = *state;
    uint32_t slot = snapshots_slot(all, "web-1", NULL);
    struct snapshot snapshot = connected();
    uint16_t one = snapshots_kernel(all, "{\"build_lab\":\"a\"}"),
             other = snapshots_kernel(all, "{\"build_lab\":\"b\"}");
    assert_int_equal(snapshots_kernel(all, "{\"build_lab\":\"a\"}"), one);
    assert_int_not_equal(one, other);
    assert_string_equal(snapshots_kernel_text(all, other), "{\"build_lab\":\"b\"}");
    assert_null(snapshots_kernel_text(all, 0));
    assert_null(snapshots_kernel_text(all, 99));
    (void)snapshots_publish(all, slot, &snapshot, 1000);
    snapshots_note_kernel(all, slot, other);
    (void)snapshots_publish(all, slot, &snapshot, 1001);
    (void)snapshots_look(all, "web-1", see, NULL);
    assert_int_equal(seen.last.snapshot.kernel, other);
    snapshot.boot[0] ^= 1;
    (void)snapshots_publish(all, slot, &snapshot, 1002);
    (void)snapshots_look(all, "web-1", see, NULL);
    assert_int_equal(seen.last.snapshot.kernel, 0);
}

static void kernels_without_end_take_no_memory(void **state)
{
    struct snapshots *all = *state;
    char json[32];
    unsigned known = 0;
    for (unsigned i = 0; i < SNAPSHOTS_KERNELS_MAX + 10; ++i) {
        (void)snprintf(json, sizeof json, "{\"build_lab\":\"%u\"}", i);
        known += snapshots_kernel(all, json) != 0;
    }
    assert_int_equal(known, SNAPSHOTS_KERNELS_MAX - 1);
    assert_int_equal(snapshots_kernel(all, "{\"build_lab\":\"0\"}"), 1);
}

static void the_best_verdict_of_a_crash_counts(void **state)
{
    struct snapshots *all = *state;
    uint32_t slot = snapshots_slot(all, "web-1", NULL);
    static const struct {
        const char *crash, *verdict, *then;
        uint64_t time_us, since_us;
    } steps[] = {{"6ae1abbada9a679d", "unknown", "unknown", 10, 10},
                 {"6ae1abbada9a679d", "not_started", "not_started", 20, 10},
                 {"6ae1abbada9a679d", "unknown", "not_started", 30, 10},
                 {"6ae1abbada9a679d", "written", "written", 40, 10},
                 {"6ae1abbada9a679d", "not_started", "written", 50, 10},
                 {"0000000000000001", "unknown", "unknown", 60, 60}};
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; ++i) {
        snapshots_note_crash(all, slot, steps[i].crash, steps[i].verdict, steps[i].time_us);
        (void)snapshots_look(all, "web-1", see, NULL);
        assert_string_equal(seen.last.more.crash, steps[i].crash);
        assert_string_equal(seen.last.more.verdict, steps[i].then);
        assert_int_equal(seen.last.more.crash_us, steps[i].since_us);
    }
}

static void what_an_earlier_process_knew_of_a_crash_gives_its_time(void **state)
{
    struct snapshots *all = *state;
    static const struct {
        const char *noted, *verdict, *crash, *then;
        uint64_t time_us;
    } cases[] = {{NULL, NULL, "6ae1abbada9a679d", "failed", 10},
                 {"6ae1abbada9a679d", "unknown", "6ae1abbada9a679d", "failed", 10},
                 {"6ae1abbada9a679d", "written", "6ae1abbada9a679d", "written", 10},
                 {"0000000000000001", "unknown", "0000000000000001", "unknown", 50}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        char name[8];
        (void)snprintf(name, sizeof name, "web-%zu", i);
        uint32_t slot = snapshots_slot(all, name, NULL);
        if (cases[i].noted)
            snapshots_note_crash(all, slot, cases[i].noted, cases[i].verdict, 50);
        snapshots_restore_crash(all, slot, "6ae1abbada9a679d", "failed", 10);
        (void)snapshots_look(all, name, see, NULL);
        assert_string_equal(seen.last.more.crash, cases[i].crash);
        assert_string_equal(seen.last.more.verdict, cases[i].then);
        assert_int_equal(seen.last.more.crash_us, cases[i].time_us);
    }
}

static uint64_t since_of(struct snapshots *all)
{
    (void)snapshots_look(all, "web-1", see, NULL);
    return seen.last.snapshot.since_us;
}

static void a_hold_goes_on_over_a_restart_until_the_machine_is_let_go_on(void **state)
{
    struct snapshots *all = *state;
    uint32_t slot = snapshots_slot(all, "web-1", NULL);
    struct snapshot snapshot = connected();
    snapshot.has_boot = true;
    snapshot.boot[0] = 7;
    snapshot.since_us = 10;
    snapshot.state = TARGET_HELD;
    snapshots_restore(all, slot, &snapshot);
    snapshots_restore_hold(all, slot, &snapshot);
    assert_int_equal(since_of(all), 10);
    snapshot.state = TARGET_CONNECTED;
    (void)snapshots_publish(all, slot, &snapshot, 50);
    assert_int_equal(since_of(all), 50);
    snapshot.state = TARGET_HELD;
    (void)snapshots_publish(all, slot, &snapshot, 60);
    assert_int_equal(since_of(all), 10);
    snapshot.boot[0] = 8; /* it was started again, by hand */
    (void)snapshots_publish(all, slot, &snapshot, 70);
    assert_int_equal(since_of(all), 60);
    snapshot.boot[0] = 7;
    snapshots_note_release(all, slot);
    (void)snapshots_publish(all, slot, &snapshot, 80);
    assert_int_equal(since_of(all), 60);
}

static void rare_facts_are_read_beside(void **state)
{
    struct snapshots *all = *state;
    uint32_t slot = snapshots_slot(all, "web-1", NULL);
    struct address host;
    assert_true(address_parse("198.51.100.9:50000", &host));
    snapshots_note_hold(all, slot, 77);
    snapshots_note_other_host(all, slot, &host, 88);
    (void)snapshots_look(all, "web-1", see, NULL);
    assert_int_equal(seen.last.more.held_until_us, 77);
    assert_int_equal(seen.last.more.other_host_us, 88);
    assert_true(address_equal(&seen.last.more.other_host, &host));
}

static void states_are_counted(void **state)
{
    struct snapshots *all = *state;
    char name[16];
    struct snapshot snapshot = connected();
    for (unsigned i = 0; i < 10; ++i) {
        (void)snprintf(name, sizeof name, "web-%u", i);
        uint32_t slot = snapshots_slot(all, name, NULL);
        snapshot.state = i < 6 ? TARGET_CONNECTED : TARGET_HELD;
        snapshot.last_seen_us = 100 + i;
        if (i < 9)
            (void)snapshots_publish(all, slot, &snapshot, 100);
    }
    snapshots_remove(all, snapshots_find(all, "web-0"));
    size_t counts[TARGET_STATES];
    snapshots_count(all, counts);
    assert_int_equal(counts[TARGET_CONNECTED], 5);
    assert_int_equal(counts[TARGET_HELD], 3);
    assert_int_equal(counts[TARGET_NEVER_SEEN], 1);
    assert_int_equal(counts[TARGET_LOST], 0);
    assert_int_equal(snapshots_heard_since(all, 107), 2);
}

static void what_changed_is_handed_on_once(void **state)
{
    struct snapshots *all = *state;
    struct snapshot snapshot = connected();
    uint32_t one = snapshots_slot(all, "web-1", NULL), gone = snapshots_slot(all, "web-2", NULL);
    (void)snapshots_publish(all, one, &snapshot, 1);
    (void)snapshots_publish(all, gone, &snapshot, 1);
    snapshots_remove(all, gone);
    assert_int_equal(snapshots_changed(all, see, NULL, 1000), 1);
    assert_string_equal(seen.names[0], "web-1");
    snapshots_heard(all, one, 50);
    assert_int_equal(snapshots_changed(all, see, NULL, 1000), 0);
    snapshots_note_kernel(all, one, 1);
    assert_int_equal(snapshots_changed(all, see, NULL, 1000), 1);
    assert_int_equal(seen.count, 2);
}

static void states_have_names(void **state)
{
    (void)state;
    enum target_state parsed = TARGET_STATES;
    for (unsigned i = 0; i < TARGET_STATES; ++i) {
        assert_true(target_state_parse(target_state_name((enum target_state)i), &parsed));
        assert_int_equal(parsed, i);
    }
    assert_false(target_state_parse("Held", &parsed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_name_has_a_slot_until_it_goes, make, unmake),
        cmocka_unit_test_setup_teardown(a_slot_is_given_away_only_after_a_collection, make, unmake),
        cmocka_unit_test_setup_teardown(names_are_read_in_order, make, unmake),
        cmocka_unit_test_setup_teardown(a_state_is_published_with_its_time, make, unmake),
        cmocka_unit_test_setup_teardown(what_an_earlier_process_left_is_stale, make, unmake),
        cmocka_unit_test_setup_teardown(a_kernel_belongs_to_a_boot, make, unmake),
        cmocka_unit_test_setup_teardown(kernels_without_end_take_no_memory, make, unmake),
        cmocka_unit_test_setup_teardown(the_best_verdict_of_a_crash_counts, make, unmake),
        cmocka_unit_test_setup_teardown(what_an_earlier_process_knew_of_a_crash_gives_its_time, make, unmake),
        cmocka_unit_test_setup_teardown(a_hold_goes_on_over_a_restart_until_the_machine_is_let_go_on, make, unmake),
        cmocka_unit_test_setup_teardown(rare_facts_are_read_beside, make, unmake),
        cmocka_unit_test_setup_teardown(states_are_counted, make, unmake),
        cmocka_unit_test_setup_teardown(what_changed_is_handed_on_once, make, unmake),
        cmocka_unit_test(states_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
