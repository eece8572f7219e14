/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/base/error.h"
#include "kdnet/base/prefetch.h"
#include "kdnet/session/offers_internal.h"
#include "kdnet/session/session_internal.h"
#include "kdnet/base/wire.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW              64U
#define FOREIGN_PATIENCE_US 1000000U /* data under an unknown key for so long: the target and we disagree */
#define FOREIGN_QUICK       3U       /* new keys without patience: a machine that is halted waits for each */
#define FOREIGN_DOUBLINGS   6U       /* then patience doubles with each new key that ended nothing: a minute at most */
#define FOREIGN_FORGET_US   300000000U
#define CONTESTED_REKEYS    5U /* new keys that ended nothing: somebody else gives the machine keys, too */
#define DEAF_TIMEOUTS       4U /* of one packet, without any answer */
#define DEAF_SLOW_TIMEOUTS  8U /* the same of a machine that takes its time */
#define OFFER_PATIENCE_US   80000U
#define OFFER_DOUBT_US      1000000U
#define SOLICIT_PERIOD_US   50000U
#define LOST_LATER_US       1000000U /* without memory for the event, a loss is told later */

enum count { COUNT_REJECTED, COUNT_REPEATED, COUNT_SENT_AGAIN };

static void count(const struct kdnet_session *session, enum count what)
{
    struct kdnet_session_counts *counts = session->shared->counts;
    if (!counts)
        return;
    counts->rejected += what == COUNT_REJECTED;
    counts->repeated += what == COUNT_REPEATED;
    counts->sent_again += what == COUNT_SENT_AGAIN;
}

struct kdnet_session *kdnet_session_new(const struct kdnet_session_shared *shared, const struct kdnet_policy *policy,
                                        const struct kdnet_key *key)
{
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
    session->policy = policy;
    kdnet_keys_init(&session->keys, key);
    kdnet_link_memory_init(&session->link);
    return session;
}

const struct kdnet_key *kdnet_session_key(const struct kdnet_session *session)
{
    return &session->keys.control;
}

/* Nothing of a session points to it. */
struct kdnet_session *kdnet_session_relocate(struct kdnet_session *session, void *memory)
{
    memcpy(memory, session, sizeof *session);
    kdnet_crypto_wipe(session, sizeof *session);
    return memory;
}

static void free_active(struct kdnet_active *active)
{
    for (size_t i = 0; active && i < KDNET_EVENTS; ++i) {
        free(active->evidence[i]);
        free(active->trace[i]);
    }
    if (active) {
        kdnet_probe_states_clear(&active->states);
        free(active->evidence_probe);
    }
    free(active);
}

void kdnet_probe_states_clear(struct kdnet_probe_states *states)
{
    while (states->count > 0)
        free(states->state[--states->count]);
}

static void forget_all(struct kdnet_session *session)
{
    kdnet_offers_forget(session);
    free_active(session->active);
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
    session->policy = policy;
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
    return kdnet_datagram_may_open(session->shared->crypto, session->keys.control.bytes, payload, length);
}

bool kdnet_session_wake(struct kdnet_session *session)
{
    if (session->active)
        return true;
    if (!session->history)
        session->history = calloc(1, sizeof *session->history);
    if (!session->history)
        return false;
    session->active = calloc(1, sizeof *session->active);
    if (!session->active)
        return false;
    kdnet_link_init(&session->active->link, &session->link);
    return true;
}

static bool is_nothing(const struct kdnet_history *history, uint64_t now_us)
{
    const struct kdnet_crash *crash = &history->crash;
    return !history->identity.crash_known && !crash->printed && !crash->dumping && !crash->first_released &&
           crash->kernel_base == 0 && !crash->bugcheck.known && !crash->last.known && history->breaks_us == 0 &&
           history->storm_reported_us == 0 && history->stopped_us == 0 && !history->awaited.expected &&
           kdnet_budget_is_whole(&history->budget, now_us);
}

/* Gives the memory of an active session back when nothing of it is needed. */
static void rest(struct kdnet_session *session)
{
    struct kdnet_active *active = session->active;
    if (active && (active->event_count > 0 || active->halt.stage != KDNET_STAGE_RUNNING || active->link.busy ||
                   active->link.control_count > 0))
        return;
    if (active) {
        session->link = active->link.memory;
        session->active = NULL;
        free_active(active);
    }
    if (!session->history)
        return;
    kdnet_identity_expire(session, session->last_seen_us);
    if (!is_nothing(session->history, session->last_seen_us))
        return;
    free(session->history);
    session->history = NULL;
}

