/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/error.h"
#include "kdnet/kernel/crash.h"
#include "kdnet/session/break_handler_internal.h"
#include "kdnet/session/budget_internal.h"
#include "kdnet/session/claim_internal.h"
#include "kdnet/session/demand_internal.h"
#include "kdnet/session/events_internal.h"
#include "kdnet/session/handshakes_internal.h"
#include "kdnet/session/identity_internal.h"
#include "kdnet/session/offers_internal.h"
#include "kdnet/session/outgoing_internal.h"
#include "kdnet/session/probes/evidence_internal.h"
#include "kdnet/session/resend_internal.h"
#include "kdnet/session/sequence_internal.h"
#include "kdnet/session/word_internal.h"

#include <stdlib.h>
#include <string.h>

#define CONTESTED_REKEYS   5U       /* new keys without success: another host also gives the machine keys */
#define DEAF_TIMEOUTS      4U       /* of one packet, without any answer */
#define DEAF_SLOW_TIMEOUTS 8U       /* the same, for a machine that answers slowly */
#define LOST_LATER_US      1000000U /* delay of the loss report when the event has no memory */

struct kdnet_session *kdnet_session_new(const struct kdnet_session_shared *shared, const struct kdnet_policy *policy,
                                        const struct kdnet_key *key)
{
    if (!shared || !shared->crypto || !key)
        return NULL;
    void *memory = malloc(sizeof(struct kdnet_session));
    return memory ? kdnet_session_init(memory, shared, policy, key) : NULL;
}

size_t kdnet_session_size(void)
{
    return sizeof(struct kdnet_session);
}

struct kdnet_session *kdnet_session_init(void *memory, const struct kdnet_session_shared *shared,
                                         const struct kdnet_policy *policy, const struct kdnet_key *key)
{
    struct kdnet_session *session = memory;
    memset(session, 0, sizeof *session);
    session->shared = shared;
    session->policy = policy ? policy : &kdnet_policy_default;
    kdnet_keys_init(&session->keys, key);
    kdnet_link_memory_init(&session->link);
    return session;
}

const struct kdnet_key *kdnet_session_key(const struct kdnet_session *session)
{
    return &session->keys.control;
}

/* A plain copy: nothing of a session points to the session itself. */
struct kdnet_session *kdnet_session_relocate(struct kdnet_session *session, void *memory)
{
    memcpy(memory, session, sizeof *session);
    kdnet_crypto_wipe(session, sizeof *session);
    return memory;
}

static void forget_all(struct kdnet_session *session)
{
    kdnet_offers_forget(session);
    free(session->strays);
    kdnet_active_free(session->active);
    free(session->history);
    kdnet_kernel_info_clear(session->kernel_info);
    free(session->kernel_info);
}

void kdnet_session_clear(struct kdnet_session *session)
{
    forget_all(session);
    kdnet_crypto_wipe(session, sizeof *session);
}

void kdnet_session_free(struct kdnet_session *session)
{
    if (!session)
        return;
    kdnet_session_clear(session);
    free(session);
}

void kdnet_session_restart(struct kdnet_session *session)
{
    struct kdnet_session fresh = {.shared = session->shared, .policy = session->policy, .keys = session->keys};
    forget_all(session);
    kdnet_link_memory_init(&fresh.link);
    *session = fresh;
    kdnet_crypto_wipe(&fresh, sizeof fresh);
}

void kdnet_session_set_policy(struct kdnet_session *session, const struct kdnet_policy *policy)
{
    session->policy = policy ? policy : &kdnet_policy_default;
}

const struct kdnet_policy *kdnet_session_policy(const struct kdnet_session *session)
{
    return session->policy;
}

void kdnet_session_move(struct kdnet_session *session, const struct kdnet_session_shared *shared)
{
    session->shared = shared;
    kdnet_evidence_probe_moved(session);
}

bool kdnet_session_may_open(struct kdnet_session *session, const uint8_t *payload, size_t length)
{
    uint8_t version, channel;
    return kdnet_datagram_peek(payload, length, &version, &channel) == KDNET_OK &&
           kdnet_datagram_may_open(session->shared->crypto, session->keys.control.bytes, payload, length);
}

static bool is_nothing(const struct kdnet_history *history, uint64_t now_us)
{
    const struct kdnet_crash *crash = &history->crash;
    return !history->identity.crash_known && !history->identity.recalled.known && !crash->printed && !crash->dumping &&
           !crash->first_released && crash->kernel_base == 0 && !crash->bugcheck.known && !crash->last.known &&
           history->breaks_us == 0 && history->storm_reported_us == 0 && history->stopped_us == 0 &&
           !history->awaited.expected && !kdnet_demand_lasts(history, now_us) &&
           kdnet_budget_is_whole(&history->budget, now_us);
}

