/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu_budget: CPU budget for background work: half of idle time, 5 % when there is none; less while the work is
 * fruitless.
 *
 * Idle time is the time that the loop waits for events. Work is charged against it, so the work takes at most half of
 * it: half a core when nothing else happens.
 */
#ifndef SERVICE_CPU_BUDGET_H
#define SERVICE_CPU_BUDGET_H

#include <stddef.h>
#include <stdint.h>

#define CPU_BUDGET_SLICE_US  300U   /* at most, between two rounds of the loop */
#define CPU_BUDGET_CREDIT_US 20000U /* most unused budget: one poke, a million keys */
#define CPU_BUDGET_LEAST     20U    /* divisor of the least share, when there is no idle time */
#define CPU_BUDGET_WORTH     16U
#define CPU_BUDGET_BARREN    15U /* factor of the pause after fruitless work */
#define CPU_BUDGET_MEMORY    512U

struct cpu_budget {
    uint64_t at_us, idle_us; /* end of the accounted time; idle time since then */
    uint64_t credit_us;
    uint64_t unit_ps;   /* measured cost of a unit of work; picoseconds */
    uint64_t good, all; /* of the outcomes of late: worth the work; all */
};

void cpu_budget_init(struct cpu_budget *cpu_budget, uint64_t now_us);

/* Time has passed, of which the loop has waited `idle_us`. */
void cpu_budget_pass(struct cpu_budget *cpu_budget, uint64_t now_us, uint64_t idle_us);

/* How many units may be done now; 0: wait. */
size_t cpu_budget_units(const struct cpu_budget *cpu_budget);

/*
 * Reports outcomes: `all` units of work, of which `good` were worth it. While fewer than one in CPU_BUDGET_WORTH of the
 * last few hundred were, the work gets a sixteenth of idle time.
 */
void cpu_budget_judge(struct cpu_budget *cpu_budget, uint64_t good, uint64_t all);

/* So many units took so long. */
void cpu_budget_spent(struct cpu_budget *cpu_budget, size_t units, uint64_t took_us);

#endif