/* The oldest event leaves the queue. A session begins with its connected event, told or not. */
static struct kdnet_event *take_event(struct kdnet_session *session)
{
    struct kdnet_active *active = session->active;
    struct kdnet_event *event = &active->event[active->event_first];
    active->event_first = (active->event_first + 1) % KDNET_EVENTS;
    --active->event_count;
    if (event->type == KDNET_EVENT_CONNECTED)
        session->told = 0;
    return event;
}

struct kdnet_event *kdnet_session_event(struct kdnet_session *session, enum kdnet_event_type type)
{
    struct kdnet_active *active = session->active;
    kdnet_identity_expire(session, session->last_seen_us);
    if (active->event_count == KDNET_EVENTS)
        (void)take_event(session);
    unsigned place = (active->event_first + active->event_count++) % KDNET_EVENTS;
    struct kdnet_event *event = &active->event[place];
    free(active->evidence[place]);
    free(active->trace[place]);
    active->evidence[place] = NULL;
    active->trace[place] = NULL;
    memset(event, 0, sizeof *event);
    event->type = type;
    memcpy(event->session, session->id, sizeof event->session);
    kdnet_session_identify(session, event);
    return event;
}

bool kdnet_session_next_event(struct kdnet_session *session, struct kdnet_event *out)
{
    struct kdnet_active *active = session->active;
    while (active && active->event_count > 0) {
        *out = *take_event(session);
        if (!kdnet_budget_allows(session, out))
            continue;
        out->of.number = (uint32_t)++session->told;
        return true;
    }
    rest(session);
    return false;
}

/* The target lives: what waited for it goes on. */
static void heard(struct kdnet_session *session, uint64_t now_us)
{
    session->last_seen_us = now_us;
    session->lost_later = 0;
    if (!session->lost)
        return;
    session->lost = false;
    if (session->active)
        kdnet_link_wake(&session->active->link, now_us);
}

/* --- handshake ---------------------------------------------------------------------------------------------------- */

/* Answers a poke with a new data key, which counts only when the target uses it; or not, when more runs ask than have
 * places. */
static int make_offer(struct kdnet_session *session, const struct kdnet_datagram *datagram,
                      const struct kdnet_poke *poke, uint64_t now_us)
{
    uint8_t body[KDNET_RESPONSE_LENGTH];
    struct kdnet_response response;
    struct kdnet_offer *offer = kdnet_offers_place(session, poke->random, now_us);
    if (!offer)
        return session->offers ? KDNET_OK : KDNET_ERR_MEMORY;
    memcpy(response.target_random, poke->random, sizeof response.target_random);
    int error = session->shared->random(session->shared->user, response.host_random, sizeof response.host_random);
    if (error != KDNET_OK)
        return error;
    *offer = (struct kdnet_offer){.used = true,
                                  .took_over = !kdnet_address_is_none(&poke->connected),
                                  .version = datagram->version,
                                  .served = kdnet_offers_served(session, poke->random),
                                  .sequence = datagram->sequence,
                                  .seen_sequence = datagram->sequence,
                                  .seen_counter = kdnet_get_le64(poke->random),
                                  .made_us = now_us};
    memcpy(offer->target_random, response.target_random, sizeof offer->target_random);
    memcpy(offer->host_random, response.host_random, sizeof offer->host_random);
    kdnet_response_encode(&response, body);
    kdnet_data_key(&session->keys.control, body, offer->data_key);
    kdnet_offers_count(session, offer, now_us);
    session->response_due = kdnet_offers_number(session, offer);
    return KDNET_OK;
}

/*
 * Whether a poke comes after another of the same run: a recorded one has neither a sequence nor a counter that
 * advances. A target that sets its KDNET up again on its way into a crash may well begin one of the two anew [inf].
 */
static bool is_newer(const struct kdnet_datagram *datagram, const struct kdnet_poke *poke, uint64_t sequence,
                     uint64_t counter)
{
    return datagram->sequence > sequence || kdnet_get_le64(poke->random) > counter;
}

