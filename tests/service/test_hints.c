/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/fleet/beats.h"
#include "service/fleet/hints_file.h"
#include "tests/support/remove_tree.h"
#include "tests/support/wait_for.h"

#include <cmocka.h>
#include <unistd.h>

#define MINUTE HINTS_EVERY_S

static struct hint hint_of(const char *machine, uint64_t time_us)
{
    struct hint hint = {.version = 5, .time_us = time_us};
    assert_true(address_parse(machine, &hint.machine));
    assert_true(address_parse("198.51.100.1:50000", &hint.local));
    return hint;
}

static struct hint crashed(const char *machine, uint8_t crash, uint64_t time_us)
{
    struct hint hint = hint_of(machine, time_us);
    hint.boot_known = hint.crash_known = true;
    memset(hint.boot, 0xb0, sizeof hint.boot);
    memset(hint.crash, crash, sizeof hint.crash);
    memset(hint.crash_boot, 0xb0, sizeof hint.crash_boot);
    return hint;
}

static int make(void **state)
{
    *state = hints_new(7);
    hints_want(*state, HINTS_TO_KEEP);
    return *state ? 0 : -1;
}

static int unmake(void **state)
{
    hints_free(*state);
    return 0;
}

static void text_says_all_of_a_hint(void **state)
{
    char text[HINTS_TEXT_SIZE];
    struct hint read, one = crashed("192.0.2.7:40001", 0xc1, 5), other = hint_of("[2001:db8::7]:40001", 6);
    (void)state;
    one.released_us = 4;
    size_t length = hint_format(&one, text);
    assert_string_equal(text,
                        "192.0.2.7:40001 198.51.100.1:50000 5 b0b0b0b0b0b0b0b0 c1c1c1c1c1c1c1c1 b0b0b0b0b0b0b0b0 4 5");
    assert_int_equal(length, strlen(text));
    assert_true(hint_parse(text, length, &read));
    assert_memory_equal(read.crash, one.crash, sizeof read.crash);
    assert_true(read.boot_known && read.crash_known && read.released_us == 4 && read.time_us == 5);
    length = hint_format(&other, text);
    assert_string_equal(text, "[2001:db8::7]:40001 198.51.100.1:50000 5 - - - 0 6");
    assert_true(hint_parse(text, length, &read));
    assert_true(!read.boot_known && !read.crash_known && address_equal(&read.machine, &other.machine));
}

static void what_is_no_hint_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "192.0.2.7:1",
        "192.0.2.7:1 198.51.100.1:1 5 - - - 0",
        "192.0.2.7:1 198.51.100.1:1 5 - - - 0 1 1",
        "192.0.2.7:0 198.51.100.1:1 5 - - - 0 1", /* no port */
        "0.0.0.0:1 198.51.100.1:1 5 - - - 0 1",   /* nobody */
        "224.0.0.1:1 198.51.100.1:1 5 - - - 0 1", /* many */
        "[ff02::1]:1 198.51.100.1:1 5 - - - 0 1", /* many */
        "255.255.255.255:1 192.0.2.1:1 5 - - - 0 1",
        "192.0.2.7:1 198.51.100.1:1 256 - - - 0 1",
        "192.0.2.7:1 198.51.100.1:1 5x - - - 0 1",
        "192.0.2.7:1 198.51.100.1:1 5 b0 - - 0 1",
        "192.0.2.7:1 198.51.100.1:1 5 - - - 0 9223372036854775808", /* a time that no clock has */
        "192.0.2.7:1 198.51.100.1:1 5 B0B0B0B0B0B0B0B0 - - 0 1",
        "192.0.2.7:1 198.51.100.1:1 5 - - - 0 ",
        "192.0.2.7:1 198.51.100.1:1 5 - c1c1c1c1c1c1c1c1x - 0 1",
    };
    char many[2 * HINTS_TEXT_SIZE];
    struct hint read;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; ++i)
        assert_false(hint_parse(wrong[i], strlen(wrong[i]), &read));
    memset(many, 'a', sizeof many);
    assert_false(hint_parse(many, sizeof many, &read));
    assert_false(hint_parse(many, HINTS_TEXT_SIZE - 1, &read));
    assert_false(hint_parse("192.0.2.7:1\0 198.51.100.1:1 5 - - - 0 1", 40, &read));
    /* A crash without its boot is none. */
    assert_true(hint_parse("192.0.2.7:1 198.51.100.1:1 5 - c1c1c1c1c1c1c1c1 - 0 1", 53, &read));
    assert_false(read.crash_known);
}

