/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hints_kv: the hints of all collectors, in a bucket of NATS: puts ours, watches the others'.
 *
 * A thread of its own may wait for a broker; nobody waits for it. Losses on the way are not reported: a hint is only a
 * help, and the next one comes.
 */
#ifndef SERVICE_HINTS_KV_H
#define SERVICE_HINTS_KV_H

#include "config/config.h"
#include "service/fleet/hints.h"

#include <stdbool.h>

struct hints_kv;

/* Callbacks, on threads of its own. */
struct hints_kv_user {
    void (*came)(void *user);                    /* another's hints have come */
    void (*left)(void *user, uint8_t collector); /* that collector drains, has ended or is silent: hints_offer_of */
    void (*others)(void *user, bool some);       /* whether another collector is heard now */
    void *user;
};

/* Starts the threads; copies the needed part of `config`. NULL: the configuration names no bucket, the build has no
 * NATS, or memory or threads are out. */
struct hints_kv *hints_kv_open(struct hints *hints, const struct kdnetd_config *config,
                               const struct hints_kv_user *user);

/* Targets have come: all of the bucket is read again. NULL is fine. */
void hints_kv_look(struct hints_kv *kv);

/* Tells the others whether machines are to go elsewhere. NULL is fine. */
void hints_kv_drain(struct hints_kv *kv, bool draining);

/* Another process of this collector serves from now on: hints_kv_close does not tell the others that it has ended. NULL
 * is fine. */
void hints_kv_stay(struct hints_kv *kv);

/* False: the thread still waits for a broker, and uses the hints. NULL does nothing. */
bool hints_kv_close(struct hints_kv *kv, unsigned wait_ms);

#endif