/* Whether an offer was made for this very poke, or a later one of the same boot was seen. Writes the offer when it was
 * this one. */
static bool answered(struct kdnet_session *session, const struct kdnet_datagram *datagram,
                     const struct kdnet_poke *poke, struct kdnet_offer **same)
{
    *same = NULL;
    bool later = false;
    for (size_t i = 0; session->offers && i < session->offers->room; ++i) {
        struct kdnet_offer *offer = &session->offers->offer[i];
        if (!offer->used || !kdnet_poke_same_run(offer->target_random, poke->random))
            continue;
        if (memcmp(offer->target_random, poke->random, sizeof poke->random) == 0)
            *same = offer;
        if (!is_newer(datagram, poke, offer->seen_sequence, offer->seen_counter))
            later = true;
    }
    return later;
}

/*
 * Whether a poke comes too early after another of its run was answered: two responses under way at once may arrive in
 * the wrong order, and then the target uses the key that we have given up. It is noted, so that of recordings that are
 * played in order the machine's own poke is the last one that counts, and its next is answered.
 */
static bool comes_early(struct kdnet_session *session, const struct kdnet_datagram *datagram,
                        const struct kdnet_poke *poke, uint64_t now_us)
{
    struct kdnet_offer *newest = kdnet_offers_newest(session, poke->random);
    if (!newest || now_us - newest->made_us >= KDNET_OFFER_SPACING_US)
        return false;
    newest->seen_sequence = datagram->sequence;
    newest->seen_counter = kdnet_get_le64(poke->random);
    return true;
}

/* The machine holds a connection with a host elsewhere than where it sends its pokes, which is us. */
static bool names_another(const struct kdnet_poke *poke)
{
    return !kdnet_address_is_none(&poke->connected) && !kdnet_address_equal(&poke->connected, &poke->host);
}

/*
 * Whether a poke that is new wants an answer: DESIGN section 5, PROTOCOL section 3. A machine that we hold and that
 * names another host has been taken by that one: two hosts would take it from each other for ever. Unless its data
 * comes to us all the same: then the other address is one of ours.
 */
static bool wants_answer(const struct kdnet_session *session, const struct kdnet_poke *poke, uint64_t now_us)
{
    const struct kdnet_offer *offered = kdnet_offers_newest(session, poke->random);
    if (!session->connected)
        return true;
    if (!kdnet_poke_same_run(session->target_random, poke->random))
        return true;
    if (kdnet_address_is_none(&poke->connected))
        return true;
    if (names_another(poke))
        return session->rekey_wanted && session->foreign_us != 0;
    /* It may have taken a response whose connection check was lost: then it waits under a key that we do not use. */
    return session->rekey_wanted || (offered && now_us - offered->made_us >= OFFER_DOUBT_US);
}

static int receive_poke(struct kdnet_session *session, const struct kdnet_datagram *datagram,
                        const struct kdnet_poke *poke, uint64_t now_us, struct kdnet_received *received)
{
    struct kdnet_offer *same;
    bool of_session = session->connected && kdnet_poke_same_run(session->target_random, poke->random);
    bool newer = is_newer(datagram, poke, session->control_sequence, kdnet_get_le64(session->target_random));
    if (answered(session, datagram, poke, &same)) {
        count(session, COUNT_REPEATED);
        if (same) /* the same again, never a second key */
            session->response_due = kdnet_offers_number(session, same);
        received->answered = same;
        return KDNET_OK;
    }
    if (of_session && !newer) {
        count(session, COUNT_REPEATED);
        return KDNET_ERR_REPEAT;
    }
    bool answer = !comes_early(session, datagram, poke, now_us) && wants_answer(session, poke, now_us);
    if (of_session) {
        received->fresh = true;
        session->control_sequence = datagram->sequence;
        memcpy(session->target_random, poke->random, sizeof session->target_random);
        heard(session, now_us);
        kdnet_offers_forget_until(session, 0, now_us);
        kdnet_break_handler_heard(session, now_us);
        if (names_another(poke))
            kdnet_break_handler_other_host(session, now_us);
    }
    if (!answer)
        return KDNET_OK;
    int error = make_offer(session, datagram, poke, now_us);
    received->answered = session->response_due != 0;
    return error;
}

