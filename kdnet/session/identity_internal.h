/* SPDX-License-Identifier: Apache-2.0 */
/* identity_internal: what the events of a session belong to. Not for callers. */
#ifndef KDNET_IDENTITY_INTERNAL_H
#define KDNET_IDENTITY_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* A break whose bug check is known: it begins a crash, or is one of the crash before, or another one inside it. */
void kdnet_identity_broke(struct kdnet_session *session, const struct kdnet_bugcheck *bugcheck);

/* Whether who answers is of another boot than the crash: a loader, or a kernel elsewhere. Needs a known version. */
bool kdnet_identity_is_new_boot(const struct kdnet_session *session);

/* The machine shows another run of its KDNET. That is a new boot, unless it breaks with the bug check of the crash
 * within dump_for: KDNET may set itself up again on its way into one. */
void kdnet_identity_rebooted(struct kdnet_session *session, uint64_t now_us);
void kdnet_identity_expire(struct kdnet_session *session, uint64_t now_us);

/* The machine has shown a new boot: what comes is of no crash. */
void kdnet_identity_over(struct kdnet_session *session);

/* Gives an event what it belongs to, but for its number. */
void kdnet_identity_fill(const struct kdnet_session *session, struct kdnet_event *event);

#endif
