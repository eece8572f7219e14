/* SPDX-License-Identifier: Apache-2.0 */
/* context_internal: the registers of a halted machine, read and set. Not for callers. */
#ifndef KDNET_CONTEXT_INTERNAL_H
#define KDNET_CONTEXT_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Asks for the registers. KDNET_FOR_PROBE: as the context probe does. */
bool kdnet_context_ask(struct kdnet_session *session, enum kdnet_purpose purpose);

/* Sends the program counter in `halt->registers.bytes` to the machine; false when that fails. Needs a known context. */
bool kdnet_context_set(struct kdnet_session *session);

/* Takes the reply to GetContext; takes the reply to SetContext. */
void kdnet_context_reply(struct kdnet_session *session, const struct kdnet_manipulate *reply);
void kdnet_context_was_set(struct kdnet_session *session, const struct kdnet_manipulate *reply);

/* Whether a machine that repeats a break stands elsewhere than where it was left: where our SetContext, or a former
 * host's, put it. Then the machine has run and broken in at the same place again. */
bool kdnet_context_differs(const struct kdnet_session *session, const struct kdnet_manipulate *reply);

/* Time passed while registers are read or set: perhaps the network does not carry so long a datagram. */
void kdnet_context_expire(struct kdnet_session *session, uint64_t now_us);

#endif
