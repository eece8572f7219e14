/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hints_kv: the hints of all collectors, in a bucket of NATS: ours are put there, the others' are watched.
 *
 * Uses hints, connection, stream. A thread of its own, which may wait for a broker; nobody waits for it. What is lost
 * on the way is not told: a hint is a help, and the next one comes.
 */
#ifndef SERVICE_HINTS_KV_H
#define SERVICE_HINTS_KV_H

#include "config/config.h"
#include "service/fleet/hints.h"

#include <stdbool.h>

struct hints_kv;

/* Starts it; what of `config` is needed is copied. `came` is called on its thread when another's hints have come. NULL:
 * the configuration names no bucket, or this build has no NATS, or memory or threads are out. */
struct hints_kv *hints_kv_open(struct hints *hints, const struct kdnetd_config *config, void (*came)(void *user),
                               void *user);

/* False: it still waits for a broker, and uses the hints. NULL is fine. */
bool hints_kv_close(struct hints_kv *kv, unsigned wait_ms);

#endif
