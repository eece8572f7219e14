/* SPDX-License-Identifier: Apache-2.0 */
/* sequence_internal: the sequence numbers of data datagrams. Not for callers. */
#ifndef KDNET_SEQUENCE_INTERNAL_H
#define KDNET_SEQUENCE_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Takes a sequence number, once; `tag` begins the datagram's tag. False: it was seen before. */
bool kdnet_sequence_take(struct kdnet_session *session, uint64_t sequence, const uint8_t *tag, uint64_t now_us);

/* The target starts its numbers anew. */
void kdnet_sequence_restart(struct kdnet_session *session);

#endif
