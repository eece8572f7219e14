/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict: a result in words, for the log: what it says, how loud it is, what to do about it.
 *
 * Uses config (levels), and of kdnet event and kernel. Pure: text in, text out.
 */
#ifndef SERVICE_VERDICT_H
#define SERVICE_VERDICT_H

#include "config/config.h"
#include "kdnet/event.h"

#define VERDICT_HINT_SIZE 1280

/* One sentence for each phase and verdict; never NULL. */
const char *verdict_message(const struct kdnet_event_crash_status *status);

/* Warning for a dump that failed and for one whose status is unknown, else notice. */
enum config_log_level verdict_level(const struct kdnet_event_crash_status *status);

/*
 * What to do so that the next result knows more.
 *
 * pdb      of the kernel; NULL: not known.
 * lookup   how far the look-up of its symbols is (lookup_explain); NULL: nothing is known of one.
 * out      the hint, NUL-ended.
 * Returns `out`, or NULL when there is nothing to do.
 */
const char *verdict_hint(const struct kdnet_event_crash_status *status, const struct kdnet_pdb *pdb, const char *lookup,
                         char out[static VERDICT_HINT_SIZE]);

#endif
