/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demand_internal: a read that an operator demands: of a held machine, or of a running one, which is stopped for it by
 * a break-in request. Not for callers.
 */
#ifndef KDNET_DEMAND_INTERNAL_H
#define KDNET_DEMAND_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Asks a running machine to break in. Returns KDNET_OK, KDNET_ERR_STATE or KDNET_ERR_MEMORY. */
int kdnet_demand_begin(struct kdnet_session *session, uint64_t now_us);

/* A held machine is read again. */
void kdnet_demand_reread(struct kdnet_session *session);

/* The machine has halted at a break; or it is about to start anew (`ends`), and no break-in reaches it. */
void kdnet_demand_halted(struct kdnet_session *session, bool ends);

/* The result of the break is told. */
void kdnet_demand_told(struct kdnet_session *session);

/* Whether the machine is read, or is to be, because an operator wants it, and would run else: it waits for nothing. */
bool kdnet_demand_stopped_it(const struct kdnet_session *session);

/* Whether the break under way may be what a break-in request has brought, ours or a previous process's: then the
 * machine goes on, whatever its policy says of breaks. `asked`: only one of ours of late counts. */
bool kdnet_demand_is_answer(const struct kdnet_session *session, bool asked);

/* Whether a break-in request is to go out now; if so, it counts as sent. */
bool kdnet_demand_take_due(struct kdnet_session *session);

/* Whether a demand of before still counts: what a late break is taken for. */
bool kdnet_demand_lasts(const struct kdnet_history *history, uint64_t now_us);

void kdnet_demand_expire(struct kdnet_session *session, uint64_t now_us);
uint64_t kdnet_demand_deadline(const struct kdnet_session *session);

#endif
