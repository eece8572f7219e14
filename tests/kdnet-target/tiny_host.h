/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tiny_host: just enough of a debugger to exercise a simulated machine: no timers, no loss, one machine. Independent of
 * kdnet's session on purpose.
 */
#ifndef TESTS_TARGET_TINY_HOST_H
#define TESTS_TARGET_TINY_HOST_H

#include "kdnet/crypto/crypto.h"
#include "kdnet/wire/datagram.h"
#include "kdnet/wire/debug_io.h"
#include "kdnet/error.h"
#include "kdnet/wire/file_io.h"
#include "kdnet/wire/handshake.h"
#include "kdnet/wire/manipulate.h"
#include "kdnet/wire/packet.h"
#include "kdnet/wire/state_change.h"
#include "kdnet/base/wire.h"
#include "service/kdnet-target/machine.h"

#include <stdlib.h>
#include <string.h>

#define TINY_KEEP 64

struct tiny_packet {
    struct kdnet_packet packet;
    uint8_t body[KDNET_BODY_MAX];
};

struct tiny_host {
    struct kdnet_crypto *crypto;
    struct kdnet_key key;
    struct kdnet_keys keys;
    uint8_t version;
    uint64_t now_us;
    bool keyed, deaf, no_ack, no_response;
    bool programs; /* what breaks at a low address is one, and no boot loader */
    uint8_t data_key[KDNET_AES_KEY_LENGTH];
    uint64_t sequence, poke_sequence;
    uint32_t next_id;
    struct kdnet_poke poke; /* the last one */
    uint32_t pokes, checks, datagrams;
    uint8_t random;
    uint8_t known_random[KDNET_RANDOM_LENGTH]; /* of the machine's present boot */
    struct tiny_packet data;                   /* last data packet of the machine */
    uint16_t processor;                        /* that broke in */
    bool fresh;                                /* it was not looked at yet */
    struct kdnet_packet controls[TINY_KEEP];
    size_t control_count;
    char text[4096]; /* all prints */
};

static inline void tiny_init(struct tiny_host *h, const char *key, uint8_t version)
{
    memset(h, 0, sizeof *h);
    h->crypto = kdnet_crypto_new();
    h->version = version;
    h->next_id = KDNET_PACKET_FIRST_ID;
    if (!h->crypto || kdnet_key_parse(key, strlen(key), &h->key, NULL, NULL) != KDNET_OK)
        abort();
    kdnet_keys_init(&h->keys, &h->key);
}

static inline void tiny_clear(struct tiny_host *h)
{
    kdnet_crypto_free(h->crypto);
}

static inline void tiny_pump(struct tiny_host *h, struct machine *m);

static inline void tiny_send_raw(struct tiny_host *h, struct machine *m, uint8_t channel, uint64_t sequence,
                                 const uint8_t *body, size_t length)
{
    uint8_t out[KDNET_DATAGRAM_MAX];
    size_t out_length;
    struct kdnet_datagram d = {.version = h->version, .channel = channel, .from_host = true, .sequence = sequence};
    d.body = body;
    d.body_length = length;
    const uint8_t *key = channel == KDNET_CHANNEL_DATA ? h->data_key : h->keys.control.bytes;
    if (kdnet_datagram_seal(h->crypto, key, &h->keys.hmac, &d, out, sizeof out, &out_length) != KDNET_OK)
        abort();
    machine_receive(m, out, out_length, h->now_us);
}

static inline void tiny_send(struct tiny_host *h, struct machine *m, bool control, uint16_t type, uint32_t id,
                             const uint8_t *payload, size_t length)
{
    uint8_t body[KDNET_BODY_MAX];
    size_t body_length;
    struct kdnet_packet p = {.control = control, .type = type, .id = id, .payload = payload, .payload_length = length};
    if (kdnet_packet_encode(&p, body, sizeof body, &body_length) != KDNET_OK)
        abort();
    tiny_send_raw(h, m, KDNET_CHANNEL_DATA, ++h->sequence, body, body_length);
}

static inline void tiny_respond(struct tiny_host *h, struct machine *m)
{
    struct kdnet_response response;
    uint8_t body[KDNET_RESPONSE_LENGTH];
    if (memcmp(h->known_random + 1, h->poke.random + 1, KDNET_RANDOM_LENGTH - 1) != 0)
        h->next_id = KDNET_PACKET_FIRST_ID;
    memcpy(h->known_random, h->poke.random, sizeof h->known_random);
    memcpy(response.target_random, h->poke.random, sizeof response.target_random);
    memset(response.host_random, ++h->random, sizeof response.host_random);
    kdnet_response_encode(&response, body);
    kdnet_data_key(&h->key, body, h->data_key);
    h->keyed = true;
    h->sequence = 0;
    tiny_send_raw(h, m, KDNET_CHANNEL_CONTROL, h->poke_sequence, body, sizeof body);
}

