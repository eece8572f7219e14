/* SPDX-License-Identifier: Apache-2.0 */
#include "service/output/event_json.h"
#include "kdnet/names.h"
#include "service/output/event_builder_internal.h"
#include "service/output/event_crash_internal.h"
#include "service/output/identity.h"
#include "service/runtime/json_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

static json_t *nested_object(const struct kdnet_bugcheck *bugcheck)
{
    struct builder b = {.object = json_object()};
    builder_put(&b, "code", builder_hex(bugcheck->code, BUILDER_STATUS_DIGITS));
    builder_put(&b, "parameters", event_crash_parameters(&b, bugcheck));
    return b.object;
}

/* The reporter of an event, and its time. */
struct origin {
    uint64_t time_us;
    const char *collector;
    const char *id;
};

static struct builder begin(const struct origin *origin, const char *event)
{
    char time_text[EVENT_JSON_TIME_SIZE];
    struct builder b = {.failures = json_memory_failures(), .object = json_object()};
    event_json_time(origin->time_us, time_text);
    builder_put(&b, "time", builder_text(time_text));
    builder_put(&b, "event", builder_text(event));
    builder_put(&b, "id", builder_text(origin->id));
    builder_put(&b, "collector", builder_text(origin->collector));
    return b;
}

static json_t *labels_object(const struct config_labels *labels)
{
    struct builder b = {.object = json_object()};
    for (const char *key = config_next_label(labels, NULL); key; key = config_next_label(labels, key))
        builder_put(&b, key, json_string(key + strlen(key) + 1));
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
    return builder_text(text);
}

/* `of` NULL: the event belongs to no session. */
static void put_identity(struct builder *b, const struct kdnet_event_identity *of, const struct config_labels *labels)
{
    static const struct kdnet_event_identity none;
    const struct kdnet_event_identity *own = of ? of : &none;
    builder_put(b, "boot", name_text(own->boot_known, own->boot));
    builder_put(b, "crash", name_text(own->crash_known, own->crash));
    if (own->nested_known)
        builder_put(b, "bugcheck_nested", nested_object(&own->nested));
    builder_put(b, "labels", labels_object(labels));
}

/* An event of no session. */
static struct builder begin_apart(uint64_t time_us, const char *collector, uint64_t number, const char *event)
{
    char id[IDENTITY_SIZE];
    identity_of_none(collector, number, id);
    return begin(&(struct origin){time_us, collector, id}, event);
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
    return builder_text(text);
}

static json_t *address_text(const struct address *address)
{
    char text[ADDRESS_TEXT_SIZE];
    if (!address)
        return json_null();
    address_format(address, text);
    return builder_text(text);
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
    builder_put(&b, "name", builder_foreign_text(pdb->name, strnlen(pdb->name, sizeof pdb->name)));
    builder_put(&b, "guid", builder_text(guid));
    builder_put(&b, "age", json_integer((json_int_t)pdb->age));
    return b.object;
}

static void put_connected(struct builder *b, const struct kdnet_event_connected *connected,
                          const struct event_json_subject *subject)
{
    char configured[ADDRESS_TEXT_SIZE];
    builder_put(b, "version", json_integer(connected->version));
    builder_put(b, "rebooted", json_boolean(connected->rebooted));
    builder_put(b, "took_over", json_boolean(connected->took_over));
    builder_put(b, "old_key", json_boolean(subject->old_key));
    if (subject->configured)
        address_format_ip(subject->configured, configured);
    builder_put(b, "configured_address", subject->configured ? builder_text(configured) : json_null());
}

static void put_kernel(struct builder *b, const struct kdnet_event_kernel *kernel)
{
    builder_put(b, "who", builder_text(kdnet_who_name((enum kdnet_who)kernel->who)));
    builder_put(b, "build", json_integer(kernel->build));
    builder_put(b, "build_lab", builder_build_lab(kernel->build_lab_known, kernel->build_lab));
    builder_put(b, "machine", builder_text(kdnet_machine_name((enum kdnet_machine)kernel->machine)));
    builder_put(b, "kernel_base", builder_hex(kernel->kernel_base, BUILDER_ADDRESS_DIGITS));
    builder_put(b, "pdb", pdb_object(kernel->pdb_known, &kernel->pdb));
}

static json_t *exception_object(const struct kdnet_event_break_in *halt)
{
    if (!halt->exception)
        return json_null();
    struct builder b = {.object = json_object()};
    builder_put(&b, "code", builder_hex(halt->code, BUILDER_STATUS_DIGITS));
    builder_put(&b, "name", builder_text_or_null(kdnet_status_name(halt->code)));
    builder_put(&b, "address", builder_hex(halt->address, BUILDER_ADDRESS_DIGITS));
    builder_put(&b, "first_chance", json_boolean(halt->first_chance));
    return b.object;
}

static void put_break_in(struct builder *b, const struct kdnet_event_break_in *halt)
{
    builder_put(b, "phase", builder_text(kdnet_phase_name(halt->phase)));
    builder_put(b, "exception", exception_object(halt));
}

