/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/error.h"
#include "kdnet/session/link.h"
#include "kdnet/session/link_internal.h"

#include <limits.h>
#include <string.h>

#define NEVER           UINT64_MAX
#define TO_RESET        20U /* timeouts; even the shortest ones last over ten seconds together */
#define RESETS_UNHEARD  3U
#define DAMAGED_MAX     3U
#define BROUGHT_WAIT_US 20000U /* wait for the packet behind the answer to a RESET */

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

void kdnet_link_control(struct kdnet_link *link, uint16_t type, uint32_t id)
{
    for (unsigned i = 0; i < link->control_count; ++i)
        if (link->control[i].type == type && link->control[i].id == id)
            return;
    if (link->control_count == KDNET_LINK_CONTROL_MAX) {
        unsigned drop = link->control[0].type == KDNET_PACKET_RESET
                            ? 1
                            : 0; /* a request waits for the answer to this RESET */
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
    link->reset_since = link->asked = link->agreed = link->alternate = false;
    link->resets_own = 0;
    link->begun_us = link->acked_us = link->answer_us = link->pace_until_us = 0;
    link->timer_us = NEVER;
    return KDNET_OK;
}

void kdnet_link_done(struct kdnet_link *link)
{
    if (link->resetting || link->reset_since)
        link->memory.out_of_step = true; /* the target may or may not have taken the id that RESET named */
    else if (link->wants_reply)
        /* The target has taken this id, so it takes the next one. Without an ACK the reply may be an older
         * request's, resent. */
        link->memory.unsure = !link->acked;
    if (!link->memory.unsure && !link->memory.out_of_step)
        link->resets_out = 0;
    link->busy = false;
    link->due = link->echo = false;
    link->resetting = link->awaiting = false;
    link->timer_us = NEVER;
}

void kdnet_link_proven(struct kdnet_link *link)
{
    link->memory.unsure = false;
}

void kdnet_link_replied(struct kdnet_link *link, uint64_t now_us)
{
    kdnet_link_measure_reply(link, now_us);
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
        link->memory.next_id = link->id; /* no packet with this id has left */
    else if (!link->acked)
        link->memory.out_of_step = true;
    kdnet_link_done(link);
    link->memory.unsure = unsure; /* no reply, so no proof */
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
 * Behind the answer to a RESET the target sends the packet that it waits with. Our packet waits for that packet, a
 * moment at most: otherwise the two would cross, and the target would ask for ours again.
 */
static void reset_answered(struct kdnet_link *link, uint64_t now_us)
{
    end_reset(link);
    link->agreed = link->resets_out <= link->resets_own; /* an outstanding older RESET could have caused the answer */
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

/* Whether replies are requested before they are missed, because another host receives a part of them. */
static bool is_paced(const struct kdnet_link *link)
{
    return link->split && link->wants_reply && !link->resetting;
}

static void receive_ack(struct kdnet_link *link, uint32_t id, uint64_t now_us, enum kdnet_link_news *news)
{
    kdnet_link_measure_second_ack(link, id);
    if (!link->busy || id != link->id || link->sends == 0 || link->resetting || link->awaiting)
        return;
    kdnet_link_measure_ack(link, now_us);
    if (!link->wants_reply) {
        kdnet_link_done(link);
        *news = KDNET_LINK_ACKED;
        return;
    }
    link->acked = true;
    link->due = false;
    link->timeouts = link->reset_at = 0;
    link->acked_us = link->acked_us != 0 ? link->acked_us : now_us;
    link->timer_us = now_us + (is_paced(link) ? kdnet_link_pace(link) : kdnet_link_reply_timeout_after(link, 0));
}

/*
 * A RESEND counts even after an ACK: the target asks because it has not taken the packet [cap frame 198]. The first
 * RESEND is answered at once, further ones with the timeouts of an unacknowledged packet, so repeating it gains
 * nothing.
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
    link->answer_us = now_us + kdnet_link_timeout_after(link, link->timeouts);
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
            break; /* a late or duplicate answer to our RESET; answering it would never end */
        /* The target starts anew by itself [inf]: tell it our ids before the next data packet. */
        link->memory.have_last = false;
        link->memory.out_of_step = true;
        link->due = link->busy;
        break;
    default:
        break;
    }
}

/* The packet that the target waits with has come: removes the queued RESEND. */
static void forget_resend(struct kdnet_link *link)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < link->control_count; ++i)
        if (link->control[i].type != KDNET_PACKET_RESEND)
            link->control[kept++] = link->control[i];
    link->control_count = kept;
}

