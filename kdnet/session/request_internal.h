/* SPDX-License-Identifier: Apache-2.0 */
/* request_internal: requests to a machine that stands still. Not for callers. */
#ifndef KDNET_REQUEST_INTERNAL_H
#define KDNET_REQUEST_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* Sends a request; false when it cannot be. Needs a link that is not busy. */
bool kdnet_request(struct kdnet_session *session, enum kdnet_purpose purpose, struct kdnet_manipulate *manipulate,
                   bool wants_reply);

/* The same for a request that is all in its number. */
bool kdnet_request_plain(struct kdnet_session *session, enum kdnet_purpose purpose, uint32_t api);

/* The same for memory, up to KDNET_READ_SPACE bytes. */
bool kdnet_request_read(struct kdnet_session *session, enum kdnet_purpose purpose, uint64_t address, uint32_t length);

/* What is missing of the read that was sent last, or all of it again. */
bool kdnet_request_rest(struct kdnet_session *session);

/* Bytes that kdnet_request_rest asks for: as many as the network carries. */
uint32_t kdnet_request_next_length(const struct kdnet_session *session);

/* The next read on the way to an image's identity, for a probe. */
bool kdnet_request_image_way(struct kdnet_session *session, const struct kdnet_image_way *way, uint64_t base);

#endif
