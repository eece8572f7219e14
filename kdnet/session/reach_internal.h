/* SPDX-License-Identifier: Apache-2.0 */
/* reach_internal: machines that are hard to reach. Not for callers. */
#ifndef KDNET_REACH_INTERNAL_H
#define KDNET_REACH_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Whether the machine is too far away to ask everything before the deadline. */
bool kdnet_reach_is_far(const struct kdnet_session *session);

/* Whether a crash of the machine is known, by whatever sign. */
bool kdnet_reach_in_crash(const struct kdnet_session *session);

/* The deadline of a break in a crash has come. Returns whether the request in flight, or just sent, is awaited all
 * the same, a few times at most; the deadline then moves. */
bool kdnet_reach_await(struct kdnet_session *session, uint64_t now_us);

/* Whether a long request in flight is given up after `timeouts` timeouts of long requests. */
bool kdnet_reach_is_too_long(const struct kdnet_session *session, unsigned timeouts, uint64_t now_us);

/* The network does not carry a whole CONTEXT: from now on in pieces. */
void kdnet_reach_context_too_long(struct kdnet_session *session);

/* A reply with so many bytes of memory has come. */
void kdnet_reach_came(struct kdnet_session *session, size_t length);

/* Time passed while memory is read: perhaps the network does not carry so long a reply. */
void kdnet_reach_expire(struct kdnet_session *session, uint64_t now_us);

#endif
