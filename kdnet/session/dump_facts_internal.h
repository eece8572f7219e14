/* SPDX-License-Identifier: Apache-2.0 */
/* dump_facts_internal: what breaks say of the dump besides its status. Not for callers. */
#ifndef KDNET_DUMP_FACTS_INTERNAL_H
#define KDNET_DUMP_FACTS_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* What this break says of the dump, and a verdict where that proves one. evidence: NULL when there is none. */
void kdnet_dump_judge(struct kdnet_session *session, const struct kdnet_evidence *evidence,
                      struct kdnet_event_crash_status *status);

/* A crash goes on from its first break; and its last one has come. */
void kdnet_last_break_expect(struct kdnet_session *session, uint64_t now_us);
void kdnet_last_break_came(struct kdnet_session *session);

/* The machine does something else instead: tells that there is no last break, if one is expected. */
void kdnet_last_break_missing(struct kdnet_session *session, bool rebooted);

/* An authentic poke of the session came. */
void kdnet_last_break_poked(struct kdnet_session *session, uint64_t now_us);

#endif
