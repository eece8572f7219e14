/* SPDX-License-Identifier: Apache-2.0 */
/* cause_internal: result of the search for a crash's origin. Not for callers. */
#ifndef KDNET_CAUSE_INTERNAL_H
#define KDNET_CAUSE_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Ends the search for the crash's origin at this break, if any, and keeps the crash's bucket. The caller owns the
 * returned trace; NULL: nothing was found, or out of memory. */
struct kdnet_trace *kdnet_cause_end(struct kdnet_session *session);

/* Returns the id of a machine's kernel, by processor and symbol file, or build while that is unknown. Machines with one
 * id share facts. */
uint64_t kdnet_cause_kernel_id(const struct kdnet_kernel_info *info);

/* The machine among others, as long as this process lives. */
uint64_t kdnet_cause_teller(const struct kdnet_session *session);

#endif
