/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace: how much of the time work may take that can wait: half of what is free, and a twentieth when nothing is; less
 * while it leads to nothing.
 *
 * Uses nothing. The free time is what the loop spends waiting for something to happen. Work that is done takes from it,
 * so that half of it is the most there is: half a core when nothing else happens.
 */
#ifndef SERVICE_PACE_H
#define SERVICE_PACE_H

#include <stddef.h>
#include <stdint.h>

#define PACE_SLICE_US  300U   /* at most, between two rounds of the loop */
#define PACE_CREDIT_US 20000U /* what is saved up for later: one poke, a million keys */
#define PACE_LEAST     20U    /* one part in so many, when nothing is free */
#define PACE_WORTH     16U
#define PACE_BARREN    15U /* waited for so many times the work, while it is not worth it */
#define PACE_MEMORY    512U

struct pace {
    uint64_t at_us, idle_us; /* until when it was reckoned; waited since then */
    uint64_t credit_us;
    uint64_t unit_ps;   /* what a unit of work takes, as measured; picoseconds */
    uint64_t good, all; /* of the outcomes of late: worth the work; all */
};

void pace_init(struct pace *pace, uint64_t now_us);

/* Time has passed, of which the loop has waited `idle_us`. */
void pace_pass(struct pace *pace, uint64_t now_us, uint64_t idle_us);

/* How many units may be done now; 0: wait. */
size_t pace_units(const struct pace *pace);

/*
 * What came of it: so many outcomes, of which so many were worth the work. While less than one in PACE_WORTH of the
 * last few hundred was, a sixteenth of the time that is free is all that it gets.
 */
void pace_judge(struct pace *pace, uint64_t good, uint64_t all);

/* So many units took so long. */
void pace_spent(struct pace *pace, size_t units, uint64_t took_us);

#endif
