/* SPDX-License-Identifier: Apache-2.0 */
/*
 * puppet: a target that does what a test tells it, one datagram at a time, and a session that it talks to. No timers of
 * its own, no loss: for what no well-behaved machine does. The puppet has the wire code only; what the session sends
 * and tells is kept for the test to look at.
 */
#ifndef TESTS_SESSION_PUPPET_H
#define TESTS_SESSION_PUPPET_H

#include "kdnet/wire/debug_io.h"
#include "kdnet/error.h"
#include "kdnet/wire/handshake.h"
#include "kdnet/wire/manipulate.h"
#include "kdnet/wire/packet.h"
#include "kdnet/session.h"
#include "kdnet/wire/state_change.h"
#include "kdnet/base/wire.h"

#include <stdlib.h>
#include <string.h>

#define PUPPET_KEEP   128
#define PUPPET_EVENTS 64

/* A datagram of either side. */
struct puppet_bytes {
    uint8_t payload[KDNET_DATAGRAM_MAX];
    size_t length;
    bool to_sender;
};

/* A KD packet that the session sent. */
struct puppet_packet {
    uint64_t at_us;
    bool control;
    uint16_t type;
    uint32_t id, api;  /* api: the first four bytes of the payload */
    uint8_t start[64]; /* of its payload */
    size_t length;     /* of all of it */
    struct kdnet_manipulate manipulate;
};

struct puppet {
    struct kdnet_crypto *crypto;
    struct kdnet_key key;
    struct kdnet_keys keys;
    struct kdnet_session_shared shared;
    struct kdnet_policy policy;
    struct kdnet_session *session;
    uint64_t now_us;
    uint64_t draws; /* of the session's random bytes */
    bool knows_rva;
    uint8_t version;

    uint8_t random[KDNET_RANDOM_LENGTH];
    uint64_t control_sequence;
    struct kdnet_address connected;
    bool draining;
    bool keyed, deaf;    /* deaf: takes no response */
    bool no_check;       /* sends no connection check after a response */
    bool heeds_solicits; /* an empty control datagram makes it poke at once */
    unsigned other_host; /* times that the session saw another host's work, and the host that it named last */
    struct kdnet_address other;
    bool acks, replies; /* what it does with the session's data packets by itself */
    uint8_t data_key[KDNET_AES_KEY_LENGTH];
    uint64_t data_sequence;
    uint32_t next_id;

    unsigned responses;      /* handshake responses of the session */
    unsigned sent_count;     /* datagrams of the session; the first PUPPET_KEEP are kept */
    unsigned packet_count;   /* of them, the KD packets that open with the puppet's key, kept alike */
    unsigned continue_count; /* Continues, repeated ones too */
    uint64_t continue_us;    /* when the first one came */
    uint32_t continue_status;
    unsigned event_count;

    /* Sees each event while all that it borrows is there; NULL: nobody. */
    void (*told)(const struct kdnet_event *event);

    /* Answers a request: fills the reply in (api, address and count are there) and its data; false: no answer. NULL:
     * only GetVersion is answered. */
    bool (*answer)(struct puppet *p, struct kdnet_manipulate *reply, uint8_t *data);

    /* Takes what the puppet says in the place of its session; NULL: the session does. */
    int (*give)(struct puppet *p, const uint8_t *payload, size_t length);

    /* Large, and not cleared by puppet_reset: what counts is counted above. */
    struct puppet_bytes sent[PUPPET_KEEP];
    struct puppet_packet packet[PUPPET_KEEP];
    struct kdnet_event event[PUPPET_EVENTS];
};

static inline int puppet_random(void *user, uint8_t *out, size_t length)
{
    struct puppet *p = user;
    ++p->draws;
    for (size_t i = 0; i < length; ++i)
        out[i] = (uint8_t)(p->draws * 151 + i * 7 + 1);
    return KDNET_OK;
}