/* Whether the machine needs nothing but a poke now and then, as nearly every machine. */
static bool is_at_rest(const struct kdnet_session *session)
{
    return !session->active && !session->history;
}

/* Frees an active session's memory when nothing of it is needed. */
static void rest(struct kdnet_session *session)
{
    struct kdnet_active *active = session->active;
    if (active && (active->event_count > 0 || active->halt.stage != KDNET_STAGE_RUNNING || active->link.busy ||
                   active->link.control_count > 0))
        return;
    if (active) {
        session->link = active->link.memory;
        session->active = NULL;
        kdnet_active_free(active);
    }
    if (!session->history)
        return;
    kdnet_identity_expire(session, session->last_seen_us);
    if (!is_nothing(session->history, session->last_seen_us))
        return;
    free(session->history);
    session->history = NULL;
}

bool kdnet_session_next_event(struct kdnet_session *session, struct kdnet_event *out)
{
    struct kdnet_active *active = session->active;
    if (is_at_rest(session))
        return false;
    while (active && active->event_count > 0) {
        *out = *kdnet_events_take(session);
        if (!kdnet_budget_allows(session, out))
            continue;
        out->of.number = (uint32_t)++session->told;
        return true;
    }
    rest(session);
    return false;
}

/* --- data channel ------------------------------------------------------------------------------------------------- */

/* Whether a datagram brings a break that has to wait. */
static bool waits(struct kdnet_session *session, const struct kdnet_datagram *datagram, uint64_t now_us)
{
    struct kdnet_packet packet;
    return session->shared->breaks_wait &&
           kdnet_packet_decode(datagram->body, datagram->body_length, &packet) == KDNET_OK && !packet.control &&
           kdnet_break_handler_waits(session, &packet, now_us);
}

static int receive_packet(struct kdnet_session *session, const struct kdnet_datagram *datagram, uint64_t now_us,
                          struct kdnet_received *received)
{
    struct kdnet_packet packet;
    enum kdnet_link_news news;
    uint8_t host[4];
    if (kdnet_check_decode(datagram->body, datagram->body_length, host) == KDNET_OK)
        return KDNET_OK;
    received->waits = waits(session, datagram, now_us);
    if (received->waits)
        return KDNET_OK;
    if (!kdnet_state_wake(session))
        return KDNET_ERR_MEMORY;
    session->active->link.split = session->rival > 0;
    session->active->link.rivals = session->shared->rivals;
    int error = kdnet_link_receive(&session->active->link, datagram->body, datagram->body_length, datagram->sequence,
                                   now_us, &news, &packet);
    if (error == KDNET_ERR_REPEAT)
        kdnet_state_count(session, KDNET_COUNT_REPEATED);
    if (error != KDNET_OK)
        return error;
    received->hears = packet.control || packet.type == KDNET_PACKET_MANIPULATE;
    received->said = !received->hears;
    if (news == KDNET_LINK_DATA)
        kdnet_claim_paid(session);
    if (news == KDNET_LINK_ACKED)
        kdnet_break_handler_acked(session, now_us);
    else if (news == KDNET_LINK_DATA)
        kdnet_break_handler_packet(session, &packet, now_us);
    return KDNET_OK;
}

static int receive_data(struct kdnet_session *session, const uint8_t *payload, size_t length, uint64_t now_us,
                        struct kdnet_received *received)
{
    uint8_t plain[KDNET_DATAGRAM_MAX], id[KDNET_SESSION_ID_LENGTH];
    struct kdnet_datagram datagram;
    memcpy(id, session->id, sizeof id);
    bool contested = session->rekey_wanted && session->foreign_rekeys >= CONTESTED_REKEYS;
    int error = kdnet_handshakes_open_data(session, payload, length, plain, now_us, &datagram);
    if (error == KDNET_ERR_AUTH) {
        kdnet_claim_foreign(session, payload[4], length, now_us);
        received->astray = kdnet_claim_shows_data(session, now_us);
    }
    if (error != KDNET_OK)
        return error;
    received->authentic = true;
    received->version = datagram.version;
    if (datagram.from_host)
        return KDNET_ERR_FORMAT;
    if (!kdnet_sequence_take(session, datagram.sequence, payload + length - KDNET_TAG_LENGTH, now_us)) {
        kdnet_state_count(session, KDNET_COUNT_REPEATED);
        return KDNET_ERR_REPEAT;
    }
    received->live = true;
    received->other_host = contested && memcmp(id, session->id, sizeof id) != 0;
    kdnet_claim_heard(session, now_us);
    kdnet_state_heard(session, now_us);
    if (session->active)
        session->active->halt.resuming.other_host_pokes = 0;
    return receive_packet(session, &datagram, now_us, received);
}

