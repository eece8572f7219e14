/* SPDX-License-Identifier: Apache-2.0 */
/* resend_internal: asks a machine that may be halted to repeat the packet that it waits with. Not for callers. */
#ifndef KDNET_RESEND_INTERNAL_H
#define KDNET_RESEND_INTERNAL_H

#include "kdnet/session/state_internal.h"

#define KDNET_RESEND_PERIOD_US 100000U /* between two RESENDs to a machine that may be halted */
#define KDNET_RESENDS_MAX      12U

/*
 * The machine may be halted without our knowledge: asks it to repeat the packet that it waits with, `times` times
 * quickly (0: not at once), then at growing intervals for an hour and a half, until the machine is heard. A network
 * fault that lets only pokes through may outlast the quick requests.
 */
void kdnet_resend_begin(struct kdnet_session *session, uint8_t times, uint64_t now_us);

/*
 * Starts asking a newly met machine, whose handshake already asked once. A machine that was connected to another host,
 * or to our previous process, may well be halted: it is asked longer. Other machines, perhaps a whole fleet, are asked
 * at growing intervals from the start.
 */
void kdnet_resend_meet(struct kdnet_session *session, bool took_over, uint64_t now_us);

/* A data packet of the target came that is no reply: perhaps the packet that we asked for. */
void kdnet_resend_heard(struct kdnet_session *session, const struct kdnet_packet *packet);

/* Our answer to a question has arrived: asks whether the machine has taken it. */
void kdnet_resend_after_answer(struct kdnet_session *session, uint64_t now_us);

/* An authentic poke came: continues asking, and asks a running machine about once an hour. */
void kdnet_resend_poked(struct kdnet_session *session, uint64_t now_us);

void kdnet_resend_expire(struct kdnet_session *session, uint64_t now_us);
uint64_t kdnet_resend_deadline(const struct kdnet_session *session);

#endif
