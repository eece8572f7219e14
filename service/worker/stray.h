/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stray: datagrams that went astray: to this collector, while another one has the machine; or the other way round.
 *
 * The session says which ones (kdnet_received.astray). The server passes them between collectors (worker_env.h).
 */
#ifndef SERVICE_STRAY_H
#define SERVICE_STRAY_H

#include "service/worker/worker.h"

#define STRAY_PER_SECOND         4000U /* shown by a worker */
#define STRAY_UNKNOWN_PER_SECOND 400U  /* those of them that no target has sent */

/* Shows the other collectors this datagram. */
void stray_show(struct worker *worker, const struct arrival *arrival);

/* The same, of a source that no target has: fewer of them. */
void stray_show_unknown(struct worker *worker, const struct arrival *arrival);

/* Says to them that this datagram, which one of them showed, is of a machine that this collector has. */
void stray_keep(const struct worker *worker, const struct target *target, const struct arrival *arrival);

/* Gives a worker what another collector shows: a datagram from `machine` to `local`, of which `payload` is copied. May
 * be dropped, and is where the machine could not be answered: its address has moved away. Thread: any. */
void stray_post(const struct worker_env *env, const struct address *machine, const struct address *local,
                const uint8_t *payload, size_t length);

/* Another collector has this target's machine; or, `told` not 0, has told the result of this break of it. Where our
 * address that the machine sends to is not here any more, the reading of that break ends. The same. */
void stray_post_kept(const struct worker_env *env, const struct address *machine, const struct address *local,
                     const char *target, uint32_t told);

#endif
