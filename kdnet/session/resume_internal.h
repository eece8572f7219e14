/* SPDX-License-Identifier: Apache-2.0 */
/* resume_internal: how a halted machine is let go. Not for callers. */
#ifndef KDNET_RESUME_INTERNAL_H
#define KDNET_RESUME_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* The machine has taken our Continue or Reboot, or surely has. */
void kdnet_resume_done(struct kdnet_session *session, uint64_t now_us);

/* The machine runs: it sent a packet that only a running machine sends, or halts anew, or another host has released it.
 * Ends what was in flight. */
void kdnet_resume_implied(struct kdnet_session *session, uint64_t now_us);

/* Sends the Continue or the Reboot, after the proof that the target counts our packets as we do. */
void kdnet_resume_go_on(struct kdnet_session *session);

/* Steps over the breakpoint, if any, then releases the machine. Needs a link that is not busy. */
void kdnet_resume_next(struct kdnet_session *session);

/* Ends the read: reports one result, then performs the policy's action. */
void kdnet_resume_conclude(struct kdnet_session *session, enum kdnet_reason interrupted, uint64_t now_us);

/* Releases a machine at an unload of all symbols without a bug check, an ordinary reboot or shutdown: it must not
 * wait, and needs no result. */
void kdnet_resume_shut_down(struct kdnet_session *session, uint64_t now_us);

/* Holds the machine, as long as the policy says. */
void kdnet_resume_hold(struct kdnet_session *session, uint64_t now_us);

/* An image was loaded: the machine goes on. */
void kdnet_resume_loaded(struct kdnet_session *session);

/* Handles the passing of time while a Continue, or a step before it, is in flight. */
void kdnet_resume_expire_going(struct kdnet_session *session, uint64_t now_us);

void kdnet_resume_expire_step(struct kdnet_session *session, uint64_t now_us);

/* The same run of the machine has another data key: packets in flight may or may not have arrived. */
void kdnet_resume_rekeyed(struct kdnet_session *session, uint64_t now_us);

/* An authentic poke of the session came while a Continue may be under way. */
void kdnet_resume_poked(struct kdnet_session *session, uint64_t now_us);

#endif
