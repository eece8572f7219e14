/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/error.h"
#include "kdnet/fetch.h"
#include "kdnet/session_internal.h"
#include "kdnet/wire.h"

#include <stdlib.h>
#include <string.h>

#define WINDOW              64U
#define FOREIGN_PATIENCE_US 1000000U /* data under an unknown key for so long: the target and we disagree */
#define FOREIGN_DOUBLINGS   6U       /* that patience doubles with each new key that ended nothing: a minute at most */
#define FOREIGN_FORGET_US   300000000U
#define CONTESTED_REKEYS    3U /* new keys that ended nothing: somebody else gives the machine keys, too */
#define DEAF_TIMEOUTS       4U /* of one packet, without any answer */
#define OFFER_LIFE_US       60000000U
#define OFFER_SPACING_US    300000U
#define OFFER_PATIENCE_US   80000U
#define OFFER_DOUBT_US      1000000U
#define NUDGE_PERIOD_US     50000U

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

static size_t size_of_offers(unsigned room)
{
    return sizeof(struct kdnet_offers) + room * sizeof(struct kdnet_offer);
}

static unsigned offers_room(const struct kdnet_session *session)
{
    return session->offers ? session->offers->room : 0;
}

static void wipe_offers(struct kdnet_offers *offers)
{
    kdnet_crypto_wipe(offers, size_of_offers(offers->room));
    free(offers);
}

static void forget_offers(struct kdnet_session *session)
{
    session->response_due = 0;
    if (!session->offers)
        return;
    wipe_offers(session->offers);
    session->offers = NULL;
}

/* As response_due has it. */
static uint8_t offer_number(const struct kdnet_session *session, const struct kdnet_offer *offer)
{
    return (uint8_t)(offer - session->offers->offer + 1);
}

static void drop_offer(struct kdnet_session *session, struct kdnet_offer *offer)
{
    if (session->response_due == offer_number(session, offer))
        session->response_due = 0;
    kdnet_crypto_wipe(offer, sizeof *offer);
}

/* The target may take a later offer yet; those up to this sequence, and those of long ago, it will not. */
static void forget_older_offers(struct kdnet_session *session, uint64_t sequence, uint64_t now_us)
{
    bool left = false;
    for (size_t i = 0; i < offers_room(session); ++i) {
        struct kdnet_offer *offer = &session->offers->offer[i];
        if (offer->used && (offer->sequence <= sequence || now_us - offer->made_us > OFFER_LIFE_US))
            drop_offer(session, offer);
        left = left || offer->used;
    }
    if (!left)
        forget_offers(session);
}

static void free_talk(struct kdnet_talk *talk)
{
    for (size_t i = 0; talk && i < KDNET_EVENTS; ++i)
        free(talk->evidence[i]);
    if (talk)
        free(talk->gather);
    free(talk);
}

