/* SPDX-License-Identifier: Apache-2.0 */
/* sequence_internal: the sequence numbers of data datagrams. Not for callers. */
#ifndef KDNET_SEQUENCE_INTERNAL_H
#define KDNET_SEQUENCE_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Accepts a sequence number once; `tag` is the start of the datagram's tag. False: seen before. */
bool kdnet_sequence_take(struct kdnet_session *session, uint64_t sequence, const uint8_t *tag, uint64_t now_us);

/* Follows a restart of the target's numbers. */
void kdnet_sequence_restart(struct kdnet_session *session);

#endif
