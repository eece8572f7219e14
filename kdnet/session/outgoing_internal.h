/* SPDX-License-Identifier: Apache-2.0 */
/* outgoing_internal: makes a session's sealed datagrams: responses, poke requests, RESENDs, packets, break-in
 * requests. Not for callers. */
#ifndef KDNET_OUTGOING_INTERNAL_H
#define KDNET_OUTGOING_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* The next packet of the link, or a break-in request, under the key in use. False: there is none. */
bool kdnet_outgoing_next_data(struct kdnet_session *session, uint64_t now_us, struct kdnet_outgoing *out);

#endif
