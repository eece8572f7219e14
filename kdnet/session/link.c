/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/error.h"
#include "kdnet/session/link.h"

#include <limits.h>
#include <string.h>

#define NEVER               UINT64_MAX
#define TO_RESET            20U /* timeouts; even the shortest are over ten seconds together */
#define RESETS_UNHEARD      3U
#define DAMAGED_MAX         3U
#define RTO_MARGIN_MIN_US   20000U
#define BROUGHT_WAIT_US     20000U /* for the packet that comes behind the answer to a RESET */
#define FAR_BELOW           4U     /* a sample of less than this part of what was measured: the path is another */
#define LOST_IN_A_ROW       2U
#define KEPT_MAX            15U
#define FIRST_SAMPLE_MAX_US (KDNET_LINK_RTO_GROWN_US / 3U) /* with its margin a second */

void kdnet_link_memory_init(struct kdnet_link_memory *memory)
{
    *memory = (struct kdnet_link_memory){.next_id = KDNET_PACKET_FIRST_ID};
}

void kdnet_link_init(struct kdnet_link *link, const struct kdnet_link_memory *memory)
{
    memset(link, 0, sizeof *link);
    link->memory = *memory;
    link->timer_us = NEVER;
}

/* RFC 6298's estimate, with a floor for loopback and a ceiling for machines that are waited for. */
static uint64_t estimate(uint32_t rtt_us, uint32_t rttvar_us)
{
    uint64_t margin = 4ULL * rttvar_us;
    uint64_t rto = rtt_us + (margin > RTO_MARGIN_MIN_US ? margin : RTO_MARGIN_MIN_US);
    if (rtt_us == 0)
        return KDNET_LINK_RTO_FIRST_US;
    if (rto < KDNET_LINK_RTO_MIN_US)
        return KDNET_LINK_RTO_MIN_US;
    return rto < KDNET_LINK_RTO_MAX_US ? rto : KDNET_LINK_RTO_MAX_US;
}

static uint64_t grown(uint64_t rto, unsigned steps, uint64_t most)
{
    while (steps-- > 0 && rto < most)
        rto = rto * 3 / 2 < most ? rto * 3 / 2 : most;
    return rto;
}

static uint64_t timeout_after(const struct kdnet_link *link, unsigned timeouts)
{
    const struct kdnet_link_memory *memory = &link->memory;
    uint64_t rto = grown(estimate(memory->rtt_us, memory->rttvar_us), memory->rtt_kept, KDNET_LINK_RTO_MAX_US);
    return grown(rto, timeouts, KDNET_LINK_RTO_GROWN_US);
}

/* A RESET is answered at once, by whoever listens. */
static uint64_t reset_timeout(const struct kdnet_link *link)
{
    uint64_t rto = estimate(link->memory.rtt_us, link->memory.rttvar_us);
    return grown(rto, link->timeouts, KDNET_LINK_RTO_GROWN_US);
}

/* A target may think about a request that it has acknowledged. */
static uint64_t reply_timeout_after(const struct kdnet_link *link, unsigned timeouts)
{
    const struct kdnet_link_memory *memory = &link->memory;
    uint64_t ack = timeout_after(link, 0);
    uint64_t rto = grown(estimate(memory->reply_us, memory->replyvar_us), memory->reply_kept, KDNET_LINK_RTO_MAX_US);
    return grown(rto > ack ? rto : ack, timeouts, KDNET_LINK_RTO_GROWN_US);
}

uint64_t kdnet_link_timeout(const struct kdnet_link *link)
{
    return timeout_after(link, 0);
}

uint64_t kdnet_link_reply_timeout(const struct kdnet_link *link)
{
    return reply_timeout_after(link, 0);
}

/* Smooths; but what was measured on another path, or before the target was busy, does not linger. */
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

/* Steps of growth after which a timeout is no shorter than what has just been waited: the next one is measured. */
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
 * Karn: what was sent twice measures nothing, but its patience is kept. What was sent again only a few times, and comes
 * as soon after the last as was measured so far, had been lost: then patience is given back, step by step.
 */
static unsigned keep(unsigned kept, uint64_t rto, unsigned again, uint64_t waited_us, uint64_t since_last_us)
{
    bool lost = again <= LOST_IN_A_ROW && since_last_us <= rto;
    return (lost ? kept / 2 : steps_to(rto, waited_us)) & KEPT_MAX;
}

