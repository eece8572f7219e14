/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/crash/trace.h"
#include "service/output/event_json.h"
#include "kdnet/names.h"
#include "kdnet/assessment.h"
#include "service/output/identity.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ADDRESS_DIGITS 16
#define STATUS_DIGITS  8
#define REPORT_FLAGS   (JSON_COMPACT | JSON_REAL_PRECISION(15)) /* 15 digits print what went in: 12.345 */
#define LINE_GUESS     1024                                     /* most lines are shorter */

static const char replacement[3] = {'\xef', '\xbf', '\xbd'}; /* U+FFFD in UTF-8 */

void event_json_time(uint64_t time_us, char out[static EVENT_JSON_TIME_SIZE])
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm utc;
    char date[24] = "1970-01-01T00:00:00";
    memset(&utc, 0, sizeof utc);
    if (gmtime_r(&seconds, &utc))
        (void)strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(out, EVENT_JSON_TIME_SIZE, "%s.%06uZ", date, (unsigned)(time_us % 1000000));
}

/* Text of ours, which is ASCII. */
static json_t *own_text(const char *text)
{
    return json_string_nocheck(text);
}

/* Length of the valid sequence at the start of text; 0 when there is none (RFC 3629, table 3-7 of Unicode). */
static size_t utf8_length(const unsigned char *text, size_t length)
{
    unsigned char c = text[0], low = 0x80, high = 0xbf;
    size_t need = c < 0x80                 ? 1
                  : c >= 0xc2 && c <= 0xdf ? 2
                  : c >= 0xe0 && c <= 0xef ? 3
                  : c >= 0xf0 && c <= 0xf4 ? 4
                                           : 0;
    if (need == 0 || need > length)
        return 0;
    if (c == 0xe0)
        low = 0xa0;
    else if (c == 0xed)
        high = 0x9f;
    else if (c == 0xf0)
        low = 0x90;
    else if (c == 0xf4)
        high = 0x8f;
    for (size_t i = 1; i < need; ++i) {
        if (text[i] < low || text[i] > high)
            return 0;
        low = 0x80;
        high = 0xbf;
    }
    return need;
}

size_t event_json_valid_utf8(const char *text, size_t length, char *out)
{
    size_t written = 0;
    for (size_t at = 0; at < length;) {
        size_t valid = utf8_length((const unsigned char *)text + at, length - at);
        if (valid == 0) {
            memcpy(out + written, replacement, sizeof replacement);
            written += sizeof replacement;
            ++at;
            continue;
        }
        memcpy(out + written, text + at, valid);
        written += valid;
        at += valid;
    }
    return written;
}

