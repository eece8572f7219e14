/* SPDX-License-Identifier: Apache-2.0 */
#include "service/server/observe_counts.h"
#include "kdnet/policy.h"

#define BREAKPOINT_STATUS 0x80000003U

static void count_time(struct observe_histogram *histogram, uint64_t us)
{
    static const uint64_t ends[HTTP_BUCKETS] = {100,   250,    500,    1000,   2500,    5000,    10000,  25000,
                                                50000, 100000, 250000, 500000, 1000000, 2500000, 5000000};
    size_t at = 0;
    while (at < HTTP_BUCKETS && us > ends[at])
        ++at;
    (void)atomic_fetch_add_explicit(&histogram->bucket[at], 1, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&histogram->sum_us, us, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&histogram->count, 1, memory_order_relaxed);
}

static void add_one(_Atomic uint64_t *count)
{
    (void)atomic_fetch_add_explicit(count, 1, memory_order_relaxed);
}

static enum kdnet_break_kind kind_of(const struct kdnet_event_break_in *halt)
{
    switch (halt->phase) {
    case KDNET_PHASE_BUGCHECK_FIRST:
        return KDNET_BREAK_KIND_BUGCHECK_FIRST;
    case KDNET_PHASE_BUGCHECK_SECOND:
        return KDNET_BREAK_KIND_BUGCHECK_SECOND;
    case KDNET_PHASE_SHUTDOWN:
        return KDNET_BREAK_KIND_SHUTDOWN;
    default:
        return halt->exception && halt->code != BREAKPOINT_STATUS ? KDNET_BREAK_KIND_EXCEPTION : KDNET_BREAK_KIND_BREAK;
    }
}

void observe_count_event(struct observe_counts *counts, const struct kdnet_event *event)
{
    switch (event->type) {
    case KDNET_EVENT_BREAK_IN:
        add_one(&counts->breaks[kind_of(&event->u.break_in)]);
        if (event->u.break_in.phase == KDNET_PHASE_BUGCHECK_FIRST)
            add_one(&counts->crashes);
        break;
    case KDNET_EVENT_CRASH_STATUS:
        add_one(&counts->crash_status[event->u.crash_status.phase][event->u.crash_status.conclusion.verdict]);
        count_time(&counts->read, event->u.crash_status.read_us);
        break;
    case KDNET_EVENT_HELD:
        add_one(&counts->breaks[event->u.held.why]);
        break;
    default:
        break;
    }
}

void observe_count_halt(struct observe_counts *counts, uint64_t us)
{
    count_time(&counts->halted, us);
}

static uint64_t get(const _Atomic uint64_t *count)
{
    return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)count, memory_order_relaxed);
}

static void copy_histogram(const struct observe_histogram *from, struct http_histogram *to)
{
    for (size_t i = 0; i <= HTTP_BUCKETS; ++i)
        to->bucket[i] = get(&from->bucket[i]);
    to->sum_us = get(&from->sum_us);
    to->count = get(&from->count);
}

void observe_counts_read(const struct observe_counts *counts, struct http_metrics *out)
{
    *out = (struct http_metrics){.crashes = get(&counts->crashes)};
    for (unsigned i = 0; i < HTTP_PHASES; ++i) {
        out->phase_names[i] = kdnet_phase_name((enum kdnet_phase)i);
        for (unsigned j = 0; j < HTTP_VERDICTS; ++j)
            out->crash_status[i][j] = get(&counts->crash_status[i][j]);
    }
    for (unsigned i = 0; i < HTTP_VERDICTS; ++i)
        out->verdict_names[i] = kdnet_verdict_name((enum kdnet_verdict)i);
    for (unsigned i = 0; i < HTTP_BREAKS; ++i) {
        out->break_names[i] = kdnet_break_kind_name((enum kdnet_break_kind)i);
        out->breaks[i] = get(&counts->breaks[i]);
    }
    copy_histogram(&counts->halted, &out->halted);
    copy_histogram(&counts->read, &out->read);
}
