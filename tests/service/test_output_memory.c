/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that runs out at any one allocation while an event is written, jansson's too: the text is whole, or there is
 * none, so that no event is taken as told that was not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kdnet/crash/trace.h"
#include "service/output/event_json.h"
#include "service/runtime/json_memory.h"
#include "service/sinks/feed.h"
#include "service/sinks/format.h"
#include "service/sinks/gzip.h"
#include "tests/service/event_line.h"
#include "tests/support/scarce.h"

#include <cmocka.h>

#define MOST   3000U
#define EVENTS 3U

static int set_up(void **state)
{
    (void)state;
    json_memory_watch();
    return 0;
}

/* --- events ------------------------------------------------------------------------------------------------------- */

static struct kdnet_trace trace = {
    .address = 0xfffff80012341234U,
    .address_image = 1,
    .frame_count = 2,
    .image_count = 2,
    .frame = {{0xfffff80000001500U, 0}, {0xfffff90000000001U, KDNET_TRACE_NO_IMAGE}},
    .image = {{.name = "ntoskrnl.exe", .base = 0xfffff80000000000U, .size = 0x10000},
              {.name = "nic.sys", .base = 0xfffff80012340000U, .size = 0x8000, .stamp = 0x5f3a1b2c}}};

static struct kdnet_reads reads = {
    .count = 3,
    .read = {{.name = "byte", .kind = KDNET_READ_U8},
             {.name = "gone", .kind = KDNET_READ_U32},
             {.name = "text", .kind = KDNET_READ_STRING}},
};

static const char label[] = "rack\0b4";
static union {
    struct config_labels labels;
    char room[sizeof(struct config_labels) + sizeof label];
} set = {.labels.length = sizeof label};
static struct kdnet_evidence evidence = {.reads = &reads, .texts_length = 3, .texts = "a\"\xff"};

/* Of each type that has fields of its own, with all that it may have. */
static const struct kdnet_event *event_of_round(unsigned round)
{
    static struct kdnet_event event;
    static const enum kdnet_event_type types[] = {KDNET_EVENT_CRASH_STATUS, KDNET_EVENT_BUGCHECK, KDNET_EVENT_BREAK_IN,
                                                  KDNET_EVENT_CONNECTED,    KDNET_EVENT_RELEASED, KDNET_EVENT_LOST,
                                                  KDNET_EVENT_BREAK_STORM};
    if (round == sizeof types / sizeof types[0])
        return NULL;
    event = event_of(types[round]);
    if (event.type == KDNET_EVENT_CRASH_STATUS) {
        evidence.value[0] = (struct kdnet_value){.state = KDNET_VALUE_KNOWN, .number = 5};
        evidence.value[1].state = KDNET_VALUE_SYMBOL_ABSENT;
        evidence.value[2] = (struct kdnet_value){.state = KDNET_VALUE_KNOWN, .text_length = 3};
        event.u.crash_status.conclusion.reason = KDNET_REASON_NO_SYMBOLS;
        event.u.crash_status.trace = &trace;
        event.u.crash_status.evidence = &evidence;
    }
    if (event.type == KDNET_EVENT_BUGCHECK)
        event.u.bugcheck = (struct kdnet_event_bugcheck){.known = true, .data = {.code = 0xd1}};
    if (event.type == KDNET_EVENT_BREAK_IN)
        event.u.break_in = (struct kdnet_event_break_in){.phase = KDNET_PHASE_BREAK, .exception = true};
    if (event.type == KDNET_EVENT_BREAK_STORM)
        event.u.break_storm.unread = 7;
    return &event;
}

static char whole[16384];

static void write_event(void *user)
{
    const struct event_json_subject subject = {.time_us = NOON,
                                               .collector = "c1",
                                               .target = "web-17",
                                               .address = &v4,
                                               .labels = &set.labels,
                                               .tried = "a place"};
    size_t length = 0;
    char *line = event_json_event(&subject, user, &length);
    if (!line)
        assert_true(scarce_failed());
    else if (whole[0] == '\0')
        (void)snprintf(whole, sizeof whole, "%s", line);
    else
        assert_string_equal(line, whole);
    free(line);
}

