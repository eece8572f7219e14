/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/names.h"
#include "service/log.h"
#include "service/lookup.h"
#include "service/report.h"
#include "service/server_internal.h"

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

/* Each line names the machine the same way. */
static bool begin(struct log_line *line, enum config_log_level level, const char *message, const struct target *target,
                  const struct kdnet_event *event)
{
    char text[ADDRESS_TEXT_SIZE], session[2 * KDNET_SESSION_ID_LENGTH + 1];
    const struct target_place *place = targets_destination(target);
    log_begin(line, level, message);
    if (line->off)
        return false;
    log_text(line, "target", targets_name(target));
    if (place) {
        struct address address = targets_address(place);
        address_format(&address, text);
        log_text(line, "address", text);
    }
    report_session(event->session, session);
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

static const char *verdict_message(const struct kdnet_event_crash_status *status)
{
    bool crash = status->phase != KDNET_PHASE_BREAK && status->phase != KDNET_PHASE_BOOT;
    switch (status->conclusion.verdict) {
    case KDNET_VERDICT_WRITTEN:
        return "crash dump written";
    case KDNET_VERDICT_NOT_STARTED:
        if (!crash)
            return "machine stopped for its debugger; it has written no crash dump";
        return status->phase == KDNET_PHASE_BUGCHECK_FIRST ? "machine has crashed; its dump is not started yet, it "
                                                             "begins when the machine is released"
                                                           : "crash dump was never started";
    case KDNET_VERDICT_FAILED:
        return crash ? "crash dump failed; status says why"
                     : "machine stopped for its debugger; status says why its "
                       "crash dump failed";
    case KDNET_VERDICT_UNKNOWN:
    default:
        return crash ? "machine has crashed; the status of its dump is unknown, reason says why"
                     : "machine stopped for its debugger; its crash dump status is unknown, reason says why";
    }
}

static const char *reason_hint(enum kdnet_reason reason)
{
    switch (reason) {
    case KDNET_REASON_NO_SYMBOLS:
        return "tell kdnetd where IopFinalCrashDumpStatus is in this kernel, if you know: "
               "--rva GUIDAGE:IopFinalCrashDumpStatus=0x..., or rva: in the configuration";
    case KDNET_REASON_TIMEOUT:
        return "the machine answered too slowly; look at loss on its network, or raise read_deadline";
    case KDNET_REASON_LOST:
        return "the machine fell silent while it was read";
    case KDNET_REASON_NONE:
    case KDNET_REASON_SYMBOL_ABSENT:
    case KDNET_REASON_UNREADABLE:
    case KDNET_REASON_NO_KERNEL:
    default:
        return NULL;
    }
}

static void log_guidage(struct log_line *line, const struct kdnet_pdb *pdb)
{
    char guidage[KDNET_GUIDAGE_SIZE];
    if (!pdb)
        return;
    kdnet_pdb_guidage(pdb, guidage);
    log_text(line, "guidage", guidage);
}

static void log_crash_status(const struct target *target, const struct kdnet_event *event)
{
    const struct kdnet_event_crash_status *status = &event->u.crash_status;
    const struct kdnet_conclusion *conclusion = &status->conclusion;
    bool bad = conclusion->verdict == KDNET_VERDICT_FAILED;
    struct log_line line;
    if (!begin(&line, bad ? CONFIG_LOG_WARNING : CONFIG_LOG_NOTICE, verdict_message(status), target, event))
        return;
    log_text(&line, "verdict", kdnet_verdict_name(conclusion->verdict));
    log_text(&line, "phase", kdnet_phase_name(status->phase));
    if (status->status_known) {
        log_hex(&line, "status", status->status, 8);
        log_text(&line, "status_name", kdnet_status_name(status->status));
    }
    log_guidage(&line, kdnet_session_pdb(target->session));
    if (conclusion->reason != KDNET_REASON_NONE) {
        log_text(&line, "reason", kdnet_reason_name(conclusion->reason));
        log_text(&line, "hint", reason_hint(conclusion->reason));
    }
    if (conclusion->source != KDNET_SOURCE_NONE)
        log_text(&line, "from", kdnet_source_name(conclusion->source));
    if (status->bugcheck.known)
        log_bugcheck(&line, &status->bugcheck);
    if (status->build_lab_known)
        log_bytes(&line, "build_lab", status->build_lab, strnlen(status->build_lab, sizeof status->build_lab));
    log_milliseconds(&line, "read_ms", status->read_us);
    if (status->since_first_known)
        log_milliseconds(&line, "since_first_ms", status->since_first_us);
    log_end(&line);
}

static void log_connected(const struct target *target, const struct kdnet_event *event)
{
    const struct kdnet_event_connected *connected = &event->u.connected;
    struct log_line line;
    if (!begin(&line, CONFIG_LOG_NOTICE, "target connected", target, event))
        return;
    log_number(&line, "version", connected->version);
    log_text(&line, "rebooted", connected->rebooted ? "true" : "false");
    log_text(&line, "took_over", connected->took_over ? "true" : "false");
    log_end(&line);
}

static void log_kernel(const struct target *target, const struct kdnet_event *event)
{
    const struct kdnet_event_kernel *kernel = &event->u.kernel;
    struct log_line line;
    if (!begin(&line, CONFIG_LOG_INFO, "kernel identified", target, event))
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

static void log_break_in(const struct target *target, const struct kdnet_event *event)
{
    const struct kdnet_event_break_in *halt = &event->u.break_in;
    struct log_line line;
    if (!begin(&line, CONFIG_LOG_DEBUG, "machine halted", target, event))
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

static void log_released(const struct target *target, const struct kdnet_event *event)
{
    const struct kdnet_event_released *released = &event->u.released;
    struct log_line line;
    if (!begin(&line, CONFIG_LOG_NOTICE, released_message(released->action), target, event))
        return;
    log_text(&line, "action", kdnet_action_name(released->action));
    log_milliseconds(&line, "halted_ms", released->halted_us);
    log_end(&line);
}

static void log_lost(const struct target *target, const struct kdnet_event *event)
{
    const struct kdnet_event_lost *lost = &event->u.lost;
    const char *message = lost->halted ? "target lost while it was halted: it may stand still; look at its network and "
                                         "its power; it is served again when it speaks"
                                       : "target lost: switched off, rebooting without debugging, or its network is "
                                         "down; it is served again when it speaks";
    struct log_line line;
    if (!begin(&line, CONFIG_LOG_WARNING, message, target, event))
        return;
    log_milliseconds(&line, "silent_ms", lost->silent_us);
    log_end(&line);
}

static void log_crashed(const struct target *target, const struct kdnet_event *event)
{
    struct log_line line;
    if (!begin(&line, CONFIG_LOG_NOTICE, "machine has crashed", target, event))
        return;
    log_bugcheck(&line, &event->u.bugcheck);
    log_end(&line);
}

static void log_print(const struct target *target, const struct kdnet_event *event)
{
    struct log_line line;
    if (!begin(&line, CONFIG_LOG_DEBUG, "machine prints", target, event))
        return;
    log_bytes(&line, "text", event->u.print.text, event->u.print.length);
    log_end(&line);
}

static void log_break_storm(const struct target *target, const struct kdnet_event *event)
{
    struct log_line line;
    if (!begin(
            &line, CONFIG_LOG_WARNING,
            "machine breaks in again and again; it is released unread, but for a bug check: look for the driver that "
            "breaks, at the address of the break_in events before this",
            target, event))
        return;
    log_number(&line, "unread", event->u.break_storm.unread);
    log_end(&line);
}

static void log_event(const struct target *target, const struct kdnet_event *event)
{
    static void (*const loggers[])(const struct target *, const struct kdnet_event *) = {
        [KDNET_EVENT_CONNECTED] = log_connected,
        [KDNET_EVENT_KERNEL] = log_kernel,
        [KDNET_EVENT_BUGCHECK] = log_crashed,
        [KDNET_EVENT_BREAK_IN] = log_break_in,
        [KDNET_EVENT_CRASH_STATUS] = log_crash_status,
        [KDNET_EVENT_RELEASED] = log_released,
        [KDNET_EVENT_LOST] = log_lost,
        [KDNET_EVENT_PRINT] = log_print,
        [KDNET_EVENT_BREAK_STORM] = log_break_storm,
    };
    loggers[event->type](target, event);
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
    if (held != target->held) {
        dispatch_uncount(worker, target);
        target->held = held; /* dispatch_count comes when the session has told everything */
    }
}

/* What was tried, of a result that has no symbols; NULL: that is no question. */
static const char *find_tried(const struct worker *worker, const struct target *target, const struct kdnet_event *event,
                              char out[static TRIED_SIZE])
{
    const struct kdnet_pdb *pdb = target->session ? kdnet_session_pdb(target->session) : NULL;
    if (event->type != KDNET_EVENT_CRASH_STATUS || event->u.crash_status.conclusion.reason != KDNET_REASON_NO_SYMBOLS ||
        !pdb || !worker->asker)
        return NULL;
    lookup_explain(worker->asker, pdb, KDNET_STATUS_SYMBOL, out, TRIED_SIZE);
    return out;
}

uint64_t announce_event(struct worker *worker, struct target *target, const struct kdnet_event *event)
{
    struct results *results = &worker->server->results;
    const struct target_place *place = targets_destination(target);
    struct address address = {.port = 0};
    struct report_subject subject = {
        .time_us = wall_clock_us(), .target = targets_name(target), .address = place ? &address : NULL};
    if (place)
        address = targets_address(place);
    char tried[TRIED_SIZE];
    size_t length = 0;
    uint64_t number = 0;
    subject.tried = find_tried(worker, target, event, tried);
    note(worker, target, event);
    if (results_are_wanted(results)) {
        char *text = report_event(&subject, event, &length);
        number = results_add(results, text, length, event->type == KDNET_EVENT_PRINT);
        worker->told_results = true;
    }
    log_event(target, event);
    return number;
}