static void keep_rtt(struct kdnet_link *link, uint64_t waited_us, uint64_t since_last_us)
{
    struct kdnet_link_memory *memory = &link->memory;
    uint64_t rto = estimate(memory->rtt_us, memory->rttvar_us);
    memory->rtt_kept = keep(memory->rtt_kept, rto, link->sends - 1, waited_us, since_last_us) & KEPT_MAX;
}

static void measure_ack(struct kdnet_link *link, uint64_t now_us)
{
    if (link->acked || link->begun_us == 0 || now_us < link->begun_us)
        return;
    if (link->sends == 1) {
        kdnet_link_sample(link, now_us - link->begun_us);
        return;
    }
    keep_rtt(link, now_us - link->begun_us, now_us - link->last_us);
    link->again_id = link->id;
    link->again_us = now_us - link->begun_us;
}

/* Each that was sent again is acknowledged, too: none had been lost, and the first ACK was that of the first. */
static void measure_second_ack(struct kdnet_link *link, uint32_t id)
{
    if (link->again_us == 0 || id != link->again_id)
        return;
    kdnet_link_sample(link, link->again_us);
    link->again_us = 0;
}

static void measure_reply(struct kdnet_link *link, uint64_t now_us)
{
    struct kdnet_link_memory *memory = &link->memory;
    uint64_t waited_us = now_us - link->begun_us;
    if (link->sends == 0 || link->begun_us == 0 || now_us < link->begun_us)
        return;
    if (!link->acked) /* no ACK came sooner, or it came while a RESET was out */
        keep_rtt(link, waited_us, now_us - link->last_us);
    if (link->sends == 1 && !link->asked) {
        smooth(&memory->reply_us, &memory->replyvar_us, waited_us);
        memory->reply_kept = 0;
    } else {
        uint64_t last_us = link->asked && link->asked_us > link->last_us ? link->asked_us : link->last_us;
        uint64_t rto = estimate(memory->reply_us, memory->replyvar_us);
        unsigned again = link->sends - 1 + link->timeouts;
        memory->reply_kept = keep(memory->reply_kept, rto, again, waited_us, now_us - last_us) & KEPT_MAX;
    }
}

void kdnet_link_control(struct kdnet_link *link, uint16_t type, uint32_t id)
{
    for (unsigned i = 0; i < link->control_count; ++i)
        if (link->control[i].type == type && link->control[i].id == id)
            return;
    if (link->control_count == KDNET_LINK_CONTROL_MAX) {
        unsigned drop = link->control[0].type == KDNET_PACKET_RESET ? 1 : 0; /* a request waits for that one's answer */
        memmove(link->control + drop, link->control + drop + 1,
                (KDNET_LINK_CONTROL_MAX - 1 - drop) * sizeof link->control[0]);
        --link->control_count;
    }
    link->control[link->control_count++] = (struct kdnet_link_control){.type = type, .id = id};
}

int kdnet_link_send(struct kdnet_link *link, uint16_t type, bool wants_reply, const uint8_t *payload, size_t length)
{
    if (link->busy)
        return KDNET_ERR_STATE;
    if (length > sizeof link->payload)
        return KDNET_ERR_SPACE;
    memcpy(link->payload, payload, length);
    link->length = length;
    link->type = type;
    link->wants_reply = wants_reply;
    link->id = link->memory.next_id;
    link->memory.next_id += KDNET_PACKET_ID_STEP;
    link->busy = true;
    link->acked = false;
    link->due = true;
    link->sends = 0;
    link->timeouts = link->reset_at = 0;
    link->reset_since = link->asked = link->agreed = false;
    link->resets_own = 0;
    link->begun_us = link->acked_us = link->answer_us = 0;
    link->timer_us = NEVER;
    return KDNET_OK;
}

void kdnet_link_done(struct kdnet_link *link)
{
    if (link->resetting || link->reset_since)
        link->memory.out_of_step = true; /* the target may or may not have taken the id that RESET named */
    else if (link->wants_reply)
        /* It has taken this id, so it takes the next one. Without its ACK the reply may be an older one's, said again.
         */
        link->memory.unsure = !link->acked;
    if (!link->memory.unsure && !link->memory.out_of_step)
        link->resets_out = 0;
    link->busy = false;
    link->due = false;
    link->resetting = link->awaiting = false;
    link->timer_us = NEVER;
}