/* Text from a machine. */
static json_t *foreign_text(const char *text, size_t length)
{
    char *valid = malloc(3 * length + 1);
    if (!valid)
        return NULL;
    json_t *made = json_stringn(valid, event_json_valid_utf8(text, length, valid));
    free(valid);
    return made;
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

/* `digits` or as many as the value needs, 16 at most. */
static json_t *hex(uint64_t value, unsigned digits)
{
    static const char all[] = "0123456789ABCDEF";
    char text[2 + ADDRESS_DIGITS];
    size_t at = sizeof text;
    for (; value != 0 || at > sizeof text - digits; value >>= 4)
        text[--at] = all[value & 15];
    text[--at] = 'x';
    text[--at] = '0';
    return json_stringn_nocheck(text + at, sizeof text - at);
}

/* A length of time in milliseconds, exact to the microsecond. */
static json_t *milliseconds(uint64_t us)
{
    return json_real((double)us / 1000.0);
}

static json_t *build_lab(bool known, const char *text)
{
    return known ? foreign_text(text, strnlen(text, KDNET_BUILD_LAB_SIZE)) : json_null();
}

/* All setters give the object the value; a NULL value (out of memory) is found at the end, by its absence. */
struct builder {
    json_t *object;
    bool failed;
};

static void put(struct builder *b, const char *key, json_t *value)
{
    if (json_object_set_new_nocheck(b->object, key, value) != 0)
        b->failed = true;
}

static json_t *parameters_array(struct builder *b, const struct kdnet_bugcheck *bugcheck)
{
    json_t *parameters = json_array();
    for (size_t i = 0; i < 4; ++i)
        if (json_array_append_new(parameters, hex(bugcheck->parameters[i], ADDRESS_DIGITS)) != 0)
            b->failed = true;
    return parameters;
}

static json_t *nested_object(const struct kdnet_bugcheck *bugcheck)
{
    struct builder b = {.object = json_object()};
    put(&b, "code", hex(bugcheck->code, STATUS_DIGITS));
    put(&b, "parameters", parameters_array(&b, bugcheck));
    return b.object;
}

/* What an event is told by. */
struct origin {
    uint64_t time_us;
    const char *collector;
    const char *id;
};

static struct builder begin(const struct origin *origin, const char *event)
{
    char time_text[EVENT_JSON_TIME_SIZE];
    struct builder b = {.object = json_object()};
    event_json_time(origin->time_us, time_text);
    put(&b, "time", own_text(time_text));
    put(&b, "event", own_text(event));
    put(&b, "id", own_text(origin->id));
    put(&b, "collector", own_text(origin->collector));
    return b;
}

static json_t *labels_object(const struct config_labels *labels)
{
    struct builder b = {.object = json_object()};
    for (const char *key = config_next_label(labels, NULL); key; key = config_next_label(labels, key))
        put(&b, key, json_string(key + strlen(key) + 1));
    if (!b.failed)
        return b.object;
    json_decref(b.object);
    return NULL;
}

static json_t *name_text(bool known, const uint8_t name[static KDNET_IDENTITY_LENGTH])
{
    char text[IDENTITY_NAME_SIZE];
    if (!known)
        return json_null();
    identity_name(name, text);
    return own_text(text);
}

/* `of` NULL: it belongs to no session. */
static void put_identity(struct builder *b, const struct kdnet_event_identity *of, const struct config_labels *labels)
{
    static const struct kdnet_event_identity none;
    const struct kdnet_event_identity *own = of ? of : &none;
    put(b, "boot", name_text(own->boot_known, own->boot));
    put(b, "crash", name_text(own->crash_known, own->crash));
    if (own->nested_known)
        put(b, "bugcheck_nested", nested_object(&own->nested));
    put(b, "labels", labels_object(labels));
}

/* An event of no session. */
static struct builder begin_apart(uint64_t time_us, const char *collector, uint64_t number, const char *event)
{
    char id[IDENTITY_SIZE];
    identity_of_none(collector, number, id);
    return begin(&(struct origin){time_us, collector, id}, event);
}

struct dump {
    char *text;
    size_t length, size;
};

static bool make_room(struct dump *dump, size_t more)
{
    if (dump->size - dump->length >= more)
        return true;
    size_t size = 2 * dump->size > dump->length + more ? 2 * dump->size : dump->length + more;
    char *text = realloc(dump->text, size);
    if (!text)
        return false;
    dump->text = text;
    dump->size = size;
    return true;
}

static int take_piece(const char *piece, size_t length, void *user)
{
    struct dump *dump = user;
    if (!make_room(dump, length))
        return -1;
    memcpy(dump->text + dump->length, piece, length);
    dump->length += length;
    return 0;
}

/* The line, with its end. */
static char *finish(struct builder *b, size_t *length)
{
    struct dump dump = {.text = b->failed ? NULL : malloc(LINE_GUESS), .size = LINE_GUESS};
    bool made = dump.text && json_dump_callback(b->object, take_piece, &dump, REPORT_FLAGS) == 0 &&
                take_piece("\n", 2, &dump) == 0;
    json_decref(b->object);
    if (!made) {
        free(dump.text);
        return NULL;
    }
    *length = dump.length - 1;
    return dump.text;
}

void event_json_session(const uint8_t session[static KDNET_SESSION_ID_LENGTH],
                        char out[static 2 * KDNET_SESSION_ID_LENGTH + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < KDNET_SESSION_ID_LENGTH; ++i) {
        out[2 * i] = digits[session[i] >> 4];
        out[2 * i + 1] = digits[session[i] & 15];
    }
    out[(size_t)2 * KDNET_SESSION_ID_LENGTH] = '\0';
}

static json_t *session_text(const uint8_t session[static KDNET_SESSION_ID_LENGTH])
{
    char text[2 * KDNET_SESSION_ID_LENGTH + 1];
    event_json_session(session, text);
    return own_text(text);
}

static json_t *address_text(const struct address *address)
{
    char text[ADDRESS_TEXT_SIZE];
    if (!address)
        return json_null();
    address_format(address, text);
    return own_text(text);
}

void event_json_guid(const struct kdnet_pdb *pdb, char out[static 33])
{
    char guidage[KDNET_GUIDAGE_SIZE];
    kdnet_pdb_guidage(pdb, guidage);
    (void)snprintf(out, 33, "%.32s", guidage);
}

static json_t *pdb_object(bool known, const struct kdnet_pdb *pdb)
{
    char guid[33];
    if (!known)
        return json_null();
    event_json_guid(pdb, guid);
    struct builder b = {.object = json_object()};
    put(&b, "name", foreign_text(pdb->name, strnlen(pdb->name, sizeof pdb->name)));
    put(&b, "guid", own_text(guid));
    put(&b, "age", json_integer((json_int_t)pdb->age));
    return b.object;
}

static void put_bugcheck(struct builder *b, const struct kdnet_event_bugcheck *bugcheck)
{
    put(b, "code", hex(bugcheck->data.code, STATUS_DIGITS));
    put(b, "name", text_or_null(kdnet_bugcheck_name(bugcheck->data.code)));
    put(b, "parameters", parameters_array(b, &bugcheck->data));
    put(b, "from", own_text(bugcheck->from_memory ? "memory" : "print"));
}

static void put_connected(struct builder *b, const struct kdnet_event_connected *connected,
                          const struct event_json_subject *subject)
{
    char configured[ADDRESS_TEXT_SIZE];
    put(b, "version", json_integer(connected->version));
    put(b, "rebooted", json_boolean(connected->rebooted));
    put(b, "took_over", json_boolean(connected->took_over));
    put(b, "old_key", json_boolean(subject->old_key));
    if (subject->configured)
        address_format_ip(subject->configured, configured);
    put(b, "configured_address", subject->configured ? own_text(configured) : json_null());
}

static const char *who_name(uint8_t who)
{
    switch (who) {
    case KDNET_WHO_NT:
        return "nt";
    case KDNET_WHO_BOOT:
        return "boot";
    case KDNET_WHO_HYPERVISOR:
        return "hypervisor";
    default:
        return "unknown";
    }
}

static void put_kernel(struct builder *b, const struct kdnet_event_kernel *kernel)
{
    put(b, "who", own_text(who_name(kernel->who)));
    put(b, "build", json_integer(kernel->build));
    put(b, "build_lab", build_lab(kernel->build_lab_known, kernel->build_lab));
    put(b, "machine", own_text(kdnet_machine_name((enum kdnet_machine)kernel->machine)));
    put(b, "kernel_base", hex(kernel->kernel_base, ADDRESS_DIGITS));
    put(b, "pdb", pdb_object(kernel->pdb_known, &kernel->pdb));
}

static json_t *exception_object(const struct kdnet_event_break_in *halt)
{
    if (!halt->exception)
        return json_null();
    struct builder b = {.object = json_object()};
    put(&b, "code", hex(halt->code, STATUS_DIGITS));
    put(&b, "name", text_or_null(kdnet_status_name(halt->code)));
    put(&b, "address", hex(halt->address, ADDRESS_DIGITS));
    put(&b, "first_chance", json_boolean(halt->first_chance));
    return b.object;
}

static void put_break_in(struct builder *b, const struct kdnet_event_break_in *halt)
{
    put(b, "phase", own_text(kdnet_phase_name(halt->phase)));
    put(b, "exception", exception_object(halt));
}

static json_t *source_object(const struct kdnet_event_crash_status *status)
{
    enum kdnet_source from = status->conclusion.source;
    struct builder b = {.object = json_object()};
    put(&b, "symbol", own_text("nt!" KDNET_STATUS_SYMBOL));
    put(&b, "address", status->address_known ? hex(status->address, ADDRESS_DIGITS) : json_null());
    put(&b, "from", from == KDNET_SOURCE_NONE ? json_null() : own_text(kdnet_source_name(from)));
    return b.object;
}

static json_t *bugcheck_object(const struct kdnet_event_bugcheck *bugcheck)
{
    if (!bugcheck->known)
        return json_null();
    struct builder b = {.object = json_object()};
    put_bugcheck(&b, bugcheck);
    return b.object;
}

/* A value, what is kept of it, or the null pointer in its place. */
static bool is_reported(const struct kdnet_value *value)
{
    return value->state == KDNET_VALUE_KNOWN || value->state == KDNET_VALUE_CUT ||
           value->state == KDNET_VALUE_NULL_POINTER;
}

/* A reason belongs to it. A text that is cut is told, too. */
static bool is_doubtful(const struct kdnet_value *value)
{
    return value->state != KDNET_VALUE_KNOWN && value->state != KDNET_VALUE_NULL_POINTER &&
           value->state != KDNET_VALUE_NOT_ASKED;
}

static json_t *value_json(const struct kdnet_event_crash_status *status, size_t i)
{
    const struct kdnet_evidence *evidence = status->evidence;
    const struct kdnet_value *value = &evidence->value[i];
    static const uint8_t digits[] = {[KDNET_READ_U8] = 2, [KDNET_READ_U16] = 4, [KDNET_READ_U32] = 8};
    uint8_t kind = evidence->reads->read[i].kind;
    if (value->state == KDNET_VALUE_NULL_POINTER)
        return json_null();
    if (kind == KDNET_READ_STRING || kind == KDNET_READ_UNICODE)
        return foreign_text(evidence->texts + value->text_at, value->text_length);
    return hex(value->number, kind <= KDNET_READ_U32 ? digits[kind] : ADDRESS_DIGITS);
}

static json_t *evidence_object(const struct kdnet_event_crash_status *status)
{
    struct builder b = {.object = json_object()};
    if (status->break_status_known)
        put(&b, "break_status", hex(status->break_status, 1));
    const struct kdnet_evidence *evidence = status->evidence;
    for (size_t i = 0; evidence && i < evidence->reads->count; ++i)
        if (is_reported(&evidence->value[i]))
            put(&b, evidence->reads->read[i].name, value_json(status, i));
    return b.object;
}

/* Why values are not there, or not whole. */
static json_t *evidence_unknown_object(const struct kdnet_event_crash_status *status)
{
    struct builder b = {.object = json_object()};
    const struct kdnet_evidence *evidence = status->evidence;
    for (size_t i = 0; evidence && i < evidence->reads->count; ++i) {
        enum kdnet_value_state state = (enum kdnet_value_state)evidence->value[i].state;
        if (is_doubtful(&evidence->value[i]))
            put(&b, evidence->reads->read[i].name, own_text(kdnet_value_state_name(state)));
    }
    return b.object;
}

static json_t *assessment_object(const struct kdnet_event_crash_status *status)
{
    struct kdnet_assessment assessment;
    kdnet_assess(&status->dump, &assessment);
    if (assessment.likely == KDNET_LIKELY_NONE)
        return json_null();
    struct builder b = {.object = json_object()};
    json_t *because = json_array();
    for (size_t i = 0; i < assessment.count; ++i)
        if (json_array_append_new(because, own_text(assessment.because[i])) != 0)
            b.failed = true;
    put(&b, "likely", own_text(kdnet_likely_name(assessment.likely)));
    put(&b, "strength", own_text(kdnet_strength_name(&assessment)));
    put(&b, "because", because);
    return b.object;
}

/* "examplenic.sys+0x1234"; an address alone where no image is known. */
static json_t *place_text(const struct kdnet_trace *trace, uint8_t image, uint64_t address)
{
    char text[KDNET_IMAGE_NAME_SIZE + 24];
    if (image >= trace->image_count)
        return hex(address, ADDRESS_DIGITS);
    const struct kdnet_image_place *place = &trace->image[image];
    (void)snprintf(text, sizeof text, "%s+0x%" PRIx64, place->name, address - place->base);
    return own_text(text);
}

static json_t *module_object(const struct kdnet_trace *trace, uint8_t image, uint64_t address)
{
    if (image >= trace->image_count)
        return json_null();
    const struct kdnet_image_place *place = &trace->image[image];
    struct builder b = {.object = json_object()};
    put(&b, "name", own_text(place->name));
    put(&b, "base", hex(place->base, ADDRESS_DIGITS));
    put(&b, "offset", hex(address - place->base, 1));
    put(&b, "stamp", hex(place->stamp, STATUS_DIGITS));
    put(&b, "size", json_integer((json_int_t)place->size));
    return b.object;
}

static json_t *cause_object(const struct kdnet_trace *trace)
{
    if (!trace || trace->address == 0)
        return json_null();
    struct builder b = {.object = json_object()};
    put(&b, "address", hex(trace->address, ADDRESS_DIGITS));
    put(&b, "module", module_object(trace, trace->address_image, trace->address));
    return b.object;
}

static json_t *stack_array(struct builder *b, const struct kdnet_trace *trace)
{
    json_t *stack = json_array();
    for (unsigned i = 0; trace && i < trace->frame_count; ++i)
        if (json_array_append_new(stack, place_text(trace, trace->frame[i].image, trace->frame[i].address)) != 0)
            b->failed = true;
    return stack;
}

static void put_cause(struct builder *b, const struct kdnet_event_crash_status *status)
{
    put(b, "bucket", status->bucket[0] != '\0' ? own_text(status->bucket) : json_null());
    put(b, "cause", cause_object(status->trace));
    put(b, "stack", stack_array(b, status->trace));
}

static void put_crash_status(struct builder *b, const struct kdnet_event_crash_status *status, const char *tried)
{
    enum kdnet_reason reason = status->conclusion.reason;
    const char *name = status->status_known ? kdnet_status_name(status->status) : NULL;
    put(b, "phase", own_text(kdnet_phase_name(status->phase)));
    put(b, "status", status->status_known ? hex(status->status, STATUS_DIGITS) : json_null());
    put(b, "status_name", text_or_null(name));
    put(b, "verdict", own_text(kdnet_verdict_name(status->conclusion.verdict)));
    put(b, "reason", reason == KDNET_REASON_NONE ? json_null() : own_text(kdnet_reason_name(reason)));
    put(b, "assessment", assessment_object(status));
    put(b, "source", source_object(status));
    put(b, "bugcheck", bugcheck_object(&status->bugcheck));
    put_cause(b, status);
    put(b, "build_lab", build_lab(status->build_lab_known, status->build_lab));
    put(b, "rtt_ms", status->rtt_us > 0 ? milliseconds(status->rtt_us) : json_null());
    put(b, "read_ms", milliseconds(status->read_us));
    put(b, "since_first_ms", status->since_first_known ? milliseconds(status->since_first_us) : json_null());
    put(b, "evidence", evidence_object(status));
    put(b, "evidence_unknown", evidence_unknown_object(status));
    put(b, "tried", text_or_null(tried));
}

static void put_released(struct builder *b, const struct kdnet_event_released *released)
{
    put(b, "action", own_text(kdnet_action_name(released->action)));
    put(b, "halted_ms", milliseconds(released->halted_us));
    put(b, "repeated", json_integer(released->repeated));
    if (released->cleared != KDNET_LEFTOVER_NONE)
        put(b, "cleared", json_string(kdnet_leftover_name(released->cleared)));
}

static void put_lost(struct builder *b, const struct kdnet_event_lost *lost, uint64_t time_us)
{
    char last_seen[EVENT_JSON_TIME_SIZE];
    event_json_time(lost->silent_us < time_us ? time_us - lost->silent_us : 0, last_seen);
    put(b, "last_seen", own_text(last_seen));
    put(b, "halted", json_boolean(lost->halted));
}

static void put_no_last_break(struct builder *b, const struct kdnet_event_no_last_break *missing)
{
    put(b, "rebooted", json_boolean(missing->rebooted));
    put(b, "since_first_ms", milliseconds(missing->since_first_us));
    put(b, "bugcheck", bugcheck_object(&missing->bugcheck));
}

static void put_held(struct builder *b, const struct kdnet_event_held *held, uint64_t time_us)
{
    char until[EVENT_JSON_TIME_SIZE];
    event_json_time(time_us + held->hold_for_us, until);
    put(b, "until", held->hold_for_us > 0 ? own_text(until) : json_null());
    put(b, "why", own_text(kdnet_break_kind_name(held->why)));
}

const char *event_json_event_name(enum kdnet_event_type type)
{
    static const char *const names[] = {
        [KDNET_EVENT_CONNECTED] = "connected",
        [KDNET_EVENT_KERNEL] = "kernel",
        [KDNET_EVENT_BUGCHECK] = "bugcheck",
        [KDNET_EVENT_BREAK_IN] = "break_in",
        [KDNET_EVENT_CRASH_STATUS] = "crash_status",
        [KDNET_EVENT_RELEASED] = "released",
        [KDNET_EVENT_LOST] = "lost",
        [KDNET_EVENT_PRINT] = "print",
        [KDNET_EVENT_BREAK_STORM] = "break_storm",
        [KDNET_EVENT_HELD] = "held",
        [KDNET_EVENT_SUPPRESSED] = "suppressed",
        [KDNET_EVENT_NO_LAST_BREAK] = "no_last_break",
    };
    return names[type];
}

static void put_fields(struct builder *b, const struct kdnet_event *event, const struct event_json_subject *subject)
{
    uint64_t time_us = subject->time_us;
    switch (event->type) {
    case KDNET_EVENT_CONNECTED:
        put_connected(b, &event->u.connected, subject);
        break;
    case KDNET_EVENT_KERNEL:
        put_kernel(b, &event->u.kernel);
        break;
    case KDNET_EVENT_BUGCHECK:
        put_bugcheck(b, &event->u.bugcheck);
        break;
    case KDNET_EVENT_BREAK_IN:
        put_break_in(b, &event->u.break_in);
        break;
    case KDNET_EVENT_CRASH_STATUS:
        put_crash_status(b, &event->u.crash_status, subject->tried);
        break;
    case KDNET_EVENT_RELEASED:
        put_released(b, &event->u.released);
        break;
    case KDNET_EVENT_LOST:
        put_lost(b, &event->u.lost, time_us);
        break;
    case KDNET_EVENT_PRINT:
        put(b, "text", foreign_text(event->u.print.text, event->u.print.length));
        break;
    case KDNET_EVENT_BREAK_STORM:
        put(b, "unread", json_integer(event->u.break_storm.unread));
        break;
    case KDNET_EVENT_HELD:
        put_held(b, &event->u.held, time_us);
        break;
    case KDNET_EVENT_SUPPRESSED:
        put(b, "kind", own_text(event_json_event_name(event->u.suppressed.kind)));
        put(b, "count", json_integer(event->u.suppressed.count));
        break;
    case KDNET_EVENT_NO_LAST_BREAK:
        put_no_last_break(b, &event->u.no_last_break);
        break;
    case KDNET_EVENT_TYPES:
        break;
    }
}

char *event_json_event(const struct event_json_subject *subject, const struct kdnet_event *event, size_t *length)
{
    char id[IDENTITY_SIZE];
    identity_of_event(subject->collector, event, id);
    const struct origin origin = {subject->time_us, subject->collector, id};
    struct builder b = begin(&origin, event_json_event_name(event->type));
    put(&b, "target", json_string(subject->target));
    put(&b, "address", address_text(subject->address));
    put(&b, "session", session_text(event->session));
    put_identity(&b, &event->of, subject->labels);
    put_fields(&b, event, subject);
    return finish(&b, length);
}

char *event_json_removed(const struct event_json_subject *subject, size_t *length)
{
    struct builder b = begin_apart(subject->time_us, subject->collector, subject->number, "removed");
    put(&b, "target", json_string(subject->target));
    put(&b, "address", address_text(subject->address));
    put(&b, "session", json_null());
    put_identity(&b, NULL, subject->labels);
    return finish(&b, length);
}

char *event_json_unknown(const struct event_json_unknown *unknown, const char *configured, const char *hint,
                         size_t *length)
{
    struct builder b = begin_apart(unknown->time_us, unknown->collector, unknown->number, "unknown_target");
    put(&b, "target", json_null());
    put(&b, "address", address_text(&unknown->source));
    put(&b, "session", json_null());
    put_identity(&b, NULL, NULL);
    put(&b, "version", json_integer(unknown->version));
    put(&b, "count", json_integer((json_int_t)unknown->count));
    put(&b, "hint", json_string(hint));
    put(&b, "configured_target", configured ? json_string(configured) : json_null());
    return finish(&b, length);
}

char *event_json_listener(const struct event_json_listener *listener, size_t *length)
{
    const char *event = listener->silent ? "listener_silent" : "listener_heard";
    struct builder b = begin_apart(listener->time_us, listener->collector, listener->number, event);
    put(&b, "target", json_null());
    put(&b, "address", json_null());
    put(&b, "session", json_null());
    put_identity(&b, NULL, NULL);
    put(&b, "listener", address_text(&listener->local));
    if (listener->silent)
        put(&b, "machines", json_integer((json_int_t)listener->machines));
    return finish(&b, length);
}

char *event_json_service(const struct event_json_service *service, struct json_t *fields, size_t *length)
{
    struct builder b = begin_apart(service->time_us, service->collector, service->number, service->event);
    put(&b, "target", text_or_null(service->target));
    put(&b, "address", json_null());
    put(&b, "session", json_null());
    put_identity(&b, NULL, NULL);
    if (service->crash)
        put(&b, "crash", json_string(service->crash));
    if (!fields || json_object_update(b.object, fields) != 0)
        b.failed = true;
    json_decref(fields);
    return finish(&b, length);
}
