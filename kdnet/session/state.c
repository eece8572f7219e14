/* SPDX-License-Identifier: Apache-2.0 */
/* Allocates and frees the parts of a session that are made on demand, and the operations that all files of this room
 * use. */
#include "kdnet/session/boot_cache_internal.h"
#include "kdnet/session/state_internal.h"

#include <stdlib.h>

#define SOLICIT_PERIOD_US 50000U
#define SOLICIT_RIVAL_US  19000U /* the poke may have gone to the other host */

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

bool kdnet_state_may_solicit(struct kdnet_session *session, uint64_t now_us)
{
    uint64_t period_us = session->rival > 0 ? SOLICIT_RIVAL_US : SOLICIT_PERIOD_US;
    if (session->solicited_ms != 0 && kdnet_state_since(session->solicited_ms, now_us) < period_us)
        return false;
    session->solicited_ms = kdnet_state_ms(now_us);
    return true;
}

void kdnet_state_suspect_key(struct kdnet_session *session)
{
    session->rekey_wanted = true;
    session->solicit_due = true;
    session->solicit_to_sender = false;
    session->solicit_version = session->version;
}
