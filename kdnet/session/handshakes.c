/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pokes and their responses, and the choice of the data key: an offered key counts only when the target uses it. DESIGN
 * section 5, PROTOCOL section 3.
 */
#include "kdnet/base/wire.h"
#include "kdnet/error.h"
#include "kdnet/session/break_handler_internal.h"
#include "kdnet/session/claim_internal.h"
#include "kdnet/session/events_internal.h"
#include "kdnet/session/handshakes_internal.h"
#include "kdnet/session/identity_internal.h"
#include "kdnet/session/offers_internal.h"
#include "kdnet/session/resend_internal.h"
#include "kdnet/session/resume_internal.h"
#include "kdnet/session/sequence_internal.h"
#include "kdnet/session/shared_internal.h"

#include <string.h>

#define OFFER_DOUBT_US 1000000U

/* Answers a poke with a new data key, which counts only when the target uses it. Does not answer when more runs ask
 * than there are places. */
static int make_offer(struct kdnet_session *session, const struct kdnet_datagram *datagram,
                      const struct kdnet_poke *poke, uint64_t now_us)
{
    uint8_t body[KDNET_RESPONSE_LENGTH];
    struct kdnet_response response;
    struct kdnet_offer *offer = kdnet_offers_place(session, poke->random, now_us);
    if (!offer)
        return session->offers ? KDNET_OK : KDNET_ERR_MEMORY;
    memcpy(response.target_random, poke->random, sizeof response.target_random);
    int error = kdnet_random(session, response.host_random, sizeof response.host_random);
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
    session->response_due = kdnet_offers_number(session, offer) & KDNET_OFFER_NUMBERS;
    kdnet_claim_offered(session, now_us);
    return KDNET_OK;
}

/*
 * Whether a poke is newer than another one of the same run: a replayed poke has neither a higher sequence nor a higher
 * counter. A target that initialises its KDNET again on its way into a crash may restart one of the two [inf].
 */
static bool is_newer(const struct kdnet_datagram *datagram, const struct kdnet_poke *poke, uint64_t sequence,
                     uint64_t counter)
{
    return datagram->sequence > sequence || kdnet_get_le64(poke->random) > counter;
}

/* Whether an offer was made for this very poke, or a later poke of the same boot was seen. Writes the offer for this
 * poke. */
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
 * Whether a poke comes too early after another of its run was answered. Two responses in flight may arrive in the wrong
 * order, and the target then uses the key that we have dropped. The poke is noted: when recordings are played in order,
 * the machine's own poke is the last that counts, and the machine's next poke is answered.
 */
static bool comes_early(struct kdnet_session *session, const struct kdnet_datagram *datagram,
                        const struct kdnet_poke *poke, uint64_t now_us)
{
    struct kdnet_offer *newest = kdnet_offers_newest(session, poke->random);
    uint64_t spacing_us = session->rival > 0 ? KDNET_OFFER_SPACING_RIVAL_US : KDNET_OFFER_SPACING_US;
    if (!newest || now_us - newest->made_us >= spacing_us)
        return false;
    newest->seen_sequence = datagram->sequence;
    newest->seen_counter = kdnet_get_le64(poke->random);
    return true;
}

/* Whether the machine is connected to another host than the address that it sends its pokes to, which is ours. */
static bool names_another(const struct kdnet_poke *poke)
{
    return !kdnet_address_is_none(&poke->connected) && !kdnet_address_equal(&poke->connected, &poke->host);
}

/*
 * Whether a new poke needs an answer: DESIGN section 5, PROTOCOL section 3. A connected machine that names another host
 * was taken over by that host: fighting would make two hosts take the machine from each other for ever. But when the
 * machine's data still comes to us, the named address is one of ours.
 */
static bool wants_answer(const struct kdnet_session *session, const struct kdnet_poke *poke, uint64_t now_us)
{
    const struct kdnet_offer *offered = kdnet_offers_newest(session, poke->random);
    if (!kdnet_address_is_none(&poke->connected) && !session->asked && kdnet_claim_is_kept(session, now_us))
        return false;
    if (!session->connected)
        return true;
    if (!kdnet_poke_same_run(session->target_random, poke->random))
        return true;
    if (kdnet_address_is_none(&poke->connected))
        return true;
    if (names_another(poke))
        return session->rekey_wanted && session->foreign_ms != 0;
    /* The machine may have taken a response whose connection check was lost: it then waits under a key that we do
     * not use. */
    return session->rekey_wanted || (offered && now_us - offered->made_us >= OFFER_DOUBT_US);
}

