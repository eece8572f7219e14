/* SPDX-License-Identifier: Apache-2.0 */
#include "service/runtime/log.h"
#include "service/worker/deliver.h"
#include "service/worker/forward.h"
#include "service/worker/handover.h"
#include "service/worker/migration.h"
#include "service/worker/pump.h"
#include "service/worker/stray.h"
#include "service/worker/totals.h"
#include "service/worker/word.h"

#include <string.h>

#define CRASH_STORM         500U /* machines halted at a time, of all workers */
#define BACK_AND_FORTH      3    /* moves back within a minute: two machines with one key */
#define OTHER_HOST_EVERY_US UINT64_C(600000000)
#define OTHER_HOST_SHOWN_US UINT64_C(30000000) /* interval of publishing that this lasts */
#define NEWEST_VERSION      5                  /* newest version of KDNET seen so far */

/* Memory or OpenSSL failed: restarts the session; the machine's next poke finds it. */
static void give_up(struct worker *worker, struct target *target, int code)
{
    struct log_line line;
    log_begin(&line, CONFIG_LOG_ERROR,
              "session given up and begun anew; the machine is served again from its next poke");
    log_text(&line, "target", targets_name(target));
    log_text(&line, "error", kdnet_error_text(code));
    log_end(&line);
    totals_forget(worker, target);
    timers_set(&worker->timers, target->id, TIMERS_NEVER, worker_now_us());
    kdnet_session_restart(targets_session(target));
    worker_target_changed(worker, target);
}

static void say_two_machines(struct target *target, const struct address *one, const struct address *other)
{
    struct log_line line;
    char first[ADDRESS_TEXT_SIZE], second[ADDRESS_TEXT_SIZE];
    address_format(one, first);
    address_format(other, second);
    log_begin(&line, CONFIG_LOG_WARNING,
              "two machines seem to share the key of this target; give each its own: "
              "`kdnetctl keygen` makes one and the bcdedit line for it");
    log_text(&line, "target", targets_name(target));
    log_text(&line, "address", first);
    log_text(&line, "other", second);
    log_end(&line);
}

static void log_moved(struct target *target, const struct address *from, const struct address *to, uint64_t now_us)
{
    struct log_line line;
    char old[ADDRESS_TEXT_SIZE], new[ADDRESS_TEXT_SIZE];
    struct target_more *more = targets_more(target);
    if (!more)
        return; /* out of memory: nothing is missed but this line */
    bool back = address_equal(&more->moved_from, to) && now_us - more->moved_us < WORKER_MINUTE_US;
    more->back_and_forth = back ? more->back_and_forth + 1 : 0;
    more->moved_from = *from;
    more->moved_us = now_us;
    if (more->back_and_forth >= BACK_AND_FORTH) {
        if (more->warned_us == 0 || now_us - more->warned_us >= WORKER_MINUTE_US) {
            more->warned_us = now_us;
            say_two_machines(target, from, to);
        }
        return;
    }
    address_format(from, old);
    address_format(to, new);
    log_begin(&line, CONFIG_LOG_INFO, "target has another address");
    log_text(&line, "target", targets_name(target));
    log_text(&line, "address", new);
    log_text(&line, "before", old);
    log_end(&line);
}

/* Another debugger answers this machine, too, and keeps it: we only warn now and then. */
static void say_other_host(struct worker *worker, struct target *target, const struct arrival *a,
                           const struct kdnet_received *received)
{
    struct log_line line;
    char machine[ADDRESS_TEXT_SIZE], host[ADDRESS_TEXT_SIZE];
    struct address other = {.port = received->other.port};
    struct target_more *more = targets_more(target);
    if (!more)
        return;
    bool named = !kdnet_address_is_none(&received->other);
    memcpy(other.ip, received->other.ip, sizeof other.ip);
    if (more->other_host_us == 0 || a->now_us - more->other_host_us >= OTHER_HOST_SHOWN_US) {
        more->other_host = other;
        more->other_host_us = a->now_us;
        worker_target_changed(worker, target);
    }
    if (more->warned_us != 0 && a->now_us - more->warned_us < OTHER_HOST_EVERY_US)
        return;
    more->warned_us = a->now_us;
    address_format(a->source, machine);
    address_format(&other, host);
    log_begin(&line, CONFIG_LOG_WARNING,
              named
                  ? "this machine names another host as its debugger: only one can have it. kdnetd does not fight for "
                    "it, and misses its crashes while the other has it; stop that debugger (WinDbg, kd, another "
                    "kdnetd), or take this target out of this configuration"
                  : "another host seems to answer this machine at the address where kdnetd does: its keys change again "
                    "and again; stop the other debugger (WinDbg, kd, another kdnetd at this address), or take this "
                    "target out of this configuration");
    log_text(&line, "target", targets_name(target));
    log_text(&line, "address", machine);
    if (named)
        log_text(&line, "other", host);
    log_end(&line);
}

/* A replayed poke moves no row; but data may come from where its response goes. */
static void update_candidate(struct worker *worker, struct target *target, const struct arrival *a,
                             const struct kdnet_received *received)
{
    uint16_t port = a->listener->local.port;
    if (received->answered)
        responses_note(&worker->responses, a->source, port, target->id);
    if (received->fresh || (received->answered && !targets_destination(target)))
        targets_set_candidate(&worker->targets, target, a->source, a->listener, port);
}

