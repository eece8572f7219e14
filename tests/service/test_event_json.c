/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kdnet/crash/trace.h"
#include "service/output/event_json.h"
#include "service/store/line.h"

#include <jansson.h>

#include <cmocka.h>

#define NOON 1795341600123456U /* 2026-11-22T10:00:00.123456Z */

static const struct address v4 = {.ip = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7}, .port = 51111};
static const struct address v6 = {.ip = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, .port = 50000};

static json_t *schema_of(const json_t *schema, const char *event)
{
    json_t *definition = json_object_get(json_object_get(schema, "$defs"), event);
    assert_non_null(definition);
    return definition;
}

static json_t *load_schema(void)
{
    char path[512];
    const char *source = getenv("KDNETD_SOURCE");
    json_error_t error;
    (void)snprintf(path, sizeof path, "%s/config/events.schema.json", source ? source : ".");
    json_t *schema = json_load_file(path, 0, &error);
    if (!schema)
        fail_msg("%s: %s", path, error.text);
    return schema;
}

/* Each field is in the schema, and each required one is there. */
static void assert_fits_schema(json_t *object)
{
    json_t *schema = load_schema(), *value = NULL;
    const json_t *definition = schema_of(schema, json_string_value(json_object_get(object, "event")));
    const char *key = NULL;
    size_t i = 0;
    json_object_foreach(object, key, value) if (!json_object_get(json_object_get(definition, "properties"), key))
        fail_msg("%s is not in the schema", key);
    json_array_foreach(json_object_get(definition, "required"), i,
                       value) if (!json_object_get(object, json_string_value(value)))
        fail_msg("%s is missing", json_string_value(value));
    json_decref(schema);
}

static json_t *parse(char *line, size_t length)
{
    json_error_t error;
    assert_non_null(line);
    assert_int_equal(strlen(line), length);
    assert_int_equal(line[length - 1], '\n');
    assert_ptr_equal(strchr(line, '\n'), line + length - 1);
    json_t *object = json_loads(line, 0, &error);
    if (!object)
        fail_msg("%s: %s", line, error.text);
    free(line);
    assert_fits_schema(object);
    return object;
}

static json_t *made(const struct kdnet_event *event, const struct address *address)
{
    struct event_json_subject subject = {.time_us = NOON, .collector = "c1", .target = "web-17", .address = address};
    size_t length = 0;
    char *line = event_json_event(&subject, event, &length);
    return parse(line, length);
}

static struct kdnet_event event_of(enum kdnet_event_type type)
{
    struct kdnet_event event;
    memset(&event, 0, sizeof event);
    event.type = type;
    for (uint8_t i = 0; i < KDNET_SESSION_ID_LENGTH; ++i)
        event.session[i] = (uint8_t)(0xa0 + i);
    return event;
}

static void assert_text(const json_t *object, const char *key, const char *wanted)
{
    const char *text = json_string_value(key ? json_object_get(object, key) : object);
    assert_non_null(text);
    assert_string_equal(text, wanted);
}

static void assert_null_field(const json_t *object, const char *key)
{
    assert_true(json_is_null(json_object_get(object, key)));
}

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

static void a_bugcheck_is_named_with_its_parameters(void **state)
{
    (void)state;
    struct kdnet_event event = event_of(KDNET_EVENT_BUGCHECK);
    event.u.bugcheck = (struct kdnet_event_bugcheck){
        .known = true, .from_memory = true, .data = {.code = 0xd1, .parameters = {1, 2, 0, 0xfffff801deadbeef}}};
    json_t *object = made(&event, &v4);
    assert_text(object, "code", "0x000000D1");
    assert_text(object, "name", "DRIVER_IRQL_NOT_LESS_OR_EQUAL");
    assert_text(object, "from", "memory");
    const json_t *parameters = json_object_get(object, "parameters");
    assert_int_equal(json_array_size(parameters), 4);
    assert_string_equal(json_string_value(json_array_get(parameters, 0)), "0x0000000000000001");
    assert_string_equal(json_string_value(json_array_get(parameters, 3)), "0xFFFFF801DEADBEEF");
    json_decref(object);
}

