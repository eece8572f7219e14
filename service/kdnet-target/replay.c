/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a script of a capture's records. */
#include "service/kdnet-target/replay.h"
#include "kdnet/error.h"
#include "kdnet/base/wire.h"
#include "kdnet/wire/debug_io.h"
#include "kdnet/wire/manipulate.h"
#include "kdnet/wire/packet.h"
#include "kdnet/wire/state_change.h"
#include "service/kdnet-target/replay_internal.h"

#include <stdlib.h>
#include <string.h>

static bool is_halting(enum item_kind kind)
{
    return kind == ITEM_STATE || kind == ITEM_FILE || kind == ITEM_PROMPT;
}

/* Classifies a packet. False: not replayed (trace I/O, polls, …). */
static bool classify(const struct kdnet_packet *packet, struct item *out)
{
    if (packet->payload_length < 4)
        return false;
    out->type = packet->type;
    out->api = kdnet_get_le32(packet->payload);
    switch (packet->type) {
    case KDNET_PACKET_DEBUG_IO:
        out->kind = out->api == KDNET_DEBUG_IO_GET_STRING ? ITEM_PROMPT : ITEM_PRINT;
        return true;
    case KDNET_PACKET_STATE_CHANGE64:
        out->kind = ITEM_STATE;
        return packet->payload_length >= KDNET_STATE_CHANGE_FIXED;
    case KDNET_PACKET_FILE_IO:
        out->kind = ITEM_FILE;
        return true;
    case KDNET_PACKET_MANIPULATE:
        out->kind = ITEM_REPLY;
        return packet->payload_length >= KDNET_MANIPULATE_SIZE;
    default:
        return false;
    }
}

static bool add_item(struct machine_replay *replay, const struct item *item, const struct kdnet_packet *packet)
{
    uint8_t *copy = malloc(packet->payload_length);
    if (!copy)
        return false;
    memcpy(copy, packet->payload, packet->payload_length);
    replay->items[replay->count] = *item;
    replay->items[replay->count].payload = copy;
    replay->items[replay->count].length = packet->payload_length;
    ++replay->count;
    return true;
}

struct maker {
    bool any;
    uint32_t last_id;        /* of the target's last data packet */
    const struct item *halt; /* the last state change or question */
    bool went_on;            /* the host has sent a packet that lets the target go on */
};

static bool same_payload(const struct item *item, const struct kdnet_packet *packet)
{
    return item->length == packet->payload_length && memcmp(item->payload, packet->payload, item->length) == 0;
}

/* Whether a packet is a retransmission, or a repeat as a new packet after a RESEND. */
static bool is_repeat(const struct machine_replay *replay, const struct maker *maker, const struct kdnet_packet *packet)
{
    if (maker->any && packet->id == maker->last_id && replay->count > 0 &&
        same_payload(&replay->items[replay->count - 1], packet))
        return true;
    return maker->halt && !maker->went_on && packet->type != KDNET_PACKET_MANIPULATE &&
           same_payload(maker->halt, packet);
}

static void note_host(struct maker *maker, const struct kdnet_packet *packet)
{
    uint32_t api = packet->payload_length >= 4 ? kdnet_get_le32(packet->payload) : 0;
    if (packet->control)
        return;
    if (packet->type != KDNET_PACKET_MANIPULATE || api == KDNET_API_CONTINUE || api == KDNET_API_CONTINUE2)
        maker->went_on = true;
}

static bool add_record(struct machine_replay *replay, struct maker *maker, const struct replay_record *record)
{
    struct kdnet_packet packet;
    struct item item = {.time_us = record->time_us};
    if (kdnet_packet_decode(record->body, record->length, &packet) != KDNET_OK)
        return true;
    if (record->from_host) {
        note_host(maker, &packet);
        return true;
    }
    if (packet.control || is_repeat(replay, maker, &packet) || !classify(&packet, &item))
        return true;
    maker->any = true;
    maker->last_id = packet.id;
    if (!add_item(replay, &item, &packet))
        return false;
    if (is_halting(item.kind)) {
        maker->halt = &replay->items[replay->count - 1];
        maker->went_on = false;
    }
    return true;
}

static void summarise_state(const struct item *item, struct replay_summary *out)
{
    struct kdnet_state_change change;
    if (kdnet_state_change_decode(item->payload, item->length, &change) != KDNET_OK)
        return;
    if (change.new_state != KDNET_STATE_LOAD_SYMBOLS)
        ++out->exceptions;
    else if (kdnet_state_change_is_shutdown(&change))
        ++out->unload_all;
    else
        ++out->load_symbols;
}

static void summarise_reply(const struct item *item, struct replay_summary *out)
{
    struct kdnet_manipulate reply;
    ++out->replies;
    if (kdnet_manipulate_decode(item->payload, item->length, &reply) != KDNET_OK)
        return;
    if (reply.api == KDNET_API_GET_VERSION && kdnet_machine_layout((enum kdnet_machine)reply.u.version.machine))
        out->machine = (enum kdnet_machine)reply.u.version.machine;
}

static void summarise(struct machine_replay *replay)
{
    struct replay_summary *out = &replay->summary;
    out->machine = KDNET_MACHINE_X64;
    for (size_t i = 0; i < replay->count; ++i) {
        const struct item *item = &replay->items[i];
        out->prints += item->kind == ITEM_PRINT;
        out->file_questions += item->kind == ITEM_FILE;
        out->prompts += item->kind == ITEM_PROMPT;
        if (item->kind == ITEM_STATE)
            summarise_state(item, out);
        else if (item->kind == ITEM_REPLY)
            summarise_reply(item, out);
    }
}

struct machine_replay *machine_replay_new(const struct replay_record *records, size_t count)
{
    struct machine_replay *replay = calloc(1, sizeof *replay);
    struct maker maker = {0};
    if (!replay)
        return NULL;
    replay->items = calloc(count + 1, sizeof *replay->items);
    bool good = replay->items != NULL;
    for (size_t i = 0; good && i < count; ++i)
        good = add_record(replay, &maker, &records[i]);
    if (!good) {
        machine_replay_free(replay);
        return NULL;
    }
    replay->summary.version = count > 0 ? records[0].version : 0;
    summarise(replay);
    return replay;
}

void machine_replay_free(struct machine_replay *replay)
{
    if (!replay)
        return;
    for (size_t i = 0; i < replay->count; ++i)
        free(replay->items[i].payload);
    free(replay->items);
    free(replay);
}

void machine_replay_summary(const struct machine_replay *replay, struct replay_summary *out)
{
    *out = replay->summary;
}
