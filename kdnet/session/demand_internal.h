/* SPDX-License-Identifier: Apache-2.0 */
/*
 * demand_internal: a read that an operator demands, of a held machine or of a running one, which a break-in request
 * stops. Not for callers.
 */
#ifndef KDNET_DEMAND_INTERNAL_H
#define KDNET_DEMAND_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Asks a running machine to break in. Returns KDNET_OK, KDNET_ERR_STATE or KDNET_ERR_MEMORY. */
int kdnet_demand_begin(struct kdnet_session *session, uint64_t now_us);

/* A held machine is read again. */
void kdnet_demand_reread(struct kdnet_session *session);

/* The machine has halted at a break. `ends`: it is about to restart instead, so that no break-in reaches it. */
void kdnet_demand_halted(struct kdnet_session *session, bool ends);

/* The result of the break is told. */
void kdnet_demand_told(struct kdnet_session *session);

/* Whether an operator's demand stopped the machine, which would otherwise run: then the machine waits for nothing. */
bool kdnet_demand_stopped_it(const struct kdnet_session *session);

/* Whether the current break may be the answer to a break-in request, of this or a previous process: then the machine
 * is continued, whatever its policy says of breaks. `asked`: only a recent request of this process counts. */
bool kdnet_demand_is_answer(const struct kdnet_session *session, bool asked);

/* Whether to send a break-in request now; true counts as sent. */
bool kdnet_demand_take_due(struct kdnet_session *session);

/* Whether an earlier demand still counts, so that a late break is taken for its answer. */
bool kdnet_demand_lasts(const struct kdnet_history *history, uint64_t now_us);

void kdnet_demand_expire(struct kdnet_session *session, uint64_t now_us);
uint64_t kdnet_demand_deadline(const struct kdnet_session *session);

#endif