/* Once for each address. */
static void say_elsewhere(const struct target *target, const struct address *from)
{
    struct log_line line;
    struct address configured = targets_configured(target);
    char here[ADDRESS_TEXT_SIZE], there[ADDRESS_TEXT_SIZE];
    address_format(from, here);
    address_format_ip(&configured, there);
    log_begin(&line, CONFIG_LOG_WARNING,
              "target is heard from another address than the configured one, and served there; correct its address: or "
              "leave it out, or say strict: true");
    log_text(&line, "target", targets_name(target));
    log_text(&line, "address", here);
    log_text(&line, "configured", there);
    log_end(&line);
}

static void update_address(struct worker *worker, struct target *target, const struct arrival *a,
                           const struct kdnet_received *received)
{
    uint16_t port = a->listener->local.port;
    if (!received->live) {
        update_candidate(worker, target, a, received);
        return;
    }
    bool was_live = targets_is_live(target);
    struct address before = targets_address(&target->live);
    if (!targets_set_live(&worker->targets, target, a->source, a->listener, port))
        return;
    responses_forget(&worker->responses, a->source, port, target->id);
    worker_target_changed(worker, target);
    if (was_live)
        log_moved(target, &before, a->source, a->now_us);
    if (target->elsewhere && !(was_live && address_same_ip(&before, a->source->ip)))
        say_elsewhere(target, a->source);
}

static bool is_known(int code)
{
    return code == KDNET_OK || code == KDNET_ERR_REPEAT || kdnet_error_family(code) != KDNET_FAMILY_DROP;
}

/* Reports datagrams that a target's key opens, but whose form is unknown: a future Windows must not be invisible. */
static void say_unexpected(struct worker *worker, const struct target *target, const struct arrival *a,
                           const struct kdnet_received *received, int code)
{
    struct log_line line;
    char source[ADDRESS_TEXT_SIZE];
    bool known = is_known(code);
    if (worker->unexpected_us != 0 && a->now_us - worker->unexpected_us < WORKER_MINUTE_US)
        return;
    worker->unexpected_us = a->now_us;
    address_format(a->source, source);
    log_begin(&line, CONFIG_LOG_WARNING,
              known ? "a machine speaks a version of KDNET that kdnetd has not seen; please report it"
                    : "an authentic datagram is not of a form that kdnetd knows; please report it");
    log_text(&line, "target", targets_name(target));
    log_text(&line, "address", source);
    log_number(&line, "version", received->version);
    log_number(&line, "channel", a->payload[KDNET_VERSION_AT + 1]);
    log_number(&line, "length", a->length);
    log_text(&line, "error", kdnet_error_text(code));
    log_end(&line);
}

/* Notes whether the machine hears us, and whether its break has to wait. */
static void note_admission(struct worker *worker, struct target *target, const struct arrival *a,
                           const struct kdnet_received *received)
{
    if (received->waits) {
        admission_wait(&worker->admission, target->id, worker_patience_us(target), a->now_us);
        ++a->listener->counts.waiting_breaks;
    } else if (received->hears) {
        admission_heard(&worker->admission, target->id, a->now_us);
    } else if (received->said) {
        admission_said(&worker->admission, target->id, a->now_us);
    }
}

/* Also what another collector has shown. */
static int receive(struct worker *worker, struct target *target, const struct arrival *a,
                   struct kdnet_received *received)
{
    bool shown = a->forwarded == FORWARD_SHOWN;
    worker->shared.relays = word_has_others(worker);
    int code = (shown ? kdnet_session_receive_relayed : kdnet_session_receive)(targets_session(target), a->payload,
                                                                               a->length, a->now_us, received);
    worker->astray = received->astray;
    if (shown && received->authentic && !received->poke)
        stray_keep(worker, target, a);
    return code;
}

/* Tells a session what applies to a break, which no poke brings. */
static void prepare_break(struct worker *worker, const struct target *target, uint64_t now_us)
{
    worker->shared.breaks_wait = !admission_takes(&worker->admission, target->id, now_us);
    worker->shared.breaks_pass = admission_is_late(&worker->admission, target->id);
    worker->shared.crash_storm = admission_halted_count(&worker->admission) > CRASH_STORM / worker->env->worker_count;
}

/* Gives a datagram to a session. Returns whether it was the target's. */
bool deliver_datagram(struct worker *worker, struct target *target, const struct arrival *a)
{
    struct kdnet_received received;
    if (target->handed_over && handover_may_open(target, a) && handover_lasts(worker, target, a->now_us))
        return true;
    worker->shared.breaks_wait = worker->shared.breaks_pass = false;
    if (a->channel == KDNET_CHANNEL_DATA)
        prepare_break(worker, target, a->now_us);
    int code = receive(worker, target, a, &received);
    if (kdnet_error_family(code) == KDNET_FAMILY_GIVE_UP) {
        give_up(worker, target, code);
        return true;
    }
    if (!received.authentic)
        return false;
    if (kdnet_session_last_seen(targets_session(target)) == a->now_us)
        a->listener->heard_us = a->now_us;
    if (!is_known(code) || received.version > NEWEST_VERSION)
        say_unexpected(worker, target, a, &received, code);
    update_address(worker, target, a, &received);
    note_admission(worker, target, a, &received);
    if (received.other_host)
        say_other_host(worker, target, a, &received);
    pump_drain_events(worker, target, a->now_us);
    if (a->pending_sends && a->channel == KDNET_CHANNEL_DATA)
        pump_queue_send(worker, target, a);
    else
        pump_send_pending(worker, target, a->listener, a->source, a->now_us);
    return true;
}

/* Returns whether one of the rows took the datagram. */
bool deliver_to_targets(struct worker *worker, const struct arrival *a, struct target **rows, size_t count)
{
    for (size_t i = 0; i < count; ++i)
        if (deliver_datagram(worker, rows[i], a)) {
            if (!worker->in_batch)
                migration_consider(worker, rows[i]);
            return true;
        }
    return false;
}
