/* SPDX-License-Identifier: Apache-2.0 */
/* request_internal: requests to a halted machine. Not for callers. */
#ifndef KDNET_REQUEST_INTERNAL_H
#define KDNET_REQUEST_INTERNAL_H

#include "kdnet/kernel/image_identity.h"
#include "kdnet/session/state_internal.h"

/* Sends a request; false on failure. Needs a link that is not busy. */
bool kdnet_request(struct kdnet_session *session, enum kdnet_purpose purpose, struct kdnet_manipulate *manipulate,
                   bool wants_reply);

/* Sends a request that consists of its number only; false on failure. */
bool kdnet_request_plain(struct kdnet_session *session, enum kdnet_purpose purpose, uint32_t api);

/* Sends a read of memory, up to KDNET_READ_SPACE bytes; false on failure. */
bool kdnet_request_read(struct kdnet_session *session, enum kdnet_purpose purpose, uint64_t address, uint32_t length);

/* Sends the missing rest of the last read, or the whole read again. */
bool kdnet_request_rest(struct kdnet_session *session);

/* Returns the bytes that kdnet_request_rest asks for: as many as the network carries. */
uint32_t kdnet_request_next_length(const struct kdnet_session *session);

/* The next read on the way to an image's identity, for a probe. */
bool kdnet_request_image_way(struct kdnet_session *session, const struct kdnet_image_way *way, uint64_t base);

#endif
