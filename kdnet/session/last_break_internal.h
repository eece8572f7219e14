/* SPDX-License-Identifier: Apache-2.0 */
/* last_break_internal: detects a crash without a last break. Not for callers. */
#ifndef KDNET_LAST_BREAK_INTERNAL_H
#define KDNET_LAST_BREAK_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* A crash is released from its first break; its last break has come. */
void kdnet_last_break_expect(struct kdnet_session *session, uint64_t now_us);
void kdnet_last_break_came(struct kdnet_session *session);

/* Another host has told the result of the break with this checksum: a later one than the first is its matter. */
void kdnet_last_break_told(struct kdnet_session *session, uint32_t checksum);

/* The machine does something else than break in again: reports that the last break is missing, if one is expected. */
void kdnet_last_break_missing(struct kdnet_session *session, bool rebooted);

/* An authentic poke of the session came. */
void kdnet_last_break_poked(struct kdnet_session *session, uint64_t now_us);

#endif