static int receive_control(struct kdnet_session *session, const uint8_t *payload, size_t length, uint64_t now_us,
                           struct kdnet_received *received)
{
    uint8_t plain[KDNET_DATAGRAM_MAX];
    struct kdnet_datagram datagram;
    struct kdnet_poke poke;
    int error = kdnet_datagram_open(session->shared->crypto, session->keys.control.bytes, &session->keys.hmac, payload,
                                    length, plain, &datagram);
    if (error != KDNET_OK)
        return error;
    received->authentic = true;
    received->version = datagram.version;
    if (datagram.from_host)
        return KDNET_ERR_FORMAT; /* another host's, or our own sent back */
    error = kdnet_poke_decode(datagram.body, datagram.body_length, &poke);
    if (error != KDNET_OK)
        return error;
    received->poke = true;
    error = receive_poke(session, &datagram, &poke, now_us, received);
    if (error == KDNET_OK && names_another(&poke)) {
        received->other_host = true;
        received->other = poke.connected;
    }
    return error;
}

/* --- data channel ------------------------------------------------------------------------------------------------- */

/* Marks a sequence number as seen; false when it was seen before or is too old to know. */
static bool window_take(struct kdnet_session *session, uint64_t sequence)
{
    if (sequence > session->window_last) {
        uint64_t shift = sequence - session->window_last;
        session->window_seen = shift < WINDOW ? session->window_seen << shift : 0;
        session->window_seen |= 1;
        session->window_last = sequence;
        return true;
    }
    uint64_t age = session->window_last - sequence;
    if (age >= WINDOW || (session->window_seen >> age & 1) != 0)
        return false;
    session->window_seen |= 1ULL << age;
    return true;
}

static void window_clear(struct kdnet_session *session)
{
    session->window_last = 0;
    session->window_seen = 0;
    memset(session->first_tags, 0, sizeof session->first_tags);
    session->link.last_sequence = 0;
    if (session->active)
        session->active->link.memory.last_sequence = 0;
}

/*
 * Whether a data packet of ours has gone out to this run of the target, or its count is in doubt. If not, it expects
 * our first id, whether it counts on over handshakes or begins anew: RESET would say what both know.
 */
static bool has_numbered(const struct kdnet_link *link)
{
    const struct kdnet_link_memory *memory = &link->memory;
    return memory->next_id != KDNET_PACKET_FIRST_ID || memory->out_of_step || memory->reset_sent || link->busy;
}

/* The target uses the key of this offer: it is in force from now on. */
static int promote(struct kdnet_session *session, const struct kdnet_offer *offer, uint64_t now_us)
{
    uint8_t id[KDNET_SESSION_ID_LENGTH];
    if (!kdnet_session_wake(session))
        return KDNET_ERR_MEMORY;
    int error = session->shared->random(session->shared->user, id, sizeof id);
    if (error != KDNET_OK)
        return error;
    static const uint8_t none[KDNET_RANDOM_LENGTH];
    bool known = memcmp(session->target_random, none, sizeof none) != 0;
    bool rebooted = known && !kdnet_poke_same_run(session->target_random, offer->target_random);
    bool keep = !rebooted && session->active->halt.stage != KDNET_STAGE_RUNNING;

    bool numbered = has_numbered(&session->active->link);
    if (rebooted) {
        kdnet_break_handler_rebooted(session, now_us);
        kdnet_identity_rebooted(session, now_us);
    }
    kdnet_link_restart(&session->active->link, keep);
    kdnet_link_sample_first(&session->active->link, now_us - offer->made_us);
    if (offer->took_over || (known && !rebooted && numbered))
        session->active->link.memory.out_of_step = true; /* its count of our ids may be another than ours */
    else if (!rebooted)
        session->active->link.memory.unsure =
            true; /* it may have been a former life of ours's, and have forgotten it */
    kdnet_link_control(&session->active->link, KDNET_PACKET_RESEND, 0);
    if (offer->took_over || !known)
        kdnet_resend_meet(session, offer->took_over, now_us);
    memcpy(session->id, id, sizeof session->id);
    memcpy(session->data_key, offer->data_key, sizeof session->data_key);
    memcpy(session->target_random, offer->target_random, sizeof session->target_random);
    session->control_sequence = offer->sequence;
    session->version = offer->version;
    session->connected = true;
    session->renumbered = session->solicit_due = false;
    session->solicited_us = now_us; /* what comes late under the old key asks for nothing */
    window_clear(session);
    if (keep)
        kdnet_break_handler_rekeyed(session, now_us);

    struct kdnet_event *event = kdnet_session_event(session, KDNET_EVENT_CONNECTED);
    event->u.connected = (struct kdnet_event_connected){
        .version = offer->version, .rebooted = rebooted, .took_over = offer->took_over, .first = !known};
    kdnet_offers_forget_until(session, offer->made_us, now_us);
    return KDNET_OK;
}

