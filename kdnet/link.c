/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/link.h"
#include "kdnet/error.h"

#include <string.h>

#define NEVER             UINT64_MAX
#define UNACKED_TO_RESET  4U /* timeouts without an ACK before ids are suspected */
#define RTO_MARGIN_MIN_US 20000U

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
static uint64_t timeout_after(const struct kdnet_link *link, unsigned timeouts)
{
    const struct kdnet_link_memory *memory = &link->memory;
    uint64_t rto = KDNET_LINK_RTO_FIRST_US;
    if (memory->rtt_us > 0) {
        uint64_t margin = 4ULL * memory->rttvar_us;
        rto = memory->rtt_us + (margin > RTO_MARGIN_MIN_US ? margin : RTO_MARGIN_MIN_US);
    }
    if (rto < KDNET_LINK_RTO_MIN_US)
        rto = KDNET_LINK_RTO_MIN_US;
    while (timeouts-- > 0 && rto < KDNET_LINK_RTO_MAX_US)
        rto = rto * 3 / 2;
    return rto < KDNET_LINK_RTO_MAX_US ? rto : KDNET_LINK_RTO_MAX_US;
}

static void measure(struct kdnet_link *link, uint64_t now_us)
{
    struct kdnet_link_memory *memory = &link->memory;
    if (link->sends != 1 || link->acked || now_us < link->first_us)
        return; /* Karn: what was sent twice measures nothing */
    uint64_t sample = now_us - link->first_us;
    uint32_t rtt = sample == 0 ? 1 : sample > UINT32_MAX ? UINT32_MAX : (uint32_t)sample;
    if (memory->rtt_us == 0) {
        memory->rtt_us = rtt;
        memory->rttvar_us = rtt / 2;
        return;
    }
    uint32_t difference = rtt > memory->rtt_us ? rtt - memory->rtt_us : memory->rtt_us - rtt;
    memory->rttvar_us = (uint32_t)((3ULL * memory->rttvar_us + difference) / 4);
    memory->rtt_us = (uint32_t)((7ULL * memory->rtt_us + rtt) / 8);
    if (memory->rtt_us == 0)
        memory->rtt_us = 1;
}

