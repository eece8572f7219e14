/* SPDX-License-Identifier: Apache-2.0 */
/* resend_internal: asks a machine that may be halted to say again what it waits with. Not for callers. */
#ifndef KDNET_RESEND_INTERNAL_H
#define KDNET_RESEND_INTERNAL_H

#include "kdnet/session/state_internal.h"

#define KDNET_RESEND_PERIOD_US 100000U /* between two RESENDs to a machine that may be halted */
#define KDNET_RESENDS_MAX      12U

/*
 * The machine may be halted without our knowing: asks it to say again what it waits with, so many times quickly (0: not
 * at once), then more and more slowly, for an hour and a half, until it says anything. A network that carries pokes and
 * nothing back may last longer than some quick asks.
 */
void kdnet_resend_begin(struct kdnet_session *session, uint8_t times, uint64_t now_us);

/*
 * The same for a machine that is met for the first time, whose handshake asks at once. One that was connected to
 * another host before, or to our previous process, may well stand still: it is asked longer. The others, a whole fleet
 * perhaps, are asked less and less often from the start.
 */
void kdnet_resend_meet(struct kdnet_session *session, bool took_over, uint64_t now_us);

/* A data packet of the target that is no reply: what we asked for, perhaps. */
void kdnet_resend_heard(struct kdnet_session *session, const struct kdnet_packet *packet);

/* Our answer to a question has arrived: has it been taken? */
void kdnet_resend_after_answer(struct kdnet_session *session, uint64_t now_us);

/* An authentic poke of the session came: goes on asking; and asks a machine that runs about once an hour. */
void kdnet_resend_poked(struct kdnet_session *session, uint64_t now_us);

void kdnet_resend_expire(struct kdnet_session *session, uint64_t now_us);
uint64_t kdnet_resend_deadline(const struct kdnet_session *session);

#endif
