/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/session/claim_internal.h"
#include "kdnet/session/offers_internal.h"

#include <stdlib.h>

#define FOREIGN_PATIENCE_US 1000000U /* data under an unknown key for so long: the target and we disagree */
#define FOREIGN_QUICK       3U       /* new keys without patience: a machine that is halted waits for each */
#define FOREIGN_DOUBLINGS   6U       /* then patience doubles with each new key that ended nothing: a minute at most */
#define FOREIGN_FORGET_US   300000000U
#define OFFER_PATIENCE_US   80000U
#define RESPONSES           4U /* so often a response that nothing follows is given again, within 1.2 s ... */
#define RESPONSES_UNSEEN    1U /* ... and where other hosts do not show what goes astray: the machine may have theirs */

#define OURS_US      4000000U  /* a machine pokes every 3 s: one that was heard within this time is ours */
#define IGNORED_US   10000000U /* of our offers, which a machine has not taken */
#define RIVAL_POKES  2U        /* so long another host is believed to be there */
#define EMPTY_LENGTH 54U       /* a connection check, an ACK, a RESEND, a RESET: the machine waits with longer ones */
#define TELL_US      3000U     /* and a round trip: the machine waits, and perhaps the other host does not know */
#define QUIET_US     24000U    /* after which the other host is not at work */
#define BUSY_US      200000U   /* longest time that the other host may work */
#define CHANCE       32U       /* of each, milliseconds more */
#define ASKED_US     20000U    /* and two round trips: a later poke is not the answer to our request */
#define POKES_US     2500000U  /* a machine pokes every 3 s; an earlier poke was requested by a host */
#define UNPAID_MAX   2U        /* claims in a row of a machine that did not wait */

#define WORD_US         50000U /* another host that has the machine says so within this time */
#define KEPT_US         1000000U /* so long its word is good for pokes; and it is believed no longer without such a pause */
#define STRAY_AGAIN_US  300000U  /* a machine that nobody has acknowledged says its packet again after 0.5 s ... */
#define STRAYS_PAUSE_US 2000000U /* ... and one that was quiet for so long says something new */
#define WORK_PAUSE_US   500000U  /* after which the other host begins anew */

#define TRIES    24U /* of a claim */
#define KNOCKS   8U  /* the last of them ask for no further poke */
#define RETRY_US 4000U

static bool has_rival(const struct kdnet_session *session)
{
    return session->rival > 0;
}

/* There is none where the caller knows of none: noise and losses look like another host, too. */
static void meet_rival(struct kdnet_session *session)
{
    if (session->shared->rivals)
        session->rival = RIVAL_POKES;
}

static void solicit(struct kdnet_session *session, bool to_sender, uint64_t now_us)
{
    if (!kdnet_state_may_solicit(session, now_us))
        return;
    session->solicit_due = true;
    session->solicit_to_sender = to_sender;
}

/* Sets the time of the claim's next try. */
static void schedule_retry(struct kdnet_session *session, uint64_t now_us)
{
    uint64_t retry_us = RETRY_US + kdnet_state_round_trip(session);
    unsigned doublings = session->claim_tries / (has_rival(session) ? 8U : 2U);
    session->claim_us = session->shared->rivals ? now_us + (retry_us << doublings) : 0;
}

/* A response of ours went out, and the machine goes on under another key. */
static bool is_ignored(const struct kdnet_session *session, uint64_t now_us)
{
    const struct kdnet_offer *newest = kdnet_offers_newest(session, NULL);
    return newest && now_us - newest->made_us >= OFFER_PATIENCE_US && now_us - newest->made_us < IGNORED_US;
}

/* Counts a claim of a connected machine, which has to take a new key. */
static void want_rekey(struct kdnet_session *session)
{
    if (session->foreign_rekeys < FOREIGN_QUICK + FOREIGN_DOUBLINGS - 1)
        session->foreign_rekeys = (session->foreign_rekeys + 1U) & 15U;
    if (session->claims_unpaid < UNPAID_MAX)
        session->claims_unpaid = (session->claims_unpaid + 1U) & 3U;
    session->rekey_wanted = true;
}

