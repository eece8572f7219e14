/* SPDX-License-Identifier: Apache-2.0 */
/* Sequence numbers of data datagrams: each is accepted once, also when the target restarts its numbers. */
#include "kdnet/base/wire.h"
#include "kdnet/session/sequence_internal.h"

#include <string.h>

#define WINDOW 64U

/* Marks a sequence number as seen; false when it was seen before or is too old to tell. */
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

void kdnet_sequence_restart(struct kdnet_session *session)
{
    session->window_last = 0;
    session->window_seen = 0;
    memset(session->first_tags, 0, sizeof session->first_tags);
    session->link.last_sequence = 0;
    if (session->active)
        session->active->link.memory.last_sequence = 0;
}

/*
 * The target restarted its numbers a second time under the same key. A second restart cannot be followed: datagrams
 * recorded under this key could then be replayed. The target gets a new key.
 */
static void renumbered_again(struct kdnet_session *session, uint64_t now_us)
{
    if (kdnet_state_may_solicit(session, now_us))
        kdnet_state_suspect_key(session);
}

/*
 * Accepts a sequence number once. A duplicated response makes the target restart its numbers under the same key: then a
 * low number comes again with another tag. A number with the same tag is the same datagram, repeated by the network or
 * by a stranger.
 */
bool kdnet_sequence_take(struct kdnet_session *session, uint64_t sequence, const uint8_t *tag, uint64_t now_us)
{
    uint16_t *first = sequence < KDNET_FIRST_TAGS ? &session->first_tags[sequence] : NULL;
    uint16_t start =
        kdnet_get_le16(tag); /* 16 bits suffice: a datagram that is taken for a repeat by chance is retransmitted */
    if (first && *first != 0 && *first != start) {
        if (session->renumbered) {
            renumbered_again(session, now_us);
            return false;
        }
        kdnet_sequence_restart(session);
        session->renumbered = true;
    }
    if (!window_take(session, sequence))
        return false;
    if (first)
        *first = start;
    return true;
}
