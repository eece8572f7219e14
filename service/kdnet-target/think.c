/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A machine that needs time between a packet of the host and its effect. A real one handles nothing meanwhile, and
 * packets wait on its network card; an alert one keeps listening.
 */
#include "kdnet/base/wire.h"
#include "service/kdnet-target/machine_internal.h"

#include <stdlib.h>
#include <string.h>

#define US_PER_MS 1000U

/* A packet being thought about. */
struct thought {
    struct thought *next;
    uint64_t until_us;
    struct kdnet_packet packet;
    uint8_t payload[];
};

const char *machine_think_name(size_t index)
{
#define THINK_TEXT(name, text) text,
    static const char *const names[] = {MACHINE_THINK_MAP(THINK_TEXT)};
#undef THINK_TEXT
    return index < MACHINE_THINK_CHANGES ? names[index] : NULL;
}

static uint64_t next_time(struct machine *m)
{
    const struct machine_think *think = &m->config.think;
    uint64_t us = (uint64_t)think->ms * US_PER_MS;
    unsigned n = m->thoughts < MACHINE_THINK_STEPS ? ++m->thoughts : MACHINE_THINK_STEPS;
    switch (think->change) {
    case MACHINE_THINK_AT_CRASH:
        return m->crashed ? us : 0;
    case MACHINE_THINK_GROWING:
        return us * n / MACHINE_THINK_STEPS;
    case MACHINE_THINK_SHRINKING:
        return us * (MACHINE_THINK_STEPS - n) / MACHINE_THINK_STEPS;
    case MACHINE_THINK_RANDOM:
        return machine_draw(m) % (us + 1);
    case MACHINE_THINK_CONSTANT:
    case MACHINE_THINK_CHANGES:
        break;
    }
    return us;
}

/* A packet without a reply ends with its ACK: an alert machine goes on at once. */
static bool has_reply(const struct kdnet_packet *packet)
{
    uint32_t api = packet->payload_length >= sizeof api ? kdnet_get_le32(packet->payload) : 0;
    return packet->type == KDNET_PACKET_MANIPULATE && api != KDNET_API_CONTINUE && api != KDNET_API_CONTINUE2 &&
           api != KDNET_API_REBOOT;
}

bool think_is_busy(const struct machine *m)
{
    return m->thought && !m->config.think.alert;
}

uint64_t think_deadline(const struct machine *m)
{
    return m->thought ? m->thought->until_us : MACHINE_NEVER;
}

bool think_begin(struct machine *m, const struct kdnet_packet *packet, uint64_t now_us)
{
    bool takes = m->config.think.ms > 0 && !(m->config.think.alert && !m->config.think.late_ack && !has_reply(packet));
    uint64_t us = takes ? next_time(m) : 0;
    struct thought **place = &m->thought;
    struct thought *last = us > 0 ? malloc(sizeof *last + packet->payload_length) : NULL;
    if (!last)
        return false;
    while (*place && (*place)->until_us <= now_us + us)
        place = &(*place)->next;
    *last = (struct thought){.next = *place, .until_us = now_us + us, .packet = *packet};
    if (packet->payload_length > 0)
        memcpy(last->payload, packet->payload, packet->payload_length);
    last->packet.payload = last->payload;
    *place = last;
    return true;
}

static bool is_before(uint32_t id, uint32_t other)
{
    return (int32_t)(id - other) < 0;
}

/* Packets behind the one by which the machine goes on, if unacknowledged, were never handled: later packets with
 * their ids are new. */
static void forget(struct machine *m, uint32_t done_id)
{
    while (m->thought) {
        struct thought *next = m->thought->next;
        uint32_t id = m->thought->packet.id;
        if (m->config.think.late_ack && is_before(done_id, id) && is_before(id, m->expected_id)) {
            m->expected_id = id;
            m->accepted_any = false;
        }
        free(m->thought);
        m->thought = next;
    }
}

void think_expire(struct machine *m, uint64_t now_us)
{
    struct thought *first = m->thought;
    if (!first || now_us < first->until_us)
        return;
    m->thought = first->next;
    uint32_t continues = m->counts.continues;
    link_thought(m, &first->packet, now_us);
    uint32_t done_id = first->packet.id;
    free(first);
    if (m->wait == WAIT_NONE || m->counts.continues != continues)
        forget(m, done_id); /* the machine goes on: nobody waits for the rest, also when it breaks in again at once */
}

void think_free(struct machine *m)
{
    forget(m, m->expected_id);
}
