/* SPDX-License-Identifier: Apache-2.0 */
#include "service/target/internal.h"

#include <stdlib.h>
#include <string.h>

#define US_PER_MS 1000U

const char *machine_think_name(size_t index)
{
#define THINK_TEXT(name, text) text,
    static const char *const names[] = {MACHINE_THINK_MAP(THINK_TEXT)};
#undef THINK_TEXT
    return index < MACHINE_THINKS ? names[index] : NULL;
}

/* How long the machine takes over its next packet. */
static uint64_t time_to_think(struct machine *m)
{
    uint64_t most = (uint64_t)m->config.think_ms * US_PER_MS;
    uint32_t grown = m->thoughts < MACHINE_GROWTH ? m->thoughts : MACHINE_GROWTH;
    switch (m->config.think) {
    case MACHINE_THINK_CRASH:
        return m->crashed ? most : 0;
    case MACHINE_THINK_GROWING:
        return most * grown / MACHINE_GROWTH;
    case MACHINE_THINK_SHRINKING:
        return most * (MACHINE_GROWTH - grown) / MACHINE_GROWTH;
    case MACHINE_THINK_RANDOM:
        return most > 0 ? machine_draw(m) % (most + 1) : 0;
    case MACHINE_THINK_CONSTANT:
    case MACHINE_THINKS:
        break;
    }
    return most;
}

bool think_begin(struct machine *m, const struct kdnet_packet *packet, uint64_t now_us)
{
    uint64_t time = m->config.think_ms > 0 ? time_to_think(m) : 0;
    ++m->thoughts;
    if (time == 0)
        return false;
    struct thought *thought = &m->thought;
    thought->payload = malloc(packet->payload_length + 1); /* never nothing */
    if (!thought->payload)
        return false;
    if (packet->payload_length > 0)
        memcpy(thought->payload, packet->payload, packet->payload_length);
    thought->length = packet->payload_length;
    thought->type = packet->type;
    thought->id = packet->id;
    thought->done_us = now_us + time;
    return true;
}

bool think_is_frozen(const struct machine *m)
{
    return m->thought.payload && m->config.ack_late;
}

uint64_t think_deadline(const struct machine *m)
{
    return m->thought.payload ? m->thought.done_us : MACHINE_NEVER;
}

/* Does what it thought about, then looks at what came meanwhile, which may make it think again. */
void think_expire(struct machine *m, uint64_t now_us)
{
    uint8_t datagram[KDNET_DATAGRAM_MAX];
    size_t length;
    if (now_us >= think_deadline(m)) {
        struct thought thought = m->thought;
        struct kdnet_packet packet = {
            .type = thought.type, .id = thought.id, .payload = thought.payload, .payload_length = thought.length};
        m->thought.payload = NULL;
        if (m->config.ack_late)
            machine_push(m, OUT_CONTROL, KDNET_PACKET_ACK, thought.id);
        requests_do(m, &packet, now_us);
        free(thought.payload);
    }
    while (!think_is_frozen(m) && path_take(&m->in, now_us, datagram, &length))
        machine_take(m, datagram, length, now_us);
}