static inline enum kdnet_rva_answer puppet_rva(void *user, const struct kdnet_pdb *pdb, const char *symbol,
                                               uint32_t *rva, enum kdnet_source *source)
{
    const struct puppet *p = user;
    (void)pdb;
    (void)symbol;
    if (!p->knows_rva)
        return KDNET_RVA_NO_SYMBOLS;
    *rva = 0x3010;
    *source = KDNET_SOURCE_RVA;
    return KDNET_RVA_FOUND;
}

static inline void puppet_new_boot(struct puppet *p, uint8_t seed)
{
    for (size_t i = 0; i < sizeof p->random; ++i)
        p->random[i] = (uint8_t)(seed + i * 3);
    p->control_sequence = 1;
    p->connected = (struct kdnet_address){.ip = {[10] = 0xff, [11] = 0xff}};
    p->keyed = false;
    p->next_id = 0;
}

/* A new target and a new session in the same memory. */
static inline void puppet_reset(struct puppet *p)
{
    struct kdnet_crypto *crypto = p->crypto;
    kdnet_session_free(p->session);
    memset(p, 0, offsetof(struct puppet, sent));
    p->crypto = crypto;
    p->now_us = 1000000000;
    p->version = 5;
    p->acks = p->replies = true;
    memset(p->key.bytes, 0x42, sizeof p->key.bytes);
    kdnet_keys_init(&p->keys, &p->key);
    kdnet_policy_init(&p->policy);
    p->shared = (struct kdnet_session_shared){.crypto = p->crypto,
                                              .user = p,
                                              .random = puppet_random,
                                              .find_rva = puppet_rva,
                                              .read_deadline_us = KDNET_READ_DEADLINE_US,
                                              .lost_after_us = KDNET_LOST_AFTER_US,
                                              .dump_for_us = KDNET_DUMP_FOR_US};
    p->session = kdnet_session_new(&p->shared, &p->policy, &p->key);
    puppet_new_boot(p, 1);
}

static inline struct puppet *puppet_new(void)
{
    struct puppet *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    p->crypto = kdnet_crypto_new();
    puppet_reset(p);
    return p;
}

/* For fuzzers: the same puppet, as new each time; it is never freed. */
static inline struct puppet *puppet_again(void)
{
    static struct puppet *p;
    if (p)
        puppet_reset(p);
    else
        p = puppet_new();
    return p;
}

static inline void puppet_free(struct puppet *p)
{
    kdnet_session_free(p->session);
    kdnet_crypto_free(p->crypto);
    free(p);
}

/* --- what the puppet says ----------------------------------------------------------------------------------------- */

static inline void puppet_seal(struct puppet *p, const uint8_t *key, const struct kdnet_datagram *datagram,
                               struct puppet_bytes *out)
{
    if (kdnet_datagram_seal(p->crypto, key, &p->keys.hmac, datagram, out->payload, sizeof out->payload, &out->length) !=
        KDNET_OK)
        abort();
}

/* A poke with the counter, sequence and connection that the puppet has now. */
static inline void puppet_make_poke(struct puppet *p, struct puppet_bytes *out)
{
    uint8_t body[KDNET_POKE_LENGTH];
    struct kdnet_poke poke = {.target = {.ip = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 2}, .port = 50000},
                              .host = {.ip = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}, .port = 50000},
                              .connected = p->connected};
    memcpy(poke.random, p->random, sizeof poke.random);
    kdnet_poke_encode(&poke, body);
    struct kdnet_datagram datagram = {.version = p->version,
                                      .channel = KDNET_CHANNEL_CONTROL,
                                      .sequence = p->control_sequence,
                                      .body = body,
                                      .body_length = sizeof body};
    puppet_seal(p, p->keys.control.bytes, &datagram, out);
}

/* The next poke: counter one up, sequence three up. */
static inline void puppet_next_poke(struct puppet *p, struct puppet_bytes *out)
{
    kdnet_put_le64(p->random, kdnet_get_le64(p->random) + 1);
    p->control_sequence += 3;
    puppet_make_poke(p, out);
}

