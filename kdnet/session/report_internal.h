/* SPDX-License-Identifier: Apache-2.0 */
/* report_internal: the events of a break. Not for callers. */
#ifndef KDNET_REPORT_INTERNAL_H
#define KDNET_REPORT_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Reports the kernel, once for each. */
void kdnet_report_kernel(struct kdnet_session *session);

/* Reports a bug check, unless it was reported already. */
void kdnet_report_bugcheck(struct kdnet_session *session, const struct kdnet_bugcheck *data, bool from_memory);

/* Reports the break, once for each. */
void kdnet_report_break(struct kdnet_session *session);

/* Reports the result of a break, once. */
void kdnet_report_status(struct kdnet_session *session, enum kdnet_reason interrupted, uint64_t now_us);

/* Reports that breaks are released unread. */
void kdnet_report_storm(struct kdnet_session *session, uint64_t now_us);

/* Reports what was done with the machine: released, rebooted, held. */
void kdnet_report_released(struct kdnet_session *session, uint64_t now_us);

/* Reports that the policy holds a machine without a break, and why. Needs a hold that has begun. */
void kdnet_report_held(struct kdnet_session *session, enum kdnet_break_kind why, uint64_t now_us);

#endif
