/* SPDX-License-Identifier: Apache-2.0 */
/* What each event says, and that any bytes of a machine make a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/output/event_json.h"
#include "service/store/line.h"
#include "tests/service/event_line.h"

#include <jansson.h>

#include <cmocka.h>

static const struct address v6 = {.ip = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, .port = 50000};

static void every_event_says_what_it_belongs_to(void **state)
{
    (void)state;
    static const char text[] = "ort\0K\xc3\xb6ln\0rack\0b\"4";
    union {
        struct config_labels labels;
        char room[sizeof(struct config_labels) + sizeof text];
    } set = {.labels.length = sizeof text};
    memcpy(set.labels.text, text, sizeof text);
    struct kdnet_event event = event_of(KDNET_EVENT_CRASH_STATUS);
    event.of =
        (struct kdnet_event_identity){.number = 3, .boot_known = true, .crash_known = true, .nested_known = true};
    memset(event.of.boot, 0x15, sizeof event.of.boot);
    memset(event.of.crash, 0x6a, sizeof event.of.crash);
    event.of.nested = (struct kdnet_bugcheck){0xa5, {1, 2, 3, 0xfffff80000000000U}};
    struct event_json_subject subject = {
        .time_us = NOON, .collector = "c1", .target = "web-17", .address = &v4, .labels = &set.labels};
    size_t length = 0;
    char *line = event_json_event(&subject, &event, &length);
    json_t *object = parse(line, length);
    const json_t *labels = json_object_get(object, "labels"), *nested = json_object_get(object, "bugcheck_nested");
    assert_text(object, "id", "6a6a6a6a6a6a6a6a-break-unknown");
    assert_text(object, "collector", "c1");
    assert_text(object, "boot", "1515151515151515");
    assert_text(object, "crash", "6a6a6a6a6a6a6a6a");
    assert_text(nested, "code", "0x000000A5");
    assert_text(json_array_get(json_object_get(nested, "parameters"), 3), NULL, "0xFFFFF80000000000");
    assert_int_equal(json_object_size(labels), 2);
    assert_text(labels, "rack", "b\"4");
    assert_text(labels, "ort", "K\xc3\xb6ln");
    json_decref(object);
}

static void what_is_not_known_is_null_and_no_labels_are_an_empty_object(void **state)
{
    (void)state;
    struct kdnet_event event = event_of(KDNET_EVENT_LOST);
    event.of.number = 9;
    json_t *object = made(&event, &v4);
    assert_text(object, "id", "c1-a0a1a2a3a4a5a6a7-9");
    assert_null_field(object, "boot");
    assert_null_field(object, "crash");
    assert_null(json_object_get(object, "bugcheck_nested"));
    assert_true(json_is_object(json_object_get(object, "labels")));
    assert_int_equal(json_object_size(json_object_get(object, "labels")), 0);
    json_decref(object);
}

static void every_event_says_when_and_who(void **state)
{
    (void)state;
    struct kdnet_event event = event_of(KDNET_EVENT_CONNECTED);
    event.u.connected.version = 5;
    event.u.connected.took_over = true;
    json_t *object = made(&event, &v4);
    assert_text(object, "time", "2026-11-22T10:00:00.123456Z");
    assert_text(object, "event", "connected");
    assert_text(object, "target", "web-17");
    assert_text(object, "address", "192.0.2.7:51111");
    assert_text(object, "session", "a0a1a2a3a4a5a6a7");
    assert_int_equal(json_integer_value(json_object_get(object, "version")), 5);
    assert_true(json_is_false(json_object_get(object, "rebooted")));
    assert_true(json_is_true(json_object_get(object, "took_over")));
    json_decref(object);
}

/* Seconds of 32 bits would end in 2038, those without a sign in 2106. */
static void years_after_2038_are_told_and_read(void **state)
{
    static const struct {
        uint64_t time_us;
        const char *text;
    } rows[] = {{2147483648000000, "2038-01-19T03:14:08.000000Z"},
                {4294967296000001, "2106-02-07T06:28:16.000001Z"},
                {32503679999999999, "2999-12-31T23:59:59.999999Z"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i) {
        char text[EVENT_JSON_TIME_SIZE];
        uint64_t time_us = 0;
        event_json_time(rows[i].time_us, text);
        assert_string_equal(text, rows[i].text);
        assert_true(store_time_parse(text, &time_us));
        assert_true(time_us == rows[i].time_us);
    }
}

static void an_ipv6_address_has_brackets_and_an_unknown_one_is_null(void **state)
{
    (void)state;
    struct kdnet_event event = event_of(KDNET_EVENT_CONNECTED);
    json_t *object = made(&event, &v6);
    assert_text(object, "address", "[2001:db8::1]:50000");
    json_decref(object);
    object = made(&event, NULL);
    assert_null_field(object, "address");
    json_decref(object);
}

static void a_kernel_is_told_with_its_symbol_file(void **state)
{
    (void)state;
    static const uint8_t guid[16] = {0xb9, 0xdb, 0x44, 0x38, 0x17, 0x20, 0x67, 0x49,
                                     0xbe, 0x7a, 0xa4, 0xa2, 0xc2, 0x04, 0x30, 0xfa};
    struct kdnet_event event = event_of(KDNET_EVENT_KERNEL);
    struct kdnet_event_kernel *kernel = &event.u.kernel;
    kernel->build = 22000;
    kernel->machine = KDNET_MACHINE_ARM64;
    kernel->kernel_base = 0xfffff80012345678;
    kernel->pdb_known = true;
    (void)snprintf(kernel->pdb.name, sizeof kernel->pdb.name, "ntkrnlmp.pdb");
    memcpy(kernel->pdb.guid, guid, sizeof guid);
    kernel->pdb.age = 2;
    json_t *object = made(&event, &v4);
    const json_t *pdb = json_object_get(object, "pdb");
    assert_text(object, "who", "nt");
    assert_text(object, "machine", "arm64");
    assert_text(object, "kernel_base", "0xFFFFF80012345678");
    assert_null_field(object, "build_lab");
    assert_text(pdb, "name", "ntkrnlmp.pdb");
    assert_text(pdb, "guid", "3844DBB920174967BE7AA4A2C20430FA");
    assert_int_equal(json_integer_value(json_object_get(pdb, "age")), 2);
    json_decref(object);
}

static void who_answers_is_named(void **state)
{
    (void)state;
    static const struct {
        uint8_t who;
        const char *name;
    } cases[] = {{0, "nt"}, {4, "boot"}, {8, "hypervisor"}, {77, "unknown"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        struct kdnet_event event = event_of(KDNET_EVENT_KERNEL);
        event.u.kernel.who = cases[i].who;
        json_t *object = made(&event, &v4);
        assert_text(object, "who", cases[i].name);
        assert_text(object, "machine", "unknown");
        assert_null_field(object, "pdb");
        json_decref(object);
    }
}

static void a_lost_target_is_told_with_when_it_was_seen(void **state)
{
    (void)state;
    struct kdnet_event event = event_of(KDNET_EVENT_LOST);
    event.u.lost = (struct kdnet_event_lost){.silent_us = 30000001, .halted = true};
    json_t *object = made(&event, &v4);
    assert_text(object, "last_seen", "2026-11-22T09:59:30.123455Z");
    assert_true(json_is_true(json_object_get(object, "halted")));
    json_decref(object);
}

static void a_held_machine_is_told_with_why_and_until_when(void **state)
{
    (void)state;
    struct kdnet_event event = event_of(KDNET_EVENT_HELD);
    event.u.held = (struct kdnet_event_held){.why = KDNET_BREAK_KIND_PROMPT, .hold_for_us = 60000000};
    json_t *object = made(&event, &v4);
    assert_text(object, "until", "2026-11-22T10:01:00.123456Z");
    assert_text(object, "why", "prompt");
    json_decref(object);
    event.u.held = (struct kdnet_event_held){.why = KDNET_BREAK_KIND_LOAD_SYMBOLS};
    object = made(&event, &v4);
    assert_null_field(object, "until");
    json_decref(object);
}

static void what_was_suppressed_is_told_by_kind(void **state)
{
    (void)state;
    struct kdnet_event event = event_of(KDNET_EVENT_SUPPRESSED);
    event.u.suppressed = (struct kdnet_event_suppressed){.kind = KDNET_EVENT_BUGCHECK, .count = 13280};
    json_t *object = made(&event, &v4);
    assert_text(object, "event", "suppressed");
    assert_text(object, "kind", "bugcheck");
    assert_int_equal(json_integer_value(json_object_get(object, "count")), 13280);
    json_decref(object);
}

static void text_of_a_machine_is_made_valid(void **state)
{
    (void)state;
    static const char text[] = "A\xff\xc3\xa4\xc0\xaf\xed\xa0\x80\xf0\x9f\x98\x80\xe2\x82\n\"\\";
    struct kdnet_event event = event_of(KDNET_EVENT_PRINT);
    event.u.print = (struct kdnet_event_print){.text = text, .length = sizeof text - 1};
    json_t *object = made(&event, &v4);
    assert_text(object, "text",
                "A\xef\xbf\xbd\xc3\xa4\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xf0\x9f\x98\x80"
                "\xef\xbf\xbd\xef\xbf\xbd\n\"\\");
    json_decref(object);
}

static void any_bytes_of_a_machine_make_a_line(void **state)
{
    (void)state;
    char text[4000];
    uint32_t seed = 5;
    for (int round = 0; round < 50; ++round) {
        for (size_t i = 0; i < sizeof text; ++i) {
            seed = seed * 1664525 + 1013904223;
            text[i] = (char)(seed >> 16);
        }
        struct kdnet_event event = event_of(KDNET_EVENT_PRINT);
        event.u.print = (struct kdnet_event_print){.text = text, .length = sizeof text};
        struct event_json_subject subject = {.time_us = NOON, .collector = "c1", .target = "web-17", .address = &v4};
        size_t length = 0;
        char *line = event_json_event(&subject, &event, &length);
        assert_non_null(line);
        json_t *object = json_loads(line, JSON_ALLOW_NUL, NULL);
        assert_non_null(object);
        json_decref(object);
        free(line);
    }
}

/* Each length of a line, short ones and those that need more room than most. */
static void lines_of_any_length_are_whole(void **state)
{
    char text[1400];
    size_t longest = 0;
    (void)state;
    memset(text, 1, sizeof text); /* six characters each */
    for (size_t i = 0; i < 6; ++i)
        for (size_t count = 0; count + i <= sizeof text; count += 7) {
            struct kdnet_event event = event_of(KDNET_EVENT_PRINT);
            struct event_json_subject subject = {
                .time_us = NOON, .collector = &"ccccc"[5 - i], .target = "web-17", .address = &v4};
            size_t length = 0;
            event.u.print = (struct kdnet_event_print){.text = text, .length = count};
            char *line = event_json_event(&subject, &event, &length);
            assert_non_null(line);
            assert_int_equal(strlen(line), length);
            assert_int_equal(line[length - 1], '\n');
            json_t *object = json_loadb(line, length, JSON_ALLOW_NUL, NULL);
            assert_int_equal(json_string_length(json_object_get(object, "text")), count);
            longest = length > longest ? length : longest;
            json_decref(object);
            free(line);
        }
    assert_in_range(longest, 8000, 20000);
}

static void an_unknown_machine_is_told_with_a_hint(void **state)
{
    (void)state;
    struct event_json_unknown unknown = {
        .time_us = NOON, .collector = "c1", .number = 7, .source = v4, .listen_port = 50000, .version = 5, .count = 20};
    size_t length = 0;
    char *line = event_json_unknown(&unknown, NULL, "compare the keys", &length);
    json_t *object = parse(line, length);
    assert_text(object, "event", "unknown_target");
    assert_text(object, "address", "192.0.2.7:51111");
    assert_text(object, "hint", "compare the keys");
    assert_text(object, "id", "c1-0000000000000000-7");
    assert_null_field(object, "target");
    assert_null_field(object, "session");
    assert_int_equal(json_integer_value(json_object_get(object, "version")), 5);
    assert_int_equal(json_integer_value(json_object_get(object, "count")), 20);
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_says_what_it_belongs_to),
        cmocka_unit_test(what_is_not_known_is_null_and_no_labels_are_an_empty_object),
        cmocka_unit_test(every_event_says_when_and_who),
        cmocka_unit_test(years_after_2038_are_told_and_read),
        cmocka_unit_test(an_ipv6_address_has_brackets_and_an_unknown_one_is_null),
        cmocka_unit_test(a_kernel_is_told_with_its_symbol_file),
        cmocka_unit_test(who_answers_is_named),
        cmocka_unit_test(a_lost_target_is_told_with_when_it_was_seen),
        cmocka_unit_test(a_held_machine_is_told_with_why_and_until_when),
        cmocka_unit_test(what_was_suppressed_is_told_by_kind),
        cmocka_unit_test(text_of_a_machine_is_made_valid),
        cmocka_unit_test(any_bytes_of_a_machine_make_a_line),
        cmocka_unit_test(lines_of_any_length_are_whole),
        cmocka_unit_test(an_unknown_machine_is_told_with_a_hint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
