/* SPDX-License-Identifier: Apache-2.0 */
/* repeats_internal: the last break of a crash, sent again. Not for callers. */
#ifndef KDNET_REPEATS_INTERNAL_H
#define KDNET_REPEATS_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Whether this break repeats the last break of its crash: a continued machine at the end of its crash can only break
 * in again. Needs a known phase. */
bool kdnet_repeats_is_one(const struct kdnet_session *session);

/* Whether this break's result equals the one that was reported for the same break before. */
bool kdnet_repeats_is_reported(const struct kdnet_session *session, const struct kdnet_event_crash_status *status);
void kdnet_repeats_keep(struct kdnet_session *session, const struct kdnet_event_crash_status *status);

/* Returns how long a machine that repeats its last break is kept before its next Continue; 0: not at all. */
uint64_t kdnet_repeats_wait_us(const struct kdnet_session *session);

/* The machine does something else: it runs. */
void kdnet_repeats_end(struct kdnet_session *session);

#endif
