/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity: the names of a run of a machine's KDNET and of a crash. Whoever has the key and sees the same machine makes
 * the same ones.
 *
 * Uses crypto, handshake, kernel, key. A name is the start of a SHA-256; as text it is 16 lower-case hex digits.
 */
#ifndef KDNET_IDENTITY_H
#define KDNET_IDENTITY_H

#include "kdnet/event.h"
#include "kdnet/wire/handshake.h"
#include "kdnet/kernel/kernel.h"
#include "kdnet/key.h"

#include <stdint.h>

/* Of a run: SHA-256(control key | the target random without its counter). Cost: one block of SHA-256. */
void kdnet_identity_boot(const struct kdnet_key *key, const uint8_t random[static KDNET_RANDOM_LENGTH],
                         uint8_t out[static KDNET_IDENTITY_LENGTH]);

/* Of a crash: SHA-256(its run | code, 32 bits | four parameters, 64 bits each), little-endian. Cost: as above. */
void kdnet_identity_crash(const uint8_t boot[static KDNET_IDENTITY_LENGTH], const struct kdnet_bugcheck *bugcheck,
                          uint8_t out[static KDNET_IDENTITY_LENGTH]);

#endif
