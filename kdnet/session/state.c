/* SPDX-License-Identifier: Apache-2.0 */
/* Allocates and frees the parts of a session that are made on demand, and the operations that all files of this room
 * use. */
#include "kdnet/base/prefetch.h"
#include "kdnet/session/boot_cache_internal.h"
#include "kdnet/session/state_internal.h"

#include <stddef.h>
#include <stdlib.h>

#define SOLICIT_PERIOD_US 50000U
#define SOLICIT_RIVAL_US  3000U   /* and a round trip: the poke may have gone to the other host */
#define READ_RIVAL_US     200000U /* two hosts that read in turn must not keep the machine long */
#define RTT_UNKNOWN_US    20000U
#define RTT_MOST_US       100000U
#define CACHE_LINE        64U

_Static_assert(offsetof(struct kdnet_session, policy) <= 3 * CACHE_LINE, "a poke touches three cache lines");

void kdnet_probe_states_clear(struct kdnet_probe_states *states)
{
    while (states->count > 0)
        free(states->state[--states->count]);
}

void kdnet_kernel_info_clear(struct kdnet_kernel_info *info)
{
    if (info && info->boot_cache) {
        kdnet_boot_cache_free(info->boot_cache);
        info->boot_cache = NULL;
    }
}

void kdnet_active_free(struct kdnet_active *active)
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

bool kdnet_state_wake(struct kdnet_session *session)
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

/* The target was heard: restarts timers that waited for the target. */
void kdnet_state_heard(struct kdnet_session *session, uint64_t now_us)
{
    session->last_seen_us = now_us;
    session->lost_later = 0;
    if (!session->lost)
        return;
    session->lost = false;
    if (session->active)
        kdnet_link_wake(&session->active->link, now_us);
}

void kdnet_state_count(const struct kdnet_session *session, enum kdnet_count what)
{
    struct kdnet_session_counts *counts = session->shared->counts;
    if (!counts)
        return;
    counts->rejected += what == KDNET_COUNT_REJECTED;
    counts->repeated += what == KDNET_COUNT_REPEATED;
    counts->sent_again += what == KDNET_COUNT_SENT_AGAIN;
}

uint64_t kdnet_state_round_trip(const struct kdnet_session *session)
{
    const struct kdnet_link_memory *memory = session->active ? &session->active->link.memory : &session->link;
    if (memory->rtt_us == 0)
        return RTT_UNKNOWN_US;
    return memory->rtt_us < RTT_MOST_US ? memory->rtt_us : RTT_MOST_US;
}

uint64_t kdnet_state_read_deadline(const struct kdnet_session *session)
{
    uint64_t deadline_us = session->shared->read_deadline_us;
    return session->rival > 0 && deadline_us > READ_RIVAL_US ? READ_RIVAL_US : deadline_us;
}

/* A machine takes only the response to its newest poke. */
bool kdnet_state_may_solicit(struct kdnet_session *session, uint64_t now_us)
{
    uint64_t period_us = session->rival > 0 ? SOLICIT_RIVAL_US + kdnet_state_round_trip(session) : SOLICIT_PERIOD_US;
    if (session->solicited_ms != 0 && kdnet_state_since(session->solicited_ms, now_us) < period_us)
        return false;
    session->solicited_ms = kdnet_state_ms(now_us);
    session->asked = true;
    return true;
}

void kdnet_state_suspect_key(struct kdnet_session *session)
{
    session->rekey_wanted = true;
    session->solicit_due = true;
    session->solicit_to_sender = false;
    session->solicit_version = session->version;
}

void kdnet_session_prefetch(const struct kdnet_session *session)
{
    const char *bytes = (const char *)session;
    for (size_t at = 0; at < offsetof(struct kdnet_session, policy); at += CACHE_LINE)
        kdnet_prefetch(bytes + at);
    kdnet_prefetch(bytes + offsetof(struct kdnet_session, policy) - 1); /* a session need not begin with a line */
}

void kdnet_session_prefetch_key(const struct kdnet_session *session)
{
    const char *key = (const char *)session + offsetof(struct kdnet_session, keys.control);
    kdnet_prefetch(key);
    kdnet_prefetch(key + KDNET_AES_KEY_LENGTH - 1); /* the key may span two cache lines */
}