static void forget_all(struct kdnet_session *session)
{
    forget_offers(session);
    free_talk(session->talk);
    free(session->past);
    kdnet_boot_clear(session->boot);
    free(session->boot);
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

void kdnet_session_move(struct kdnet_session *session, const struct kdnet_session_shared *shared)
{
    session->shared = shared;
}

bool kdnet_session_may_open(struct kdnet_session *session, const uint8_t *payload, size_t length)
{
    return kdnet_datagram_may_open(session->shared->crypto, session->keys.control.bytes, payload, length);
}

bool kdnet_session_wake(struct kdnet_session *session)
{
    if (session->talk)
        return true;
    if (!session->past)
        session->past = calloc(1, sizeof *session->past);
    if (!session->past)
        return false;
    session->talk = calloc(1, sizeof *session->talk);
    if (!session->talk)
        return false;
    kdnet_link_init(&session->talk->link, &session->link);
    return true;
}

static bool is_nothing(const struct kdnet_past *past)
{
    const struct kdnet_crash *crash = &past->crash;
    return !crash->printed && !crash->dumping && !crash->first_released && crash->kernel_base == 0 &&
           !crash->bugcheck.known && past->breaks_us == 0 && past->storm_told_us == 0;
}

/* Gives the memory of a talk back when nothing of it is needed. */
static void rest(struct kdnet_session *session)
{
    struct kdnet_talk *talk = session->talk;
    if (!talk || talk->event_count > 0 || talk->halt.stage != KDNET_STAGE_RUNNING || talk->link.busy ||
        talk->link.control_count > 0)
        return;
    session->link = talk->link.memory;
    session->talk = NULL;
    free_talk(talk);
    if (!is_nothing(session->past))
        return;
    free(session->past);
    session->past = NULL;
}

struct kdnet_event *kdnet_session_event(struct kdnet_session *session, enum kdnet_event_type type)
{
    struct kdnet_talk *talk = session->talk;
    if (talk->event_count == KDNET_EVENTS) {
        talk->event_first = (talk->event_first + 1) % KDNET_EVENTS;
        --talk->event_count;
    }
    unsigned place = (talk->event_first + talk->event_count++) % KDNET_EVENTS;
    struct kdnet_event *event = &talk->event[place];
    free(talk->evidence[place]);
    talk->evidence[place] = NULL;
    memset(event, 0, sizeof *event);
    event->type = type;
    memcpy(event->session, session->id, sizeof event->session);
    return event;
}

bool kdnet_session_next_event(struct kdnet_session *session, struct kdnet_event *out)
{
    struct kdnet_talk *talk = session->talk;
    if (!talk || talk->event_count == 0) {
        rest(session);
        return false;
    }
    *out = talk->event[talk->event_first];
    talk->event_first = (talk->event_first + 1) % KDNET_EVENTS;
    --talk->event_count;
    return true;
}

/* The target lives: what waited for it goes on. */
static void heard(struct kdnet_session *session, uint64_t now_us)
{
    session->last_seen_us = now_us;
    if (!session->lost)
        return;
    session->lost = false;
    if (session->talk)
        kdnet_link_wake(&session->talk->link, now_us);
}

/* --- handshake ---------------------------------------------------------------------------------------------------- */

/* Room for twice as many offers. Returns false when memory is out. */
static bool grow_offers(struct kdnet_session *session)
{
    unsigned room = session->offers ? session->offers->room * 2 : 1;
    struct kdnet_offers *larger = calloc(1, size_of_offers(room));
    if (!larger)
        return false;
    if (session->offers) {
        memcpy(larger->offer, session->offers->offer, session->offers->room * sizeof larger->offer[0]);
        wipe_offers(session->offers);
    }
    larger->room = room;
    session->offers = larger;
    return true;
}

/* A place for a new offer: a free one, or the oldest; NULL when memory is out. */
static struct kdnet_offer *offer_place(struct kdnet_session *session)
{
    struct kdnet_offer *oldest = NULL;
    for (size_t i = 0; i < offers_room(session); ++i) {
        struct kdnet_offer *offer = &session->offers->offer[i];
        if (!offer->used)
            return offer;
        if (!oldest || offer->made_us < oldest->made_us)
            oldest = offer;
    }
    unsigned room = offers_room(session);
    if (room == KDNET_OFFERS)
        return oldest;
    return grow_offers(session) ? &session->offers->offer[room] : oldest;
}

/* When the newest offer for this run of the target was made; 0: never. */
static uint64_t newest_offer(const struct kdnet_session *session, const uint8_t *target_random)
{
    uint64_t newest = 0;
    for (size_t i = 0; i < offers_room(session); ++i) {
        const struct kdnet_offer *offer = &session->offers->offer[i];
        bool counts = offer->used && (!target_random || kdnet_poke_same_run(offer->target_random, target_random));
        if (counts && offer->made_us > newest)
            newest = offer->made_us;
    }
    return newest;
}

/* Answers a poke with a new data key, which counts only when the target uses it. */
static int make_offer(struct kdnet_session *session, const struct kdnet_datagram *datagram,
                      const struct kdnet_poke *poke, uint64_t now_us)
{
    uint8_t body[KDNET_RESPONSE_LENGTH];
    struct kdnet_response response;
    memcpy(response.target_random, poke->random, sizeof response.target_random);
    int error = session->shared->random(session->shared->user, response.host_random, sizeof response.host_random);
    if (error != KDNET_OK)
        return error;
    struct kdnet_offer *offer = offer_place(session);
    if (!offer)
        return KDNET_ERR_MEMORY;
    *offer = (struct kdnet_offer){.used = true,
                                  .took_over = !kdnet_address_is_none(&poke->connected),
                                  .version = datagram->version,
                                  .sequence = datagram->sequence,
                                  .made_us = now_us};
    memcpy(offer->target_random, response.target_random, sizeof offer->target_random);
    memcpy(offer->host_random, response.host_random, sizeof offer->host_random);
    kdnet_response_encode(&response, body);
    kdnet_data_key(&session->keys.control, body, offer->data_key);
    session->response_due = offer_number(session, offer);
    return KDNET_OK;
}

/*
 * Whether a poke comes after another of the same run: a recorded one has neither a sequence nor a counter that
 * advances. A target that sets its KDNET up again on its way into a crash may well begin one of the two anew [inf].
 */
static bool is_newer(const struct kdnet_datagram *datagram, const struct kdnet_poke *poke, uint64_t sequence,
                     const uint8_t random[static KDNET_RANDOM_LENGTH])
{
    return datagram->sequence > sequence || kdnet_get_le64(poke->random) > kdnet_get_le64(random);
}

/* Whether an offer was made for this very poke, or for a later one of the same boot. Writes the offer when it was this
 * one. */
static bool answered(struct kdnet_session *session, const struct kdnet_datagram *datagram,
                     const struct kdnet_poke *poke, struct kdnet_offer **same)
{
    *same = NULL;
    bool later = false;
    for (size_t i = 0; i < offers_room(session); ++i) {
        struct kdnet_offer *offer = &session->offers->offer[i];
        if (!offer->used || !kdnet_poke_same_run(offer->target_random, poke->random))
            continue;
        if (memcmp(offer->target_random, poke->random, sizeof poke->random) == 0)
            *same = offer;
        if (!is_newer(datagram, poke, offer->sequence, offer->target_random))
            later = true;
    }
    return later;
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
    uint64_t offered_us = newest_offer(session, poke->random);
    if (!session->connected)
        return true;
    if (!kdnet_poke_same_run(session->target_random, poke->random))
        return true;
    if (kdnet_address_is_none(&poke->connected))
        return true;
    if (names_another(poke))
        return session->rekey_wanted && session->foreign_us != 0;
    /* It may have taken a response whose connection check was lost: then it waits under a key that we do not use. */
    return session->rekey_wanted || (offered_us != 0 && now_us - offered_us >= OFFER_DOUBT_US);
}

static int receive_poke(struct kdnet_session *session, const struct kdnet_datagram *datagram,
                        const struct kdnet_poke *poke, uint64_t now_us)
{
    struct kdnet_offer *same;
    bool of_session = session->connected && kdnet_poke_same_run(session->target_random, poke->random);
    bool newer = is_newer(datagram, poke, session->control_sequence, session->target_random);
    if (answered(session, datagram, poke, &same)) {
        count(session, COUNT_REPEATED);
        session->response_due = same ? offer_number(session, same) : 0; /* the same again, never a second key */
        return KDNET_OK;
    }
    if (of_session && !newer) {
        count(session, COUNT_REPEATED);
        return KDNET_ERR_REPEAT;
    }
    /* Two responses under way at once may arrive in the wrong order: then the target uses the key that we have given
     * up. */
    bool early = session->offers && now_us - newest_offer(session, poke->random) < OFFER_SPACING_US;
    bool answer = !early && wants_answer(session, poke, now_us);
    if (of_session) {
        session->control_sequence = datagram->sequence;
        memcpy(session->target_random, poke->random, sizeof session->target_random);
        heard(session, now_us);
        forget_older_offers(session, 0, now_us);
        kdnet_inquiry_heard(session, now_us);
        if (names_another(poke))
            kdnet_inquiry_elsewhere(session, now_us);
    }
    return answer ? make_offer(session, datagram, poke, now_us) : KDNET_OK;
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
    error = receive_poke(session, &datagram, &poke, now_us);
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
    if (session->talk)
        session->talk->link.memory.last_sequence = 0;
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
    bool keep = !rebooted && session->talk->halt.stage != KDNET_STAGE_RUNNING;

    bool numbered = has_numbered(&session->talk->link);
    if (rebooted)
        kdnet_inquiry_rebooted(session, now_us);
    kdnet_link_restart(&session->talk->link, keep);
    if (session->talk->link.memory.rtt_us == 0 && now_us >= offer->made_us)
        kdnet_link_sample(&session->talk->link, now_us - offer->made_us);
    if (offer->took_over || (known && !rebooted && numbered))
        session->talk->link.memory.out_of_step = true; /* its count of our ids may be another than ours */
    else if (!rebooted)
        session->talk->link.memory.unsure = true; /* it may have been a former life of ours's, and have forgotten it */
    kdnet_link_control(&session->talk->link, KDNET_PACKET_RESEND, 0);
    if (offer->took_over || !known)
        kdnet_inquiry_meet(session, offer->took_over, now_us);
    memcpy(session->id, id, sizeof session->id);
    memcpy(session->data_key, offer->data_key, sizeof session->data_key);
    memcpy(session->target_random, offer->target_random, sizeof session->target_random);
    session->control_sequence = offer->sequence;
    session->version = offer->version;
    session->connected = true;
    session->renumbered = false;
    window_clear(session);
    if (keep)
        kdnet_inquiry_rekeyed(session, now_us);

    struct kdnet_event *event = kdnet_session_event(session, KDNET_EVENT_CONNECTED);
    event->u.connected =
        (struct kdnet_event_connected){.version = offer->version, .rebooted = rebooted, .took_over = offer->took_over};
    forget_older_offers(session, offer->sequence, now_us);
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
    for (size_t i = 0; error == KDNET_ERR_AUTH && i < offers_room(session); ++i) {
        struct kdnet_offer *offer = &session->offers->offer[i];
        if (!offer->used)
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

/* Data that no key of ours opens: the target was connected to a former life of ours, or it is noise. */
static void foreign_data(struct kdnet_session *session, uint8_t version, uint64_t now_us)
{
    if (session->connected) {
        if (session->foreign_us == 0)
            session->foreign_us = now_us;
        if (now_us - session->nudged_us > FOREIGN_FORGET_US)
            session->foreign_rekeys = 0;
        /* What comes may be noise with the target's address: it must not make handshake after handshake. */
        if (now_us - session->foreign_us < (uint64_t)FOREIGN_PATIENCE_US << session->foreign_rekeys ||
            now_us - session->last_seen_us < FOREIGN_PATIENCE_US)
            return;
        if (!session->rekey_wanted && session->foreign_rekeys < FOREIGN_DOUBLINGS)
            ++session->foreign_rekeys;
        session->rekey_wanted = true;
    } else if (session->offers && now_us - newest_offer(session, NULL) < OFFER_PATIENCE_US) {
        return; /* a response is on its way */
    }
    if (session->nudged_us != 0 && now_us - session->nudged_us < NUDGE_PERIOD_US)
        return;
    session->nudged_us = now_us;
    session->nudge_due = true;
    session->nudge_to_sender = true;
    session->nudge_version = version;
}

/*
 * Takes a sequence number, once. A response that arrived twice makes the target start its numbers anew under the same
 * key: then one of the first numbers comes again with another tag. The same tag is the same datagram, repeated by the
 * network or by a stranger.
 */
static bool take_sequence(struct kdnet_session *session, uint64_t sequence, const uint8_t *tag)
{
    uint16_t *first = sequence < KDNET_FIRST_TAGS ? &session->first_tags[sequence] : NULL;
    uint16_t start = kdnet_get_le16(tag); /* enough: what is taken for a repeat by chance, is sent again */
    if (first && *first != 0 && *first != start && !session->renumbered) {
        window_clear(session);
        session->renumbered = true; /* once for a key: else a recording of before could be played for ever */
    }
    if (!window_take(session, sequence))
        return false;
    if (first)
        *first = start;
    return true;
}

static int receive_packet(struct kdnet_session *session, const struct kdnet_datagram *datagram, uint64_t now_us)
{
    struct kdnet_packet packet;
    enum kdnet_link_news news;
    uint8_t host[4];
    if (kdnet_check_decode(datagram->body, datagram->body_length, host) == KDNET_OK)
        return KDNET_OK;
    if (!kdnet_session_wake(session))
        return KDNET_ERR_MEMORY;
    int error = kdnet_link_receive(&session->talk->link, datagram->body, datagram->body_length, datagram->sequence,
                                   now_us, &news, &packet);
    if (error == KDNET_ERR_REPEAT)
        count(session, COUNT_REPEATED);
    if (error != KDNET_OK)
        return error;
    if (news == KDNET_LINK_ACKED)
        kdnet_inquiry_acked(session, now_us);
    else if (news == KDNET_LINK_DATA)
        kdnet_inquiry_packet(session, &packet, now_us);
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
    if (!take_sequence(session, datagram.sequence, payload + length - KDNET_TAG_LENGTH)) {
        count(session, COUNT_REPEATED);
        return KDNET_ERR_REPEAT;
    }
    received->live = true;
    received->other_host = contested && memcmp(id, session->id, sizeof id) != 0;
    session->foreign_us = 0;
    session->rekey_wanted = false;
    heard(session, now_us);
    if (session->talk)
        session->talk->halt.elsewhere = 0;
    return receive_packet(session, &datagram, now_us);
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

int kdnet_session_nudge(struct kdnet_session *session, uint8_t version, struct kdnet_outgoing *out)
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
    if (!session->talk || !session->connected)
        return false;
    unsigned sends = session->talk->link.sends;
    if (!kdnet_link_next(&session->talk->link, now_us, body, sizeof body, &length))
        return false;
    if (session->talk->link.sends > sends && sends > 0)
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

bool kdnet_session_next_datagram(struct kdnet_session *session, uint64_t now_us, struct kdnet_outgoing *out)
{
    bool made;
    if (session->response_due) {
        made = next_response(session, out);
    } else if (session->nudge_due) {
        session->nudge_due = false;
        made = kdnet_session_nudge(session, session->nudge_version, out) == KDNET_OK;
        out->to_sender = session->nudge_to_sender;
    } else {
        made = next_packet(session, now_us, out);
    }
    if (!made)
        rest(session); /* thousands that connect at once need their talks one after the other */
    return made;
}

/* --- time --------------------------------------------------------------------------------------------------------- */

void kdnet_session_suspect_key(struct kdnet_session *session)
{
    session->rekey_wanted = true;
    session->nudge_due = true;
    session->nudge_to_sender = false;
    session->nudge_version = session->version;
}

static uint64_t lost_deadline(const struct kdnet_session *session)
{
    if (!session->connected || session->lost)
        return KDNET_NEVER;
    return session->last_seen_us + (session->past && session->past->crash.dumping ? session->shared->dump_for_us
                                                                                  : session->shared->lost_after_us);
}

uint64_t kdnet_session_deadline(const struct kdnet_session *session)
{
    uint64_t deadline = lost_deadline(session);
    uint64_t link = session->talk ? kdnet_link_deadline(&session->talk->link) : KDNET_NEVER;
    uint64_t inquiry = kdnet_inquiry_deadline(session);
    if (link < deadline)
        deadline = link;
    return inquiry < deadline ? inquiry : deadline;
}

static void lose(struct kdnet_session *session, uint64_t now_us)
{
    if (!kdnet_session_wake(session))
        return;
    session->lost = true;
    struct kdnet_event *event = kdnet_session_event(session, KDNET_EVENT_LOST);
    event->u.lost.silent_us = now_us - session->last_seen_us;
    event->u.lost.halted = session->talk->halt.stage != KDNET_STAGE_RUNNING;
    kdnet_link_sleep(&session->talk->link);
}

void kdnet_session_expire(struct kdnet_session *session, uint64_t now_us)
{
    kdnet_inquiry_expire(session, now_us);
    if (session->talk) {
        unsigned timeouts = session->talk->link.timeouts;
        kdnet_link_expire(&session->talk->link, now_us);
        if (session->talk->link.timeouts > timeouts && session->talk->link.timeouts % DEAF_TIMEOUTS == 0)
            kdnet_session_suspect_key(session);
    }
    if (now_us >= lost_deadline(session))
        lose(session, now_us);
}

void kdnet_session_fetch(const struct kdnet_session *session)
{
    const char *bytes = (const char *)session;
    for (size_t at = 0; at < offsetof(struct kdnet_session, policy); at += 64)
        kdnet_fetch(bytes + at);
}

void kdnet_session_fetch_key(const struct kdnet_session *session)
{
    const char *key = (const char *)session + offsetof(struct kdnet_session, keys.control);
    kdnet_fetch(key);
    kdnet_fetch(key + KDNET_AES_KEY_LENGTH - 1); /* it may lie in two cache lines */
}

void kdnet_session_recall(struct kdnet_session *session)
{
    if (!session->connected || !kdnet_session_wake(session))
        return;
    struct kdnet_talk *talk = session->talk;
    if (talk->halt.stage == KDNET_STAGE_RUNNING && !talk->link.busy)
        kdnet_link_control(&talk->link, KDNET_PACKET_RESEND, 0);
}

bool kdnet_session_awaits(const struct kdnet_session *session)
{
    const struct kdnet_talk *talk = session->talk;
    return session->offers || (talk && (talk->link.busy || talk->halt.stage != KDNET_STAGE_RUNNING));
}

bool kdnet_session_is_connected(const struct kdnet_session *session)
{
    return session->connected && !session->lost;
}

bool kdnet_session_is_halted(const struct kdnet_session *session)
{
    return session->talk && session->talk->halt.stage != KDNET_STAGE_RUNNING;
}

uint64_t kdnet_session_last_seen(const struct kdnet_session *session)
{
    return session->last_seen_us;
}

const struct kdnet_pdb *kdnet_session_pdb(const struct kdnet_session *session)
{
    return session->boot && session->boot->pdb_known ? &session->boot->pdb : NULL;
}
