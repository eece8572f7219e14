/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/session/offers_internal.h"
#include "kdnet/base/hash.h"
#include "kdnet/session/state_internal.h"

#include <stdlib.h>
#include <string.h>

#define SERVED_ROW  1024U /* counters in each of two rows; a run has one in each row, and the smaller one counts */
#define SERVED_SIZE (2 * SERVED_ROW)

static size_t size_of(unsigned room)
{
    return sizeof(struct kdnet_offers) + room * sizeof(struct kdnet_offer);
}

static unsigned room_of(const struct kdnet_session *session)
{
    return session->offers ? session->offers->room : 0;
}

static void wipe(struct kdnet_offers *offers)
{
    free(offers->served);
    kdnet_crypto_wipe(offers, size_of(offers->room));
    free(offers);
}

void kdnet_offers_forget(struct kdnet_session *session)
{
    session->response_due = 0;
    if (!session->offers)
        return;
    wipe(session->offers);
    session->offers = NULL;
}

uint8_t kdnet_offers_number(const struct kdnet_session *session, const struct kdnet_offer *offer)
{
    return (uint8_t)(offer - session->offers->offer + 1);
}

static void drop(struct kdnet_session *session, struct kdnet_offer *offer)
{
    if (session->response_due == kdnet_offers_number(session, offer))
        session->response_due = 0;
    kdnet_crypto_wipe(offer, sizeof *offer);
}

void kdnet_offers_forget_until(struct kdnet_session *session, uint64_t made_us, uint64_t now_us)
{
    bool left = false;
    for (size_t i = 0; i < room_of(session); ++i) {
        struct kdnet_offer *offer = &session->offers->offer[i];
        if (offer->used && (offer->made_us <= made_us || now_us - offer->made_us > KDNET_OFFER_LIFE_US))
            drop(session, offer);
        left = left || offer->used;
    }
    if (!left)
        kdnet_offers_forget(session);
}

struct kdnet_offer *kdnet_offers_newest(const struct kdnet_session *session, const uint8_t *random)
{
    struct kdnet_offer *newest = NULL;
    for (size_t i = 0; i < room_of(session); ++i) {
        struct kdnet_offer *offer = &session->offers->offer[i];
        bool counts = offer->used && (!random || kdnet_poke_same_run(offer->target_random, random));
        if (counts && (!newest || offer->made_us > newest->made_us))
            newest = offer;
    }
    return newest;
}

/* --- how often runs were answered --------------------------------------------------------------------------------- */

/* Finds a run's two counters. A stranger cannot choose a run's random: machines seal it into their pokes. */
static void counters_of(const uint8_t random[static KDNET_RANDOM_LENGTH], size_t at[static 2])
{
    uint64_t hash = kdnet_hash(KDNET_HASH_START, random + KDNET_COUNTER_LENGTH,
                               KDNET_RANDOM_LENGTH - KDNET_COUNTER_LENGTH);
    hash ^= hash >> 29;
    at[0] = hash % SERVED_ROW;
    at[1] = SERVED_ROW + hash / SERVED_ROW % SERVED_ROW;
}

uint8_t kdnet_offers_served(const struct kdnet_session *session, const uint8_t random[static KDNET_RANDOM_LENGTH])
{
    size_t at[2];
    const uint8_t *counts = session->offers ? session->offers->served : NULL;
    if (!counts)
        return 0;
    counters_of(random, at);
    return counts[at[0]] < counts[at[1]] ? counts[at[0]] : counts[at[1]];
}

void kdnet_offers_count(struct kdnet_session *session, const struct kdnet_offer *offer, uint64_t now_us)
{
    struct kdnet_offers *offers = session->offers;
    size_t at[2];
    for (size_t i = 0; i < offers->room; ++i)
        if (&offers->offer[i] != offer && offers->offer[i].used &&
            kdnet_poke_same_run(offers->offer[i].target_random, offer->target_random))
            offers->offer[i].spare = true;
    if (!offers->served)
        return;
    if (now_us - offers->halved_us > KDNET_OFFER_LIFE_US) {
        offers->halved_us = now_us;
        for (size_t i = 0; i < SERVED_SIZE; ++i)
            offers->served[i] /= 2;
    }
    counters_of(offer->target_random, at);
    for (size_t i = 0; i < 2; ++i)
        offers->served[at[i]] = (uint8_t)(offers->served[at[i]] + (offers->served[at[i]] < UINT8_MAX));
}