static void put_released(struct builder *b, const struct kdnet_event_released *released)
{
    builder_put(b, "action", builder_text(kdnet_action_name(released->action)));
    builder_put(b, "halted_ms", builder_milliseconds(released->halted_us));
    builder_put(b, "repeated", json_integer(released->repeated));
    if (released->cleared != KDNET_LEFTOVER_NONE)
        builder_put(b, "cleared", json_string(kdnet_leftover_name(released->cleared)));
}

static void put_lost(struct builder *b, const struct kdnet_event_lost *lost, uint64_t time_us)
{
    char last_seen[EVENT_JSON_TIME_SIZE];
    event_json_time(lost->silent_us < time_us ? time_us - lost->silent_us : 0, last_seen);
    builder_put(b, "last_seen", builder_text(last_seen));
    builder_put(b, "halted", json_boolean(lost->halted));
}

static void put_no_last_break(struct builder *b, const struct kdnet_event_no_last_break *missing)
{
    builder_put(b, "rebooted", json_boolean(missing->rebooted));
    builder_put(b, "since_first_ms", builder_milliseconds(missing->since_first_us));
    builder_put(b, "bugcheck", event_crash_bugcheck(&missing->bugcheck));
}

static void put_held(struct builder *b, const struct kdnet_event_held *held, uint64_t time_us)
{
    char until[EVENT_JSON_TIME_SIZE];
    event_json_time(time_us + held->hold_for_us, until);
    builder_put(b, "until", held->hold_for_us > 0 ? builder_text(until) : json_null());
    builder_put(b, "why", builder_text(kdnet_break_kind_name(held->why)));
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
        event_crash_put_bugcheck(b, &event->u.bugcheck);
        break;
    case KDNET_EVENT_BREAK_IN:
        put_break_in(b, &event->u.break_in);
        break;
    case KDNET_EVENT_CRASH_STATUS:
        event_crash_put(b, &event->u.crash_status, subject->tried);
        break;
    case KDNET_EVENT_RELEASED:
        put_released(b, &event->u.released);
        break;
    case KDNET_EVENT_LOST:
        put_lost(b, &event->u.lost, time_us);
        break;
    case KDNET_EVENT_PRINT:
        builder_put(b, "text", builder_foreign_text(event->u.print.text, event->u.print.length));
        break;
    case KDNET_EVENT_BREAK_STORM:
        builder_put(b, "unread", json_integer(event->u.break_storm.unread));
        break;
    case KDNET_EVENT_HELD:
        put_held(b, &event->u.held, time_us);
        break;
    case KDNET_EVENT_SUPPRESSED:
        builder_put(b, "kind", builder_text(event_json_event_name(event->u.suppressed.kind)));
        builder_put(b, "count", json_integer(event->u.suppressed.count));
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
    builder_put(&b, "target", json_string(subject->target));
    builder_put(&b, "address", address_text(subject->address));
    builder_put(&b, "session", session_text(event->session));
    put_identity(&b, &event->of, subject->labels);
    put_fields(&b, event, subject);
    return builder_finish(&b, length);
}

char *event_json_removed(const struct event_json_subject *subject, size_t *length)
{
    struct builder b = begin_apart(subject->time_us, subject->collector, subject->number, "removed");
    builder_put(&b, "target", json_string(subject->target));
    builder_put(&b, "address", address_text(subject->address));
    builder_put(&b, "session", json_null());
    put_identity(&b, NULL, subject->labels);
    return builder_finish(&b, length);
}

char *event_json_unknown(const struct event_json_unknown *unknown, const char *configured, const char *hint,
                         size_t *length)
{
    struct builder b = begin_apart(unknown->time_us, unknown->collector, unknown->number, "unknown_target");
    builder_put(&b, "target", json_null());
    builder_put(&b, "address", address_text(&unknown->source));
    builder_put(&b, "session", json_null());
    put_identity(&b, NULL, NULL);
    builder_put(&b, "version", json_integer(unknown->version));
    builder_put(&b, "count", json_integer((json_int_t)unknown->count));
    builder_put(&b, "hint", json_string(hint));
    builder_put(&b, "configured_target", configured ? json_string(configured) : json_null());
    return builder_finish(&b, length);
}

char *event_json_listener(const struct event_json_listener *listener, size_t *length)
{
    const char *event = listener->silent ? "listener_silent" : "listener_heard";
    struct builder b = begin_apart(listener->time_us, listener->collector, listener->number, event);
    builder_put(&b, "target", json_null());
    builder_put(&b, "address", json_null());
    builder_put(&b, "session", json_null());
    put_identity(&b, NULL, NULL);
    builder_put(&b, "listener", address_text(&listener->local));
    if (listener->silent)
        builder_put(&b, "machines", json_integer((json_int_t)listener->machines));
    return builder_finish(&b, length);
}

char *event_json_service(const struct event_json_service *service, struct json_t *fields, size_t *length)
{
    struct builder b = begin_apart(service->time_us, service->collector, service->number, service->event);
    builder_put(&b, "target", builder_text_or_null(service->target));
    builder_put(&b, "address", json_null());
    builder_put(&b, "session", json_null());
    put_identity(&b, NULL, NULL);
    if (service->crash)
        builder_put(&b, "crash", json_string(service->crash));
    if (!fields || json_object_update(b.object, fields) != 0)
        b.failed = true;
    json_decref(fields);
    return builder_finish(&b, length);
}