static void a_hint_is_kept_once_a_minute(void **state)
{
    struct hints *hints = *state;
    char name[CONFIG_NAME_SIZE];
    struct hint out, hint = hint_of("192.0.2.7:40001", 0);
    assert_true(hints_note(hints, "web-1", &hint, 1000));
    assert_false(hints_note(hints, "web-1", &hint, 1001)); /* no news */
    assert_true(hints_next_due(hints, HINTS_TO_KEEP, 1, name, &out));
    assert_string_equal(name, "web-1");
    assert_int_equal(out.time_us, 1000);
    assert_false(hints_next_due(hints, HINTS_TO_KEEP, 1, name, &out));
    hint.machine.port = 40002;
    assert_true(hints_note(hints, "web-1", &hint, 900)); /* the clock went back, a hint does not */
    assert_false(hints_next_due(hints, HINTS_TO_KEEP, MINUTE, name, &out));
    assert_true(hints_next_due(hints, HINTS_TO_KEEP, MINUTE + 1, name, &out));
    assert_int_equal(out.time_us, 1001);
    assert_false(hints_next_due(hints, HINTS_TO_PUBLISH, 5000, name, &out)); /* nobody wants those */
}

static void a_crash_does_not_wait_for_its_minute(void **state)
{
    struct hints *hints = *state;
    char name[CONFIG_NAME_SIZE];
    struct hint out, hint = hint_of("192.0.2.7:40001", 0);
    unsigned kept = 0;
    assert_true(hints_note(hints, "web-1", &hint, 1000));
    assert_true(hints_next_due(hints, HINTS_TO_KEEP, 1, name, &out));
    for (uint8_t crash = 1; crash < 20; ++crash) {
        hint = crashed("192.0.2.7:40001", crash, 0);
        assert_true(hints_note(hints, "web-1", &hint, 1000U + crash));
        kept += hints_next_due(hints, HINTS_TO_KEEP, 2, name, &out);
        (void)hints_next_due(hints, HINTS_TO_KEEP, 2, name, &out); /* to the end of the line */
    }
    assert_int_equal(kept, HINTS_CRASH_MORE);
    assert_true(hints_next_due(hints, HINTS_TO_KEEP, MINUTE + 1, name, &out));
    assert_int_equal(out.crash[0], 19); /* the newest is not lost */
}

static void the_newer_of_two_counts(void **state)
{
    struct hints *hints = *state;
    struct hint out, newer = hint_of("192.0.2.8:40001", 2000), older = hint_of("192.0.2.9:40001", 1000);
    assert_false(hints_offer(hints, "web-1", &newer, true)); /* there is no such target */
    hints_place(hints, "web-1", (struct hint_place){.row = 3, .worker = 1});
    assert_false(hints_find(hints, "web-1", &out));
    assert_true(hints_offer(hints, "web-1", &newer, true));
    assert_false(hints_offer(hints, "web-1", &older, true));
    newer.time_us = UINT64_C(1) << 62; /* a clock that is far ahead would win for ever */
    assert_false(hints_offer(hints, "web-1", &newer, true));
    assert_true(hints_take_others(hints, "web-1", &out));
    assert_int_equal(out.time_us, 2000);
    assert_false(hints_take_others(hints, "web-1", &out));
    assert_true(hints_note(hints, "web-1", &older, 3000));
    assert_true(hints_find(hints, "web-1", &out));
    assert_true(address_equal(&out.machine, &older.machine));
    assert_int_equal(hints_count(hints), 1);
}

