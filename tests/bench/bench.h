/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench: what the programs of this folder share: clocks, medians, and the form in which a figure is printed.
 *
 * A figure is one line of JSON on standard output; bench.py reads it, adds the machine, the date and the command, and
 * prints the table. README.md in this folder has the form.
 */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stddef.h>
#include <stdint.h>

struct bench_figure {
    const char *figure; /* the name that ./dev bench knows it by */
    const char *what;   /* of its measurements this one */
    const char *unit;
    const char *floor_is; /* NULL: there is none */
    double ours, floor;   /* in `unit` */
    uint64_t n;           /* things measured in one round */
    unsigned rounds;
};

/* Prints the figure as a line of JSON; `note` may be NULL. Texts must need no escapes. */
void bench_print(const struct bench_figure *figure, const char *note);

/* Says what is wrong on standard error and exits 1. */
_Noreturn void bench_fail(const char *program, const char *what);

double bench_cpu_ns(void);  /* of this thread */
double bench_wall_ns(void); /* since any point */

/* Sorts the values; the share 0..1 of them is at or below the result. */
double bench_quantile(double *values, size_t count, double share);
double bench_median(double *values, size_t count);

/* Runs the calling thread on this core from now on. False: there is no such core, or it may not be used. */
int bench_pin(int core);

/* The n-th number of a run of pseudo-random ones: the same each time. */
uint64_t bench_mix(uint64_t n);

#endif
