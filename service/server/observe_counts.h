/* SPDX-License-Identifier: Apache-2.0 */
/*
 * observe_counts: events since the start, in numbers: for the metrics.
 *
 * Any thread.
 */
#ifndef SERVICE_OBSERVE_COUNTS_H
#define SERVICE_OBSERVE_COUNTS_H

#include "kdnet/event.h"
#include "service/http/http_ops.h"

#include <stdatomic.h>
#include <stdint.h>

struct observe_histogram {
    _Atomic uint64_t bucket[HTTP_BUCKETS + 1], sum_us, count;
};

/* Since the start. */
struct observe_counts {
    _Atomic uint64_t crashes;
    _Atomic uint64_t crash_status[HTTP_PHASES][HTTP_VERDICTS];
    _Atomic uint64_t breaks[HTTP_BREAKS];
    struct observe_histogram halted, read;
};

void observe_count_event(struct observe_counts *counts, const struct kdnet_event *event);

/* The time of a halt. */
void observe_count_halt(struct observe_counts *counts, uint64_t us);

void observe_counts_read(const struct observe_counts *counts, struct http_metrics *out);

#endif