/* Opens a data datagram with the key in force or an offered one, which it confirms. */
static int open_data(struct kdnet_session *session, const uint8_t *payload, size_t length, uint8_t *plain,
                     uint64_t now_us, struct kdnet_datagram *datagram)
{
    struct kdnet_crypto *crypto = session->shared->crypto;
    int error = KDNET_ERR_AUTH;
    if (session->connected)
        error = kdnet_datagram_open(crypto, session->data_key, &session->keys.hmac, payload, length, plain, datagram);
    for (size_t i = 0; error == KDNET_ERR_AUTH && session->offers && i < session->offers->room; ++i) {
        const struct kdnet_offer *offer = &session->offers->offer[i];
        if (!offer->used || !kdnet_datagram_may_open(crypto, offer->data_key, payload, length))
            continue;
        error = kdnet_datagram_open(crypto, offer->data_key, &session->keys.hmac, payload, length, plain, datagram);
        if (error != KDNET_OK)
            continue;
        if (datagram->from_host)
            return KDNET_ERR_FORMAT;
        return promote(session, offer, now_us);
    }
    return error;
}

/*
 * Whether data that no key of ours opens is reason enough to give the machine that we hold another key. It may have
 * taken the key of another host that is gone, and be halted: so it is, at once, a few times. But what comes may be
 * noise with the target's address, or late: it must not make handshake after handshake.
 */
static bool is_foreign_enough(struct kdnet_session *session, uint64_t now_us)
{
    uint8_t *rekeys = &session->foreign_rekeys;
    if (session->rekey_wanted)
        return true;
    if (now_us - session->solicited_us > FOREIGN_FORGET_US)
        *rekeys = 0;
    if (*rekeys < FOREIGN_QUICK) {
        if (session->solicited_us != 0 && now_us - session->solicited_us < FOREIGN_PATIENCE_US)
            return false;
    } else if (now_us - session->foreign_us < (uint64_t)FOREIGN_PATIENCE_US << (*rekeys - FOREIGN_QUICK + 1) ||
               now_us - session->last_seen_us < FOREIGN_PATIENCE_US) {
        return false;
    }
    if (*rekeys < FOREIGN_QUICK + FOREIGN_DOUBLINGS - 1)
        ++*rekeys;
    session->rekey_wanted = true;
    return true;
}

/* A response may be on its way to who sends it: for a moment. */
static bool is_being_answered(const struct kdnet_session *session, uint64_t now_us)
{
    const struct kdnet_offer *newest = kdnet_offers_newest(session, NULL);
    return newest && now_us - newest->made_us < OFFER_PATIENCE_US &&
           now_us - session->foreign_us < KDNET_OFFER_SPACING_US;
}

static bool may_solicit(struct kdnet_session *session, uint64_t now_us)
{
    if (session->solicited_us != 0 && now_us - session->solicited_us < SOLICIT_PERIOD_US)
        return false;
    session->solicited_us = now_us;
    return true;
}

/* Data that no key of ours opens: the target has another host's key, or one of a former life of ours, or it is noise.
 */
static void foreign_data(struct kdnet_session *session, uint8_t version, uint64_t now_us)
{
    if (session->foreign_us == 0)
        session->foreign_us = now_us;
    if (session->connected ? !is_foreign_enough(session, now_us) : is_being_answered(session, now_us))
        return;
    if (!may_solicit(session, now_us))
        return;
    session->solicit_due = true;
    session->solicit_to_sender = true;
    session->solicit_version = version;
}

/*
 * The target has started its numbers anew under the same key once more: it cannot be followed a second time, for what
 * was recorded under this key could be played again then. It gets a new key.
 */