static inline void tiny_take_packet(struct tiny_host *h, struct machine *m, const struct kdnet_packet *packet,
                                    const uint8_t *body, size_t length)
{
    struct kdnet_debug_io io;
    if (packet->control) {
        if (h->control_count < TINY_KEEP)
            h->controls[h->control_count++] = *packet;
        return;
    }
    memcpy(h->data.body, body, length);
    if (kdnet_packet_decode(h->data.body, length, &h->data.packet) != KDNET_OK)
        abort();
    h->fresh = true;
    if (packet->type == KDNET_PACKET_STATE_CHANGE64)
        h->processor = kdnet_get_le16(packet->payload + 6);
    if (packet->type == KDNET_PACKET_DEBUG_IO &&
        kdnet_debug_io_decode(packet->payload, packet->payload_length, &io) == KDNET_OK &&
        strlen(h->text) + io.text_length < sizeof h->text)
        strncat(h->text, io.text, io.text_length);
    if (!h->no_ack)
        tiny_send(h, m, true, KDNET_PACKET_ACK, packet->id, NULL, 0);
}

static inline void tiny_take(struct tiny_host *h, struct machine *m, const uint8_t *payload, size_t length)
{
    uint8_t plain[KDNET_DATAGRAM_MAX], version, channel, address[4];
    struct kdnet_datagram d;
    struct kdnet_packet packet;
    if (kdnet_datagram_peek(payload, length, &version, &channel) != KDNET_OK)
        abort();
    const uint8_t *key = channel == KDNET_CHANNEL_DATA ? h->data_key : h->keys.control.bytes;
    if (kdnet_datagram_open(h->crypto, key, &h->keys.hmac, payload, length, plain, &d) != KDNET_OK)
        abort();
    if (channel == KDNET_CHANNEL_CONTROL) {
        if (kdnet_poke_decode(d.body, d.body_length, &h->poke) != KDNET_OK)
            abort();
        ++h->pokes;
        h->poke_sequence = d.sequence;
        if (!h->no_response && (!h->keyed || kdnet_address_is_none(&h->poke.connected)))
            tiny_respond(h, m);
    } else if (kdnet_check_decode(d.body, d.body_length, address) == KDNET_OK) {
        ++h->checks;
    } else if (kdnet_packet_decode(d.body, d.body_length, &packet) == KDNET_OK) {
        tiny_take_packet(h, m, &packet, d.body, d.body_length);
    }
}

/* Takes all that the machine has to send now, and answers it. */
static inline void tiny_pump(struct tiny_host *h, struct machine *m)
{
    uint8_t out[KDNET_DATAGRAM_MAX];
    size_t length;
    while (machine_next_datagram(m, h->now_us, out, sizeof out, &length)) {
        ++h->datagrams;
        if (!h->deaf)
            tiny_take(h, m, out, length);
    }
}

/* Lets time pass, the machine's deadlines included. */
static inline void tiny_wait(struct tiny_host *h, struct machine *m, uint64_t us)
{
    uint64_t end = h->now_us + us;
    while (machine_deadline(m) <= end) {
        if (machine_deadline(m) > h->now_us)
            h->now_us = machine_deadline(m);
        machine_expire(m, h->now_us);
        tiny_pump(h, m);
    }
    h->now_us = end;
}

/* Sends a data packet with the next id; the machine's answer, if any, is in h->data. */
static inline void tiny_data(struct tiny_host *h, struct machine *m, uint16_t type, const uint8_t *payload,
                             size_t length)
{
    h->fresh = false;
    tiny_send(h, m, false, type, h->next_id, payload, length);
    h->next_id += KDNET_PACKET_ID_STEP;
    tiny_pump(h, m);
}

/* Sends a request; false when no reply came. */
static inline bool tiny_ask(struct tiny_host *h, struct machine *m, const struct kdnet_manipulate *request,
                            struct kdnet_manipulate *reply)
{
    uint8_t payload[KDNET_PACKET_PAYLOAD_MAX];
    size_t length;
    if (kdnet_manipulate_encode(request, payload, sizeof payload, &length) != KDNET_OK)
        abort();
    kdnet_put_le16(payload + 6, h->processor);
    tiny_data(h, m, KDNET_PACKET_MANIPULATE, payload, length);
    return h->fresh && h->data.packet.type == KDNET_PACKET_MANIPULATE &&
           kdnet_manipulate_decode(h->data.packet.payload, h->data.packet.payload_length, reply) == KDNET_OK;
}

static inline void tiny_continue(struct tiny_host *h, struct machine *m, uint32_t status)
{
    struct kdnet_manipulate request = {.api = KDNET_API_CONTINUE, .u.go_on.status = status}, reply;
    tiny_ask(h, m, &request, &reply);
}