/* Who meets the machine before the other one's hint came knows it by that; and never learns of an earlier boot's. */
static void a_late_hint_tells_of_the_crash(void **state)
{
    struct hints *hints = *state;
    struct hint out, met = hint_of("192.0.2.7:40001", 0), late = crashed("192.0.2.7:40001", 0xc1, 1000);
    hints_place(hints, "web-1", (struct hint_place){.row = 3});
    assert_true(hints_note(hints, "web-1", &met, 2000));
    assert_false(hints_take_others(hints, "web-1", &out));
    assert_true(hints_offer(hints, "web-1", &late, true));
    assert_false(hints_note(hints, "web-1", &met, 2500)); /* not before it was taken */
    assert_true(hints_take_others(hints, "web-1", &out));
    assert_true(out.crash_known && out.released_us == 0 && out.time_us == 2000);
    met = out;
    assert_false(hints_note(hints, "web-1", &met, 3000));
    late.released_us = 900;
    late.time_us = 1001;
    assert_true(hints_offer(hints, "web-1", &late, true));
    assert_true(hints_take_others(hints, "web-1", &out));
    assert_int_equal(out.released_us, 900);
    assert_false(hints_offer(hints, "web-1", &late, true)); /* nothing new */
    met = hint_of("192.0.2.7:40001", 0);
    met.boot_known = true; /* a new boot */
    assert_true(hints_note(hints, "web-1", &met, 4000));
    assert_false(hints_offer(hints, "web-1", &late, true));
    /* A newer one that knows less takes nothing away. */
    late.time_us = 5000;
    assert_true(hints_offer(hints, "web-1", &late, true));
    late = hint_of("192.0.2.9:40001", 6000);
    assert_true(hints_offer(hints, "web-1", &late, true));
    assert_true(hints_find(hints, "web-1", &out));
    assert_true(out.crash_known && out.released_us == 900 && address_equal(&out.machine, &late.machine));
}

static void a_crash_is_due_before_those_that_wait(void **state)
{
    struct hints *hints = *state;
    char name[CONFIG_NAME_SIZE];
    struct hint out, hint = hint_of("192.0.2.7:40001", 0);
    assert_false(hints_wait(hints, HINTS_TO_KEEP, 1));
    for (unsigned round = 0; round < 2; ++round) /* of 20,000, that are kept, and then wait for their minute */
        for (unsigned i = 0; i < 20000; ++i) {
            (void)snprintf(name, sizeof name, "web-%u", i);
            hint.machine.ip[14] = (uint8_t)(i >> 8);
            hint.machine.ip[15] = (uint8_t)i;
            hint.machine.port = (uint16_t)(40001 + round);
            assert_true(hints_note(hints, name, &hint, 1000 + round));
            assert_int_equal(hints_next_due(hints, HINTS_TO_KEEP, 1, name, &out), round == 0);
        }
    hint = crashed("192.0.2.7:40002", 1, 0);
    (void)hints_wait(hints, HINTS_TO_KEEP, 1);
    assert_true(hints_note(hints, "web-77", &hint, 3000));
    assert_true(hints_wait(hints, HINTS_TO_KEEP, UINT64_MAX / 4));
    assert_true(hints_next_due(hints, HINTS_TO_KEEP, 2, name, &out));
    assert_string_equal(name, "web-77");
}

static bool may_ask(void *user, const struct hint *hint)
{
    return hint->machine.port != *(const uint16_t *)user;
}

static void what_a_reload_changes(void **state)
{
    struct hints *hints = *state;
    char name[CONFIG_NAME_SIZE];
    struct hint out, hint = crashed("192.0.2.7:40001", 1, 1000);
    hints_want(hints, HINTS_TO_PUBLISH);
    assert_false(hints_has_new(hints));
    for (unsigned i = 0; i < 4; ++i) {
        (void)snprintf(name, sizeof name, "web-%u", i);
        hints_place(hints, name, (struct hint_place){.row = i});
        hint.machine.port = (uint16_t)(40001 + i);
        assert_true(i == 3 || hints_offer(hints, name, &hint, false));
    }
    assert_true(hints_has_new(hints) && !hints_has_new(hints));
    hints_leave(hints, "web-0"); /* is removed */
    hints_leave(hints, "web-1"); /* gets another key, and so another row */
    hints_place(hints, "web-1", (struct hint_place){.row = 7});
    hints_rename(hints, "web-2", "db-2");
    hints_leave(hints, "web-2");
    hints_place(hints, "db-2", (struct hint_place){.row = 2});
    hints_rename(hints, "web-3", "db-3"); /* of which nothing is known */
    hints_leave(hints, "web-3");
    hints_remove_left(hints);
    assert_int_equal(hints_removed(hints), 2);
    assert_true(hints_next_removed(hints, name));
    assert_string_equal(name, "web-2");
    assert_true(hints_next_removed(hints, name));
    assert_string_equal(name, "web-0");
    assert_false(hints_next_removed(hints, name));
    assert_false(hints_find(hints, "web-0", &out) || hints_find(hints, "web-2", &out));
    assert_true(hints_find(hints, "web-1", &out) && out.machine.port == 40002);
    assert_true(hints_find(hints, "db-2", &out) && out.machine.port == 40003 && out.crash_known);
    assert_true(hints_next_due(hints, HINTS_TO_PUBLISH, 1, name, &out));
    assert_string_equal(name, "db-2");
    assert_int_equal(hints_count(hints), 2);
}

