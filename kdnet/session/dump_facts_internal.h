/* SPDX-License-Identifier: Apache-2.0 */
/* dump_facts_internal: facts about a crash's dump besides the status. Not for callers. */
#ifndef KDNET_DUMP_FACTS_INTERNAL_H
#define KDNET_DUMP_FACTS_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Adds this break's facts about the dump to `status`, and the verdict that they prove, if any. evidence: may be
 * NULL. */
void kdnet_dump_judge(struct kdnet_session *session, const struct kdnet_evidence *evidence,
                      struct kdnet_event_crash_status *status);

#endif
