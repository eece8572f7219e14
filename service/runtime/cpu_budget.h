/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpu_budget: CPU budget for background work: half of idle time, 5 % when there is none; less
 * while it leads to nothing.
 *
 * Uses nothing. The free time is what the loop spends waiting for something to happen. Work that is done takes from it,
 * so that half of it is the most there is: half a core when nothing else happens.
 */
#ifndef SERVICE_CPU_BUDGET_H
#define SERVICE_CPU_BUDGET_H

#include <stddef.h>
#include <stdint.h>

#define CPU_BUDGET_SLICE_US  300U   /* at most, between two rounds of the loop */
#define CPU_BUDGET_CREDIT_US 20000U /* what is saved up for later: one poke, a million keys */
#define CPU_BUDGET_LEAST     20U    /* one part in so many, when nothing is free */
#define CPU_BUDGET_WORTH     16U
#define CPU_BUDGET_BARREN    15U /* waited for so many times the work, while it is not worth it */
#define CPU_BUDGET_MEMORY    512U

struct cpu_budget {
    uint64_t at_us, idle_us; /* until when it was reckoned; waited since then */
    uint64_t credit_us;
    uint64_t unit_ps;   /* what a unit of work takes, as measured; picoseconds */
    uint64_t good, all; /* of the outcomes of late: worth the work; all */
};

void cpu_budget_init(struct cpu_budget *cpu_budget, uint64_t now_us);

/* Time has passed, of which the loop has waited `idle_us`. */
void cpu_budget_pass(struct cpu_budget *cpu_budget, uint64_t now_us, uint64_t idle_us);

/* How many units may be done now; 0: wait. */
size_t cpu_budget_units(const struct cpu_budget *cpu_budget);

/*
 * What came of it: so many outcomes, of which so many were worth the work. While less than one in CPU_BUDGET_WORTH of
 * the last few hundred was, a sixteenth of the time that is free is all that it gets.
 */
void cpu_budget_judge(struct cpu_budget *cpu_budget, uint64_t good, uint64_t all);

/* So many units took so long. */
void cpu_budget_spent(struct cpu_budget *cpu_budget, size_t units, uint64_t took_us);

#endif