int kdnet_session_receive(struct kdnet_session *session, const uint8_t *payload, size_t length, uint64_t now_us,
                          struct kdnet_received *received)
{
    uint8_t version, channel;
    *received = (struct kdnet_received){0};
    int error = kdnet_datagram_peek(payload, length, &version, &channel);
    if (error == KDNET_OK)
        error = channel == KDNET_CHANNEL_CONTROL ? kdnet_handshakes_receive(session, payload, length, now_us, received)
                                                 : receive_data(session, payload, length, now_us, received);
    if (kdnet_error_family(error) == KDNET_FAMILY_DROP)
        kdnet_state_count(session, KDNET_COUNT_REJECTED);
    return error;
}

int kdnet_session_receive_relayed(struct kdnet_session *session, const uint8_t *payload, size_t length, uint64_t now_us,
                                  struct kdnet_received *received)
{
    session->relayed = true;
    int error = kdnet_session_receive(session, payload, length, now_us, received);
    session->relayed = false;
    return error;
}

void kdnet_session_kept(struct kdnet_session *session, uint64_t now_us)
{
    kdnet_claim_kept(session, now_us);
}

uint32_t kdnet_session_told_break(const struct kdnet_session *session)
{
    return session->active ? session->active->told_checksum : 0;
}

bool kdnet_session_told(struct kdnet_session *session, uint32_t id, uint64_t now_us)
{
    return kdnet_word_told(session, id, now_us);
}

/* --- sending ------------------------------------------------------------------------------------------------------ */

bool kdnet_session_next_datagram(struct kdnet_session *session, uint64_t now_us, struct kdnet_outgoing *out)
{
    bool due = session->response_due || session->knock_due || session->solicit_due;
    if (!due && is_at_rest(session))
        return false;
    bool made = due ? kdnet_session_next_control(session, out) : kdnet_outgoing_next_data(session, now_us, out);
    if (!made)
        rest(session); /* frees memory that the next of thousands of connecting targets needs */
    return made;
}

/* --- time --------------------------------------------------------------------------------------------------------- */

static uint64_t lost_deadline(const struct kdnet_session *session)
{
    if (!session->connected || session->lost)
        return KDNET_NEVER;
    bool dumping = session->history && session->history->crash.dumping;
    return session->last_seen_us + session->lost_later * LOST_LATER_US +
           (dumping ? session->shared->dump_for_us : session->shared->lost_after_us);
}

/* Whether nothing but silence and a RESEND can come due, as for nearly every machine. */
static bool is_quiet(const struct kdnet_session *session)
{
    return is_at_rest(session) && !kdnet_claim_is_pending(session) && !session->has_strays;
}

uint64_t kdnet_session_deadline(const struct kdnet_session *session)
{
    uint64_t deadline = lost_deadline(session);
    uint64_t resend = kdnet_resend_deadline(session);
    if (is_quiet(session))
        return resend < deadline ? resend : deadline;
    uint64_t link = session->active ? kdnet_link_deadline(&session->active->link) : KDNET_NEVER;
    uint64_t halt = kdnet_break_handler_deadline(session);
    uint64_t budget = kdnet_budget_deadline(session);
    uint64_t demand = kdnet_demand_deadline(session);
    uint64_t claim = kdnet_claim_deadline(session);
    if (claim < deadline)
        deadline = claim;
    if (link < deadline)
        deadline = link;
    if (budget < deadline)
        deadline = budget;
    if (demand < deadline)
        deadline = demand;
    return halt < deadline ? halt : deadline;
}

static void lose(struct kdnet_session *session, uint64_t now_us)
{
    if (!kdnet_state_wake(session)) {
        session->lost = session->lost_later == UINT8_MAX; /* the last delay is over: the loss stays unreported */
        session->lost_later += !session->lost;
        return;
    }
    session->lost = true;
    kdnet_identity_expire(session, now_us);
    struct kdnet_event *event = kdnet_events_add(session, KDNET_EVENT_LOST);
    event->u.lost.silent_us = now_us - session->last_seen_us;
    event->u.lost.halted = session->active->halt.stage != KDNET_STAGE_RUNNING || session->history->stopped_us != 0;
    kdnet_link_sleep(&session->active->link);
}