/*
 * A damaged packet is requested again. The datagram is authentic, so the target itself damaged the packet: after
 * DAMAGED_MAX attempts the packet is taken as it is, since the target would otherwise wait for its ACK for ever.
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
        return KDNET_ERR_REPEAT; /* overtaken by a later packet: the target no longer waits for this one's ACK */
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
    if (link->rivals && link->resetting && !repeat)
        end_reset(link); /* the packet came behind the answer to the RESET, which another host received */
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
        if (now_us - link->reset_us >
            2 * kdnet_link_timeout_after(link, 0)) /* earlier RESETs, or their answers, were lost */
            link->resets_out = link->resets_own = 0;
        link->reset_us = now_us;
        ++link->resets_out;
        ++link->resets_own;
    }
    if (packet->type == KDNET_PACKET_RESET && link->resetting)
        link->timer_us = now_us + kdnet_link_reset_timeout(link);
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
    if (now_us >= link->pace_until_us)
        link->pace_until_us = now_us + kdnet_link_timeout_after(link, link->timeouts);
    ++link->sends;
    if (link->begun_us == 0)
        link->begun_us = now_us;
    link->timer_us = now_us + (is_paced(link) ? kdnet_link_pace(link) : kdnet_link_timeout_after(link, link->timeouts));
    return true;
}

static bool next_echo(struct kdnet_link *link, uint64_t now_us, struct kdnet_packet *packet)
{
    if (!link->echo)
        return false;
    link->echo = false;
    link->asked_us = now_us;
    *packet = (struct kdnet_packet){.control = true, .type = KDNET_PACKET_RESEND};
    return true;
}

bool kdnet_link_next(struct kdnet_link *link, uint64_t now_us, uint8_t *out, size_t size, size_t *length)
{
    struct kdnet_packet packet;
    if (link->busy && link->due && link->memory.out_of_step)
        begin_reset(link);
    if (!next_control(link, now_us, &packet) && !next_data(link, now_us, &packet) && !next_echo(link, now_us, &packet))
        return false;
    return kdnet_packet_encode(&packet, out, size, length) == KDNET_OK;
}

uint64_t kdnet_link_deadline(const struct kdnet_link *link)
{
    return link->busy ? link->timer_us : NEVER;
}

/*
 * Timeouts after which our ids are suspected. A target that has acknowledged a request and is silent may think, or its
 * reply was lost: RESEND brings that reply, or the packet that the target waits with if it ignored the request.
 */
static unsigned patience(const struct kdnet_link *link)
{
    if (!link->wants_reply && !link->memory.unsure)
        return UINT_MAX; /* a Continue that arrived, whose ACK was lost: the machine runs */
    return TO_RESET;
}

/*
 * Asks again for a reply. A RESEND alone would repeat the break of a machine that has not taken the request, and while
 * that break waits for its ACK, a machine takes no request. So every other request goes without a RESEND behind it.
 */
static void ask_for_reply(struct kdnet_link *link, uint64_t now_us)
{
    link->due = !link->acked;
    link->alternate = !link->alternate;
    link->echo = link->due && link->alternate;
    link->asked = true;
    if (link->acked)
        kdnet_link_control(link, KDNET_PACKET_RESEND, 0);
    link->timer_us = now_us + kdnet_link_pace(link);
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
    if (is_paced(link) && link->sends > 0 && now_us < link->pace_until_us) {
        ask_for_reply(link, now_us);
        return;
    }
    unsigned since_reset = ++link->timeouts - link->reset_at;
    if (link->resetting) {
        if (since_reset >= RESETS_UNHEARD || (link->rivals && link->brought))
            end_reset(link); /* the target does not answer RESET: go on without */
        else
            begin_reset(link);
    } else if (since_reset >= patience(link)) {
        begin_reset(link);
    } else if (link->acked) {
        link->asked = true;
        kdnet_link_control(link, KDNET_PACKET_RESEND, 0);
        link->timer_us = now_us + (is_paced(link) ? kdnet_link_pace(link)
                                                  : kdnet_link_reply_timeout_after(link, link->timeouts));
        link->pace_until_us = now_us + kdnet_link_reply_timeout_after(link, link->timeouts);
    } else {
        link->due = true;
        link->alternate = is_paced(link) && !link->alternate;
        link->echo = link->alternate;
    }
}

void kdnet_link_share(struct kdnet_link *link, uint64_t now_us)
{
    link->split = true;
    if (link->busy && link->sends > 0 && link->timer_us != NEVER)
        link->timer_us = now_us;
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
    link->timer_us = NEVER; /* armed when the RESET is sent */
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