/* Reads memory; returns how many bytes came. */
static inline size_t tiny_read(struct tiny_host *h, struct machine *m, uint64_t address, uint8_t *out, uint32_t count)
{
    struct kdnet_manipulate request = {.api = KDNET_API_READ_VIRTUAL_MEMORY}, reply;
    request.u.memory.address = address;
    request.u.memory.count = count;
    if (!tiny_ask(h, m, &request, &reply) || reply.return_status != 0)
        return 0;
    memcpy(out, reply.data, reply.data_length);
    return reply.u.memory.actual == reply.data_length ? reply.data_length : 0;
}

/* Moves the program counter, as one does to step over a breakpoint. */
static inline void tiny_move_pc(struct tiny_host *h, struct machine *m, const struct kdnet_machine_layout *layout,
                                uint64_t pc)
{
    struct kdnet_manipulate request = {.api = KDNET_API_GET_CONTEXT}, reply;
    uint8_t context[KDNET_CONTEXT_MAX];
    if (!tiny_ask(h, m, &request, &reply) || reply.data_length != layout->context_size)
        abort();
    memcpy(context, reply.data, reply.data_length);
    kdnet_machine_set_pc(layout, context, pc);
    request = (struct kdnet_manipulate){.api = KDNET_API_SET_CONTEXT, .data = context};
    request.data_length = layout->context_size;
    request.u.set_context.flags = layout->context_all;
    if (!tiny_ask(h, m, &request, &reply) || reply.return_status != 0)
        abort();
}

static inline void tiny_continue2(struct tiny_host *h, struct machine *m, const struct kdnet_machine_layout *layout,
                                  uint32_t status, uint64_t dr7)
{
    struct kdnet_manipulate request, reply;
    kdnet_manipulate_continue(&request, layout->machine, status, dr7);
    tiny_ask(h, m, &request, &reply);
}

/* Ends a single step that a former debugger left. */
static inline void tiny_end_step(struct tiny_host *h, struct machine *m, const struct kdnet_machine_layout *layout)
{
    struct kdnet_manipulate request = {.api = KDNET_API_GET_CONTEXT}, reply;
    uint8_t context[KDNET_CONTEXT_MAX];
    if (!tiny_ask(h, m, &request, &reply) || reply.data_length != layout->context_size)
        abort();
    memcpy(context, reply.data, reply.data_length);
    request = (struct kdnet_manipulate){.api = KDNET_API_SET_CONTEXT, .data = context};
    request.data_length = layout->context_size;
    if (kdnet_machine_stop_tracing(layout, context) && !tiny_ask(h, m, &request, &reply))
        abort();
    tiny_continue2(h, m, layout, KDNET_DBG_EXCEPTION_HANDLED, 0);
}

/* Does the right thing with a state change, or question, that the machine stands still for. */
static inline void tiny_release(struct tiny_host *h, struct machine *m, const struct kdnet_machine_layout *layout)
{
    struct kdnet_packet *packet = &h->data.packet;
    uint8_t payload[KDNET_PACKET_PAYLOAD_MAX];
    if (packet->type == KDNET_PACKET_FILE_IO) {
        memcpy(payload, packet->payload, KDNET_FILE_IO_SIZE);
        kdnet_put_le32(payload + 4, KDNET_STATUS_NO_SUCH_FILE);
        tiny_data(h, m, KDNET_PACKET_FILE_IO, payload, KDNET_FILE_IO_SIZE);
    } else if (packet->type == KDNET_PACKET_DEBUG_IO) {
        struct kdnet_debug_io io = {.api = KDNET_DEBUG_IO_GET_STRING, .read_length = 2, .text = "i", .text_length = 2};
        size_t length;
        if (kdnet_debug_io_encode(&io, payload, sizeof payload, &length) != KDNET_OK)
            abort();
        tiny_data(h, m, KDNET_PACKET_DEBUG_IO, payload, length);
    } else {
        struct kdnet_state_change change;
        if (kdnet_state_change_decode(packet->payload, packet->payload_length, &change) != KDNET_OK)
            abort();
        bool exception = change.new_state == KDNET_STATE_EXCEPTION;
        bool user = exception && h->programs && kdnet_machine_is_user_address(layout->machine, change.program_counter);
        bool breakpoint = exception && !user && change.exception.code == KDNET_EXCEPTION_BREAKPOINT;
        if (breakpoint)
            tiny_move_pc(h, m, layout, change.program_counter + layout->break_length);
        if (exception && !user && change.exception.code == KDNET_EXCEPTION_SINGLE_STEP)
            tiny_end_step(h, m, layout);
        else
            tiny_continue(h, m, exception && !breakpoint ? KDNET_DBG_EXCEPTION_NOT_HANDLED : KDNET_DBG_CONTINUE);
    }
}

#endif
