/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bucket_states: how many machines crashed of one fault lately, as the store knew last. By rank and without the fault's
 * name: the number of series of /metrics must not depend on what machines say.
 *
 * Uses store_read. Thread: any.
 */
#ifndef SERVICE_HTTP_BUCKET_STATES_H
#define SERVICE_HTTP_BUCKET_STATES_H

#include "service/store/store_read.h"

#include <stdatomic.h>
#include <stdint.h>

#define BUCKET_STATES_RANKS   5U
#define BUCKET_STATES_MINUTES 10U

struct bucket_states {
    _Atomic uint64_t machines[BUCKET_STATES_RANKS]; /* most first */
};

/* Asks the store. On the thread of the reader. A store that does not answer leaves what was known. */
void bucket_states_read(struct bucket_states *buckets, struct store_reader *reader, uint64_t now_us);

#endif
