/* SPDX-License-Identifier: Apache-2.0 */
/*
 * offers_internal: responses that wait for the machine's first data under their key. Not for callers.
 *
 * A stranger can replay recorded pokes, of this boot and of many others, and nothing in a poke of an unconfirmed run
 * tells a replay from the machine. So places are shared by run: the confirmed run has places of its own, each other run
 * has two. When more runs ask than there are places, the run that was answered less often comes first. A machine asks
 * only once in three seconds, so it comes first; unless more boots than KDNET_OFFERS_OTHERS were recorded, including
 * the current one: then the machine takes turns with the replays.
 */
#ifndef KDNET_OFFERS_INTERNAL_H
#define KDNET_OFFERS_INTERNAL_H

#include "kdnet/wire/handshake.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_OFFERS_OWN    4U  /* places of the confirmed run */
#define KDNET_OFFERS_OTHERS 60U /* places of all other runs together */
#define KDNET_OFFERS_A_RUN  2U  /* places of each other run */
#define KDNET_OFFERS_CROWD  8U  /* places in use from which on answers are counted by run */
#define KDNET_OFFERS        (KDNET_OFFERS_OWN + KDNET_OFFERS_OTHERS)
#define KDNET_OFFER_NUMBERS 0x7fU /* all of kdnet_offers_number; response_due has as many bits */

#define KDNET_OFFER_LIFE_US          60000000U
#define KDNET_OFFER_SPACING_US       300000U /* between two offers for one run */
#define KDNET_OFFER_SPACING_RIVAL_US 50000U  /* the same, where another host answers the run, too */
#define KDNET_OFFER_TRIP_US          1000000U /* a round trip, however long: no other run takes the place of a younger offer */

struct kdnet_session;

/* A response that was sent. Its data key counts only when the target uses it. */
struct kdnet_offer {
    bool used;
    bool took_over;
    bool spare; /* a newer offer of the same run exists */
    uint8_t version;
    uint8_t served;    /* earlier answers to its run, as far as counted */
    uint64_t sequence; /* control sequence of the poke */
    uint64_t made_us;
    /* The run's newest poke, which may have come too early for an offer of its own. Older pokes get no offer. */
    uint64_t seen_sequence, seen_counter;
    uint8_t target_random[KDNET_RANDOM_LENGTH];
    uint8_t host_random[KDNET_RANDOM_LENGTH];
    uint8_t data_key[KDNET_AES_KEY_LENGTH];
};

/* Room for one offer at first: most machines take the first response. */
struct kdnet_offers {
    unsigned room;      /* a power of two, up to KDNET_OFFERS */
    uint8_t *served;    /* how often runs were answered, by hash of the run; NULL until KDNET_OFFERS_CROWD */
    uint64_t halved_us; /* when the counters were last halved */
    struct kdnet_offer offer[];
};

/*
 * Finds a place for a new offer to this run, used or not. NULL: no place now, because all runs with a place were
 * answered less than a round trip ago and no more often; or out of memory, with no offer at all.
 */
struct kdnet_offer *kdnet_offers_place(struct kdnet_session *session, const uint8_t random[static KDNET_RANDOM_LENGTH],
                                       uint64_t now_us);

/* Returns how often a run was answered lately, as far as counted. */
uint8_t kdnet_offers_served(const struct kdnet_session *session, const uint8_t random[static KDNET_RANDOM_LENGTH]);

/* Counts an answer to the run of this new offer. */
void kdnet_offers_count(struct kdnet_session *session, const struct kdnet_offer *offer, uint64_t now_us);

/* The newest offer of this run, or of any when `random` is NULL; NULL: there is none. */
struct kdnet_offer *kdnet_offers_newest(const struct kdnet_session *session, const uint8_t *random);

/* Returns the offer's number in the form of session->response_due. */
uint8_t kdnet_offers_number(const struct kdnet_session *session, const struct kdnet_offer *offer);

/* Wipes the offers made up to `made_us`, and old ones. */
void kdnet_offers_forget_until(struct kdnet_session *session, uint64_t made_us, uint64_t now_us);
void kdnet_offers_forget(struct kdnet_session *session);

#endif
