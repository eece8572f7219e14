/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_claims: which machines are being asked in full right now. Machines that crash at the same moment know nothing
 * of each other yet: the first two claim what they are asked for, and the others are asked little.
 *
 * A claim lapses at its time unless the machine is asked on, so that one that vanishes leaves nothing unasked. Not
 * thread-safe.
 */
#ifndef KDNET_TRACE_CLAIMS_H
#define KDNET_TRACE_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_TRACE_CLAIMS 256U /* more at a time are refused */

struct kdnet_trace_claim {
    uint64_t what, teller; /* what is asked for, as a hash; the machine that is asked */
    uint64_t until_us;
};

/* Zeros: nothing is claimed. */
struct kdnet_trace_claims {
    size_t count;
    struct kdnet_trace_claim claim[KDNET_TRACE_CLAIMS];
};

/* Claims something for a machine until a time, unless `seats` other machines have claims to it that have not lapsed. A
 * machine that has a claim keeps it. False: refused. */
bool kdnet_trace_claims_take(struct kdnet_trace_claims *claims, uint64_t what, uint64_t teller, unsigned seats,
                             uint64_t now_us, uint64_t until_us);

/* A machine is still being asked: its claims hold until a later time. */
void kdnet_trace_claims_renew(struct kdnet_trace_claims *claims, uint64_t teller, uint64_t until_us);

/* The machine has told what it was asked for. */
void kdnet_trace_claims_drop(struct kdnet_trace_claims *claims, uint64_t what, uint64_t teller);

#endif