static inline void puppet_make_body(struct puppet *p, const uint8_t *body, size_t length, struct puppet_bytes *out)
{
    struct kdnet_datagram datagram = {.version = p->version,
                                      .channel = KDNET_CHANNEL_DATA,
                                      .sequence = ++p->data_sequence,
                                      .body = body,
                                      .body_length = length};
    puppet_seal(p, p->data_key, &datagram, out);
}

static inline void puppet_make_packet(struct puppet *p, const struct kdnet_packet *packet, struct puppet_bytes *out)
{
    uint8_t body[KDNET_BODY_MAX];
    size_t length;
    if (kdnet_packet_encode(packet, body, sizeof body, &length) != KDNET_OK)
        abort();
    puppet_make_body(p, body, length, out);
}

static inline void puppet_make_check(struct puppet *p, struct puppet_bytes *out)
{
    static const uint8_t host[4] = {127, 0, 0, 1};
    uint8_t body[KDNET_CHECK_LENGTH];
    kdnet_check_encode(host, body);
    puppet_make_body(p, body, sizeof body, out);
}

/* --- what the session says ---------------------------------------------------------------------------------------- */

static inline void puppet_drain(struct puppet *p);

/* Hands bytes to the session, and takes what it has to say. Returns the session's answer. */
static inline int puppet_give(struct puppet *p, const uint8_t *payload, size_t length)
{
    struct kdnet_received received;
    if (p->give)
        return p->give(p, payload, length);
    int error = kdnet_session_receive(p->session, payload, length, p->now_us, &received);
    p->other_host += received.other_host;
    if (received.other_host)
        p->other = received.other;
    puppet_drain(p);
    return error;
}

static inline int puppet_give_bytes(struct puppet *p, const struct puppet_bytes *bytes)
{
    return puppet_give(p, bytes->payload, bytes->length);
}

static inline int puppet_poke(struct puppet *p)
{
    struct puppet_bytes bytes;
    puppet_next_poke(p, &bytes);
    return puppet_give_bytes(p, &bytes);
}

static inline int puppet_check(struct puppet *p)
{
    struct puppet_bytes bytes;
    puppet_make_check(p, &bytes);
    return puppet_give_bytes(p, &bytes);
}

static inline int puppet_data(struct puppet *p, uint16_t type, const uint8_t *payload, size_t length)
{
    struct puppet_bytes bytes;
    struct kdnet_packet packet = {.type = type, .id = p->next_id, .payload = payload, .payload_length = length};
    p->next_id += KDNET_PACKET_ID_STEP;
    puppet_make_packet(p, &packet, &bytes);
    return puppet_give_bytes(p, &bytes);
}

static inline int puppet_control(struct puppet *p, uint16_t type, uint32_t id)
{
    struct puppet_bytes bytes;
    struct kdnet_packet packet = {.control = true, .type = type, .id = id};
    puppet_make_packet(p, &packet, &bytes);
    return puppet_give_bytes(p, &bytes);
}

/* What every kernel answers to GetVersion: an x64 Windows whose debugger data cannot be had. */
static inline bool puppet_version(struct kdnet_manipulate *reply)
{
    if (reply->api != KDNET_API_GET_VERSION)
        return false;
    reply->u.version = (struct kdnet_version){
        .major = 15, .minor = 20348, .machine = KDNET_MACHINE_X64, .kernel_base = 0xfffff80012340000U};
    return true;
}

/* A kernel that says its version, and lets nothing be read. */
static inline bool puppet_refuse(struct puppet *p, struct kdnet_manipulate *reply, uint8_t *data)
{
    (void)p;
    (void)data;
    if (!puppet_version(reply))
        reply->return_status = 0xc0000001U;
    return true;
}

