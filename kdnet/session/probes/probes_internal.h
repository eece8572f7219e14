/* SPDX-License-Identifier: Apache-2.0 */
/* probes_internal: asks a halted machine the questions of the table in turn. Not for callers. */
#ifndef KDNET_PROBES_INTERNAL_H
#define KDNET_PROBES_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Sends the next request; false when nothing is left to ask. Needs a link that is not busy. */
bool kdnet_probes_next(struct kdnet_session *session, uint64_t now_us);

enum kdnet_reply_outcome {
    KDNET_REPLY_IGNORED,       /* no reply to the request in flight */
    KDNET_REPLY_TAKEN,         /* nothing is under way, or the next request already */
    KDNET_REPLY_ANOTHER_BREAK, /* the machine has run, and broken in at the same place again */
};

/* Takes a reply of a halted machine, perhaps to the request in flight. */
enum kdnet_reply_outcome kdnet_probes_reply(struct kdnet_session *session, const struct kdnet_packet *packet,
                                            uint64_t now_us);

/* The request in flight ended without a usable answer. */
void kdnet_probes_failed(struct kdnet_session *session);

/* A break begins: facts that could not be read before are asked for again, and private states are reset. */
void kdnet_probes_begin(struct kdnet_session *session);

/* Whether the machine is known to shut down without a crash. */
bool kdnet_probes_ordinary_shutdown(const struct kdnet_session *session);

#endif
