/* SPDX-License-Identifier: Apache-2.0 */
/* repeats_internal: the last break of a crash, sent again. Not for callers. */
#ifndef KDNET_REPEATS_INTERNAL_H
#define KDNET_REPEATS_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Whether this break is the last one of its crash, sent again: a machine at the end of its crash that was continued
 * can only break in again. Needs a phase that is known. */
bool kdnet_repeats_is_one(const struct kdnet_session *session);

/* The result of this break; whether it is the one that was told at the same break before. */
bool kdnet_repeats_is_reported(const struct kdnet_session *session, const struct kdnet_event_crash_status *status);
void kdnet_repeats_keep(struct kdnet_session *session, const struct kdnet_event_crash_status *status);

/* How long a machine that repeats its last break is kept before it is continued once more; 0: not at all. */
uint64_t kdnet_repeats_wait_us(const struct kdnet_session *session);

/* The machine does something else: it goes on. */
void kdnet_repeats_end(struct kdnet_session *session);

#endif
