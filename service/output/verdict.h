/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict: a result in words for the log: message, level, advice. Pure functions.
 */
#ifndef SERVICE_VERDICT_H
#define SERVICE_VERDICT_H

#include "config/config.h"
#include "kdnet/event.h"

#define VERDICT_HINT_SIZE 1280

/* Returns one sentence for each phase and verdict; never NULL. */
const char *verdict_message(const struct kdnet_event_crash_status *status);

/* Returns warning for a failed dump and for an unknown status, else notice. */
enum config_log_level verdict_level(const struct kdnet_event_crash_status *status);

/*
 * Writes advice on how the next result can tell more.
 *
 * pdb      of the kernel; NULL: unknown.
 * lookup   progress of the symbol look-up (lookup_explain); NULL: none is known.
 * out      the advice, NUL-terminated.
 * Returns `out`, or NULL when there is nothing to do.
 */
const char *verdict_hint(const struct kdnet_event_crash_status *status, const struct kdnet_pdb *pdb, const char *lookup,
                         char out[static VERDICT_HINT_SIZE]);

#endif
