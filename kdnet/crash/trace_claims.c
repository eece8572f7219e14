/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/crash/trace_claims.h"

static void remove_at(struct kdnet_trace_claims *claims, size_t at)
{
    claims->claim[at] = claims->claim[--claims->count];
}

/* Removes what has lapsed, backwards: a removal moves the last claim into the hole. */
static void remove_lapsed(struct kdnet_trace_claims *claims, uint64_t now_us)
{
    for (size_t at = claims->count; at-- > 0;)
        if (claims->claim[at].until_us <= now_us)
            remove_at(claims, at);
}

bool kdnet_trace_claims_take(struct kdnet_trace_claims *claims, uint64_t what, uint64_t teller, unsigned seats,
                             uint64_t now_us, uint64_t until_us)
{
    unsigned others = 0;
    remove_lapsed(claims, now_us);
    for (size_t at = 0; at < claims->count; ++at) {
        if (claims->claim[at].what != what)
            continue;
        if (claims->claim[at].teller == teller)
            return true;
        ++others;
    }
    if (others >= seats || claims->count == KDNET_TRACE_CLAIMS)
        return false;
    claims->claim[claims->count++] = (struct kdnet_trace_claim){what, teller, until_us};
    return true;
}

void kdnet_trace_claims_renew(struct kdnet_trace_claims *claims, uint64_t teller, uint64_t until_us)
{
    for (size_t at = 0; at < claims->count; ++at)
        if (claims->claim[at].teller == teller && claims->claim[at].until_us < until_us)
            claims->claim[at].until_us = until_us;
}

void kdnet_trace_claims_drop(struct kdnet_trace_claims *claims, uint64_t what, uint64_t teller)
{
    for (size_t at = claims->count; at-- > 0;)
        if (claims->claim[at].what == what && claims->claim[at].teller == teller)
            remove_at(claims, at);
}