static void begin(struct kdnet_session *session, bool to_sender, uint64_t now_us)
{
    want_rekey(session);
    session->claim_tries = 1;
    solicit(session, to_sender, now_us);
    schedule_retry(session, now_us);
}

/*
 * Whether data that no key of ours opens justifies a new key for a connected machine. The machine may have taken the
 * key of another host that is gone, and be halted: so at once, a few times. But the data may be noise with the target's
 * address, or late, and must not cause handshake after handshake.
 */
static bool is_foreign_enough(struct kdnet_session *session, uint64_t now_us)
{
    uint64_t solicited_us = kdnet_state_since(session->solicited_ms, now_us);
    if (solicited_us > FOREIGN_FORGET_US)
        session->foreign_rekeys = 0;
    unsigned rekeys = session->foreign_rekeys;
    if (rekeys < FOREIGN_QUICK)
        return session->solicited_ms == 0 || solicited_us >= FOREIGN_PATIENCE_US;
    uint64_t patience_us = (uint64_t)FOREIGN_PATIENCE_US << (rekeys - FOREIGN_QUICK + 1);
    return kdnet_state_since(session->foreign_ms, now_us) >= patience_us &&
           now_us - session->last_seen_us >= FOREIGN_PATIENCE_US;
}

/* Whether a response may be on its way to the sender of the data. */
static bool is_being_answered(const struct kdnet_session *session, uint64_t now_us)
{
    const struct kdnet_offer *newest = kdnet_offers_newest(session, NULL);
    return newest && now_us - newest->made_us < OFFER_PATIENCE_US &&
           kdnet_state_since(session->foreign_ms, now_us) < KDNET_OFFER_SPACING_US;
}

/* The machine is asked already. */
static void ask_on(struct kdnet_session *session, bool to_sender, uint64_t now_us)
{
    if (session->connected || !is_being_answered(session, now_us))
        solicit(session, to_sender, now_us);
    if (session->claim_us != 0 && (!session->shared->rivals || session->claim_tries < TRIES - KNOCKS))
        return;
    session->claim_tries = session->shared->rivals ? 1U : TRIES - KNOCKS - 1U;
    schedule_retry(session, now_us);
    if (session->claim_us == 0 && !session->connected)
        session->claim_us = now_us + OFFER_PATIENCE_US;
}

/* Another host has the machine, and is let work. */
static bool watches(const struct kdnet_session *session)
{
    return has_rival(session) && !session->rekey_wanted && session->connected;
}

/* Whether the other host seems to work, which lasts only so long. The time differs after each new key: otherwise two
 * hosts could interrupt each other for ever. */
static bool works(const struct kdnet_session *session, uint64_t now_us)
{
    uint64_t quiet_us = QUIET_US + session->id[0] % CHANCE * UINT64_C(1000) + 2 * kdnet_state_round_trip(session);
    uint64_t most_us = BUSY_US + session->id[1] % CHANCE * UINT64_C(1000);
    return kdnet_state_short_since(session->waits_ms, now_us) < quiet_us &&
           kdnet_state_since(session->foreign_ms, now_us) < most_us;
}

/* The machine's packet may have reached only us: its next poke may tell the other host. */
static void tell_later(struct kdnet_session *session, uint64_t now_us)
{
    session->claim_us = now_us + TELL_US + kdnet_state_round_trip(session);
}

static void let_work(struct kdnet_session *session, uint64_t now_us)
{
    if (session->waits_ms == 0 || kdnet_state_short_since(session->waits_ms, now_us) > WORK_PAUSE_US)
        session->foreign_ms = kdnet_state_ms(now_us);
    session->waits_ms = kdnet_state_short_ms(now_us);
    tell_later(session, now_us);
}