/* --- places ------------------------------------------------------------------------------------------------------- */

/* Room for twice as many. Returns false when memory is out. */
static bool grow(struct kdnet_session *session)
{
    unsigned room = session->offers ? session->offers->room * 2 : 1;
    struct kdnet_offers *larger = calloc(1, size_of(room));
    if (!larger)
        return false;
    if (room == KDNET_OFFERS_CROWD)
        larger->served = calloc(SERVED_SIZE, 1); /* NULL: all runs are alike */
    if (session->offers) {
        if (room > KDNET_OFFERS_CROWD) {
            larger->served = session->offers->served;
            larger->halved_us = session->offers->halved_us;
            session->offers->served = NULL;
        }
        memcpy(larger->offer, session->offers->offer, session->offers->room * sizeof larger->offer[0]);
        wipe(session->offers);
    }
    larger->room = room;
    session->offers = larger;
    return true;
}

/* How the places are shared, seen from one run. */
struct survey {
    struct kdnet_offer *free;
    struct kdnet_offer *of_run; /* this run's oldest offer */
    /* Of other runs, except the confirmed one: a spare offer, or the oldest offer of the run that was served most;
     * the oldest. */
    struct kdnet_offer *most, *oldest;
    unsigned run, others;
};

static bool is_own(const struct kdnet_session *session, const uint8_t random[static KDNET_RANDOM_LENGTH])
{
    static const uint8_t none[KDNET_RANDOM_LENGTH];
    return kdnet_poke_same_run(session->target_random, random) &&
           memcmp(session->target_random, none, sizeof none) != 0;
}

static bool goes_before(const struct kdnet_offer *offer, const struct kdnet_offer *other)
{
    if (!other || offer->spare != other->spare)
        return !other || offer->spare;
    if (offer->served != other->served)
        return offer->served > other->served;
    return offer->made_us < other->made_us;
}

static struct survey look(const struct kdnet_session *session, const uint8_t random[static KDNET_RANDOM_LENGTH])
{
    struct survey out = {.free = NULL};
    for (size_t i = 0; i < room_of(session); ++i) {
        struct kdnet_offer *offer = &session->offers->offer[i];
        if (!offer->used) {
            out.free = out.free ? out.free : offer;
            continue;
        }
        bool other = !is_own(session, offer->target_random);
        bool same = kdnet_poke_same_run(offer->target_random, random);
        out.others += other;
        out.run += same;
        if (same && (!out.of_run || offer->made_us < out.of_run->made_us))
            out.of_run = offer;
        if (!other || same)
            continue;
        if (goes_before(offer, out.most))
            out.most = offer;
        if (!out.oldest || offer->made_us < out.oldest->made_us)
            out.oldest = offer;
    }
    return out;
}

struct kdnet_offer *kdnet_offers_place(struct kdnet_session *session, const uint8_t random[static KDNET_RANDOM_LENGTH],
                                       uint64_t now_us)
{
    bool own = is_own(session, random);
    struct survey survey = look(session, random);
    if (survey.run >= (own ? KDNET_OFFERS_OWN : KDNET_OFFERS_A_RUN))
        return survey.of_run;
    if (own || survey.others < KDNET_OFFERS_OTHERS) {
        unsigned room = room_of(session);
        if (survey.free)
            return survey.free;
        if (grow(session))
            return &session->offers->offer[room];
        return survey.of_run ? survey.of_run : survey.most; /* memory is out */
    }
    if (survey.most && survey.most->spare)
        return survey.most;
    if (survey.oldest && now_us - survey.oldest->made_us >= KDNET_OFFER_TRIP_US)
        return survey.oldest;
    if (survey.most && kdnet_offers_served(session, random) < survey.most->served)
        return survey.most;
    return survey.of_run;
}