void kdnet_link_replied(struct kdnet_link *link, uint64_t now_us)
{
    measure_reply(link, now_us);
    link->memory.mute = false;
    kdnet_link_done(link);
}

void kdnet_link_presume_done(struct kdnet_link *link)
{
    kdnet_link_done(link);
    link->memory.unsure = true;
}

void kdnet_link_doubt(struct kdnet_link *link)
{
    link->memory.unsure = true;
}

void kdnet_link_diverged(struct kdnet_link *link)
{
    link->memory.out_of_step = true;
}

bool kdnet_link_is_unsure(const struct kdnet_link *link)
{
    return link->memory.unsure || link->memory.out_of_step;
}

void kdnet_link_abandon(struct kdnet_link *link)
{
    if (!link->busy)
        return;
    bool unsure = link->memory.unsure;
    if (link->sends == 0)
        link->memory.next_id = link->id; /* nobody has seen it */
    else if (!link->acked)
        link->memory.out_of_step = true;
    kdnet_link_done(link);
    link->memory.unsure = unsure; /* no reply, no proof */
}

static void begin_reset(struct kdnet_link *link)
{
    if (!link->resetting)
        link->reset_at = link->timeouts;
    link->memory.out_of_step = false;
    link->memory.unsure = true;
    link->memory.reset_sent = true;
    link->resetting = true;
    link->brought = link->awaiting = link->agreed = false;
    link->reset_since = link->sends > 0;
    link->asked = link->asked || link->reset_since;
    kdnet_link_control(link, KDNET_PACKET_RESET, link->id);
}

static void end_reset(struct kdnet_link *link)
{
    link->resetting = false;
    link->reset_at = link->timeouts;
    link->acked = false;
    link->due = link->busy;
    link->timer_us = NEVER;
}

/*
 * Behind its answer comes what the target waits with. Our packet waits for that, a moment at most: they would cross,
 * and the target would ask for ours again.
 */
static void reset_answered(struct kdnet_link *link, uint64_t now_us)
{
    end_reset(link);
    link->agreed = link->resets_out <= link->resets_own; /* else it may be the answer to an older one */
    link->resets_out -= link->resets_out > 0;
    if (link->brought)
        return;
    link->awaiting = true;
    link->due = false;
    uint64_t wait_us = link->memory.rttvar_us > BROUGHT_WAIT_US ? link->memory.rttvar_us : BROUGHT_WAIT_US;
    link->timer_us = now_us + (wait_us < KDNET_LINK_RTO_FIRST_US ? wait_us : KDNET_LINK_RTO_FIRST_US);
}

static void end_waiting(struct kdnet_link *link)
{
    link->awaiting = false;
    link->due = link->busy;
    link->timer_us = NEVER;
}

void kdnet_link_restart(struct kdnet_link *link, bool keep)
{
    link->control_count = 0;
    link->resetting = link->awaiting = link->agreed = false;
    link->memory.last_sequence = 0;
    if (!keep) {
        struct kdnet_link_memory memory;
        kdnet_link_memory_init(&memory);
        memory.rtt_us = link->memory.rtt_us;
        memory.rttvar_us = link->memory.rttvar_us;
        memory.reply_us = link->memory.reply_us;
        memory.replyvar_us = link->memory.replyvar_us;
        kdnet_link_init(link, &memory);
        return;
    }
    link->memory.out_of_step = true;
    link->acked = false;
    link->due = link->busy;
    link->timer_us = NEVER;
}

static void receive_ack(struct kdnet_link *link, uint32_t id, uint64_t now_us, enum kdnet_link_news *news)
{
    measure_second_ack(link, id);
    if (!link->busy || id != link->id || link->sends == 0 || link->resetting || link->awaiting)
        return;
    measure_ack(link, now_us);
    if (!link->wants_reply) {
        kdnet_link_done(link);
        *news = KDNET_LINK_ACKED;
        return;
    }
    link->acked = true;
    link->due = false;
    link->timeouts = link->reset_at = 0;
    link->acked_us = link->acked_us != 0 ? link->acked_us : now_us;
    link->timer_us = now_us + reply_timeout_after(link, 0);
}