static void take_foreign(struct kdnet_session *session, bool waits, bool to_sender, uint64_t now_us)
{
    if (!session->connected && waits && is_ignored(session, now_us))
        meet_rival(session);
    if (session->foreign_ms == 0) {
        session->foreign_ms = kdnet_state_ms(now_us);
        if (session->connected && now_us - session->last_seen_us < OURS_US)
            meet_rival(session);
    }
    if (watches(session)) {
        if (waits || session->claim_us > 0)
            let_work(session, now_us);
    } else if (!session->connected || session->rekey_wanted) {
        if (!has_rival(session) || waits)
            ask_on(session, to_sender, now_us);
    } else if (is_foreign_enough(session, now_us)) {
        begin(session, to_sender, now_us);
    }
}

/* Made when there is none; NULL: out of memory, and nobody's word is waited for. */
static struct kdnet_strays *strays_of(struct kdnet_session *session)
{
    if (!session->has_strays)
        session->strays = calloc(1, sizeof *session->strays);
    session->has_strays = session->strays;
    return session->strays;
}

static void wait_no_more(struct kdnet_session *session)
{
    if (session->has_strays)
        session->strays->word_us = 0;
    session->word_waits = false;
}

/* When nobody's word is waited for any more; 0: nobody's is. */
static uint64_t word_deadline(const struct kdnet_session *session)
{
    return session->has_strays ? session->strays->word_us : 0;
}

/*
 * Whether the word of a host that has the machine counts: for a moment, and not when the machine has said its packet
 * again. Then that host opens what it is shown, but does not reach the machine: its address may have moved to us.
 */
static bool is_word_believed(const struct kdnet_strays *strays, uint64_t now_us)
{
    return strays->since_ms == 0 || (!strays->again && kdnet_state_since(strays->since_ms, now_us) <= KEPT_US);
}

/* Notes data that came astray. */
static void note_stray(struct kdnet_strays *strays, uint64_t now_us)
{
    uint64_t pause_us = kdnet_state_since(strays->last_ms, now_us);
    bool anew = strays->since_ms == 0 || pause_us > STRAYS_PAUSE_US;
    if (anew)
        strays->since_ms = kdnet_state_ms(now_us);
    strays->again = !anew && (strays->again || pause_us > STRAY_AGAIN_US);
    strays->last_ms = kdnet_state_ms(now_us);
}

/* The other hosts are shown the datagram. Whoever has the machine says so. */
static bool waits_for_word(struct kdnet_session *session, bool waits, uint64_t now_us)
{
    struct kdnet_strays *strays = session->shared->relays ? strays_of(session) : NULL;
    if (!strays)
        return false;
    note_stray(strays, now_us);
    if (!is_word_believed(strays, now_us))
        return false;
    session->word_waits = session->word_waits || waits;
    if (strays->word_us == 0)
        strays->word_us = now_us + WORD_US;
    return true;
}

void kdnet_claim_foreign(struct kdnet_session *session, uint8_t version, size_t length, uint64_t now_us)
{
    bool waits = length > EMPTY_LENGTH;
    if (session->relayed)
        return;
    session->solicit_version = version;
    if (session->response_doubted > 0) { /* the machine has heard a response, perhaps another host's */
        session->response_doubted = 0;
        session->claim_us = 0;
    }
    if (!waits_for_word(session, waits, now_us))
        take_foreign(session, waits, true, now_us);
}

void kdnet_claim_kept(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_strays *strays = strays_of(session);
    if (strays && !is_word_believed(strays, now_us))
        return;
    if (strays)
        strays->kept_ms = kdnet_state_ms(now_us);
    wait_no_more(session);
    session->foreign_ms = 0;
    session->response_doubted = 0;
    session->claim_us = 0;
    session->claim_tries = 0;
    session->rekey_wanted = session->solicit_due = false;
}

bool kdnet_claim_is_kept(const struct kdnet_session *session, uint64_t now_us)
{
    const struct kdnet_strays *strays = session->has_strays && session->shared->relays ? session->strays : NULL;
    return strays && strays->kept_ms != 0 && kdnet_state_since(strays->kept_ms, now_us) < KEPT_US;
}

bool kdnet_claim_has_strays(const struct kdnet_session *session, uint64_t now_us)
{
    const struct kdnet_strays *strays = session->has_strays && session->shared->relays ? session->strays : NULL;
    return strays && strays->last_ms != 0 && kdnet_state_since(strays->last_ms, now_us) < KEPT_US;
}