/* Of one that serves no more, only its own are asked. */
static void machines_of_one_collector_are_asked(void **state)
{
    struct hints *hints = *state;
    struct hint one = hint_of("192.0.2.7:40001", 1000), other = hint_of("192.0.2.8:40001", 1000);
    uint16_t none = 0;
    struct hints_round round = {.now_s = 5, .collector = 2, .may_ask = may_ask, .user = &none};
    struct hint_question question;
    hints_place(hints, "one", (struct hint_place){.row = 1});
    hints_place(hints, "other", (struct hint_place){.row = 2});
    assert_true(hints_offer_of(hints, "one", &one, 1) && hints_offer_of(hints, "other", &other, 2));
    assert_true(hints_next_question(hints, &round, &question));
    assert_string_equal(question.name, "other");
    assert_false(hints_next_question(hints, &round, &question));
}

static void a_machine_is_found_by_its_address(void **state)
{
    struct hints *hints = *state;
    struct hint_question found;
    struct hint one = hint_of("192.0.2.7:40001", 1000), other = hint_of("192.0.2.7:40001", 2000);
    hints_place(hints, "old", (struct hint_place){.row = 1});
    hints_place(hints, "new", (struct hint_place){.row = 2, .worker = 3});
    assert_false(hints_at(hints, &one.machine, 50000, &found));
    assert_true(hints_offer(hints, "old", &one, false) && hints_offer(hints, "new", &other, false));
    assert_true(hints_at(hints, &one.machine, 50000, &found));
    assert_string_equal(found.name, "new");
    assert_int_equal(found.place.worker, 3);
    assert_false(hints_at(hints, &one.machine, 50001, &found));
    hints_remove(hints, "new");
    hints_remove(hints, "new");
    assert_true(hints_at(hints, &one.machine, 50000, &found));
    assert_string_equal(found.name, "old");
    assert_int_equal(hints_count(hints), 1);
    hints_place(hints, "third", (struct hint_place){.row = 4}); /* where the second was */
    assert_int_equal(hints_targets(hints), 2);
}

static size_t ask(struct hints *hints, bool crashed_ones, uint64_t now_s, uint16_t but)
{
    struct hints_round round = {.crashed = crashed_ones, .now_s = now_s, .may_ask = may_ask, .user = &but};
    struct hint_question question;
    size_t count = 0;
    while (round.at != HINTS_NO_ROW)
        count += hints_next_question(hints, &round, &question);
    return count;
}

static void a_machine_is_asked_once_a_minute(void **state)
{
    struct hints *hints = *state;
    char name[CONFIG_NAME_SIZE], machine[ADDRESS_TEXT_SIZE];
    for (unsigned i = 0; i < 100; ++i) {
        (void)snprintf(name, sizeof name, "web-%u", i);
        (void)snprintf(machine, sizeof machine, "192.0.2.%u:%u", i / 2 + 1, 40000 + i % 2);
        struct hint hint = i < 10 ? crashed(machine, 1, 1000) : hint_of(machine, 1000);
        hints_place(hints, name, (struct hint_place){.row = i < 99 ? i : HINTS_NO_ROW});
        assert_true(hints_offer(hints, name, &hint, false));
    }
    size_t in_crash = ask(hints, true, 100, 0), others = ask(hints, false, 100, 40001);
    assert_int_equal(in_crash, 10);
    assert_in_range(others, 43, 45); /* an address is asked once in a moment, and two may share its place */
    assert_int_equal(ask(hints, true, 100 + MINUTE - 1, 0), 0);
    assert_in_range(ask(hints, true, 100 + MINUTE, 0), 9, 10);
    hints_note(hints, "web-0", &(struct hint){0}, 1); /* of nobody: it says nothing */
    assert_int_equal(hints_count(hints), 100);
}