static void an_event_is_written_whole_or_not(void **state)
{
    (void)state;
    memcpy(set.labels.text, label, sizeof label);
    for (unsigned round = 0; event_of_round(round); ++round) {
        struct kdnet_event event = *event_of_round(round);
        whole[0] = '\0';
        write_event(&event);
        assert_in_range(scarce_each(write_event, &event), 10, MOST);
    }
}

static void write_service(void *user)
{
    const struct event_json_service service = {
        .time_us = NOON, .collector = "c1", .event = "sink_overrun", .target = "web-1", .crash = "1"};
    size_t length = 0;
    (void)user;
    char *line = event_json_service(&service, json_pack("{s:s,s:i}", "sink", "soc", "count", 3), &length);
    if (!line)
        assert_true(scarce_failed());
    else
        assert_non_null(strstr(line, "\"sink\":\"soc\",\"count\":3"));
    free(line);
}

static void so_is_one_of_kdnetd_itself(void **state)
{
    (void)state;
    assert_in_range(scarce_each(write_service, NULL), 10, MOST);
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

static struct feed_batch batch;
static struct sink_event *events[EVENTS];

static bool take_batch(void)
{
    char line[256];
    bool good = true;
    batch = (struct feed_batch){.events = NULL};
    for (unsigned i = 0; good && i < EVENTS; ++i) {
        (void)snprintf(line, sizeof line,
                       "{\"id\":\"c1-%u\",\"event\":\"%s\",\"target\":\"web-%u\",\"crash\":\"%016x\",\"phase\":"
                       "\"shutdown\",\"verdict\":\"%s\",\"time\":\"2026-11-22T10:00:00.000000Z\"}",
                       i, i == 1 ? "lost" : "crash_status", i, i, i == 0 ? "written" : "failed");
        good = feed_add(&batch, i + 1, NOON, line, strlen(line));
    }
    for (size_t i = 0; i < batch.count; ++i)
        events[i] = &batch.events[i];
    return good;
}

static void read_batch(void *user)
{
    (void)user;
    bool good = take_batch();
    if (good)
        assert_int_equal(batch.count, EVENTS);
    else
        assert_true(scarce_failed());
    feed_clear(&batch);
}

static void a_batch_has_all_its_events_or_is_none(void **state)
{
    (void)state;
    assert_in_range(scarce_each(read_batch, NULL), 10, MOST);
}

static void make_body(void *user)
{
    const struct sink_format *format = user;
    const struct format_source source = {.collector = "c1", .index = "kdnet"};
    struct text body = {.bytes = NULL}, packed = {.bytes = NULL};
    format_make(format, &body, &source, events, EVENTS);
    if (body.failed)
        assert_true(scarce_failed());
    else if (whole[0] == '\0')
        (void)snprintf(whole, sizeof whole, "%s", body.bytes);
    else if (strcmp(body.bytes, whole) != 0)
        fail_msg("this is sent: %s\nin place of: %s", body.bytes, whole);
    if (!body.failed && !gzip_text(&body, &packed))
        packed.failed = true;
#ifdef KDNETD_ZLIB
    if (!body.failed && packed.failed)
        assert_true(scarce_failed());
#endif
    text_clear(&packed);
    text_clear(&body);
}

static void a_body_has_all_its_events_or_is_none(void **state)
{
    const struct sink_format *const formats[] = {&format_ndjson, &format_hec,          &format_loki, &format_bulk,
                                                 &format_otlp,   &format_alertmanager, &format_slack};
    (void)state;
    assert_true(take_batch());
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; ++i) {
        whole[0] = '\0';
        make_body((void *)(uintptr_t)formats[i]);
        assert_in_range(scarce_each(make_body, (void *)(uintptr_t)formats[i]), 1, MOST);
    }
    feed_clear(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_written_whole_or_not),
        cmocka_unit_test(so_is_one_of_kdnetd_itself),
        cmocka_unit_test(a_batch_has_all_its_events_or_is_none),
        cmocka_unit_test(a_body_has_all_its_events_or_is_none),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
