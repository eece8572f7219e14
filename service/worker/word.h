/* SPDX-License-Identifier: Apache-2.0 */
/*
 * word: what a collector says of its machines to the others, and whether it can still speak for them: an address that
 * machines send to may have moved to another collector.
 */
#ifndef SERVICE_WORD_H
#define SERVICE_WORD_H

#include "service/worker/worker.h"

/* Whether another collector is heard now. */
bool word_has_others(const struct worker *worker);

/* Our address that a row's machine sends to. False: not known. */
bool word_local(const struct worker *worker, const struct target *row, struct address *out);

/* Whether datagrams can leave from this address of ours. If not, another collector has it, and the machines that send
 * to it: a break that is read without it could only time out. */
bool word_is_here(const struct worker *worker, const struct address *local);

/* Whether a session's machine is out of reach because another collector has our address that it sends to, for
 * kdnet_session_shared.away. `user`: the worker. */
bool word_is_away(void *user, const struct kdnet_session *session);

/* Says to the others that the result of this machine's break has been told, if it says more than that time was over. */
void word_tell(const struct worker *worker, const struct target *target);

#endif
