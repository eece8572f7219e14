/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of a machine that stands still, and how it is asked. PROTOCOL.md sections 5 and 6.
 */
#include "kdnet/base/error.h"
#include "kdnet/session/break_handler_internal.h"

uint32_t kdnet_halt_state(const struct kdnet_halt *halt)
{
    return halt->change.new_state & ~KDNET_STATE_ALTERNATE;
}

const struct kdnet_machine_layout *kdnet_halt_layout(const struct kdnet_session *session)
{
    const struct kdnet_kernel_info *info = session->kernel_info;
    return info && info->version_known ? kdnet_machine_layout((enum kdnet_machine)info->version.machine) : NULL;
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
    return nt && kdnet_crash_is_user_mode(&session->active->halt.change, machine_of(session));
}

enum kdnet_leftover kdnet_halt_leftover(const struct kdnet_session *session)
{
    return kdnet_crash_leftover(&session->active->halt.change, machine_of(session), kdnet_halt_is_user_mode(session));
}

struct kdnet_break_facts kdnet_halt_facts(const struct kdnet_session *session)
{
    const struct kdnet_halt *halt = &session->active->halt;
    const struct kdnet_kernel_info *info = session->kernel_info;
    const struct kdnet_machine_layout *layout = kdnet_halt_layout(session);
    struct kdnet_break_facts facts = {.shutdown = halt->shutdown, .bugcheck_printed = session->history->crash.printed};
    facts.exception = kdnet_halt_state(halt) == KDNET_STATE_EXCEPTION && !halt->shutdown;
    facts.breakpoint = facts.exception && kdnet_crash_is_breakpoint(halt->change.exception.code);
    facts.user_mode = kdnet_halt_is_user_mode(session);
    facts.boot_loader = info && info->version_known && info->version.major >> 8 == KDNET_WHO_BOOT;
    if (facts.breakpoint && layout && info->data_known) {
        facts.at_status_break = kdnet_halt_address(session, halt->change.exception.address) ==
                                kdnet_halt_address(session, info->data.breakpoint_with_status);
        facts.break_status_known = halt->context_known;
        if (halt->context_known)
            facts.break_status = (uint32_t)kdnet_machine_argument(layout, halt->context);
    }
    return facts;
}

bool kdnet_halt_must_step(const struct kdnet_session *session)
{
    const struct kdnet_halt *halt = &session->active->halt;
    const struct kdnet_machine_layout *layout = kdnet_halt_layout(session);
    struct kdnet_control_report report;
    if (!layout || kdnet_halt_state(halt) != KDNET_STATE_EXCEPTION ||
        !kdnet_crash_is_breakpoint(halt->change.exception.code) || kdnet_halt_is_user_mode(session))
        return false;
    kdnet_machine_report(layout->machine, halt->change.report, halt->change.report_length, &report);
    return report.instructions &&
           kdnet_machine_is_breakpoint(layout->machine, report.instructions, report.instruction_count);
}

bool kdnet_request(struct kdnet_session *session, enum kdnet_step step, struct kdnet_manipulate *manipulate,
                   bool wants_reply)
{
    struct kdnet_halt *halt = &session->active->halt;
    uint8_t payload[KDNET_LINK_PAYLOAD_MAX];
    size_t length;
    manipulate->processor_level = halt->change.processor_level;
    manipulate->processor = halt->change.processor;
    manipulate->return_status = KDNET_STATUS_PENDING;
    halt->step = step;
    if (kdnet_manipulate_encode(manipulate, payload, sizeof payload, &length) != KDNET_OK)
        return false;
    return kdnet_link_send(&session->active->link, KDNET_PACKET_MANIPULATE, wants_reply, payload, length) == KDNET_OK;
}

bool kdnet_request_read(struct kdnet_session *session, enum kdnet_step step, uint64_t address, uint32_t length)
{
    struct kdnet_halt *halt = &session->active->halt;
    struct kdnet_manipulate manipulate = {.api = KDNET_API_READ_VIRTUAL_MEMORY};
    if (halt->step != step || halt->read_have == 0) {
        halt->read_address = address;
        halt->read_wanted = length < KDNET_READ_SPACE ? length : KDNET_READ_SPACE;
        halt->read_have = 0;
    }
    manipulate.u.memory.address = halt->read_address + halt->read_have;
    uint32_t rest = halt->read_wanted - halt->read_have, most = kdnet_reach_read_most(session, step);
    manipulate.u.memory.count = rest < most ? rest : most;
    return kdnet_request(session, step, &manipulate, true);
}

bool kdnet_request_plain(struct kdnet_session *session, enum kdnet_step step, uint32_t api)
{
    struct kdnet_manipulate manipulate = {.api = api};
    return kdnet_request(session, step, &manipulate, true);
}

const struct kdnet_session_shared *kdnet_ask_caller(const struct kdnet_session *session)
{
    const struct kdnet_session_shared *shared = session->shared;
    if (shared->asking)
        shared->asking(shared->user, kdnet_session_key(session));
    return shared;
}
