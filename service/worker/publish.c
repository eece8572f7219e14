/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/names.h"
#include "service/runtime/log.h"
#include "service/targets/policies.h"
#include "service/worker/publish.h"
#include "service/worker/totals.h"
#include "service/output/verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TRIED_SIZE 1024 /* of a look-up's course */

static uint64_t wall_clock_us(void)
{
    uv_timeval64_t now = {0};
    (void)uv_gettimeofday(&now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_usec;
}

/* An event and its machine. */
struct logged_event {
    const struct target *target;
    const struct kdnet_event *event;
    const char *lookup; /* progress of the look-up of its kernel's symbols; NULL: irrelevant */
};

/* Begins a line that names the machine. */
static bool begin(struct log_line *line, enum config_log_level level, const char *message, const struct target *target,
                  const struct kdnet_event *event)
{
    char text[ADDRESS_TEXT_SIZE], session[2 * KDNET_SESSION_ID_LENGTH + 1];
    const struct target_endpoint *endpoint = targets_destination(target);
    log_begin(line, level, message);
    if (line->off)
        return false;
    log_text(line, "target", targets_name(target));
    if (endpoint) {
        struct address address = targets_address(endpoint);
        address_format(&address, text);
        log_text(line, "address", text);
    }
    event_json_session(event->session, session);
    log_text(line, "session", session);
    return true;
}

static void log_bugcheck(struct log_line *line, const struct kdnet_event_bugcheck *bugcheck)
{
    char text[160];
    const char *name = kdnet_bugcheck_name(bugcheck->data.code);
    const uint64_t *p = bugcheck->data.parameters;
    log_hex(line, "bugcheck", bugcheck->data.code, 0);
    log_text(line, "bugcheck_name", name);
    (void)snprintf(text, sizeof text, "0x%" PRIX64 ",0x%" PRIX64 ",0x%" PRIX64 ",0x%" PRIX64, p[0], p[1], p[2], p[3]);
    log_text(line, "parameters", text);
}

static void log_guidage(struct log_line *line, const struct kdnet_pdb *pdb)
{
    char guidage[KDNET_GUIDAGE_SIZE];
    if (!pdb)
        return;
    kdnet_pdb_guidage(pdb, guidage);
    log_text(line, "guidage", guidage);
}

static void log_reason(struct log_line *line, const struct logged_event *a)
{
    const struct kdnet_event_crash_status *status = &a->event->u.crash_status;
    char hint[VERDICT_HINT_SIZE];
    if (status->conclusion.reason == KDNET_REASON_NONE)
        return;
    log_text(line, "reason", kdnet_reason_name(status->conclusion.reason));
    log_text(line, "hint", verdict_hint(status, kdnet_session_pdb(targets_session(a->target)), a->lookup, hint));
}

static void log_assessment(struct log_line *line, const struct kdnet_event_crash_status *status)
{
    struct kdnet_assessment assessment;
    kdnet_assess(&status->dump, &assessment);
    if (assessment.likely == KDNET_LIKELY_NONE)
        return;
    log_text(line, "likely", kdnet_likely_name(assessment.likely));
    log_text(line, "strength", kdnet_strength_name(&assessment));
}

static void log_crash_status(const struct logged_event *a)
{
    const struct target *target = a->target;
    const struct kdnet_event_crash_status *status = &a->event->u.crash_status;
    const struct kdnet_conclusion *conclusion = &status->conclusion;
    struct log_line line;
    if (!begin(&line, verdict_level(status), verdict_message(status), target, a->event))
        return;
    log_text(&line, "verdict", kdnet_verdict_name(conclusion->verdict));
    log_assessment(&line, status);
    log_text(&line, "phase", kdnet_phase_name(status->phase));
    if (status->status_known) {
        log_hex(&line, "status", status->status, 8);
        log_text(&line, "status_name", kdnet_status_name(status->status));
    }
    log_guidage(&line, kdnet_session_pdb(targets_session(target)));
    log_reason(&line, a);
    if (conclusion->source != KDNET_SOURCE_NONE)
        log_text(&line, "from", kdnet_source_name(conclusion->source));
    if (status->bugcheck.known)
        log_bugcheck(&line, &status->bugcheck);
    if (status->bucket[0] != '\0')
        log_text(&line, "bucket", status->bucket);
    if (status->build_lab_known)
        log_bytes(&line, "build_lab", status->build_lab, strnlen(status->build_lab, sizeof status->build_lab));
    log_milliseconds(&line, "read_ms", status->read_us);
    if (status->since_first_known)
        log_milliseconds(&line, "since_first_ms", status->since_first_us);
    log_end(&line);
}

static void log_connected(const struct logged_event *a)
{
    const struct kdnet_event_connected *connected = &a->event->u.connected;
    struct log_line line;
    if (!begin(&line, CONFIG_LOG_NOTICE, "target connected", a->target, a->event))
        return;
    log_number(&line, "version", connected->version);
    log_text(&line, "rebooted", connected->rebooted ? "true" : "false");
    log_text(&line, "took_over", connected->took_over ? "true" : "false");
    log_end(&line);
}

static void log_kernel(const struct logged_event *a)
{
    const struct kdnet_event_kernel *kernel = &a->event->u.kernel;
    struct log_line line;
    if (!begin(&line, CONFIG_LOG_INFO, "kernel identified", a->target, a->event))
        return;
    log_number(&line, "build", kernel->build);
    log_text(&line, "machine", kdnet_machine_name((enum kdnet_machine)kernel->machine));
    log_hex(&line, "kernel_base", kernel->kernel_base, 16);
    if (kernel->build_lab_known)
        log_bytes(&line, "build_lab", kernel->build_lab, strnlen(kernel->build_lab, sizeof kernel->build_lab));
    if (kernel->pdb_known) {
        log_bytes(&line, "pdb", kernel->pdb.name, strnlen(kernel->pdb.name, sizeof kernel->pdb.name));
        log_guidage(&line, &kernel->pdb);
    }
    log_end(&line);
}

static void log_break_in(const struct logged_event *a)
{
    const struct kdnet_event_break_in *halt = &a->event->u.break_in;
    struct log_line line;
    if (!begin(&line, CONFIG_LOG_DEBUG, "machine halted", a->target, a->event))
        return;
    log_text(&line, "phase", kdnet_phase_name(halt->phase));
    if (halt->exception) {
        log_hex(&line, "code", halt->code, 8);
        log_hex(&line, "pc", halt->address, 16);
        log_text(&line, "first_chance", halt->first_chance ? "true" : "false");
    }
    log_end(&line);
}

static const char *released_message(enum kdnet_action action)
{
    switch (action) {
    case KDNET_ACTION_HOLD:
        return "machine is held, as its policy says: it stands still until it is released or hold_for is over";
    case KDNET_ACTION_REBOOT:
        return "machine told to reboot, as its policy says";
    case KDNET_ACTION_CONTINUE:
    default:
        return "machine released";
    }
}

/* Logged once a boot of the machine; each `released` event has it. */
static void log_cleared(const struct logged_event *a)
{
    struct log_line line;
    if (!begin(&line, CONFIG_LOG_WARNING,
               "a debugger that had this machine before left a single step or a hardware breakpoint in its kernel; it "
               "was cleared, and the machine goes on: Windows would have crashed of it",
               a->target, a->event))
        return;
    log_text(&line, "cleared", kdnet_leftover_name(a->event->u.released.cleared));
    log_end(&line);
}

static void log_released(const struct logged_event *a)
{
    const struct kdnet_event_released *released = &a->event->u.released;
    struct log_line line;
    if (begin(&line, CONFIG_LOG_NOTICE, released_message(released->action), a->target, a->event)) {
        log_text(&line, "action", kdnet_action_name(released->action));
        log_milliseconds(&line, "halted_ms", released->halted_us);
        if (released->repeated > 0)
            log_number(&line, "repeated", released->repeated);
        log_end(&line);
    }
    if (released->cleared_first)
        log_cleared(a);
}

static void log_lost(const struct logged_event *a)
{
    const struct kdnet_event_lost *lost = &a->event->u.lost;
    const char *message = lost->halted ? "target lost while it was halted: it may stand still; look at its network and "
                                         "its power; it is served again when it speaks"
                                       : "target lost: switched off, rebooting without debugging, or its network is "
                                         "down; it is served again when it speaks";
    struct log_line line;
    if (!begin(&line, CONFIG_LOG_WARNING, message, a->target, a->event))
        return;
    log_milliseconds(&line, "silent_ms", lost->silent_us);
    log_end(&line);
}

static void log_crashed(const struct logged_event *a)
{
    struct log_line line;
    if (!begin(&line, CONFIG_LOG_NOTICE, "machine has crashed", a->target, a->event))
        return;
    log_bugcheck(&line, &a->event->u.bugcheck);
    log_end(&line);
}

static void log_print(const struct logged_event *a)
{
    struct log_line line;
    if (!begin(&line, CONFIG_LOG_DEBUG, "machine prints", a->target, a->event))
        return;
    log_bytes(&line, "text", a->event->u.print.text, a->event->u.print.length);
    log_end(&line);
}

static void log_break_storm(const struct logged_event *a)
{
    struct log_line line;
    if (!begin(
            &line, CONFIG_LOG_WARNING,
            "machine breaks in again and again; it is released unread, but for a bug check: look for the driver that "
            "breaks, at the address of the break_in events before this",
            a->target, a->event))
        return;
    log_number(&line, "unread", a->event->u.break_storm.unread);
    log_end(&line);
}

static void log_held(const struct logged_event *a)
{
    const struct kdnet_event_held *held = &a->event->u.held;
    struct log_line line;
    if (!begin(&line, CONFIG_LOG_NOTICE, released_message(KDNET_ACTION_HOLD), a->target, a->event))
        return;
    log_text(&line, "why", kdnet_break_kind_name(held->why));
    if (held->hold_for_us > 0)
        log_milliseconds(&line, "hold_for_ms", held->hold_for_us);
    log_end(&line);
}

static void log_suppressed(const struct logged_event *a)
{
    const struct kdnet_event_suppressed *suppressed = &a->event->u.suppressed;
    struct log_line line;
    if (!begin(&line, CONFIG_LOG_WARNING, "machine causes more events than are told: the others are counted", a->target,
               a->event))
        return;
    log_text(&line, "kind", event_json_event_name(suppressed->kind));
    log_number(&line, "count", suppressed->count);
    log_end(&line);
}

static void log_no_last_break(const struct logged_event *a)
{
    const struct kdnet_event_no_last_break *missing = &a->event->u.no_last_break;
    struct log_line line;
    if (!begin(&line, CONFIG_LOG_WARNING,
               missing->rebooted ? "machine started anew without a last break of its crash; what became of its dump is "
                                   "not known"
                                 : "machine runs on after its bug check; its crash has no last break",
               a->target, a->event))
        return;
    if (missing->bugcheck.known)
        log_bugcheck(&line, &missing->bugcheck);
    log_milliseconds(&line, "since_first_ms", missing->since_first_us);
    log_end(&line);
}

static void log_event(const struct logged_event *a)
{
    static void (*const loggers[])(const struct logged_event *) = {
        [KDNET_EVENT_CONNECTED] = log_connected,
        [KDNET_EVENT_KERNEL] = log_kernel,
        [KDNET_EVENT_BUGCHECK] = log_crashed,
        [KDNET_EVENT_BREAK_IN] = log_break_in,
        [KDNET_EVENT_CRASH_STATUS] = log_crash_status,
        [KDNET_EVENT_RELEASED] = log_released,
        [KDNET_EVENT_LOST] = log_lost,
        [KDNET_EVENT_PRINT] = log_print,
        [KDNET_EVENT_BREAK_STORM] = log_break_storm,
        [KDNET_EVENT_HELD] = log_held,
        [KDNET_EVENT_SUPPRESSED] = log_suppressed,
        [KDNET_EVENT_NO_LAST_BREAK] = log_no_last_break,
    };
    loggers[a->event->type](a);
}

static void note(struct worker *worker, struct target *target, const struct kdnet_event *event)
{
    bool held = target->held;
    ++worker->totals.events;
    if (event->type == KDNET_EVENT_CRASH_STATUS)
        ++worker->totals.crash_statuses;
    else if (event->type == KDNET_EVENT_LOST)
        ++worker->totals.lost;
    else if (event->type == KDNET_EVENT_RELEASED)
        held = event->u.released.action == KDNET_ACTION_HOLD;
    else if (event->type == KDNET_EVENT_HELD)
        held = true;
    if (held != target->held) {
        totals_uncount(worker, target);
        target->held = held; /* totals_count comes when the session has told everything */
    }
}

/* Returns the progress of the look-up for a result without symbols; NULL: irrelevant. */
static const char *find_lookup(const struct worker *worker, const struct target *target,
                               const struct kdnet_event *event, char out[static TRIED_SIZE])
{
    const struct kdnet_pdb *pdb = target->has_session ? kdnet_session_pdb(targets_session(target)) : NULL;
    const struct kdnet_event_crash_status *status = &event->u.crash_status;
    if (event->type != KDNET_EVENT_CRASH_STATUS || !pdb || !worker->asker ||
        (status->conclusion.reason != KDNET_REASON_NO_SYMBOLS && !status->symbols_pending))
        return NULL;
    worker->env->symbols->explain(worker->asker, pdb, KDNET_STATUS_SYMBOL, out, TRIED_SIZE);
    return out;
}

/* Logs what a connected machine has shown about its keys. */
static void log_key(const struct target *target, uint32_t before)
{
    struct log_line line;
    bool is_old = target->more->slot != KEYRING_CURRENT;
    if (before == target->more->slot)
        return;
    if (is_old)
        log_begin(&line, CONFIG_LOG_NOTICE,
                  "target uses an old key; Windows takes the new one (bcdedit /dbgsettings) at its next start");
    else
        log_begin(&line, CONFIG_LOG_NOTICE,
                  "target uses its new key; the old one is no longer used: take key_old out of the configuration");
    log_text(&line, "target", targets_name(target));
    log_end(&line);
}

/* Returns whether the event belongs to a key that its machine no longer uses: that is no loss. */
static bool note_key(struct worker *worker, const struct target *target, const struct kdnet_event *event)
{
    if (!target->more || !target->more->ring)
        return false;
    if (event->type == KDNET_EVENT_LOST)
        return targets_is_superseded(target);
    if (event->type == KDNET_EVENT_CONNECTED) {
        log_key(target, keyring_show(target->more->ring, target->more->slot));
        (void)atomic_fetch_add(worker->env->keys_shown, 1);
    }
    return false;
}

/* `address` is borrowed, and may be filled in later. */
static struct event_json_subject subject_of(const struct worker *worker, const struct target *target,
                                            const struct address *address)
{
    return (struct event_json_subject){.time_us = wall_clock_us(),
                                       .collector = worker->collector,
                                       .labels = policies_labels(kdnet_session_policy(targets_session(target))),
                                       .target = targets_name(target),
                                       .address = address};
}

/* Nothing of a target is told after this. */
void publish_removed(struct worker *worker, const struct target *target)
{
    const struct target_endpoint *endpoint = targets_destination(target);
    struct address address = {.port = 0};
    struct event_json_subject subject = subject_of(worker, target, endpoint ? &address : NULL);
    struct log_line line;
    if (endpoint)
        address = targets_address(endpoint);
    ++worker->totals.events;
    if (publisher_removed(worker->env->publisher, &subject) > 0)
        worker->events_added = true;
    log_begin(&line, CONFIG_LOG_NOTICE, "target removed");
    log_text(&line, "target", targets_name(target));
    log_end(&line);
}

static uint64_t publish(struct worker *worker, struct target *target, const struct kdnet_event *event)
{
    const struct target_endpoint *endpoint = targets_destination(target);
    struct address address = {.port = 0};
    struct event_json_subject subject = subject_of(worker, target, endpoint ? &address : NULL);
    struct address configured = targets_configured(target);
    if (endpoint)
        address = targets_address(endpoint);
    if (note_key(worker, target, event))
        return 0;
    subject.configured = target->elsewhere ? &configured : NULL;
    subject.old_key = target->old_key;
    char lookup[TRIED_SIZE];
    struct logged_event logged_event = {
        .target = target, .event = event, .lookup = find_lookup(worker, target, event, lookup)};
    subject.tried = logged_event.lookup;
    note(worker, target, event);
    uint64_t number = publisher_event(worker->env->publisher, &subject, event);
    worker->events_added = worker->events_added || number > 0;
    log_event(&logged_event);
    return number;
}

/* For people a silence lasts also while kdnetd itself stood still. */
uint64_t publish_event(struct worker *worker, struct target *target, const struct kdnet_event *event)
{
    if (event->type != KDNET_EVENT_LOST)
        return publish(worker, target, event);
    struct kdnet_event lost = *event;
    lost.u.lost.silent_us += worker_lag_us() - worker_lag_at(kdnet_session_last_seen(targets_session(target)));
    return publish(worker, target, &lost);
}
