/* SPDX-License-Identifier: Apache-2.0 */
/* shared_internal: what the caller is asked, and what counts where the caller gives no callback. Not for callers. */
#ifndef KDNET_SHARED_INTERNAL_H
#define KDNET_SHARED_INTERNAL_H

#include "kdnet/session/state_internal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The random bytes of kdnet_session_shared.random. */
int kdnet_random(const struct kdnet_session *session, uint8_t *out, size_t length);

/* The answer of kdnet_session_shared.away, which may cost system calls; false without it. */
bool kdnet_is_away(const struct kdnet_session *session);

#endif