/*
 * Also when acknowledged: the target asks, so it has not taken it [cap frame 198]. Answered at once, and then as what
 * gets no ACK: one that asks again and again is no quicker.
 */
static void receive_resend(struct kdnet_link *link, uint64_t now_us)
{
    if (!link->busy || link->sends == 0 || link->resetting || link->awaiting)
        return;
    link->acked = false;
    if (now_us < link->answer_us) {
        link->timer_us = link->timer_us < link->answer_us ? link->timer_us : link->answer_us;
        return;
    }
    ++link->timeouts;
    link->answer_us = now_us + timeout_after(link, link->timeouts);
    link->due = true;
}

static void receive_control(struct kdnet_link *link, const struct kdnet_packet *packet, uint64_t now_us,
                            enum kdnet_link_news *news)
{
    switch (packet->type) {
    case KDNET_PACKET_ACK:
        receive_ack(link, packet->id, now_us, news);
        break;
    case KDNET_PACKET_RESEND:
        receive_resend(link, now_us);
        break;
    case KDNET_PACKET_RESET:
        if (link->resetting) {
            reset_answered(link, now_us);
            break;
        }
        if (link->memory.reset_sent)
            break; /* a late or doubled answer to ours: an answer to it would be answered for ever */
        /* The target starts anew by itself [inf]: say where our ids stand, before the next data packet. */
        link->memory.have_last = false;
        link->memory.out_of_step = true;
        link->due = link->busy;
        break;
    default:
        break;
    }
}

/* What the target waits with has come: it need not be asked for it. */
static void forget_resend(struct kdnet_link *link)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < link->control_count; ++i)
        if (link->control[i].type != KDNET_PACKET_RESEND)
            link->control[kept++] = link->control[i];
    link->control_count = kept;
}

/*
 * A damaged packet is asked for again. The datagram is authentic, so the target itself made it so: when it comes
 * damaged again and again, asking is no help, and it is taken as it is. Else the target would wait for its ACK for
 * ever.
 */
static bool is_taken_damaged(struct kdnet_link *link, int error, size_t length, const struct kdnet_packet *packet)
{
    bool data = error == KDNET_ERR_CHECKSUM || error == KDNET_ERR_LENGTH ||
                (error == KDNET_ERR_SHORT && length >= KDNET_PACKET_HEADER);
    if (!data || packet->control)
        return false;
    if (link->memory.damaged >= DAMAGED_MAX)
        return true;
    ++link->memory.damaged;
    kdnet_link_control(link, KDNET_PACKET_RESEND, 0);
    return false;
}

bool kdnet_link_is_repeat(const struct kdnet_link_memory *memory, const struct kdnet_packet *packet)
{
    return memory->have_last && memory->last_id == packet->id && memory->last_type == packet->type &&
           memory->last_checksum == kdnet_packet_checksum(packet->payload, packet->payload_length);
}

int kdnet_link_receive(struct kdnet_link *link, const uint8_t *body, size_t length, uint64_t sequence, uint64_t now_us,
                       enum kdnet_link_news *news, struct kdnet_packet *packet)
{
    struct kdnet_link_memory *memory = &link->memory;
    *news = KDNET_LINK_NOTHING;
    int error = kdnet_packet_decode(body, length, packet);
    if (error != KDNET_OK && !is_taken_damaged(link, error, length, packet))
        return error;
    if (packet->control) {
        receive_control(link, packet, now_us, news);
        return KDNET_OK;
    }
    if (memory->have_last && sequence <= memory->last_sequence)
        return KDNET_ERR_REPEAT; /* overtaken by a later packet: the target no longer waits for its ACK */
    kdnet_link_control(link, KDNET_PACKET_ACK, packet->id);
    bool repeat = kdnet_link_is_repeat(memory, packet);
    if (error == KDNET_OK)
        memory->damaged = 0;
    memory->have_last = true;
    memory->last_id = packet->id;
    memory->last_type = packet->type;
    memory->last_checksum = kdnet_packet_checksum(packet->payload, packet->payload_length);
    memory->last_sequence = sequence;
    link->brought = link->resetting;
    if (link->awaiting)
        end_waiting(link);
    if (repeat)
        return KDNET_ERR_REPEAT;
    forget_resend(link);
    *news = KDNET_LINK_DATA;
    return KDNET_OK;
}

