/* SPDX-License-Identifier: Apache-2.0 */
/* cause_internal: where a crash came from, as its probe found. Not for callers. */
#ifndef KDNET_CAUSE_INTERNAL_H
#define KDNET_CAUSE_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Ends the search for the crash's cause, if there was one at this break, and keeps the crash's bucket. What was found
 * is the caller's; NULL: nothing, or memory is out. */
struct kdnet_trace *kdnet_cause_end(struct kdnet_session *session);

#endif
