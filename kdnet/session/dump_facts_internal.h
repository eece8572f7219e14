/* SPDX-License-Identifier: Apache-2.0 */
/* dump_facts_internal: facts about a crash's dump besides the status. Not for callers. */
#ifndef KDNET_DUMP_FACTS_INTERNAL_H
#define KDNET_DUMP_FACTS_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Adds this break's facts about the dump to `status`, and the verdict that they prove, if any. evidence: may be
 * NULL. */
void kdnet_dump_judge(struct kdnet_session *session, const struct kdnet_evidence *evidence,
                      struct kdnet_event_crash_status *status);

/* A crash is released from its first break; its last break has come. */
void kdnet_last_break_expect(struct kdnet_session *session, uint64_t now_us);
void kdnet_last_break_came(struct kdnet_session *session);

/* The machine does something else than break in again: reports that the last break is missing, if one is expected. */
void kdnet_last_break_missing(struct kdnet_session *session, bool rebooted);

/* An authentic poke of the session came. */
void kdnet_last_break_poked(struct kdnet_session *session, uint64_t now_us);

#endif