/* Whether its data began to come astray only lately. */
static bool is_new_astray(const struct kdnet_session *session, uint64_t now_us)
{
    return session->has_strays && kdnet_state_since(session->strays->since_ms, now_us) <= KEPT_US;
}

/* What nobody has for so long is noise, or the machine of a host that is gone. */
bool kdnet_claim_shows_data(const struct kdnet_session *session, uint64_t now_us)
{
    return session->shared->relays && !session->relayed &&
           (kdnet_claim_is_kept(session, now_us) || is_new_astray(session, now_us));
}

/* foreign_ms is set when no host has said that it has the key. */
void kdnet_claim_doubt_key(struct kdnet_session *session, uint64_t now_us)
{
    if (watches(session) && session->shared->relays && !session->relayed && session->foreign_ms != 0 &&
        kdnet_state_since(session->foreign_ms, now_us) >= FOREIGN_PATIENCE_US && is_foreign_enough(session, now_us))
        want_rekey(session);
}

bool kdnet_claim_shows_poke(const struct kdnet_session *session)
{
    return session->shared->relays && has_rival(session) && !session->relayed;
}

void kdnet_claim_asked(struct kdnet_session *session, uint64_t now_us)
{
    if (!session->connected && is_ignored(session, now_us))
        meet_rival(session);
}

void kdnet_claim_suspect(struct kdnet_session *session, uint64_t now_us)
{
    if (has_rival(session) && session->claim_us > 0)
        return; /* the other host is let work, or is asked already */
    kdnet_state_suspect_key(session);
    if (!has_rival(session))
        return;
    session->claim_tries = 1;
    schedule_retry(session, now_us);
}

/* The response may be lost, and the next poke of a machine that stands still is seconds away. */
static void doubt_response(struct kdnet_session *session, uint64_t now_us)
{
    if (!session->shared->rivals || session->claim_tries > 0)
        return;
    session->response_doubted = session->shared->relays ? RESPONSES : RESPONSES_UNSEEN;
    session->claim_us = now_us + OFFER_PATIENCE_US;
}

/* Gives the response once more, as to a poke that comes twice; each time after twice as long. */
static void respond_again(struct kdnet_session *session, uint64_t now_us)
{
    const struct kdnet_offer *newest = kdnet_offers_newest(session, NULL);
    unsigned left = session->response_doubted - 1U;
    session->response_doubted = left & 7U;
    if (!newest || now_us - newest->made_us >= IGNORED_US) {
        session->response_doubted = 0;
        return;
    }
    session->response_due = kdnet_offers_number(session, newest) & KDNET_OFFER_NUMBERS;
    if (left > 0)
        session->claim_us = now_us + ((uint64_t)OFFER_PATIENCE_US << (RESPONSES - left));
}

void kdnet_claim_offered(struct kdnet_session *session, uint64_t now_us)
{
    session->response_doubted = 0;
    if (!has_rival(session)) {
        doubt_response(session, now_us);
        return;
    }
    if (session->claim_tries > TRIES - KNOCKS)
        session->claim_tries = TRIES - KNOCKS;
    schedule_retry(session, now_us);
    session->knock_due = true;
}

/* We have asked for a poke lately. */
static bool has_asked(const struct kdnet_session *session, uint64_t now_us)
{
    return session->asked &&
           kdnet_state_since(session->solicited_ms, now_us) < ASKED_US + 2 * kdnet_state_round_trip(session);
}

/* Thue and Morse's sequence, which no period fits: otherwise alternating datagrams could go the same way for ever. */
static bool is_odd(uint8_t bits)
{
    unsigned folded = bits ^ (unsigned)bits >> 4;
    folded ^= folded >> 2;
    return ((folded ^ folded >> 1) & 1U) != 0;
}

