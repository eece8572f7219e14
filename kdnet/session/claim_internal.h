/* SPDX-License-Identifier: Apache-2.0 */
/*
 * claim_internal: a machine whose data we cannot open is asked for a poke, and given a key of ours. Not for callers.
 *
 * Perhaps another host has it that is gone; perhaps that host is there, and the network gives each of us a part of what
 * the machine sends. Then two of us would take it from each other for ever, so who has found it waiting lets the other
 * one work for a moment; and what the machine says to a claim may go to the other host, so a claim is said again.
 */
#ifndef KDNET_CLAIM_INTERNAL_H
#define KDNET_CLAIM_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Data came that no key of ours opens: the target has another host's key, or one of a previous process of ours, or the
 * data are noise. */
void kdnet_claim_foreign(struct kdnet_session *session, uint8_t version, size_t length, uint64_t now_us);

/* Another host has opened what it was shown: this session leaves the machine to that host for a while. */
void kdnet_claim_kept(struct kdnet_session *session, uint64_t now_us);

/* Whether another host has lately said that it has the machine. */
bool kdnet_claim_is_kept(const struct kdnet_session *session, uint64_t now_us);

/* Whether data under another host's key has lately come, where hosts show each other what goes astray. */
bool kdnet_claim_has_strays(const struct kdnet_session *session, uint64_t now_us);

/* Whether data that no key opens is to be shown to the other hosts. */
bool kdnet_claim_shows_data(const struct kdnet_session *session, uint64_t now_us);

/* Whether an unanswered poke is to be shown to the other hosts: one of them may have asked for it. */
bool kdnet_claim_shows_poke(const struct kdnet_session *session);

/* kdnet_state_suspect_key, said again where there is another host. */
void kdnet_claim_suspect(struct kdnet_session *session, uint64_t now_us);

/* A poke of the session has come that names no other host. Wants a new key where data came under one that no host has,
 * and none under ours since: a machine at a break may wait there without a word, for the host that it had before. */
void kdnet_claim_doubt_key(struct kdnet_session *session, uint64_t now_us);

/* A poke of the session has come. */
void kdnet_claim_poked(struct kdnet_session *session, uint64_t now_us);

/* A poke names a connection, and is to be answered. */
void kdnet_claim_asked(struct kdnet_session *session, uint64_t now_us);

/* A poke was answered. */
void kdnet_claim_offered(struct kdnet_session *session, uint64_t now_us);

/* Data came under our key: nothing is claimed. `waited`: a packet that the machine wanted acknowledged. */
void kdnet_claim_heard(struct kdnet_session *session, uint64_t now_us);
void kdnet_claim_paid(struct kdnet_session *session);

/* Whether claim_us counts. Reads only what an idle machine's poke has fetched anyway. */
static inline bool kdnet_claim_is_pending(const struct kdnet_session *session)
{
    return session->rival > 0 || session->claim_tries > 0 || session->response_doubted > 0;
}

uint64_t kdnet_claim_deadline(const struct kdnet_session *session);
void kdnet_claim_expire(struct kdnet_session *session, uint64_t now_us);

#endif