static void renumbered_again(struct kdnet_session *session, uint64_t now_us)
{
    if (may_solicit(session, now_us))
        kdnet_session_suspect_key(session);
}

/*
 * Takes a sequence number, once. A response that arrived twice makes the target start its numbers anew under the same
 * key: then one of the first numbers comes again with another tag. The same tag is the same datagram, repeated by the
 * network or by a stranger.
 */
static bool take_sequence(struct kdnet_session *session, uint64_t sequence, const uint8_t *tag, uint64_t now_us)
{
    uint16_t *first = sequence < KDNET_FIRST_TAGS ? &session->first_tags[sequence] : NULL;
    uint16_t start = kdnet_get_le16(tag); /* enough: what is taken for a repeat by chance, is sent again */
    if (first && *first != 0 && *first != start) {
        if (session->renumbered) {
            renumbered_again(session, now_us);
            return false;
        }
        window_clear(session);
        session->renumbered = true;
    }
    if (!window_take(session, sequence))
        return false;
    if (first)
        *first = start;
    return true;
}

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
    if (!kdnet_session_wake(session))
        return KDNET_ERR_MEMORY;
    int error = kdnet_link_receive(&session->active->link, datagram->body, datagram->body_length, datagram->sequence,
                                   now_us, &news, &packet);
    if (error == KDNET_ERR_REPEAT)
        count(session, COUNT_REPEATED);
    if (error != KDNET_OK)
        return error;
    received->hears = packet.control || packet.type == KDNET_PACKET_MANIPULATE;
    received->said = !received->hears;
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
    int error = open_data(session, payload, length, plain, now_us, &datagram);
    if (error == KDNET_ERR_AUTH)
        foreign_data(session, payload[4], now_us);
    if (error != KDNET_OK)
        return error;
    received->authentic = true;
    received->version = datagram.version;
    if (datagram.from_host)
        return KDNET_ERR_FORMAT;
    if (!take_sequence(session, datagram.sequence, payload + length - KDNET_TAG_LENGTH, now_us)) {
        count(session, COUNT_REPEATED);
        return KDNET_ERR_REPEAT;
    }
    received->live = true;
    received->other_host = contested && memcmp(id, session->id, sizeof id) != 0;
    session->foreign_us = 0;
    session->rekey_wanted = false;
    heard(session, now_us);
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
        error = channel == KDNET_CHANNEL_CONTROL ? receive_control(session, payload, length, now_us, received)
                                                 : receive_data(session, payload, length, now_us, received);
    if (kdnet_error_family(error) == KDNET_FAMILY_DROP)
        count(session, COUNT_REJECTED);
    return error;
}

/* --- sending ------------------------------------------------------------------------------------------------------ */

static bool seal_control(struct kdnet_session *session, uint8_t version, uint64_t sequence, const uint8_t *body,
                         size_t length, struct kdnet_outgoing *out)
{
    struct kdnet_datagram datagram = {.version = version,
                                      .channel = KDNET_CHANNEL_CONTROL,
                                      .from_host = true,
                                      .sequence = sequence,
                                      .body = body,
                                      .body_length = length};
    out->to_sender = true;
    return kdnet_datagram_seal(session->shared->crypto, session->keys.control.bytes, &session->keys.hmac, &datagram,
                               out->payload, sizeof out->payload, &out->length) == KDNET_OK;
}

int kdnet_session_solicit_poke(struct kdnet_session *session, uint8_t version, struct kdnet_outgoing *out)
{
    return seal_control(session, version, 0, NULL, 0, out) ? KDNET_OK : KDNET_ERR_CRYPTO;
}

static bool next_response(struct kdnet_session *session, struct kdnet_outgoing *out)
{
    const struct kdnet_offer *offer = &session->offers->offer[session->response_due - 1];
    uint8_t body[KDNET_RESPONSE_LENGTH];
    struct kdnet_response response;
    session->response_due = 0;
    memcpy(response.target_random, offer->target_random, sizeof response.target_random);
    memcpy(response.host_random, offer->host_random, sizeof response.host_random);
    kdnet_response_encode(&response, body);
    return seal_control(session, offer->version, offer->sequence, body, sizeof body, out);
}

