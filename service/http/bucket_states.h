/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bucket_states: the number of machines that recently crashed of one fault, as the store last knew. By rank, without
 * the fault's name: the number of series of /metrics must not depend on what machines say.
 *
 * Thread: any.
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

/* Asks the store, on the reader's thread. When the store does not answer, the old numbers stay. */
void bucket_states_read(struct bucket_states *buckets, struct store_reader *reader, uint64_t now_us);

#endif