static void a_file_is_read_line_by_line(void **state)
{
    struct hints *hints = *state;
    char text[2048] = "kdnetd-hints 1\n", name[CONFIG_NAME_SIZE];
    size_t length = strlen(text), passed_over = 0;
    struct hint out, hint = crashed("192.0.2.7:40001", 0xc1, 1000);
    uint32_t at = 0;
    for (const char *const *to = (const char *const[]){"web-1", "web-2", "gone", NULL}; *to; ++to)
        length += hints_file_line(*to, &hint, text + length, sizeof text - length);
    hints_place(hints, "web-1", (struct hint_place){.row = 1});
    hints_place(hints, "web-2", (struct hint_place){.row = 2});
    text[strlen("kdnetd-hints 1\nweb-1 19")] ^= 1; /* a damaged byte */
    memcpy(text + length, "web-2 cut", 9);
    assert_int_equal(hints_file_parse(hints, text, length + 9, &passed_over), 1);
    assert_int_equal(passed_over, 3); /* the damaged one, the one of no target, the one that is cut */
    assert_true(hints_each(hints, &at, name, &out));
    assert_string_equal(name, "web-2");
    assert_memory_equal(out.crash, hint.crash, sizeof out.crash);
    assert_false(hints_each(hints, &at, name, &out));
    assert_int_equal(hints_file_parse(hints, "kdnetd-hints 2\n", 15, &passed_over), 0);
    assert_int_equal(passed_over, 1);
    assert_int_equal(hints_file_line("web-1", &hint, text, 40), 0);
}

#define MANY 3000U

/* More than a buffer of lines, and each of them whole. */
static void many_hints_are_written_and_read(void **state)
{
    struct hints *hints = *state;
    char name[CONFIG_NAME_SIZE];
    size_t length = 0, passed_over = 0;
    struct hint out, hint = crashed("192.0.2.7:40001", 0xc1, 1000);
    uint32_t at = 0;
    unsigned count = 0;
    for (unsigned i = 0; i < MANY; ++i) {
        (void)snprintf(name, sizeof name, "web-%u", i);
        hints_place(hints, name, (struct hint_place){.row = i});
        hint.time_us = 1000 + i % 2; /* every second one is older */
        assert_true(hints_note(hints, name, &hint, hint.time_us));
    }
    char *text = hints_file_text(hints, 1001, &length);
    assert_non_null(text);
    assert_true(length > 100000);
    struct hints *others = hints_new(9);
    assert_non_null(others);
    for (unsigned i = 0; i < MANY; ++i) {
        (void)snprintf(name, sizeof name, "web-%u", i);
        hints_place(others, name, (struct hint_place){.row = i});
    }
    assert_int_equal(hints_file_parse(others, text, length, &passed_over), MANY / 2);
    assert_int_equal(passed_over, 0);
    while (hints_each(others, &at, name, &out)) {
        assert_int_equal(out.time_us, 1001);
        assert_int_equal(strtoul(name + 4, NULL, 10) % 2, 1);
        ++count;
    }
    assert_int_equal(count, MANY / 2);
    hints_free(others);
    free(text);
}

/* On a disk, too, where they come in pieces; each once, although the thread looks again at the end. */
static void many_hints_are_kept_in_a_file(void **state)
{
    struct hints *hints = *state;
    char folder[] = "/tmp/kdnetd-hints-XXXXXX", path[64], name[CONFIG_NAME_SIZE], line[HINTS_TEXT_SIZE + 128];
    struct hint hint = crashed("192.0.2.7:40001", 0xc1, 1000);
    unsigned lines = 0;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/hints", folder);
    for (unsigned i = 0; i < MANY; ++i) {
        (void)snprintf(name, sizeof name, "web-%u", i);
        hints_place(hints, name, (struct hint_place){.row = i});
        assert_true(hints_note(hints, name, &hint, 1));
    }
    struct hints_file *file = hints_file_open(hints, path);
    assert_non_null(file);
    hints_file_look(file);
    WAIT_FOR(access(path, F_OK) == 0);
    assert_true(hints_file_close(file, 60000));
    hints_file_look(NULL); /* where none is wanted */
    FILE *written = fopen(path, "r");
    assert_non_null(written);
    while (fgets(line, sizeof line, written))
        ++lines;
    assert_int_equal(fclose(written), 0);
    assert_int_equal(lines, MANY + 1);
    assert_true(remove_tree(folder));
}