static bool next_packet(struct kdnet_session *session, uint64_t now_us, struct kdnet_outgoing *out)
{
    uint8_t body[KDNET_PACKET_HEADER + KDNET_LINK_PAYLOAD_MAX];
    size_t length;
    if (!session->active || !session->connected)
        return false;
    unsigned sends = session->active->link.sends;
    if (!kdnet_link_next(&session->active->link, now_us, body, sizeof body, &length))
        return false;
    if (session->active->link.sends > sends && sends > 0)
        count(session, COUNT_SENT_AGAIN);
    struct kdnet_datagram datagram = {.version = session->version,
                                      .channel = KDNET_CHANNEL_DATA,
                                      .from_host = true,
                                      .sequence = ++session->sequence,
                                      .body = body,
                                      .body_length = length};
    out->to_sender = false;
    return kdnet_datagram_seal(session->shared->crypto, session->data_key, &session->keys.hmac, &datagram, out->payload,
                               sizeof out->payload, &out->length) == KDNET_OK;
}

bool kdnet_session_next_control(struct kdnet_session *session, struct kdnet_outgoing *out)
{
    if (session->response_due)
        return next_response(session, out);
    if (!session->solicit_due)
        return false;
    session->solicit_due = false;
    bool made = kdnet_session_solicit_poke(session, session->solicit_version, out) == KDNET_OK;
    out->to_sender = session->solicit_to_sender;
    return made;
}

bool kdnet_session_next_datagram(struct kdnet_session *session, uint64_t now_us, struct kdnet_outgoing *out)
{
    bool due = session->response_due || session->solicit_due;
    bool made = due ? kdnet_session_next_control(session, out) : next_packet(session, now_us, out);
    if (!made)
        rest(session); /* thousands that connect at once need that memory one after the other */
    return made;
}

/* --- time --------------------------------------------------------------------------------------------------------- */

void kdnet_session_suspect_key(struct kdnet_session *session)
{
    session->rekey_wanted = true;
    session->solicit_due = true;
    session->solicit_to_sender = false;
    session->solicit_version = session->version;
}

static uint64_t lost_deadline(const struct kdnet_session *session)
{
    if (!session->connected || session->lost)
        return KDNET_NEVER;
    bool dumping = session->history && session->history->crash.dumping;
    return session->last_seen_us + session->lost_later * LOST_LATER_US +
           (dumping ? session->shared->dump_for_us : session->shared->lost_after_us);
}

uint64_t kdnet_session_deadline(const struct kdnet_session *session)
{
    uint64_t deadline = lost_deadline(session);
    uint64_t link = session->active ? kdnet_link_deadline(&session->active->link) : KDNET_NEVER;
    uint64_t halt = kdnet_break_handler_deadline(session);
    uint64_t budget = kdnet_budget_deadline(session);
    if (link < deadline)
        deadline = link;
    if (budget < deadline)
        deadline = budget;
    return halt < deadline ? halt : deadline;
}

static void lose(struct kdnet_session *session, uint64_t now_us)
{
    if (!kdnet_session_wake(session)) {
        session->lost = session->lost_later == UINT8_MAX; /* then nobody is told */
        session->lost_later += !session->lost;
        return;
    }
    session->lost = true;
    kdnet_identity_expire(session, now_us);
    struct kdnet_event *event = kdnet_session_event(session, KDNET_EVENT_LOST);
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
        kdnet_link_expire(link, now_us);
        if (link->timeouts > timeouts && link->timeouts % deaf == 0 && !link->acked) /* who acknowledges, hears us */
            kdnet_session_suspect_key(session);
    }
    if (now_us >= lost_deadline(session))
        lose(session, now_us);
    kdnet_budget_expire(session, now_us);
}

void kdnet_session_prefetch(const struct kdnet_session *session)
{
    const char *bytes = (const char *)session;
    for (size_t at = 0; at < offsetof(struct kdnet_session, policy); at += 64)
        kdnet_prefetch(bytes + at);
}

void kdnet_session_prefetch_key(const struct kdnet_session *session)
{
    const char *key = (const char *)session + offsetof(struct kdnet_session, keys.control);
    kdnet_prefetch(key);
    kdnet_prefetch(key + KDNET_AES_KEY_LENGTH - 1); /* it may lie in two cache lines */
}

void kdnet_session_admit(struct kdnet_session *session, uint64_t now_us)
{
    if (!session->connected || !kdnet_session_wake(session))
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
