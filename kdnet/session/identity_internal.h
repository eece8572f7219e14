/* SPDX-License-Identifier: Apache-2.0 */
/* identity_internal: the identity that a session's events carry. Not for callers. */
#ifndef KDNET_IDENTITY_INTERNAL_H
#define KDNET_IDENTITY_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* A break with a known bug check: starts a crash, belongs to the current crash, or is another bug check inside it. */
void kdnet_identity_broke(struct kdnet_session *session, const struct kdnet_bugcheck *bugcheck);

/* Whether the answering component belongs to a later boot than the crash: a loader, or a kernel at another base.
 * Needs a known version. */
bool kdnet_identity_is_new_boot(const struct kdnet_session *session);

/* The machine shows another run of its KDNET: a new boot, unless the machine breaks with the crash's bug check
 * within dump_for. KDNET may initialise itself again on the way into a crash. */
void kdnet_identity_rebooted(struct kdnet_session *session, uint64_t now_us);
void kdnet_identity_expire(struct kdnet_session *session, uint64_t now_us);

/* The machine has shown a new boot: ends the crash. */
void kdnet_identity_over(struct kdnet_session *session);

/* Fills in an event's identity, except for its number. */
void kdnet_identity_fill(const struct kdnet_session *session, struct kdnet_event *event);

#endif