static uint8_t beat(struct beats *beats, const char *text, uint64_t now_ms)
{
    return beats_take(beats, text, strlen(text), now_ms);
}

static void silence_and_farewells_are_told_once(void **state)
{
    struct beats beats;
    char text[BEATS_TEXT_SIZE];
    (void)state;
    assert_int_equal(beats_init(&beats, "c1"), 0);
    assert_int_equal(beats_number(&beats, "c1"), 0);
    assert_int_equal(beats_number(&beats, "c2"), 1);
    assert_int_equal(beats_format(&beats, BEATS_DRAINS, text), strlen("c1 drains"));
    assert_string_equal(text, "c1 drains");
    assert_false(beats_others(&beats, 1000));
    for (uint64_t now = 1000; now <= 2000; now += 100) {
        assert_int_equal(beat(&beats, "c1 serves", now), 0);
        assert_int_equal(beat(&beats, "c2 serves", now), 0);
        assert_int_equal(beat(&beats, "c3 serves", now), 0);
        assert_true(beats_others(&beats, now));
        assert_int_equal(beats_silent(&beats, now), 0);
    }
    assert_int_equal(beat(&beats, "c3 drains", 2050), 2);
    assert_int_equal(beat(&beats, "c3 drains", 2150), 0);
    assert_int_equal(beats_silent(&beats, 2400), 0); /* the broker says nothing to us either */
    (void)beat(&beats, "c1 serves", 2400);
    assert_int_equal(beats_silent(&beats, 2400), 1);
    assert_int_equal(beats_silent(&beats, 2401), 0);
    (void)beat(&beats, "c2 serves", 2500);
    assert_true(beats_others(&beats, 2500));
    assert_int_equal(beat(&beats, "c2 ends", 2600), 1);
    assert_false(beats_others(&beats, 2600));
    for (const char *const *to = (const char *const[]){"", " ", "c2", "c2 ", " serves", "c1 drains", NULL}; *to; ++to)
        assert_int_equal(beat(&beats, *to, 2700), 0);
    for (unsigned i = 0; i < 2 * BEATS_MAX; ++i) {
        (void)snprintf(text, sizeof text, "n%u", i);
        assert_in_range(beats_number(&beats, text), 0, BEATS_MAX);
    }
    beats_clear(&beats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_says_all_of_a_hint),
        cmocka_unit_test(what_is_no_hint_is_refused),
        cmocka_unit_test_setup_teardown(a_hint_is_kept_once_a_minute, make, unmake),
        cmocka_unit_test_setup_teardown(a_crash_does_not_wait_for_its_minute, make, unmake),
        cmocka_unit_test_setup_teardown(the_newer_of_two_counts, make, unmake),
        cmocka_unit_test_setup_teardown(a_late_hint_tells_of_the_crash, make, unmake),
        cmocka_unit_test_setup_teardown(a_crash_is_due_before_those_that_wait, make, unmake),
        cmocka_unit_test_setup_teardown(what_a_reload_changes, make, unmake),
        cmocka_unit_test_setup_teardown(machines_of_one_collector_are_asked, make, unmake),
        cmocka_unit_test(silence_and_farewells_are_told_once),
        cmocka_unit_test_setup_teardown(a_machine_is_found_by_its_address, make, unmake),
        cmocka_unit_test_setup_teardown(a_machine_is_asked_once_a_minute, make, unmake),
        cmocka_unit_test_setup_teardown(a_file_is_read_line_by_line, make, unmake),
        cmocka_unit_test_setup_teardown(many_hints_are_written_and_read, make, unmake),
        cmocka_unit_test_setup_teardown(many_hints_are_kept_in_a_file, make, unmake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
