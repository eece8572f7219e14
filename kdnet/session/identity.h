/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity: ids of a run of a machine's KDNET and of a crash. Every host that has the key and sees the machine computes
 * the same ids.
 *
 * An id is the start of a SHA-256; as text it is 16 lower-case hex digits.
 */
#ifndef KDNET_IDENTITY_H
#define KDNET_IDENTITY_H

#include "kdnet/event.h"
#include "kdnet/wire/handshake.h"
#include "kdnet/kernel.h"
#include "kdnet/key.h"

#include <stdint.h>

/* Computes a run's id: SHA-256(control key | target random without its counter). Cost: one block of SHA-256. */
void kdnet_identity_boot(const struct kdnet_key *key, const uint8_t random[static KDNET_RANDOM_LENGTH],
                         uint8_t out[static KDNET_IDENTITY_LENGTH]);

/* Computes a crash's id: SHA-256(run's id | code, 32 bits | four parameters, 64 bits each), little-endian. Cost: as
 * above. */
void kdnet_identity_crash(const uint8_t boot[static KDNET_IDENTITY_LENGTH], const struct kdnet_bugcheck *bugcheck,
                          uint8_t out[static KDNET_IDENTITY_LENGTH]);

#endif