static int receive_poke(struct kdnet_session *session, const struct kdnet_datagram *datagram,
                        const struct kdnet_poke *poke, uint64_t now_us, struct kdnet_received *received)
{
    struct kdnet_offer *same;
    bool of_session = session->connected && kdnet_poke_same_run(session->target_random, poke->random);
    bool newer = is_newer(datagram, poke, session->control_sequence, kdnet_get_le64(session->target_random));
    if (answered(session, datagram, poke, &same)) {
        kdnet_state_count(session, KDNET_COUNT_REPEATED);
        if (same && !session->relayed) /* the same response again, never a second key */
            session->response_due = kdnet_offers_number(session, same) & KDNET_OFFER_NUMBERS;
        received->answered = same;
        return KDNET_OK;
    }
    if (of_session && !newer) {
        kdnet_state_count(session, KDNET_COUNT_REPEATED);
        return KDNET_ERR_REPEAT;
    }
    if (of_session && !names_another(poke))
        kdnet_claim_doubt_key(session, now_us);
    bool answer = !comes_early(session, datagram, poke, now_us) && wants_answer(session, poke, now_us);
    if (of_session) {
        received->fresh = true;
        session->control_sequence = datagram->sequence;
        memcpy(session->target_random, poke->random, sizeof session->target_random);
        kdnet_state_heard(session, now_us);
        if (!answer)
            kdnet_claim_poked(session, now_us);
        kdnet_offers_forget_until(session, 0, now_us);
        kdnet_break_handler_heard(session, now_us);
        if (names_another(poke))
            kdnet_break_handler_other_host(session, now_us);
    }
    received->astray = !answer && kdnet_claim_shows_poke(session);
    if (!answer)
        return KDNET_OK;
    if (!kdnet_address_is_none(&poke->connected))
        kdnet_claim_asked(session, now_us);
    int error = make_offer(session, datagram, poke, now_us);
    received->answered = session->response_due != 0;
    return error;
}

int kdnet_handshakes_receive(struct kdnet_session *session, const uint8_t *payload, size_t length, uint64_t now_us,
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

/*
 * Whether a data packet of ours went out to this run of the target, or the target's count of ids is in doubt. Otherwise
 * the target expects our first id, whether it keeps counting over handshakes or starts anew: RESET would be redundant.
 */
static bool has_numbered(const struct kdnet_link *link)
{
    const struct kdnet_link_memory *memory = &link->memory;
    return memory->next_id != KDNET_PACKET_FIRST_ID || memory->out_of_step || memory->reset_sent || link->busy;
}

/* Puts an offer's key in force: the target uses it. */
static int promote(struct kdnet_session *session, const struct kdnet_offer *offer, uint64_t now_us)
{
    uint8_t id[KDNET_SESSION_ID_LENGTH];
    if (!kdnet_state_wake(session))
        return KDNET_ERR_MEMORY;
    int error = kdnet_random(session, id, sizeof id);
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
    uint64_t waited_us = now_us - offer->made_us;
    if (session->rival >
        0) /* a poke or a check perhaps reached the other host: the round trip is no longer than this */
        kdnet_link_sample_most(&session->active->link, waited_us);
    else if (!session->shared->rivals || waited_us < KDNET_LINK_RTO_FIRST_US)
        kdnet_link_sample_first(&session->active->link, waited_us);
    bool shared = kdnet_claim_has_strays(session, now_us); /* another host has answered this run, too */
    if (offer->took_over || (known && !rebooted && numbered) || shared)
        session->active->link.memory.out_of_step = true; /* the target's count of our ids may differ from ours */
    else if (!rebooted)
        session->active->link.memory.unsure =
            true; /* the target may have counted our previous process's ids, and have forgotten them */
    kdnet_link_control(&session->active->link, KDNET_PACKET_RESEND, 0);
    if (offer->took_over || !known || shared)
        kdnet_resend_meet(session, offer->took_over || shared, now_us);
    memcpy(session->id, id, sizeof session->id);
    memcpy(session->data_key, offer->data_key, sizeof session->data_key);
    memcpy(session->target_random, offer->target_random, sizeof session->target_random);
    session->control_sequence = offer->sequence;
    session->version = offer->version;
    session->connected = true;
    session->renumbered = session->solicit_due = session->going_down = session->asked = false;
    session->poked_ms = 0; /* the poke may have been asked for */
    session->solicited_ms =
        kdnet_state_ms(now_us); /* late datagrams under the old key must not cause a request to poke */
    kdnet_sequence_restart(session);
    if (keep)
        kdnet_resume_rekeyed(session, now_us);

    struct kdnet_event *event = kdnet_events_add(session, KDNET_EVENT_CONNECTED);
    event->u.connected = (struct kdnet_event_connected){
        .version = offer->version, .rebooted = rebooted, .took_over = offer->took_over, .first = !known};
    kdnet_offers_forget_until(session, offer->made_us, now_us);
    return KDNET_OK;
}

/* Opens a data datagram with the key in force, or with an offered key, which becomes confirmed. */
int kdnet_handshakes_open_data(struct kdnet_session *session, const uint8_t *payload, size_t length, uint8_t *plain,
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
