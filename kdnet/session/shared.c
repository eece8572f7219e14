/* SPDX-License-Identifier: Apache-2.0 */
/* Defaults of kdnet_session_shared, and stand-ins for callbacks that the caller leaves out. */
#include "kdnet/session/shared_internal.h"

#include "kdnet/crypto/crypto.h"

void kdnet_session_shared_init(struct kdnet_session_shared *shared, struct kdnet_crypto *crypto)
{
    *shared = (struct kdnet_session_shared){.crypto = crypto,
                                            .read_deadline_us = KDNET_READ_DEADLINE_US,
                                            .lost_after_us = KDNET_LOST_AFTER_US,
                                            .dump_for_us = KDNET_DUMP_FOR_US};
}

bool kdnet_is_away(const struct kdnet_session *session)
{
    const struct kdnet_session_shared *shared = session->shared;
    return shared->away && shared->away(shared->user, session);
}

int kdnet_random(const struct kdnet_session *session, uint8_t *out, size_t length)
{
    const struct kdnet_session_shared *shared = session->shared;
    return shared->random ? shared->random(shared->user, out, length) : kdnet_crypto_random(out, length);
}