static inline void puppet_reply(struct puppet *p, const struct kdnet_manipulate *request)
{
    uint8_t data[KDNET_PACKET_PAYLOAD_MAX], payload[KDNET_PACKET_PAYLOAD_MAX];
    size_t length;
    struct kdnet_manipulate reply = *request;
    reply.return_status = 0;
    reply.data = data;
    reply.data_length = 0;
    if (!(p->answer ? p->answer(p, &reply, data) : puppet_version(&reply)))
        return;
    if (kdnet_manipulate_encode(&reply, payload, sizeof payload, &length) != KDNET_OK)
        abort();
    (void)puppet_data(p, KDNET_PACKET_MANIPULATE, payload, length);
}

static inline void puppet_take_packet(struct puppet *p, const struct kdnet_packet *packet)
{
    struct puppet_packet kept = {
        .at_us = p->now_us, .control = packet->control, .type = packet->type, .id = packet->id};
    kept.length = packet->payload_length;
    if (kept.length > 0)
        memcpy(kept.start, packet->payload, kept.length < sizeof kept.start ? kept.length : sizeof kept.start);
    if (packet->payload_length >= 4)
        kept.api = kdnet_get_le32(packet->payload);
    bool request = !packet->control && packet->type == KDNET_PACKET_MANIPULATE &&
                   kdnet_manipulate_decode(packet->payload, packet->payload_length, &kept.manipulate) == KDNET_OK;
    if (p->packet_count < PUPPET_KEEP)
        p->packet[p->packet_count] = kept;
    ++p->packet_count;
    if (request && (kept.api == KDNET_API_CONTINUE || kept.api == KDNET_API_CONTINUE2) && p->continue_count++ == 0) {
        p->continue_us = p->now_us;
        p->continue_status = kept.manipulate.u.go_on.status;
    }
    if (!packet->control && p->acks)
        (void)puppet_control(p, KDNET_PACKET_ACK, packet->id);
    if (packet->control && packet->type == KDNET_PACKET_RESET && p->acks)
        (void)puppet_control(p, KDNET_PACKET_RESET, p->next_id);
    if (request && p->replies)
        puppet_reply(p, &kept.manipulate);
}

static inline void puppet_take(struct puppet *p, const struct puppet_bytes *bytes)
{
    uint8_t plain[KDNET_DATAGRAM_MAX];
    struct kdnet_datagram datagram;
    struct kdnet_packet packet;
    bool control = bytes->payload[5] == KDNET_CHANNEL_CONTROL;
    const uint8_t *key = control ? p->keys.control.bytes : p->data_key;
    if (kdnet_datagram_open(p->crypto, key, &p->keys.hmac, bytes->payload, bytes->length, plain, &datagram) != KDNET_OK)
        return;
    if (control && datagram.body_length == KDNET_RESPONSE_LENGTH)
        ++p->responses;
    if (control && datagram.body_length == KDNET_RESPONSE_LENGTH && !p->deaf) {
        kdnet_data_key(&p->key, datagram.body, p->data_key);
        p->keyed = true;
        p->connected = (struct kdnet_address){.ip = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}, .port = 50000};
        p->data_sequence = 0;
        if (!p->no_check)
            (void)puppet_check(p);
    } else if (control && datagram.body_length == 0 && p->heeds_solicits) {
        (void)puppet_poke(p);
    } else if (!control && kdnet_packet_decode(datagram.body, datagram.body_length, &packet) == KDNET_OK) {
        puppet_take_packet(p, &packet);
    }
}

static inline void puppet_take_events(struct puppet *p)
{
    struct kdnet_event event;
    while (kdnet_session_next_event(p->session, &event)) {
        if (p->event_count < PUPPET_EVENTS)
            p->event[p->event_count] = event;
        ++p->event_count;
        if (p->told)
            p->told(&event);
    }
}

static inline void puppet_drain(struct puppet *p)
{
    struct kdnet_outgoing out;
    if (p->draining)
        return; /* the puppet answers what the loop below has taken; it goes on after that */
    p->draining = true;
    puppet_take_events(p);
    while (kdnet_session_next_datagram(p->session, p->now_us, &out)) {
        struct puppet_bytes bytes = {.length = out.length, .to_sender = out.to_sender};
        memcpy(bytes.payload, out.payload, out.length);
        if (p->sent_count < PUPPET_KEEP)
            p->sent[p->sent_count] = bytes;
        ++p->sent_count;
        puppet_take(p, &bytes);
        puppet_take_events(p);
    }
    p->draining = false;
}

