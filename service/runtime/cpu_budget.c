/* SPDX-License-Identifier: Apache-2.0 */
#include "service/runtime/cpu_budget.h"

#include <stdbool.h>

#define UNIT_PS_FIRST 10000U /* a poke with AES instructions: 6 ns */
#define UNIT_PS_MAX   1000000U
#define SLICE_LEAST   50U /* less than this part of a slice is not worth a round */

void cpu_budget_init(struct cpu_budget *cpu_budget, uint64_t now_us)
{
    *cpu_budget = (struct cpu_budget){.at_us = now_us, .credit_us = CPU_BUDGET_SLICE_US, .unit_ps = UNIT_PS_FIRST};
}

static bool is_barren(const struct cpu_budget *cpu_budget)
{
    return cpu_budget->all >= CPU_BUDGET_MEMORY / 2 && cpu_budget->good * CPU_BUDGET_WORTH < cpu_budget->all;
}

void cpu_budget_judge(struct cpu_budget *cpu_budget, uint64_t good, uint64_t all)
{
    cpu_budget->good += good;
    cpu_budget->all += all;
    for (; cpu_budget->all > CPU_BUDGET_MEMORY; cpu_budget->all /= 2) /* old outcomes count less */
        cpu_budget->good /= 2;
}

void cpu_budget_pass(struct cpu_budget *cpu_budget, uint64_t now_us, uint64_t idle_us)
{
    uint64_t passed = now_us > cpu_budget->at_us ? now_us - cpu_budget->at_us : 0;
    cpu_budget->idle_us += idle_us;
    if (passed < CPU_BUDGET_LEAST) /* too short to be divided */
        return;
    uint64_t fresh = cpu_budget->idle_us < passed ? cpu_budget->idle_us : passed;
    uint64_t least = passed / CPU_BUDGET_LEAST;
    if (is_barren(cpu_budget)) {
        fresh /= CPU_BUDGET_BARREN;
        least /= CPU_BUDGET_LEAST;
    }
    if (fresh < least)
        fresh = least;
    cpu_budget->at_us = now_us;
    cpu_budget->idle_us = 0;
    cpu_budget->credit_us += fresh;
    if (cpu_budget->credit_us > CPU_BUDGET_CREDIT_US)
        cpu_budget->credit_us = CPU_BUDGET_CREDIT_US;
}

size_t cpu_budget_units(const struct cpu_budget *cpu_budget)
{
    uint64_t slice_us = cpu_budget->credit_us < CPU_BUDGET_SLICE_US ? cpu_budget->credit_us : CPU_BUDGET_SLICE_US;
    if (slice_us < SLICE_LEAST)
        return 0;
    return (size_t)(slice_us * 1000000 / cpu_budget->unit_ps) + 1;
}

void cpu_budget_spent(struct cpu_budget *cpu_budget, size_t units, uint64_t took_us)
{
    if (units == 0)
        return;
    uint64_t unit_ps = took_us < UINT64_MAX / 1000000 ? took_us * 1000000 / units : UNIT_PS_MAX;
    cpu_budget->credit_us = took_us < cpu_budget->credit_us ? cpu_budget->credit_us - took_us : 0;
    cpu_budget->unit_ps = (cpu_budget->unit_ps * 7 + unit_ps) / 8; /* one interrupted slice counts little */
    if (cpu_budget->unit_ps < UNIT_PS_FIRST / 10)
        cpu_budget->unit_ps = UNIT_PS_FIRST / 10;
    if (cpu_budget->unit_ps > UNIT_PS_MAX)
        cpu_budget->unit_ps = UNIT_PS_MAX;
}
