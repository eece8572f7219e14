/* SPDX-License-Identifier: Apache-2.0 */
/* Plays a script made from a capture. */
#include "kdnet/error.h"
#include "kdnet/base/wire.h"
#include "service/kdnet-target/machine_internal.h"
#include "service/kdnet-target/replay_internal.h"

#include <string.h>

#define US_PER_MS 1000U

/* m->step is the item after the one being played. */
static const struct item *playing(const struct machine *m)
{
    return &m->config.replay->items[m->step - 1];
}

void replay_payload(struct machine *m, uint8_t *out, size_t size, uint16_t *type, size_t *length)
{
    const struct item *item = playing(m);
    *type = item->type;
    *length = item->length < size ? item->length : size;
    memcpy(out, item->payload, *length);
}

static void begin_state(struct machine *m, const struct item *item, uint64_t now_us)
{
    struct kdnet_state_change change;
    struct kdnet_control_report report;
    struct halt halt = {.kind = HALT_EXCEPTION};
    if (kdnet_state_change_decode(item->payload, item->length, &change) != KDNET_OK)
        return;
    kdnet_machine_report(m->layout->machine, change.report, change.report_length, &report);
    halt.pc = change.program_counter;
    halt.code = change.exception.code;
    if (change.new_state == KDNET_STATE_LOAD_SYMBOLS)
        halt.kind = kdnet_state_change_is_shutdown(&change) ? HALT_UNLOAD_ALL : HALT_LOAD_SYMBOLS;
    else
        halt.breakpoint = halt.code == KDNET_EXCEPTION_BREAKPOINT &&
                          kdnet_machine_is_breakpoint(m->layout->machine, report.instructions,
                                                      report.instruction_count);
    halt_begin(m, &halt, now_us);
}

static void play(struct machine *m, const struct item *item, uint64_t now_us)
{
    switch (item->kind) {
    case ITEM_PRINT:
        ++m->counts.prints;
        link_send(m, item->type, item->payload, item->length);
        break;
    case ITEM_STATE:
        begin_state(m, item, now_us);
        break;
    case ITEM_FILE:
        halt_question(m, WAIT_FILE, now_us);
        break;
    case ITEM_PROMPT:
        halt_question(m, WAIT_PROMPT, now_us);
        break;
    case ITEM_REPLY:
        break;
    }
}

/* Returns the next item that is not a reply, from `from` on; the count when there is none. */
static size_t next_event(const struct machine_replay *replay, size_t from)
{
    while (from < replay->count && replay->items[from].kind == ITEM_REPLY)
        ++from;
    return from;
}

/* Whether the capture's pause before an item, as cut by the configuration, is still to be kept; sets the alarm then. */
static bool must_pause(struct machine *m, size_t at, uint64_t now_us)
{
    uint64_t longest = (uint64_t)m->config.replay_gap_ms * US_PER_MS;
    uint64_t begin = m->config.start_us + (uint64_t)m->config.delay_ms * US_PER_MS;
    if (m->step == 0) {
        if (m->keyed && now_us < begin)
            m->wake_us = begin;
        return !m->keyed || now_us < begin;
    }
    uint64_t before = playing(m)->time_us, time = m->config.replay->items[at].time_us;
    uint64_t gap = time > before ? time - before : 0;
    if (gap > longest)
        gap = longest;
    if (gap == 0 || m->replay_paused == at)
        return false;
    m->replay_paused = at;
    m->wake_us = now_us + gap;
    return true;
}

bool replay_run_step(struct machine *m, uint64_t now_us)
{
    const struct machine_replay *replay = m->config.replay;
    size_t at = next_event(replay, m->step);
    if (at == replay->count) {
        m->ended = true;
        return false;
    }
    if (must_pause(m, at, now_us))
        return false;
    m->step = at + 1;
    m->replay_cursor = at;
    m->replay_window_end = next_event(replay, at + 1);
    play(m, &replay->items[at], now_us);
    return true;
}

static const struct item *find_reply(struct machine *m, uint32_t api)
{
    const struct item *items = m->config.replay->items;
    for (size_t i = m->replay_cursor + 1; i < m->replay_window_end; ++i)
        if (items[i].kind == ITEM_REPLY && items[i].api == api) {
            m->replay_cursor = i;
            return &items[i];
        }
    for (size_t i = m->replay_window_end; i-- > 0;)
        if (items[i].kind == ITEM_REPLY && items[i].api == api)
            return &items[i];
    return NULL;
}

void replay_answer(struct machine *m, const struct kdnet_manipulate *request)
{
    uint8_t payload[KDNET_PACKET_PAYLOAD_MAX];
    const struct item *item = find_reply(m, request->api);
    if (!item) {
        struct kdnet_manipulate refusal = *request;
        requests_refuse(m, &refusal);
        return;
    }
    memcpy(payload, item->payload, item->length);
    /* a context of an earlier halt would move the program counter when the host sets it back */
    if (request->api == KDNET_API_GET_CONTEXT && item->length >= KDNET_MANIPULATE_SIZE + m->layout->context_size)
        kdnet_machine_set_pc(m->layout, payload + KDNET_MANIPULATE_SIZE, m->halt.pc);
    link_send(m, KDNET_PACKET_MANIPULATE, payload, item->length);
}

/* Returns how many bytes of a ReadVirtualMemory reply follow an address; 0 when the address is outside. */
static size_t covered(const struct item *item, uint64_t address, const uint8_t **bytes)
{
    if (item->kind != ITEM_REPLY || item->api != KDNET_API_READ_VIRTUAL_MEMORY)
        return 0;
    uint64_t start = kdnet_get_le64(item->payload + 16);
    size_t length = item->length - KDNET_MANIPULATE_SIZE;
    if (kdnet_get_le32(item->payload + 8) != 0 || address - start >= length)
        return 0;
    *bytes = item->payload + KDNET_MANIPULATE_SIZE + (size_t)(address - start);
    return length - (size_t)(address - start);
}

static size_t find_memory(const struct machine_replay *replay, size_t before, uint64_t address, const uint8_t **bytes)
{
    size_t length = 0;
    for (size_t i = before; i-- > 0 && length == 0;)
        length = covered(&replay->items[i], address, bytes);
    for (size_t i = before; i < replay->count && length == 0; ++i)
        length = covered(&replay->items[i], address, bytes);
    return length;
}

size_t replay_memory(const struct machine_replay *replay, size_t before, uint64_t address, uint8_t *out, size_t length)
{
    size_t done = 0;
    while (done < length) {
        const uint8_t *bytes = NULL;
        size_t count = find_memory(replay, before, address + done, &bytes);
        if (count == 0)
            break;
        if (count > length - done)
            count = length - done;
        memcpy(out + done, bytes, count);
        done += count;
    }
    return done;
}