void kdnet_link_control(struct kdnet_link *link, uint16_t type, uint32_t id)
{
    for (unsigned i = 0; i < link->control_count; ++i)
        if (link->control[i].type == type && link->control[i].id == id)
            return;
    if (link->control_count == KDNET_LINK_CONTROL_MAX) {
        memmove(link->control, link->control + 1, sizeof link->control - sizeof link->control[0]);
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
    link->timeouts = 0;
    link->first_us = 0;
    link->timer_us = NEVER;
    return KDNET_OK;
}

void kdnet_link_done(struct kdnet_link *link)
{
    if (link->resetting)
        link->memory.out_of_step = true; /* the target may or may not have taken the id that RESET named */
    link->busy = false;
    link->due = false;
    link->resetting = false;
    link->timer_us = NEVER;
}

void kdnet_link_abandon(struct kdnet_link *link)
{
    if (!link->busy)
        return;
    if (link->sends == 0)
        link->memory.next_id = link->id; /* nobody has seen it */
    else if (!link->acked)
        link->memory.out_of_step = true;
    kdnet_link_done(link);
}

static void begin_reset(struct kdnet_link *link)
{
    link->memory.out_of_step = false;
    link->resetting = true;
    kdnet_link_control(link, KDNET_PACKET_RESET, link->id);
}

static void end_reset(struct kdnet_link *link)
{
    link->resetting = false;
    link->acked = false;
    link->due = link->busy;
    link->timer_us = NEVER;
}

void kdnet_link_restart(struct kdnet_link *link, bool keep)
{
    link->control_count = 0;
    link->resetting = false;
    link->memory.last_sequence = 0;
    if (!keep) {
        struct kdnet_link_memory memory;
        kdnet_link_memory_init(&memory);
        memory.rtt_us = link->memory.rtt_us;
        memory.rttvar_us = link->memory.rttvar_us;
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
    if (!link->busy || id != link->id || link->sends == 0 || link->resetting)
        return;
    measure(link, now_us);
    if (!link->wants_reply) {
        kdnet_link_done(link);
        *news = KDNET_LINK_ACKED;
        return;
    }
    link->acked = true;
    link->due = false;
    link->timeouts = 0;
    link->timer_us = now_us + timeout_after(link, 0);
}

static void receive_control(struct kdnet_link *link, const struct kdnet_packet *packet, uint64_t now_us,
                            enum kdnet_link_news *news)
{
    switch (packet->type) {
    case KDNET_PACKET_ACK:
        receive_ack(link, packet->id, now_us, news);
        break;
    case KDNET_PACKET_RESEND: /* also when acknowledged: the target asks, so it has not taken it [cap frame 198] */
        if (link->busy && link->sends > 0 && !link->resetting)
            link->due = true;
        break;
    case KDNET_PACKET_RESET:
        if (link->resetting) {
            end_reset(link);
            break;
        }
        /* The target starts anew: say where our ids stand, forget where its ids stood [inf]. */
        link->memory.have_last = false;
        kdnet_link_control(link, KDNET_PACKET_RESET, link->busy ? link->id : link->memory.next_id);
        link->due = link->busy;
        break;
    default:
        break;
    }
}

int kdnet_link_receive(struct kdnet_link *link, const uint8_t *body, size_t length, uint64_t sequence, uint64_t now_us,
                       enum kdnet_link_news *news, struct kdnet_packet *packet)
{
    struct kdnet_link_memory *memory = &link->memory;
    *news = KDNET_LINK_NOTHING;
    int error = kdnet_packet_decode(body, length, packet);
    if (error == KDNET_ERR_CHECKSUM && !packet->control)
        kdnet_link_control(link, KDNET_PACKET_RESEND, 0);
    if (error != KDNET_OK)
        return error;
    if (packet->control) {
        receive_control(link, packet, now_us, news);
        return KDNET_OK;
    }
    if (memory->have_last && sequence <= memory->last_sequence)
        return KDNET_ERR_REPEAT; /* overtaken by a later packet: the target no longer waits for its ACK */
    uint32_t checksum = kdnet_packet_checksum(packet->payload, packet->payload_length);
    kdnet_link_control(link, KDNET_PACKET_ACK, packet->id);
    bool repeat = memory->have_last && memory->last_id == packet->id && memory->last_type == packet->type &&
                  memory->last_checksum == checksum;
    memory->have_last = true;
    memory->last_id = packet->id;
    memory->last_type = packet->type;
    memory->last_checksum = checksum;
    memory->last_sequence = sequence;
    if (repeat)
        return KDNET_ERR_REPEAT;
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
    if (packet->type == KDNET_PACKET_RESET && link->resetting)
        link->timer_us = now_us + timeout_after(link, link->timeouts);
    return true;
}

static bool next_data(struct kdnet_link *link, uint64_t now_us, struct kdnet_packet *packet)
{
    if (!link->busy || !link->due || link->resetting)
        return false;
    *packet = (struct kdnet_packet){
        .type = link->type, .id = link->id, .payload = link->payload, .payload_length = link->length};
    link->due = false;
    if (link->sends++ == 0)
        link->first_us = now_us;
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

void kdnet_link_expire(struct kdnet_link *link, uint64_t now_us)
{
    if (!link->busy || now_us < link->timer_us)
        return;
    ++link->timeouts;
    link->timer_us = NEVER;
    if (link->resetting) {
        if (link->timeouts % 3 == 0)
            end_reset(link); /* this target does not answer RESET: go on without */
        else
            kdnet_link_control(link, KDNET_PACKET_RESET, link->id);
    } else if (link->acked && link->timeouts == 1) {
        kdnet_link_control(link, KDNET_PACKET_RESEND, 0);
        link->timer_us = now_us + timeout_after(link, link->timeouts);
    } else if (link->acked || (link->wants_reply && link->timeouts % UNACKED_TO_RESET == 0)) {
        begin_reset(link);
    } else {
        link->due = true;
    }
}

void kdnet_link_sleep(struct kdnet_link *link)
{
    link->timer_us = NEVER;
}

void kdnet_link_wake(struct kdnet_link *link, uint64_t now_us)
{
    if (link->busy && link->timer_us == NEVER && !link->due) {
        link->timeouts = 0;
        link->timer_us = now_us;
    }
}

uint32_t kdnet_link_rtt(const struct kdnet_link *link)
{
    return link->memory.rtt_us;
}
