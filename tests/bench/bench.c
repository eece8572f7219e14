/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/bench.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void bench_print(const struct bench_figure *figure, const char *note)
{
    (void)printf("{\"figure\":\"%s\",\"what\":\"%s\",\"unit\":\"%s\",\"ours\":%.6g,", figure->figure, figure->what,
                 figure->unit, figure->ours);
    if (figure->floor_is)
        (void)printf("\"floor\":%.6g,\"floor_is\":\"%s\",", figure->floor, figure->floor_is);
    if (note)
        (void)printf("\"note\":\"%s\",", note);
    (void)printf("\"n\":%llu,\"rounds\":%u}\n", (unsigned long long)figure->n, figure->rounds);
    (void)fflush(stdout);
}

_Noreturn void bench_fail(const char *program, const char *what)
{
    (void)fprintf(stderr, "%s: %s\n", program, what);
    exit(1);
}

static double clock_ns(clockid_t id)
{
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

double bench_cpu_ns(void)
{
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

double bench_wall_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_quantile(double *values, size_t count, double share)
{
    qsort(values, count, sizeof *values, ascending);
    size_t at = (size_t)((double)count * share);
    return values[at < count ? at : count - 1];
}

double bench_median(double *values, size_t count)
{
    return bench_quantile(values, count, 0.5);
}

int bench_pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0;
}

uint64_t bench_mix(uint64_t n)
{
    n += 0x9e3779b97f4a7c15U; /* splitmix64 */
    n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9U;
    n = (n ^ n >> 27) * 0x94d049bb133111ebU;
    return n ^ n >> 31;
}
