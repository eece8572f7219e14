/* SPDX-License-Identifier: Apache-2.0 */
/* budget_internal: how much a machine may make us tell. Not for callers. */
#ifndef KDNET_BUDGET_INTERNAL_H
#define KDNET_BUDGET_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Takes one from a budget of `at_once` that regains one each `every_us`; false when the budget is used up. back_us:
 * state of the budget, 0 at first. */
bool kdnet_budget_spend(uint64_t *back_us, uint64_t now_us, unsigned at_once, uint64_t every_us);

/* Whether the event may be reported; otherwise counts it. Needs a history. */
bool kdnet_budget_allows(struct kdnet_session *session, const struct kdnet_event *event);
bool kdnet_budget_is_whole(const struct kdnet_budget *budget, uint64_t now_us);

/* Reports suppressed events when their time has come. */
uint64_t kdnet_budget_deadline(const struct kdnet_session *session);
void kdnet_budget_expire(struct kdnet_session *session, uint64_t now_us);

#endif
