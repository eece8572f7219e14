/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Facts about a halted machine. PROTOCOL.md sections 5 and 6.
 */
#include "kdnet/kernel/crash.h"
#include "kdnet/kernel/image_identity.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/probes/probe_internal.h"

#include <assert.h>
#include <string.h>

/* Bit s of row [stage]: stage s may follow. */
static bool may_follow(enum kdnet_stage stage, enum kdnet_stage next)
{
    enum {
        RUNNING = 1 << KDNET_STAGE_RUNNING,
        READING = 1 << KDNET_STAGE_READING,
        RESUMING = 1 << KDNET_STAGE_RESUMING,
        GOING = 1 << KDNET_STAGE_GOING,
        HELD = 1 << KDNET_STAGE_HELD,
    };
    static const unsigned followers[] = {
        [KDNET_STAGE_RUNNING] = RUNNING | READING | HELD, /* held at once: at a question */
        [KDNET_STAGE_READING] = RUNNING | RESUMING | GOING | HELD,
        [KDNET_STAGE_RESUMING] = RUNNING | RESUMING | GOING,
        [KDNET_STAGE_GOING] = RUNNING | RESUMING,          /* the break was sent again */
        [KDNET_STAGE_HELD] = RUNNING | RESUMING | READING, /* read again */
    };
    return (followers[stage] & 1U << next) != 0;
}

void kdnet_halt_set_stage(struct kdnet_halt *halt, enum kdnet_stage stage)
{
    assert(may_follow(halt->stage, stage));
    (void)may_follow;
    halt->stage = stage;
}

void kdnet_halt_keep_change(struct kdnet_halt *halt, const struct kdnet_packet *packet)
{
    memset(halt, 0, sizeof *halt);
    halt->stop.checksum = kdnet_packet_checksum(packet->payload, packet->payload_length);
    halt->stop.length = packet->payload_length;
    /* An undecodable state change halts the machine all the same: an unknown state, read and continued. */
    if (packet->type == KDNET_PACKET_STATE_CHANGE64)
        (void)kdnet_state_change_decode(packet->payload, packet->payload_length, &halt->stop.change);
    else
        (void)kdnet_state_change_decode32(packet->payload, packet->payload_length, &halt->stop.change);
    if (halt->stop.change.load_symbols.path && !halt->stop.change.load_symbols.unload)
        halt->stop.kernel_loads = kdnet_is_kernel_path(halt->stop.change.load_symbols.path,
                                                       halt->stop.change.load_symbols.path_text_length);
    halt->stop.change.load_symbols.path = NULL; /* borrowed from the datagram, as the texts below */
    halt->stop.change.command.name = halt->stop.change.command.command = NULL;
    size_t length = halt->stop.change.report_length < sizeof halt->stop.report ? halt->stop.change.report_length
                                                                               : sizeof halt->stop.report;
    if (length > 0)
        memcpy(halt->stop.report, halt->stop.change.report, length);
    halt->stop.change.report = halt->stop.report;
    halt->stop.change.report_length = length;
    halt->stop.shutdown = kdnet_state_change_is_shutdown(&halt->stop.change);
    halt->stop.load_symbols = kdnet_halt_state(halt) == KDNET_STATE_LOAD_SYMBOLS && !halt->stop.shutdown;
}

bool kdnet_halt_asks(const struct kdnet_halt *halt, const struct kdnet_probe *probe)
{
    return halt->request.purpose == KDNET_FOR_PROBE && halt->request.probe == probe;
}

uint32_t kdnet_halt_state(const struct kdnet_halt *halt)
{
    return halt->stop.change.new_state & ~KDNET_STATE_ALTERNATE;
}

const struct kdnet_machine_layout *kdnet_halt_layout(const struct kdnet_session *session)
{
    const struct kdnet_kernel_info *info = session->kernel_info;
    return info && kdnet_is_known(&info->facts, KDNET_FACT_VERSION)
               ? kdnet_machine_layout((enum kdnet_machine)info->version.machine)
               : NULL;
}

