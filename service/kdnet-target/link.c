/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/error.h"
#include "service/kdnet-target/machine_internal.h"

#include <string.h>

void link_reset(struct machine *m)
{
    m->next_id = 0;
    m->expected_id = KDNET_PACKET_FIRST_ID;
    m->accepted_any = false;
    m->pending = false;
}

void link_send(struct machine *m, uint16_t type, const uint8_t *payload, size_t length)
{
    struct kdnet_packet packet = {.type = type, .id = m->next_id, .payload = payload, .payload_length = length};
    if (kdnet_packet_encode(&packet, m->pending_body, m->pending_size, &m->pending_length) != KDNET_OK)
        return;
    m->pending = true;
    m->pending_id = m->next_id;
    m->pending_sent_us = MACHINE_NEVER;
    m->next_id += KDNET_PACKET_ID_STEP;
    machine_push(m, OUT_PENDING, 0, 0);
}

void link_connected(struct machine *m)
{
    if (m->pending)
        machine_push(m, OUT_PENDING, 0, 0);
}

uint64_t link_deadline(const struct machine *m)
{
    if (!m->pending || !m->keyed || m->silent || m->pending_sent_us == MACHINE_NEVER)
        return MACHINE_NEVER;
    return m->pending_sent_us + MACHINE_RETRANSMIT_US;
}

void link_retransmit(struct machine *m, uint64_t now_us)
{
    if (now_us < link_deadline(m))
        return;
    ++m->counts.retransmissions;
    m->pending_sent_us = now_us;
    machine_push(m, OUT_PENDING, 0, 0);
}

/* Retransmits the machine's unacknowledged packet or its halt; the host asked for it. */
static void send_again(struct machine *m)
{
    if (m->pending) {
        ++m->counts.resent;
        machine_push(m, OUT_PENDING, 0, 0);
    } else if (m->wait != WAIT_NONE) {
        ++m->counts.resent;
        halt_send(m);
    }
}

static void acknowledged(struct machine *m, uint64_t now_us)
{
    m->pending = false;
    if (scenario_holds(m) && m->held_us == MACHINE_NEVER)
        m->held_us = now_us;
}

static void take_reset(struct machine *m, uint32_t id)
{
    ++m->counts.resets;
    if (!m->pending && m->wait == WAIT_NONE)
        return; /* the machine runs: nothing listens */
    m->expected_id = id;
    m->accepted_any = false;
    machine_push(m, OUT_CONTROL, KDNET_PACKET_RESET, m->pending ? m->pending_id : m->next_id);
    send_again(m);
}

static void take_control(struct machine *m, const struct kdnet_packet *packet, uint64_t now_us)
{
    switch (packet->type) {
    case KDNET_PACKET_ACK:
        if (m->pending && packet->id == m->pending_id)
            acknowledged(m, now_us);
        break;
    case KDNET_PACKET_RESEND:
        ++m->counts.resends;
        send_again(m);
        break;
    case KDNET_PACKET_RESET:
        take_reset(m, packet->id);
        break;
    default:
        break;
    }
}

static uint16_t wanted_type(const struct machine *m)
{
    switch (m->wait) {
    case WAIT_CONTINUE:
        return KDNET_PACKET_MANIPULATE;
    case WAIT_FILE:
        return KDNET_PACKET_FILE_IO;
    case WAIT_PROMPT:
        return KDNET_PACKET_DEBUG_IO;
    case WAIT_NONE:
        break;
    }
    return KDNET_PACKET_UNUSED;
}

static void take_data(struct machine *m, const struct kdnet_packet *packet, uint64_t now_us)
{
    if (m->accepted_any && packet->id == m->last_id) {
        ++m->counts.host_repeats;
        if (!m->config.think.late_ack || !m->thought)
            machine_push(m, OUT_CONTROL, KDNET_PACKET_ACK, packet->id);
        return;
    }
    if (!m->pending && m->wait == WAIT_NONE)
        return;       /* the machine runs: nothing listens */
    if (m->pending) { /* capture, frame 198: the host went on, so it has our packet */
        acknowledged(m, now_us);
        machine_push(m, OUT_CONTROL, KDNET_PACKET_RESEND, 0);
        return;
    }
    if (packet->id != m->expected_id && !m->config.lenient) {
        machine_push(m, OUT_CONTROL, KDNET_PACKET_ACK, packet->id);
        ++m->counts.host_wrong_ids;
        return;
    }
    m->accepted_any = true;
    m->last_id = packet->id;
    m->expected_id = packet->id + KDNET_PACKET_ID_STEP;
    bool thinks = think_begin(m, packet, now_us);
    if (!thinks || !m->config.think.late_ack)
        machine_push(m, OUT_CONTROL, KDNET_PACKET_ACK, packet->id);
    if (!thinks && packet->type == wanted_type(m))
        requests_do(m, packet, now_us);
}

void link_thought(struct machine *m, const struct kdnet_packet *packet, uint64_t now_us)
{
    if (m->config.think.late_ack)
        machine_push(m, OUT_CONTROL, KDNET_PACKET_ACK, packet->id);
    m->pending = false; /* keeps the state from before: a RESEND caused the state change meanwhile */
    if (packet->type == wanted_type(m))
        requests_do(m, packet, now_us);
}

void link_receive(struct machine *m, const uint8_t *body, size_t length, uint64_t now_us)
{
    struct kdnet_packet packet;
    if (length == 1 && body[0] == KDNET_BREAK_IN_BYTE) {
        m->break_in = true; /* also while halted: the machine breaks in when it goes on [ros] */
        return;
    }
    int error = kdnet_packet_decode(body, length, &packet);
    if (error == KDNET_ERR_CHECKSUM)
        machine_push(m, OUT_CONTROL, KDNET_PACKET_RESEND, 0);
    if (error != KDNET_OK)
        return;
    if (packet.control)
        take_control(m, &packet, now_us);
    else
        take_data(m, &packet, now_us);
}
