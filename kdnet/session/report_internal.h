/* SPDX-License-Identifier: Apache-2.0 */
/* report_internal: the events of a break. Not for callers. */
#ifndef KDNET_REPORT_INTERNAL_H
#define KDNET_REPORT_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Who answers, once for each kernel. */
void kdnet_report_kernel(struct kdnet_session *session);

/* A bug check, unless it was told already. */
void kdnet_report_bugcheck(struct kdnet_session *session, const struct kdnet_bugcheck *data, bool from_memory);

/* That the machine has broken in, once for each break. */
void kdnet_report_break(struct kdnet_session *session);

/* The one result of a break. */
void kdnet_report_status(struct kdnet_session *session, enum kdnet_reason interrupted, uint64_t now_us);

/* That breaks go unread. */
void kdnet_report_storm(struct kdnet_session *session, uint64_t now_us);

/* What was done with the machine: released, rebooted, held. */
void kdnet_report_released(struct kdnet_session *session, uint64_t now_us);

/* That the policy holds a machine without a break, and why. Needs a hold that has begun. */
void kdnet_report_held(struct kdnet_session *session, enum kdnet_break_kind why, uint64_t now_us);

#endif