bool kdnet_kernel_info_is_nt(const struct kdnet_kernel_info *info)
{
    return info->version.major >> 8 == KDNET_WHO_NT;
}

uint64_t kdnet_halt_address(const struct kdnet_session *session, uint64_t address)
{
    return kdnet_machine_address((enum kdnet_machine)session->kernel_info->version.machine, address);
}

uint64_t kdnet_halt_kernel_base(const struct kdnet_session *session)
{
    return kdnet_halt_address(session, session->kernel_info->version.kernel_base);
}

static enum kdnet_machine machine_of(const struct kdnet_session *session)
{
    const struct kdnet_machine_layout *layout = kdnet_halt_layout(session);
    return layout ? layout->machine : KDNET_MACHINE_UNKNOWN;
}

bool kdnet_halt_is_user_mode(const struct kdnet_session *session)
{
    bool nt = kdnet_halt_layout(session) && kdnet_kernel_info_is_nt(session->kernel_info);
    return nt && kdnet_crash_is_user_mode(&session->active->halt.stop.change, machine_of(session));
}

enum kdnet_leftover kdnet_halt_leftover(const struct kdnet_session *session)
{
    return kdnet_crash_leftover(&session->active->halt.stop.change, machine_of(session),
                                kdnet_halt_is_user_mode(session));
}

struct kdnet_break_facts kdnet_halt_facts(const struct kdnet_session *session)
{
    const struct kdnet_halt *halt = &session->active->halt;
    const struct kdnet_kernel_info *info = session->kernel_info;
    const struct kdnet_machine_layout *layout = kdnet_halt_layout(session);
    struct kdnet_break_facts facts = {.shutdown = halt->stop.shutdown,
                                      .bugcheck_printed = session->history->crash.printed};
    facts.exception = kdnet_halt_state(halt) == KDNET_STATE_EXCEPTION && !halt->stop.shutdown;
    facts.breakpoint = facts.exception && kdnet_crash_is_breakpoint(halt->stop.change.exception.code);
    facts.user_mode = kdnet_halt_is_user_mode(session);
    facts.boot_loader = info && kdnet_is_known(&info->facts, KDNET_FACT_VERSION) &&
                        info->version.major >> 8 == KDNET_WHO_BOOT;
    if (facts.breakpoint && layout && kdnet_is_known(&info->facts, KDNET_FACT_DEBUGGER_DATA)) {
        facts.at_status_break = kdnet_halt_address(session, halt->stop.change.exception.address) ==
                                kdnet_halt_address(session, info->data.breakpoint_with_status);
        facts.break_status_known = kdnet_is_known(&halt->facts, KDNET_FACT_CONTEXT);
        if (kdnet_is_known(&halt->facts, KDNET_FACT_CONTEXT))
            facts.break_status = (uint32_t)kdnet_machine_argument(layout, halt->registers.bytes);
    }
    return facts;
}

bool kdnet_halt_must_step(const struct kdnet_session *session)
{
    const struct kdnet_halt *halt = &session->active->halt;
    const struct kdnet_machine_layout *layout = kdnet_halt_layout(session);
    struct kdnet_control_report report;
    if (!layout || kdnet_halt_state(halt) != KDNET_STATE_EXCEPTION ||
        !kdnet_crash_is_breakpoint(halt->stop.change.exception.code) || kdnet_halt_is_user_mode(session))
        return false;
    kdnet_machine_report(layout->machine, halt->stop.change.report, halt->stop.change.report_length, &report);
    return report.instructions &&
           kdnet_machine_is_breakpoint(layout->machine, report.instructions, report.instruction_count);
}

void kdnet_session_end_read(struct kdnet_session *session, uint64_t until_us)
{
    struct kdnet_halt *halt = session->active ? &session->active->halt : NULL;
    if (halt && halt->stage == KDNET_STAGE_READING && halt->deadline_us > until_us)
        halt->deadline_us = until_us;
}
