/* SPDX-License-Identifier: Apache-2.0 */
/* Round-trip times, and the timeouts of ACKs and replies. */
#include "kdnet/session/link_internal.h"

#define RTO_MARGIN_MIN_US   20000U
#define SPLIT_FIRST_US      20000U
#define SPLIT_MARGIN_US     3000U /* a part of the packets goes to another host: ask again sooner */
#define SPLIT_PACE_US       2000U
#define SPLIT_PATIENCE      4U /* timeouts in a row before they grow */
#define FAR_BELOW           4U /* a sample below this fraction of the estimate means that the path changed */
#define LOST_IN_A_ROW       2U
#define KEPT_MAX            15U
#define FIRST_SAMPLE_MAX_US (KDNET_LINK_RTO_GROWN_US / 3U) /* with its margin one second */

static uint64_t bounded(uint64_t rto, uint64_t least)
{
    if (rto < least)
        return least;
    return rto < KDNET_LINK_RTO_MAX_US ? rto : KDNET_LINK_RTO_MAX_US;
}

/* RFC 6298's estimate, with a floor for loopback and a ceiling for machines that are waited for. */
static uint64_t estimate(const struct kdnet_link *link, uint32_t rtt_us, uint32_t rttvar_us)
{
    uint64_t margin = 4ULL * rttvar_us;
    if (link->split)
        return rtt_us == 0 ? SPLIT_FIRST_US : bounded(rtt_us + rtt_us / 4ULL + SPLIT_MARGIN_US, 0);
    if (rtt_us == 0)
        return KDNET_LINK_RTO_FIRST_US;
    return bounded(rtt_us + (margin > RTO_MARGIN_MIN_US ? margin : RTO_MARGIN_MIN_US), KDNET_LINK_RTO_MIN_US);
}

static uint64_t grown(uint64_t rto, unsigned steps, uint64_t most)
{
    while (steps-- > 0 && rto < most)
        rto = rto * 3 / 2 < most ? rto * 3 / 2 : most;
    return rto;
}

/* Timeouts that make the timeout grow: an unanswered packet was probably not lost, but answered to the other host. */
static unsigned growth(const struct kdnet_link *link, unsigned timeouts)
{
    if (!link->split)
        return timeouts;
    return timeouts > SPLIT_PATIENCE ? timeouts - SPLIT_PATIENCE : 0;
}

uint64_t kdnet_link_pace(const struct kdnet_link *link)
{
    uint64_t pace_us = link->memory.rtt_us / 4U;
    return grown(pace_us > SPLIT_PACE_US ? pace_us : SPLIT_PACE_US, growth(link, link->timeouts),
                 KDNET_LINK_RTO_GROWN_US);
}

uint64_t kdnet_link_timeout_after(const struct kdnet_link *link, unsigned timeouts)
{
    const struct kdnet_link_memory *memory = &link->memory;
    uint64_t rto = grown(estimate(link, memory->rtt_us, memory->rttvar_us), link->split ? 0 : memory->rtt_kept,
                         KDNET_LINK_RTO_MAX_US);
    return grown(rto, growth(link, timeouts), KDNET_LINK_RTO_GROWN_US);
}

uint64_t kdnet_link_reset_timeout(const struct kdnet_link *link)
{
    uint64_t rto = estimate(link, link->memory.rtt_us, link->memory.rttvar_us);
    return grown(rto, growth(link, link->timeouts), KDNET_LINK_RTO_GROWN_US);
}

uint64_t kdnet_link_reply_timeout_after(const struct kdnet_link *link, unsigned timeouts)
{
    const struct kdnet_link_memory *memory = &link->memory;
    uint64_t ack = kdnet_link_timeout_after(link, 0);
    uint64_t rto = grown(estimate(link, memory->reply_us, memory->replyvar_us), link->split ? 0 : memory->reply_kept,
                         KDNET_LINK_RTO_MAX_US);
    return grown(rto > ack ? rto : ack, growth(link, timeouts), KDNET_LINK_RTO_GROWN_US);
}

uint64_t kdnet_link_timeout(const struct kdnet_link *link)
{
    return kdnet_link_timeout_after(link, 0);
}

uint64_t kdnet_link_reply_timeout(const struct kdnet_link *link)
{
    return kdnet_link_reply_timeout_after(link, 0);
}

/* Smooths a sample. A sample far below the estimate replaces it: an estimate from another path, or from a busy
 * target, must not linger. */
static void smooth(uint32_t *rtt_us, uint32_t *rttvar_us, uint64_t sample_us)
{
    uint32_t rtt = sample_us == 0 ? 1 : sample_us > UINT32_MAX ? UINT32_MAX : (uint32_t)sample_us;
    if (*rtt_us == 0 || rtt < *rtt_us / FAR_BELOW) {
        *rtt_us = rtt;
        *rttvar_us = rtt / 2;
        return;
    }
    uint32_t difference = rtt > *rtt_us ? rtt - *rtt_us : *rtt_us - rtt;
    *rttvar_us = (uint32_t)((3ULL * *rttvar_us + difference) / 4);
    *rtt_us = (uint32_t)((7ULL * *rtt_us + rtt) / 8);
    if (*rtt_us == 0)
        *rtt_us = 1;
}

