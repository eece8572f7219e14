/* SPDX-License-Identifier: Apache-2.0 */
/* What events say of a crash: the break, the bug check, the status, the cause, the evidence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kdnet/crash/trace.h"
#include "service/output/event_json.h"
#include "tests/service/event_line.h"

#include <jansson.h>

#include <cmocka.h>

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
        cmocka_unit_test(a_bugcheck_is_named_with_its_parameters),
        cmocka_unit_test(a_break_is_told_with_its_exception),
        cmocka_unit_test(a_status_that_was_read_is_told_whole),
        cmocka_unit_test(what_is_not_known_is_null_and_has_a_reason),
        cmocka_unit_test(a_dump_that_is_not_started_has_no_status_name),
        cmocka_unit_test(milliseconds_are_written_short),
        cmocka_unit_test(an_assessment_stands_beside_an_unknown_verdict),
        cmocka_unit_test(cause_stack_and_bucket_are_told),
        cmocka_unit_test(a_crash_without_a_last_break_is_told),
        cmocka_unit_test(evidence_is_told_by_name_and_what_is_not_known_with_its_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