static bool next_control(struct kdnet_link *link, uint64_t now_us, struct kdnet_packet *packet)
{
    if (link->control_count == 0)
        return false;
    *packet = (struct kdnet_packet){.control = true, .type = link->control[0].type, .id = link->control[0].id};
    --link->control_count;
    memmove(link->control, link->control + 1, link->control_count * sizeof link->control[0]);
    if (packet->type != KDNET_PACKET_ACK)
        link->asked_us = now_us;
    if (packet->type == KDNET_PACKET_RESET) {
        if (now_us - link->reset_us > 2 * timeout_after(link, 0)) /* those of before were lost, or their answers */
            link->resets_out = link->resets_own = 0;
        link->reset_us = now_us;
        ++link->resets_out;
        ++link->resets_own;
    }
    if (packet->type == KDNET_PACKET_RESET && link->resetting)
        link->timer_us = now_us + reset_timeout(link);
    return true;
}

static bool next_data(struct kdnet_link *link, uint64_t now_us, struct kdnet_packet *packet)
{
    if (!link->busy || !link->due || link->resetting)
        return false;
    *packet = (struct kdnet_packet){
        .type = link->type, .id = link->id, .payload = link->payload, .payload_length = link->length};
    link->due = false;
    link->last_us = now_us;
    ++link->sends;
    if (link->begun_us == 0)
        link->begun_us = now_us;
    link->timer_us = now_us + timeout_after(link, link->timeouts);
    return true;
}

bool kdnet_link_next(struct kdnet_link *link, uint64_t now_us, uint8_t *out, size_t size, size_t *length)
{
    struct kdnet_packet packet;
    if (link->busy && link->due && link->memory.out_of_step)
        begin_reset(link);
    if (!next_control(link, now_us, &packet) && !next_data(link, now_us, &packet))
        return false;
    return kdnet_packet_encode(&packet, out, size, length) == KDNET_OK;
}

uint64_t kdnet_link_deadline(const struct kdnet_link *link)
{
    return link->busy ? link->timer_us : NEVER;
}

/*
 * Timeouts after which our ids are suspected. One that has acknowledged a request and is silent thinks, or its reply
 * was lost: RESEND brings that, and what it waits with when it has ignored the request.
 */
static unsigned patience(const struct kdnet_link *link)
{
    if (!link->wants_reply && !link->memory.unsure)
        return UINT_MAX; /* a Continue that went through, whose ACK was lost: the machine runs */
    return TO_RESET;
}

void kdnet_link_expire(struct kdnet_link *link, uint64_t now_us)
{
    if (!link->busy || now_us < link->timer_us)
        return;
    link->timer_us = NEVER;
    if (link->awaiting) {
        end_waiting(link);
        return;
    }
    unsigned since_reset = ++link->timeouts - link->reset_at;
    if (link->resetting) {
        if (since_reset >= RESETS_UNHEARD)
            end_reset(link); /* this target does not answer RESET: go on without */
        else
            begin_reset(link);
    } else if (since_reset >= patience(link)) {
        begin_reset(link);
    } else if (link->acked) {
        link->asked = true;
        kdnet_link_control(link, KDNET_PACKET_RESEND, 0);
        link->timer_us = now_us + reply_timeout_after(link, link->timeouts);
    } else {
        link->due = true;
    }
}

void kdnet_link_ignored(struct kdnet_link *link)
{
    if (link->busy && link->acked && !link->resetting && link->memory.unsure && !link->agreed)
        begin_reset(link);
}

void kdnet_link_distrust(struct kdnet_link *link)
{
    if (!link->busy || link->resetting)
        return;
    begin_reset(link);
    link->acked = false;
    link->acked_us = 0;
    link->timer_us = NEVER; /* until it goes out */
}

void kdnet_link_sleep(struct kdnet_link *link)
{
    link->timer_us = NEVER;
}

void kdnet_link_wake(struct kdnet_link *link, uint64_t now_us)
{
    if (link->busy && link->timer_us == NEVER && (!link->due || link->resetting)) {
        link->timeouts = link->reset_at = 0;
        link->timer_us = now_us;
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
