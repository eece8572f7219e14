/* SPDX-License-Identifier: Apache-2.0 */
/* handshakes_internal: pokes, and the negotiation of keys. Not for callers. */
#ifndef KDNET_HANDSHAKES_INTERNAL_H
#define KDNET_HANDSHAKES_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Takes a payload of the control channel, as kdnet_session_receive does. */
int kdnet_handshakes_receive(struct kdnet_session *session, const uint8_t *payload, size_t length, uint64_t now_us,
                             struct kdnet_received *received);

/* Opens a data datagram with the key in force, or with an offered key, which becomes confirmed. */
int kdnet_handshakes_open_data(struct kdnet_session *session, const uint8_t *payload, size_t length, uint8_t *plain,
                               uint64_t now_us, struct kdnet_datagram *datagram);

#endif