/* The other host requested this poke: the machine waits, and its packet has reached that host. */
static void take_told(struct kdnet_session *session, uint64_t now_us)
{
    if (!kdnet_state_wake(session))
        return;
    struct kdnet_link *link = &session->active->link;
    struct kdnet_halt *halt = &session->active->halt;
    uint64_t read_us = kdnet_state_read_deadline(session);
    if (halt->stage == KDNET_STAGE_READING && halt->deadline_us > now_us + read_us)
        halt->deadline_us = now_us + read_us;
    if (halt->stage == KDNET_STAGE_RUNNING && !link->busy) {
        kdnet_link_control(link, KDNET_PACKET_RESEND, 0);
        link->echo = is_odd(session->target_random[0]) || is_odd(session->target_random[0] >> 1);
    } else if (!link->split) {
        kdnet_link_share(link, now_us);
    }
}

void kdnet_claim_poked(struct kdnet_session *session, uint64_t now_us)
{
    if (!session->shared->rivals)
        return;
    if (has_asked(session, now_us))
        return;
    bool soon = session->poked_ms != 0 && kdnet_state_short_since(session->poked_ms, now_us) < POKES_US;
    session->poked_ms = kdnet_state_short_ms(now_us);
    if (soon)
        meet_rival(session);
    if (has_rival(session))
        take_told(session, now_us);
    if (!soon && has_rival(session))
        session->rival = (session->rival - 1U) & 3U;
}

/* A machine that is heard itself, and of which no word counts any more, needs none of this. */
static void drop_strays(struct kdnet_session *session, uint64_t now_us)
{
    if (!session->has_strays || kdnet_claim_is_kept(session, now_us) || kdnet_claim_has_strays(session, now_us))
        return;
    free(session->strays);
    session->strays = NULL;
    session->has_strays = false;
}

void kdnet_claim_heard(struct kdnet_session *session, uint64_t now_us)
{
    session->foreign_ms = 0;
    session->claim_us = 0;
    session->claim_tries = 0;
    session->rekey_wanted = false;
    session->response_doubted = 0;
    wait_no_more(session);
    drop_strays(session, now_us);
}

void kdnet_claim_paid(struct kdnet_session *session)
{
    if (session->claims_unpaid == 0)
        return;
    session->claims_unpaid = 0;
    if (session->foreign_rekeys > 0)
        session->foreign_rekeys = (session->foreign_rekeys - 1U) & 15U;
}

static uint64_t claim_deadline(const struct kdnet_session *session)
{
    return kdnet_claim_is_pending(session) && session->claim_us > 0 ? session->claim_us : KDNET_NEVER;
}

uint64_t kdnet_claim_deadline(const struct kdnet_session *session)
{
    uint64_t claim_us = claim_deadline(session);
    uint64_t word_us = word_deadline(session);
    return word_us > 0 && word_us < claim_us ? word_us : claim_us;
}

/* No other host has said that it has the machine. */
static void miss_word(struct kdnet_session *session, uint64_t now_us)
{
    bool waits = session->word_waits;
    wait_no_more(session);
    take_foreign(session, waits, false, now_us);
}

void kdnet_claim_expire(struct kdnet_session *session, uint64_t now_us)
{
    if (word_deadline(session) > 0 && now_us >= word_deadline(session))
        miss_word(session, now_us);
    if (now_us < claim_deadline(session))
        return;
    session->claim_us = 0;
    if (session->response_doubted > 0) {
        respond_again(session, now_us);
        return;
    }
    if (watches(session)) {
        bool doubtful = session->claims_unpaid >= UNPAID_MAX; /* perhaps noise: one answer to each */
        if (!doubtful && !works(session, now_us)) {
            begin(session, false, now_us);
            return;
        }
        solicit(session, false, now_us);
        if (!doubtful)
            tell_later(session, now_us);
        return;
    }
    const struct kdnet_offer *newest = kdnet_offers_newest(session, NULL);
    session->knock_due = newest && now_us - newest->made_us < FOREIGN_PATIENCE_US;
    if (session->claim_tries < TRIES - KNOCKS)
        solicit(session, false, now_us);
    if (session->claim_tries < TRIES)
        ++session->claim_tries;
    if (session->claim_tries < TRIES)
        schedule_retry(session, now_us);
}