void kdnet_session_expire(struct kdnet_session *session, uint64_t now_us)
{
    kdnet_break_handler_expire(session, now_us);
    if (session->active) {
        struct kdnet_link *link = &session->active->link;
        unsigned timeouts = link->timeouts;
        unsigned deaf = link->memory.rtt_kept > 0 ? DEAF_SLOW_TIMEOUTS : DEAF_TIMEOUTS;
        link->split = session->rival > 0;
        link->rivals = session->shared->rivals;
        kdnet_link_expire(link, now_us);
        if (link->timeouts > timeouts && link->timeouts % deaf == 0 &&
            !link->acked) /* a target that acknowledges, hears us */
            kdnet_claim_suspect(session, now_us);
    }
    if (now_us >= lost_deadline(session))
        lose(session, now_us);
    kdnet_demand_expire(session, now_us);
    kdnet_claim_expire(session, now_us);
    kdnet_budget_expire(session, now_us);
}

void kdnet_session_admit(struct kdnet_session *session, uint64_t now_us)
{
    if (!session->connected || !kdnet_state_wake(session))
        return;
    struct kdnet_active *active = session->active;
    if (active->halt.stage != KDNET_STAGE_RUNNING || active->link.busy)
        return;
    kdnet_link_control(&active->link, KDNET_PACKET_RESEND, 0);
    kdnet_resend_begin(session, 0, now_us);
}

bool kdnet_session_awaits(const struct kdnet_session *session)
{
    const struct kdnet_active *active = session->active;
    return session->offers || (active && (active->link.busy || active->halt.stage != KDNET_STAGE_RUNNING));
}

uint64_t kdnet_session_timeout(const struct kdnet_session *session)
{
    struct kdnet_link idle;
    if (session->active)
        return kdnet_link_timeout(&session->active->link);
    idle.memory = session->link;
    idle.split = session->rival > 0;
    return kdnet_link_timeout(&idle);
}

bool kdnet_session_is_connected(const struct kdnet_session *session)
{
    return session->connected && !session->lost;
}

bool kdnet_session_is_halted(const struct kdnet_session *session)
{
    return session->active && session->active->halt.stage != KDNET_STAGE_RUNNING;
}

bool kdnet_session_is_dumping(const struct kdnet_session *session)
{
    return session->history && session->history->crash.dumping;
}

bool kdnet_session_is_going_down(const struct kdnet_session *session)
{
    return session->going_down;
}

bool kdnet_session_is_waiting(const struct kdnet_session *session)
{
    return session->history && session->history->stopped_us != 0;
}

uint64_t kdnet_session_last_seen(const struct kdnet_session *session)
{
    return session->last_seen_us;
}

const struct kdnet_pdb *kdnet_session_pdb(const struct kdnet_session *session)
{
    return session->kernel_info && kdnet_is_known(&session->kernel_info->facts, KDNET_FACT_IDENTITY)
               ? &session->kernel_info->pdb
               : NULL;
}

bool kdnet_session_id(const struct kdnet_session *session, uint8_t *id)
{
    static const uint8_t none[KDNET_SESSION_ID_LENGTH];
    memcpy(id, session->id, sizeof session->id);
    return memcmp(session->id, none, sizeof none) != 0;
}

uint8_t kdnet_session_version(const struct kdnet_session *session)
{
    return session->version;
}

void kdnet_session_doubt(struct kdnet_session *session)
{
    session->rekey_wanted = session->rekey_wanted || session->connected;
}

void kdnet_session_symbols_came(struct kdnet_session *session, uint64_t now_us)
{
    kdnet_break_handler_symbols_came(session, now_us);
}

int kdnet_session_resume(struct kdnet_session *session, enum kdnet_action action, uint64_t now_us)
{
    return kdnet_break_handler_resume(session, action, now_us);
}

void kdnet_session_identify(const struct kdnet_session *session, struct kdnet_event *event)
{
    kdnet_identity_fill(session, event);
}

int kdnet_session_read(struct kdnet_session *session, uint64_t now_us)
{
    return kdnet_break_handler_read(session, now_us);
}

int kdnet_session_break_in(struct kdnet_session *session, uint64_t now_us)
{
    return kdnet_demand_begin(session, now_us);
}

enum kdnet_demand kdnet_session_demand(const struct kdnet_session *session)
{
    const struct kdnet_history *history = session->history;
    if (!history)
        return KDNET_DEMAND_NONE;
    bool over = history->demand.now == KDNET_DEMAND_HALTED && !kdnet_state_is_halted(session);
    return over ? KDNET_DEMAND_DONE : history->demand.now;
}

int kdnet_session_reboot(struct kdnet_session *session)
{
    struct kdnet_active *active = session->active;
    if (!active || active->halt.stage != KDNET_STAGE_READING)
        return KDNET_ERR_STATE;
    active->halt.reboot = true;
    return KDNET_OK;
}
