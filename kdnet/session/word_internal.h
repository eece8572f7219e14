/* SPDX-License-Identifier: Apache-2.0 */
/* word_internal: a break here whose result another host tells, because machines' address is there. Not for callers. */
#ifndef KDNET_WORD_INTERNAL_H
#define KDNET_WORD_INTERNAL_H

#include "kdnet/session/state_internal.h"

#include <stdbool.h>
#include <stdint.h>

/* Another host has told the result of the break with this checksum (kdnet_session_told). */
bool kdnet_word_told(struct kdnet_session *session, uint32_t checksum, uint64_t now_us);

/* The time of a read is over. Whether that is another host's matter: it may still tell the result, so that the read
 * waits once more; or it has, and the break is over here. */
bool kdnet_word_await(struct kdnet_session *session, uint64_t now_us);

/* A packet that releases the machine has no answer: is over where another host has told the result and the address. */
void kdnet_word_expire(struct kdnet_session *session, uint64_t now_us);

#endif
