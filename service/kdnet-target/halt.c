/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/error.h"
#include "kdnet/base/wire.h"
#include "service/kdnet-target/machine_internal.h"

#include <string.h>

#define PAYLOAD_SIZE    KDNET_PACKET_PAYLOAD_MAX
#define STREAM_SIZE     16
#define PROCESSOR_LEVEL 6
#define PROCESSORS      4
#define THREAD          0xffffe00012345080U
#define BUSY_DR7        0x400       /* Dr7 without breakpoints [cap] */
#define STATUS_INNER    0xc000001dU /* an illegal instruction */
#define INNER_FAULT     0x1678U
#define FAULT_ADDRESS   0x18U /* address that the driver of an access violation touched */

static void fill_exception(const struct machine *m, struct kdnet_exception *out)
{
    out->code = m->halt.code;
    out->address = m->halt.pc;
    out->first_chance = 1;
    out->parameter_count = 1;
    if (m->halt.code == STATUS_INNER || m->halt.code == STATUS_FAULT) {
        out->parameter_count = 2; /* a read, of this address */
        out->parameters[1] = FAULT_ADDRESS;
    }
}

static void fill_load_symbols(const struct machine *m, struct kdnet_load_symbols *out)
{
    out->unload = m->halt.kind == HALT_UNLOAD_ALL;
    out->base = out->unload ? UINT64_MAX : m->halt.base;
    out->process_id = out->unload ? 0 : UINT64_MAX;
    out->image_size = m->halt.image_size;
    out->path_length = m->halt.path ? (uint32_t)strlen(m->halt.path) + 1 : 0;
}

/* A name, and an empty command: both end with a NUL. */
static size_t append_command(const struct machine *m, uint8_t *out)
{
    size_t name = strlen(m->halt.path) + 1;
    memcpy(out, m->halt.path, name);
    out[name] = '\0';
    return name + 1;
}

/* Writes Dr6 and the segments into a report, behind the bytes of the instruction stream. */
static void fill_report(const struct machine *m, uint8_t *report)
{
    bool wide = m->layout->machine == KDNET_MACHINE_X64;
    uint16_t segment = wide ? (m->halt.user ? 0x33 : 0x10) : (m->halt.user ? 0x1b : 0x08);
    if (m->layout->machine == KDNET_MACHINE_ARM64)
        return;
    kdnet_put_le32(report, (uint32_t)m->halt.dr6);
    kdnet_put_le16(report + (wide ? 22 : 10), 3); /* the segments are included, and the code segment is the usual one */
    kdnet_put_le16(report + (wide ? 40 : 28), segment);
}

/* The payload of a state change, from m->halt. */
static size_t make_state_change(struct machine *m, uint8_t *out, size_t size)
{
    uint8_t report[48 + 256], stream[STREAM_SIZE];
    struct kdnet_state_change change = {
        .processor_level = PROCESSOR_LEVEL,
        .processor = m->halt.processor,
        .processor_count = PROCESSORS,
        .thread = kdnet_machine_address(m->layout->machine, THREAD),
        .program_counter = m->halt.pc,
        .report = report,
    };
    size_t count = memory_read(m, m->halt.pc, stream, sizeof stream);
    change.report_length = kdnet_machine_report_encode(m->layout->machine, m->halt.dr7, stream, count, report);
    fill_report(m, report);
    if (m->halt.kind == HALT_EXCEPTION) {
        change.new_state = KDNET_STATE_EXCEPTION;
        fill_exception(m, &change.exception);
    } else if (m->halt.kind == HALT_COMMAND) {
        change.new_state = KDNET_STATE_COMMAND_STRING;
        change.report_length += append_command(m, report + change.report_length);
    } else {
        change.new_state = KDNET_STATE_LOAD_SYMBOLS;
        fill_load_symbols(m, &change.load_symbols);
        size_t path = change.load_symbols.path_length;
        if (path > sizeof report - change.report_length)
            path = 0;
        if (path > 0)
            memcpy(report + change.report_length, m->halt.path, path);
        change.report_length += path;
    }
    size_t length = 0;
    return kdnet_state_change_encode(&change, out, size, &length) == KDNET_OK ? length : 0;
}

void halt_send(struct machine *m)
{
    uint8_t payload[PAYLOAD_SIZE];
    uint16_t type = KDNET_PACKET_STATE_CHANGE64;
    size_t length = 0;
    if (m->config.replay)
        replay_payload(m, payload, sizeof payload, &type, &length);
    else if (m->wait == WAIT_CONTINUE)
        length = make_state_change(m, payload, sizeof payload);
    else
        scenario_payload(m, payload, sizeof payload, &type, &length);
    link_send(m, type, payload, length);
}

static void stand_still(struct machine *m, enum wait wait, uint64_t now_us)
{
    m->wait = wait;
    m->counts.halted_since_us = now_us;
    halt_send(m);
}

void halt_begin(struct machine *m, const struct halt *halt, uint64_t now_us)
{
    m->halt = *halt;
    if (m->halt.dr7 == 0)
        m->halt.dr7 = BUSY_DR7;
    m->halt.processor = m->processor;
    m->processor = (uint16_t)((m->processor + 1U) % PROCESSORS);
    m->context_set = false;
    if (halt->kind == HALT_LOAD_SYMBOLS)
        ++m->counts.load_symbols;
    else
        ++m->counts.breaks;
    stand_still(m, WAIT_CONTINUE, now_us);
}

void halt_question(struct machine *m, enum wait wait, uint64_t now_us)
{
    ++m->counts.questions;
    stand_still(m, wait, now_us);
}

void halt_nest(struct machine *m, uint64_t now_us)
{
    struct halt inner = {
        .kind = HALT_EXCEPTION,
        .code = STATUS_INNER,
        .pc = m->driver_base + INNER_FAULT,
    };
    uint64_t since_us = m->counts.halted_since_us;
    m->nested = true;
    m->outer = m->halt;
    m->processor = m->halt.processor;
    halt_begin(m, &inner, now_us);
    m->counts.halted_since_us = since_us;
}

/* Returns to the outer break silently: its state change was sent and acknowledged before, and never continued. */
static void go_back(struct machine *m)
{
    m->nested = false;
    m->halt = m->outer;
    m->context_set = false;
}

void halt_end(struct machine *m, uint64_t now_us)
{
    if (m->nested) {
        go_back(m);
        return;
    }
    uint64_t halt = now_us - m->counts.halted_since_us;
    m->wait = WAIT_NONE;
    m->counts.halted_us += halt;
    if (halt > m->counts.longest_halt_us)
        m->counts.longest_halt_us = halt;
}

void halt_break_with_status(struct machine *m, uint32_t status, uint64_t now_us)
{
    struct halt halt = {
        .kind = HALT_EXCEPTION,
        .code = KDNET_EXCEPTION_BREAKPOINT,
        .pc = memory_address(m, MACHINE_RVA_BREAKPOINT),
        .argument = status,
        .breakpoint = true,
        .spins = status == BREAK_STATUS_LAST,
    };
    halt_begin(m, &halt, now_us);
}