/* Lowers the estimate to the time since the first transmission, an upper bound of the round trip. */
static void narrow(uint32_t *rtt_us, uint32_t *rttvar_us, uint64_t sample_us)
{
    if (*rtt_us != 0 && sample_us >= *rtt_us)
        return;
    *rtt_us = sample_us == 0 ? 1 : (uint32_t)sample_us;
    *rttvar_us = *rtt_us / 2;
}

void kdnet_link_sample_most(struct kdnet_link *link, uint64_t most_us)
{
    narrow(&link->memory.rtt_us, &link->memory.rttvar_us,
           most_us < FIRST_SAMPLE_MAX_US ? most_us : FIRST_SAMPLE_MAX_US);
}

void kdnet_link_sample(struct kdnet_link *link, uint64_t sample_us)
{
    smooth(&link->memory.rtt_us, &link->memory.rttvar_us, sample_us);
    link->memory.rtt_kept = 0;
}

void kdnet_link_sample_first(struct kdnet_link *link, uint64_t most_us)
{
    uint64_t sample_us = most_us < FIRST_SAMPLE_MAX_US ? most_us : FIRST_SAMPLE_MAX_US;
    if (link->memory.rtt_us == 0 || most_us < link->memory.rtt_us)
        kdnet_link_sample(link, sample_us);
}

/* Growth steps after which a timeout is no shorter than the time just waited, so that the next round trip is
 * measured. */
static unsigned steps_to(uint64_t rto, uint64_t waited_us)
{
    unsigned steps = 0;
    while (steps < KEPT_MAX && rto < waited_us && rto < KDNET_LINK_RTO_MAX_US) {
        rto = rto * 3 / 2;
        ++steps;
    }
    return steps;
}

/*
 * Karn: a retransmitted packet measures nothing, but its grown timeout is kept. When only few retransmissions were
 * needed, and the answer came soon after the last one, packets were lost: then the growth is halved.
 */
static unsigned keep(unsigned kept, uint64_t rto, unsigned again, uint64_t waited_us, uint64_t since_last_us)
{
    bool lost = again <= LOST_IN_A_ROW && since_last_us <= rto;
    return (lost ? kept / 2 : steps_to(rto, waited_us)) & KEPT_MAX;
}

static void keep_rtt(struct kdnet_link *link, uint64_t waited_us, uint64_t since_last_us)
{
    struct kdnet_link_memory *memory = &link->memory;
    uint64_t rto = estimate(link, memory->rtt_us, memory->rttvar_us);
    memory->rtt_kept = keep(memory->rtt_kept, rto, link->sends - 1, waited_us, since_last_us) & KEPT_MAX;
}

void kdnet_link_measure_ack(struct kdnet_link *link, uint64_t now_us)
{
    if (link->acked || link->begun_us == 0 || now_us < link->begun_us)
        return;
    if (link->split) {
        narrow(&link->memory.rtt_us, &link->memory.rttvar_us, now_us - link->begun_us);
        return;
    }
    if (link->sends == 1) {
        kdnet_link_sample(link, now_us - link->begun_us);
        return;
    }
    keep_rtt(link, now_us - link->begun_us, now_us - link->last_us);
    link->again_id = link->id;
    link->again_us = now_us - link->begun_us;
}

void kdnet_link_measure_second_ack(struct kdnet_link *link, uint32_t id)
{
    if (link->again_us == 0 || id != link->again_id || link->split)
        return;
    kdnet_link_sample(link, link->again_us);
    link->again_us = 0;
}

void kdnet_link_measure_reply(struct kdnet_link *link, uint64_t now_us)
{
    struct kdnet_link_memory *memory = &link->memory;
    uint64_t waited_us = now_us - link->begun_us;
    if (link->sends == 0 || link->begun_us == 0 || now_us < link->begun_us)
        return;
    if (link->split) {
        narrow(&memory->rtt_us, &memory->rttvar_us, waited_us);
        narrow(&memory->reply_us, &memory->replyvar_us, waited_us);
        return;
    }
    if (!link->acked) /* no ACK came before the reply, or it came during a RESET */
        keep_rtt(link, waited_us, now_us - link->last_us);
    if (link->sends == 1 && !link->asked) {
        smooth(&memory->reply_us, &memory->replyvar_us, waited_us);
        memory->reply_kept = 0;
    } else {
        uint64_t last_us = link->asked && link->asked_us > link->last_us ? link->asked_us : link->last_us;
        uint64_t rto = estimate(link, memory->reply_us, memory->replyvar_us);
        unsigned again = link->sends - 1 + link->timeouts;
        memory->reply_kept = keep(memory->reply_kept, rto, again, waited_us, now_us - last_us) & KEPT_MAX;
    }
}

uint32_t kdnet_link_rtt(const struct kdnet_link *link)
{
    return link->memory.rtt_us;
}

uint32_t kdnet_link_reply_rtt(const struct kdnet_link *link)
{
    return link->memory.reply_us > 0 ? link->memory.reply_us : link->memory.rtt_us;
}
