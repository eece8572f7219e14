/* SPDX-License-Identifier: Apache-2.0 */
/* probes_internal: asks a halted machine the questions of the table, one after the other. Not for callers. */
#ifndef KDNET_PROBES_INTERNAL_H
#define KDNET_PROBES_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Sends the next request; false when all that can be known is. Needs a link that is not busy. */
bool kdnet_probes_next(struct kdnet_session *session, uint64_t now_us);

enum kdnet_reply_outcome {
    KDNET_REPLY_IGNORED,       /* no reply to what is under way */
    KDNET_REPLY_TAKEN,         /* nothing is under way, or the next request already */
    KDNET_REPLY_ANOTHER_BREAK, /* the machine has run, and has broken in at the same place */
};

/* A reply, perhaps to the request under way of a machine that is halted. */
enum kdnet_reply_outcome kdnet_probes_reply(struct kdnet_session *session, const struct kdnet_packet *packet,
                                            uint64_t now_us);

/* The request under way has ended without an answer that can be used. */
void kdnet_probes_failed(struct kdnet_session *session);

/* A break begins: what could not be had before is asked for again, and probes' own states are as new. */
void kdnet_probes_begin(struct kdnet_session *session);

/* Whether this is the end of a machine that did not crash, now that it is known. */
bool kdnet_probes_ordinary_shutdown(const struct kdnet_session *session);

#endif
