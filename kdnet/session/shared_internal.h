/* SPDX-License-Identifier: Apache-2.0 */
/* shared_internal: random bytes, which the caller gives or OpenSSL. Not for callers. */
#ifndef KDNET_SHARED_INTERNAL_H
#define KDNET_SHARED_INTERNAL_H

#include "kdnet/session/state_internal.h"

#include <stddef.h>
#include <stdint.h>

/* The random bytes of kdnet_session_shared.random. */
int kdnet_random(const struct kdnet_session *session, uint8_t *out, size_t length);

#endif