/* Lets time pass; the session acts at each of its deadlines. Pokes come every three seconds when `pokes`. */
static inline void puppet_wait(struct puppet *p, uint64_t us, bool pokes)
{
    uint64_t until_us = p->now_us + us, poke_us = p->now_us + 3000000;
    for (;;) {
        uint64_t next = kdnet_session_deadline(p->session);
        if (pokes && poke_us < next)
            next = poke_us;
        if (next > until_us)
            break;
        if (next > p->now_us)
            p->now_us = next;
        if (pokes && poke_us <= p->now_us) {
            poke_us += 3000000;
            (void)puppet_poke(p);
        }
        kdnet_session_expire(p->session, p->now_us);
        puppet_drain(p);
    }
    p->now_us = until_us;
}

/* Poke, response, connection check. */
static inline void puppet_connect(struct puppet *p)
{
    (void)puppet_poke(p);
}

/* --- halts -------------------------------------------------------------------------------------------------------- */

static inline int puppet_break(struct puppet *p, uint32_t code, uint64_t address)
{
    uint8_t payload[KDNET_STATE_CHANGE_SIZE], report[48];
    size_t length;
    struct kdnet_state_change change = {.new_state = KDNET_STATE_EXCEPTION, .processor_count = 1, .report = report};
    static const uint8_t int3[16] = {0xcc, 0xc3}, nop[16] = {0x90};
    change.program_counter = address;
    change.exception = (struct kdnet_exception){.code = code, .address = address, .first_chance = 1};
    change.report_length = kdnet_machine_report_encode(
        KDNET_MACHINE_X64, 0x400, code == KDNET_EXCEPTION_BREAKPOINT ? int3 : nop, sizeof nop, report);
    if (kdnet_state_change_encode(&change, payload, sizeof payload, &length) != KDNET_OK)
        abort();
    return puppet_data(p, KDNET_PACKET_STATE_CHANGE64, payload, length);
}

static inline int puppet_shutdown(struct puppet *p)
{
    static const uint8_t report[48];
    uint8_t payload[KDNET_STATE_CHANGE_SIZE];
    size_t length;
    struct kdnet_state_change change = {.new_state = KDNET_STATE_LOAD_SYMBOLS, .report = report};
    change.report_length = sizeof report;
    change.load_symbols = (struct kdnet_load_symbols){.unload = true, .base = UINT64_MAX};
    if (kdnet_state_change_encode(&change, payload, sizeof payload, &length) != KDNET_OK)
        abort();
    return puppet_data(p, KDNET_PACKET_STATE_CHANGE64, payload, length);
}

static inline int puppet_print(struct puppet *p, const char *text)
{
    uint8_t payload[KDNET_PACKET_PAYLOAD_MAX];
    size_t length;
    struct kdnet_debug_io io = {.api = KDNET_DEBUG_IO_PRINT, .text = text, .text_length = strlen(text)};
    io.length = (uint32_t)io.text_length;
    if (kdnet_debug_io_encode(&io, payload, sizeof payload, &length) != KDNET_OK)
        abort();
    return puppet_data(p, KDNET_PACKET_DEBUG_IO, payload, length);
}

/* --- what was seen ------------------------------------------------------------------------------------------------ */

static inline const struct kdnet_event *puppet_event(const struct puppet *p, enum kdnet_event_type type, unsigned n)
{
    for (unsigned i = 0; i < p->event_count && i < PUPPET_EVENTS; ++i)
        if (p->event[i].type == type && n-- == 0)
            return &p->event[i];
    return NULL;
}

static inline unsigned puppet_events(const struct puppet *p, enum kdnet_event_type type)
{
    unsigned count = 0;
    while (puppet_event(p, type, count))
        ++count;
    return count;
}

#endif