static void a_break_is_told_with_its_exception(void **state)
{
    (void)state;
    struct kdnet_event event = event_of(KDNET_EVENT_BREAK_IN);
    event.u.break_in = (struct kdnet_event_break_in){.phase = KDNET_PHASE_BREAK,
                                                     .exception = true,
                                                     .code = 0x80000003,
                                                     .address = 0xfffff80000001000,
                                                     .first_chance = true};
    json_t *object = made(&event, &v4);
    const json_t *exception = json_object_get(object, "exception");
    assert_text(object, "phase", "break");
    assert_text(exception, "code", "0x80000003");
    assert_text(exception, "name", "STATUS_BREAKPOINT");
    assert_text(exception, "address", "0xFFFFF80000001000");
    assert_true(json_is_true(json_object_get(exception, "first_chance")));
    json_decref(object);
    event.u.break_in = (struct kdnet_event_break_in){.phase = KDNET_PHASE_SHUTDOWN};
    object = made(&event, &v4);
    assert_text(object, "phase", "shutdown");
    assert_null_field(object, "exception");
    json_decref(object);
}

static void a_status_that_was_read_is_told_whole(void **state)
{
    (void)state;
    struct kdnet_event event = event_of(KDNET_EVENT_CRASH_STATUS);
    event.u.crash_status = (struct kdnet_event_crash_status){
        .phase = KDNET_PHASE_SHUTDOWN,
        .conclusion = {.verdict = KDNET_VERDICT_FAILED, .source = KDNET_SOURCE_RVA},
        .status_known = true,
        .status = 0xc000007f,
        .address_known = true,
        .address = 0xfffff80000c35de0,
        .bugcheck = {.known = true, .data = {.code = 0xe2}},
        .build_lab_known = true,
        .build_lab = "9600.17085.amd64fre",
        .rtt_us = 119,
        .read_us = 12345,
        .since_first_known = true,
        .since_first_us = 61000001,
        .break_status_known = true,
        .break_status = 3,
    };
    json_t *object = made(&event, &v4);
    const json_t *source = json_object_get(object, "source");
    assert_text(object, "status", "0xC000007F");
    assert_text(object, "status_name", "STATUS_DISK_FULL");
    assert_text(object, "verdict", "failed");
    assert_null_field(object, "reason");
    assert_text(source, "symbol", "nt!IopFinalCrashDumpStatus");
    assert_text(source, "address", "0xFFFFF80000C35DE0");
    assert_text(source, "from", "rva");
    assert_text(json_object_get(object, "bugcheck"), "code", "0x000000E2");
    assert_text(json_object_get(object, "bugcheck"), "from", "print");
    assert_text(object, "build_lab", "9600.17085.amd64fre");
    assert_text(json_object_get(object, "evidence"), "break_status", "0x3");
    assert_true(json_is_null(json_object_get(object, "tried")));
    assert_true(json_number_value(json_object_get(object, "rtt_ms")) == 0.119);
    assert_true(json_number_value(json_object_get(object, "read_ms")) == 12.345);
    assert_true(json_number_value(json_object_get(object, "since_first_ms")) == 61000.001);
    json_decref(object);
}

static void what_is_not_known_is_null_and_has_a_reason(void **state)
{
    (void)state;
    struct kdnet_event event = event_of(KDNET_EVENT_CRASH_STATUS);
    event.u.crash_status.phase = KDNET_PHASE_BOOT;
    event.u.crash_status.conclusion = (struct kdnet_conclusion){.reason = KDNET_REASON_NO_KERNEL};
    json_t *object = made(&event, &v4);
    assert_text(object, "verdict", "unknown");
    assert_text(object, "reason", "no_kernel");
    assert_null_field(object, "status");
    assert_null_field(object, "status_name");
    assert_null_field(object, "bugcheck");
    assert_null_field(object, "build_lab");
    assert_null_field(object, "rtt_ms");
    assert_null_field(object, "since_first_ms");
    assert_null_field(json_object_get(object, "source"), "address");
    assert_null_field(json_object_get(object, "source"), "from");
    assert_int_equal(json_object_size(json_object_get(object, "evidence")), 0);
    json_decref(object);
}

static void a_dump_that_is_not_started_has_no_status_name(void **state)
{
    (void)state;
    struct kdnet_event event = event_of(KDNET_EVENT_CRASH_STATUS);
    event.u.crash_status.status_known = true;
    event.u.crash_status.status = 0xffffffff;
    event.u.crash_status.conclusion.verdict = KDNET_VERDICT_NOT_STARTED;
    json_t *object = made(&event, &v4);
    assert_text(object, "status", "0xFFFFFFFF");
    assert_null_field(object, "status_name");
    assert_text(object, "verdict", "not_started");
    json_decref(object);
}

static void milliseconds_are_written_short(void **state)
{
    (void)state;
    struct kdnet_event event = event_of(KDNET_EVENT_RELEASED);
    struct event_json_subject subject = {.time_us = NOON, .collector = "c1", .target = "web-17", .address = &v4};
    event.u.released = (struct kdnet_event_released){.action = KDNET_ACTION_HOLD, .halted_us = 1234567890123};
    size_t length = 0;
    char *line = event_json_event(&subject, &event, &length);
    assert_non_null(line);
    assert_non_null(strstr(line, "\"action\":\"hold\",\"halted_ms\":1234567890.123,\"repeated\":0}\n"));
    json_decref(parse(line, length));
    event.u.released.action = KDNET_ACTION_CONTINUE;
    event.u.released.cleared = KDNET_LEFTOVER_HARDWARE_BREAKPOINT;
    json_t *object = made(&event, &v4);
    assert_text(object, "cleared", "hardware_breakpoint");
    json_decref(object);
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

static struct kdnet_event unknown_status(void)
{
    struct kdnet_event event = event_of(KDNET_EVENT_CRASH_STATUS);
    struct kdnet_event_crash_status *status = &event.u.crash_status;
    status->phase = status->dump.phase = KDNET_PHASE_SHUTDOWN;
    status->conclusion.reason = KDNET_REASON_SYMBOL_ABSENT;
    return event;
}

static void an_assessment_stands_beside_an_unknown_verdict(void **state)
{
    (void)state;
    struct kdnet_event event = unknown_status();
    json_t *object = made(&event, &v4);
    assert_null_field(object, "assessment");
    json_decref(object);
    event.u.crash_status.dump.now = (struct kdnet_dump_setup){.progress_known = true, .progress = 100};
    object = made(&event, &v4);
    assert_text(object, "verdict", "unknown");
    const json_t *assessment = json_object_get(object, "assessment");
    assert_text(assessment, "likely", "written");
    assert_text(assessment, "strength", "strong");
    assert_int_equal(json_array_size(json_object_get(assessment, "because")), 2);
    json_decref(object);
}

static void cause_stack_and_bucket_are_told(void **state)
{
    (void)state;
    static struct kdnet_trace trace = {
        .address = 0xfffff80012341234U,
        .address_image = 1,
        .frame_count = 2,
        .image_count = 2,
        .frame = {{0xfffff80000001500U, 0}, {0xfffff90000000001U, KDNET_TRACE_NO_IMAGE}},
        .image = {{.name = "ntoskrnl.exe", .base = 0xfffff80000000000U, .size = 0x10000},
                  {.name = "nic.sys", .base = 0xfffff80012340000U, .size = 0x8000, .stamp = 0x5f3a1b2c}}};
    struct kdnet_event event = unknown_status();
    json_t *object = made(&event, &v4);
    assert_null_field(object, "bucket");
    assert_null_field(object, "cause");
    assert_int_equal(json_array_size(json_object_get(object, "stack")), 0);
    json_decref(object);
    event.u.crash_status.trace = &trace;
    kdnet_trace_bucket(&trace, 0xd1, 20348, event.u.crash_status.bucket);
    object = made(&event, &v4);
    assert_text(object, "bucket", "D1 nic.sys+0x1234@5F3A1B2C");
    const json_t *cause = json_object_get(object, "cause"), *stack = json_object_get(object, "stack");
    assert_text(cause, "address", "0xFFFFF80012341234");
    assert_text(json_object_get(cause, "module"), "name", "nic.sys");
    assert_text(json_object_get(cause, "module"), "offset", "0x1234");
    assert_text(json_array_get(stack, 0), NULL, "ntoskrnl.exe+0x1500");
    assert_text(json_array_get(stack, 1), NULL, "0xFFFFF90000000001");
    assert_text(cause, "place", "nic.sys+0x1234");
    assert_null_field(json_object_get(cause, "module"), "pdb");
    json_decref(object);
    trace.pdb_image = 1;
    trace.pdb = (struct kdnet_pdb){.guid = {1, 2}, .age = 3, .name = "nic.pdb"};
    trace.address_name = (struct kdnet_trace_name){.offset = 0x34, .text = "NicRead"};
    trace.frame_name[0] = (struct kdnet_trace_name){.offset = 5, .text = "KiStop"};
    object = made(&event, &v4);
    assert_text(json_object_get(object, "cause"), "place", "nic.sys!NicRead+0x34");
    assert_text(json_array_get(json_object_get(object, "stack"), 0), NULL, "ntoskrnl.exe!KiStop+0x5");
    const json_t *pdb = json_object_get(json_object_get(json_object_get(object, "cause"), "module"), "pdb");
    assert_text(pdb, "name", "nic.pdb");
    assert_int_equal(json_string_length(json_object_get(pdb, "guid")), 32);
    json_decref(object);
}

static void a_crash_without_a_last_break_is_told(void **state)
{
    (void)state;
    struct kdnet_event event = event_of(KDNET_EVENT_NO_LAST_BREAK);
    event.u.no_last_break = (struct kdnet_event_no_last_break){.rebooted = true, .since_first_us = 30000000};
    json_t *object = made(&event, &v4);
    assert_text(object, "event", "no_last_break");
    assert_true(json_is_true(json_object_get(object, "rebooted")));
    assert_null_field(object, "bugcheck");
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

static struct kdnet_reads reads = {
    .count = 8,
    .read = {{.name = "byte", .kind = KDNET_READ_U8},
             {.name = "pointer", .kind = KDNET_READ_POINTER},
             {.name = "driver", .kind = KDNET_READ_UNICODE},
             {.name = "nobody", .kind = KDNET_READ_UNICODE},
             {.name = "gone", .kind = KDNET_READ_U32},
             {.name = "not_here", .kind = KDNET_READ_U32},
             {.name = "long_text", .kind = KDNET_READ_STRING},
             {.name = "no_text", .kind = KDNET_READ_STRING}},
};

static void evidence_is_told_by_name_and_what_is_not_known_with_its_reason(void **state)
{
    (void)state;
    struct kdnet_evidence evidence = {.reads = &reads,
                                      .texts_length = 6,
                                      .texts = "a\"\xff"
                                               "bcd"};
    evidence.value[0] = (struct kdnet_value){.state = KDNET_VALUE_KNOWN, .number = 5};
    evidence.value[1] = (struct kdnet_value){.state = KDNET_VALUE_KNOWN, .number = 0xfffff80000001000U};
    evidence.value[2] = (struct kdnet_value){.state = KDNET_VALUE_KNOWN, .text_length = 4};
    evidence.value[3].state = KDNET_VALUE_NULL_POINTER;
    evidence.value[4].state = KDNET_VALUE_SYMBOL_ABSENT;
    evidence.value[6] = (struct kdnet_value){.state = KDNET_VALUE_CUT, .text_at = 4, .text_length = 2};
    evidence.value[7].state = KDNET_VALUE_NO_ROOM;
    struct kdnet_event event = {.type = KDNET_EVENT_CRASH_STATUS};
    event.u.crash_status.conclusion.reason = KDNET_REASON_NO_SYMBOLS;
    event.u.crash_status.evidence = &evidence;
    struct event_json_subject subject = {
        .time_us = NOON, .collector = "c1", .target = "a", .tried = "/srv: no such folder"};
    size_t length = 0;
    char *line = event_json_event(&subject, &event, &length);
    json_t *object = parse(line, length);
    const json_t *told = json_object_get(object, "evidence"), *unknown = json_object_get(object, "evidence_unknown");
    assert_int_equal(json_object_size(told), 5);
    assert_text(told, "long_text", "cd");
    assert_text(unknown, "long_text", "cut");
    assert_text(unknown, "no_text", "no_room");
    assert_text(told, "byte", "0x05");
    assert_text(told, "pointer", "0xFFFFF80000001000");
    assert_text(told, "driver",
                "a\"\xef\xbf\xbd"
                "b");
    assert_true(json_is_null(json_object_get(told, "nobody")));
    assert_int_equal(json_object_size(unknown), 3);
    assert_text(unknown, "gone", "symbol_absent");
    assert_text(object, "tried", "/srv: no such folder");
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
        cmocka_unit_test(a_bugcheck_is_named_with_its_parameters),
        cmocka_unit_test(a_break_is_told_with_its_exception),
        cmocka_unit_test(a_status_that_was_read_is_told_whole),
        cmocka_unit_test(what_is_not_known_is_null_and_has_a_reason),
        cmocka_unit_test(a_dump_that_is_not_started_has_no_status_name),
        cmocka_unit_test(milliseconds_are_written_short),
        cmocka_unit_test(a_lost_target_is_told_with_when_it_was_seen),
        cmocka_unit_test(a_held_machine_is_told_with_why_and_until_when),
        cmocka_unit_test(what_was_suppressed_is_told_by_kind),
        cmocka_unit_test(an_assessment_stands_beside_an_unknown_verdict),
        cmocka_unit_test(cause_stack_and_bucket_are_told),
        cmocka_unit_test(a_crash_without_a_last_break_is_told),
        cmocka_unit_test(text_of_a_machine_is_made_valid),
        cmocka_unit_test(any_bytes_of_a_machine_make_a_line),
        cmocka_unit_test(an_unknown_machine_is_told_with_a_hint),
        cmocka_unit_test(evidence_is_told_by_name_and_what_is_not_known_with_its_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
