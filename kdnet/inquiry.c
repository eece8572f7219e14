/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens at a break: who answers, what is it, what became of the dump; then the machine is let go. PROTOCOL.md
 * sections 5 to 9.
 *
 * Reading asks one thing after the other, the most telling first, until all is known or the deadline comes; then there
 * is one result, and the policy's action follows. Releasing has no deadline: it goes on until the machine has taken it.
 */
#include "kdnet/error.h"
#include "kdnet/session_internal.h"
#include "kdnet/debug_io.h"
#include "kdnet/file_io.h"
#include "kdnet/wire.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define RELEASE_STEP_TIMEOUTS 16U /* then the breakpoint is not stepped over */
#define SAID_AGAIN_MAX        3U  /* then it is a new break at the same place */
#define ASKED_LATELY_US       1000000U
#define ASK_PERIOD_US         100000U
#define ASKS_MAX              12U
#define ASKS_DEAF             4U
#define ASKS_QUICK            3U  /* the rest wait for the machine's pokes */
#define PROOFS_MAX            20U /* then the Continue goes out all the same */
#define GOING_SENDS           12U /* then only the target's pokes make us repeat a Continue */
#define GOING_HEARD           3U  /* pokes after which an unacknowledged Continue counts as done: its ACK was lost */
#define GOING_HEARD_MAX       20U /* then it is not repeated any more */
#define STATUS_INVALID_HANDLE 0xc0000008U

static void advance(struct kdnet_session *session, uint64_t now_us);
static void begin_halt_again(struct kdnet_session *session, uint64_t now_us);

static uint32_t state_kind(const struct kdnet_halt *halt)
{
    return halt->change.new_state & ~KDNET_STATE_ALTERNATE;
}

static const struct kdnet_machine_layout *layout_of(const struct kdnet_session *session)
{
    const struct kdnet_boot *boot = session->boot;
    return boot && boot->version_known ? kdnet_machine_layout((enum kdnet_machine)boot->version.machine) : NULL;
}

static bool is_nt(const struct kdnet_boot *boot)
{
    return boot->version.major >> 8 == KDNET_WHO_NT;
}

static uint64_t address_of(const struct kdnet_session *session, uint64_t address)
{
    return kdnet_machine_address((enum kdnet_machine)session->boot->version.machine, address);
}

static uint64_t kernel_base(const struct kdnet_session *session)
{
    return address_of(session, session->boot->version.kernel_base);
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

/* Sends a request; false when it cannot be: then the step counts as tried. */
static bool request(struct kdnet_session *session, enum kdnet_step step, struct kdnet_manipulate *manipulate,
                    bool wants_reply)
{
    struct kdnet_halt *halt = &session->talk->halt;
    uint8_t payload[KDNET_LINK_PAYLOAD_MAX];
    size_t length;
    manipulate->processor_level = halt->change.processor_level;
    manipulate->processor = halt->change.processor;
    manipulate->return_status = KDNET_STATUS_PENDING;
    halt->step = step;
    if (kdnet_manipulate_encode(manipulate, payload, sizeof payload, &length) != KDNET_OK)
        return false;
    return kdnet_link_send(&session->talk->link, KDNET_PACKET_MANIPULATE, wants_reply, payload, length) == KDNET_OK;
}

static bool request_read(struct kdnet_session *session, enum kdnet_step step, uint64_t address, uint32_t length)
{
    struct kdnet_halt *halt = &session->talk->halt;
    struct kdnet_manipulate manipulate = {.api = KDNET_API_READ_VIRTUAL_MEMORY};
    if (halt->step != step || halt->read_have == 0) {
        halt->read_address = address;
        halt->read_wanted = length < KDNET_READ_SPACE ? length : KDNET_READ_SPACE;
        halt->read_have = 0;
    }
    manipulate.u.memory.address = halt->read_address + halt->read_have;
    manipulate.u.memory.count = halt->read_wanted - halt->read_have;
    return request(session, step, &manipulate, true);
}

static bool request_plain(struct kdnet_session *session, enum kdnet_step step, uint32_t api)
{
    struct kdnet_manipulate manipulate = {.api = api};
    return request(session, step, &manipulate, true);
}

/* Finds the address of the status; false, with the reason, when there is none. */
static bool find_status(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->talk->halt;
    uint32_t rva;
    switch (session->shared->find_rva(session->shared->user, &session->boot->pdb, KDNET_STATUS_SYMBOL, &rva,
                                      &halt->source)) {
    case KDNET_RVA_FOUND:
        halt->status_address = address_of(session, kernel_base(session) + rva);
        halt->address_known = true;
        return true;
    case KDNET_RVA_ABSENT:
        halt->reason = KDNET_REASON_SYMBOL_ABSENT;
        return false;
    case KDNET_RVA_NO_SYMBOLS:
        break;
    }
    halt->reason = KDNET_REASON_NO_SYMBOLS;
    return false;
}

/* --- what is known ------------------------------------------------------------------------------------------------ */

static struct kdnet_break_facts facts_of(const struct kdnet_session *session)
{
    const struct kdnet_halt *halt = &session->talk->halt;
    const struct kdnet_boot *boot = session->boot;
    const struct kdnet_machine_layout *layout = layout_of(session);
    struct kdnet_break_facts facts = {.shutdown = halt->shutdown, .bugcheck_printed = session->crash.printed};
    facts.exception = state_kind(halt) == KDNET_STATE_EXCEPTION && !halt->shutdown;
    facts.breakpoint = facts.exception && kdnet_crash_is_breakpoint(halt->change.exception.code);
    facts.boot_loader = boot && boot->version_known && !is_nt(boot);
    if (facts.breakpoint && layout && boot->data_known) {
        facts.at_status_break = address_of(session, halt->change.exception.address) ==
                                address_of(session, boot->data.breakpoint_with_status);
        facts.break_status_known = halt->context_known;
        if (halt->context_known)
            facts.break_status = (uint32_t)kdnet_machine_argument(layout, halt->context);
    }
    return facts;
}

/* Whether the machine stands on a breakpoint instruction, so that it would trap again (PROTOCOL section 5). */
static bool must_step(const struct kdnet_session *session)
{
    const struct kdnet_halt *halt = &session->talk->halt;
    const struct kdnet_machine_layout *layout = layout_of(session);
    struct kdnet_control_report report;
    if (!layout || state_kind(halt) != KDNET_STATE_EXCEPTION || !kdnet_crash_is_breakpoint(halt->change.exception.code))
        return false;
    kdnet_machine_report(layout->machine, halt->change.report, halt->change.report_length, &report);
    return report.instructions &&
           kdnet_machine_is_breakpoint(layout->machine, report.instructions, report.instruction_count);
}

static void tell_kernel(struct kdnet_session *session)
{
    struct kdnet_boot *boot = session->boot;
    if (!boot || !boot->version_known || boot->announced)
        return;
    boot->announced = true;
    struct kdnet_event_kernel *kernel = &kdnet_session_event(session, KDNET_EVENT_KERNEL)->u.kernel;
    kernel->who = (uint8_t)(boot->version.major >> 8);
    kernel->build = boot->version.minor;
    kernel->machine = boot->version.machine;
    kernel->kernel_base = kernel_base(session);
    kernel->build_lab_known = boot->build_lab_known;
    memcpy(kernel->build_lab, boot->build_lab, sizeof kernel->build_lab);
    kernel->pdb_known = boot->pdb_known;
    kernel->pdb = boot->pdb;
}

static void tell_bugcheck(struct kdnet_session *session, const struct kdnet_bugcheck *data, bool from_memory)
{
    struct kdnet_event_bugcheck *told = &session->crash.bugcheck;
    bool same = told->known && told->data.code == data->code &&
                memcmp(told->data.parameters, data->parameters, sizeof data->parameters) == 0;
    *told = (struct kdnet_event_bugcheck){.known = true, .from_memory = from_memory, .data = *data};
    if (!same)
        kdnet_session_event(session, KDNET_EVENT_BUGCHECK)->u.bugcheck = *told;
}

static void tell_break(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->talk->halt;
    if (halt->told_break)
        return;
    halt->told_break = true;
    struct kdnet_break_facts facts = facts_of(session);
    struct kdnet_event_break_in *event = &kdnet_session_event(session, KDNET_EVENT_BREAK_IN)->u.break_in;
    event->phase = kdnet_crash_phase(&facts);
    event->exception = facts.exception;
    event->code = halt->change.exception.code;
    event->address = halt->change.exception.address;
    event->first_chance = halt->change.exception.first_chance != 0;
}

/* Why the status is not known, when no step has said so. */
static enum kdnet_reason why_unknown(const struct kdnet_session *session, enum kdnet_reason interrupted)
{
    const struct kdnet_boot *boot = session->boot;
    const struct kdnet_halt *halt = &session->talk->halt;
    if (halt->reason != KDNET_REASON_NONE)
        return halt->reason;
    if (boot && boot->version_known && !is_nt(boot))
        return KDNET_REASON_NO_KERNEL;
    return interrupted != KDNET_REASON_NONE ? interrupted : KDNET_REASON_UNREADABLE;
}

/* The one result of a break. */
static void tell_status(struct kdnet_session *session, enum kdnet_reason interrupted, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->talk->halt;
    const struct kdnet_boot *boot = session->boot;
    if (halt->told_status)
        return;
    halt->told_status = true;
    tell_break(session);
    tell_kernel(session);
    struct kdnet_break_facts facts = facts_of(session);
    struct kdnet_event_crash_status *event = &kdnet_session_event(session, KDNET_EVENT_CRASH_STATUS)->u.crash_status;
    event->phase = kdnet_crash_phase(&facts);
    event->conclusion = kdnet_crash_conclude(event->phase, halt->status_known, halt->status, halt->source,
                                             why_unknown(session, interrupted));
    event->status_known = halt->status_known;
    event->status = halt->status;
    event->address_known = halt->address_known;
    event->address = halt->status_address;
    event->bugcheck = session->crash.bugcheck;
    if (boot && boot->build_lab_known) {
        event->build_lab_known = true;
        memcpy(event->build_lab, boot->build_lab, sizeof event->build_lab);
    }
    event->rtt_us = kdnet_link_rtt(&session->talk->link);
    event->read_us = now_us - halt->since_us;
    event->since_first_known = session->crash.first_released;
    event->since_first_us = session->crash.first_released ? halt->since_us - session->crash.first_released_us : 0;
    event->break_status_known = facts.at_status_break && facts.break_status_known;
    event->break_status = facts.break_status;
}

/* --- release ------------------------------------------------------------------------------------------------------ */

static void tell_released(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->talk->halt;
    if (halt->told_release || halt->load_symbols)
        return;
    if (!halt->told_break)
        return; /* an ordinary shutdown: no break for anybody to see */
    halt->told_release = halt->action != KDNET_ACTION_HOLD;
    struct kdnet_event_released *event = &kdnet_session_event(session, KDNET_EVENT_RELEASED)->u.released;
    event->action = halt->action;
    event->halted_us = now_us - halt->since_us;
}

/* What a release means for the crash that the break belongs to. */
static void crash_goes_on(struct kdnet_session *session, uint64_t now_us)
{
    const struct kdnet_halt *halt = &session->talk->halt;
    struct kdnet_crash *crash = &session->crash;
    if (halt->load_symbols)
        return;
    struct kdnet_break_facts facts = facts_of(session);
    crash->printed = false;
    switch (kdnet_crash_phase(&facts)) {
    case KDNET_PHASE_BUGCHECK_FIRST:
        crash->first_released = true;
        crash->first_released_us = now_us;
        crash->dumping = true;
        break;
    case KDNET_PHASE_SHUTDOWN:
        *crash = (struct kdnet_crash){0}; /* the machine is about to start anew */
        break;
    default:
        break;
    }
}

/* The machine has taken our Continue or Reboot, or surely has. */
static void released(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->talk->halt;
    bool told = halt->told_release;
    tell_released(session, now_us);
    if (!told)
        crash_goes_on(session, now_us);
    halt->stage = KDNET_STAGE_RUNNING;
    halt->step = KDNET_STEP_NONE;
}

static void go_on(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->talk->halt;
    const struct kdnet_machine_layout *layout = layout_of(session);
    struct kdnet_manipulate manipulate;
    if (kdnet_link_is_unsure(&session->talk->link) && halt->proofs++ < PROOFS_MAX) {
        halt->stage = KDNET_STAGE_RELEASING;
        halt->giving_up = 0;
        if (request_plain(session, KDNET_STEP_PROVE, KDNET_API_GET_VERSION))
            return;
    }
    struct kdnet_control_report report = {0};
    enum kdnet_machine machine = KDNET_MACHINE_UNKNOWN;
    /* WinDbg continues load-symbols plainly, exceptions with the control set [cap frames 954, 234, 950]. */
    if (layout && state_kind(halt) == KDNET_STATE_EXCEPTION) {
        machine = layout->machine;
        kdnet_machine_report(machine, halt->change.report, halt->change.report_length, &report);
    }
    if (halt->action == KDNET_ACTION_REBOOT)
        manipulate = (struct kdnet_manipulate){.api = KDNET_API_REBOOT};
    else
        kdnet_manipulate_continue(&manipulate, machine, kdnet_crash_continue_status(&halt->change), report.dr7);
    halt->stage = KDNET_STAGE_GOING;
    halt->heard = 0;
    request(session, KDNET_STEP_NONE, &manipulate, false);
}

/* The program counter is still the state change's: no host before us, nor we, have moved it. */
static bool stands_on_it(const struct kdnet_session *session)
{
    const struct kdnet_halt *halt = &session->talk->halt;
    return kdnet_machine_pc(layout_of(session), halt->context) == address_of(session, halt->change.program_counter);
}

/* Steps over the breakpoint when there is one, then lets go. Needs a link that is not busy. */
static void release(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->talk->halt;
    const struct kdnet_machine_layout *layout = layout_of(session);
    halt->stage = KDNET_STAGE_RELEASING;
    if (halt->action == KDNET_ACTION_CONTINUE && !halt->stepped && must_step(session)) {
        if (halt->context_known && !stands_on_it(session)) {
            go_on(session);
            return;
        }
        if (!halt->context_known && !halt->context_tried) {
            halt->giving_up = 0;
            if (request_plain(session, KDNET_STEP_CONTEXT, KDNET_API_GET_CONTEXT))
                return;
        } else if (halt->context_known) {
            struct kdnet_manipulate manipulate = {.api = KDNET_API_SET_CONTEXT};
            kdnet_machine_set_pc(layout, halt->context, kdnet_machine_pc(layout, halt->context) + layout->break_length);
            manipulate.u.set_context.flags = kdnet_get_le32(halt->context + layout->context_flags_at);
            manipulate.data = halt->context;
            manipulate.data_length = halt->context_length;
            halt->stepped = true;
            halt->giving_up = 0;
            if (request(session, KDNET_STEP_SET_CONTEXT, &manipulate, true))
                return;
        }
    }
    go_on(session);
}

/* All is read, or time is up: one result, then the policy's action. */
static void conclude(struct kdnet_session *session, enum kdnet_reason interrupted, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->talk->halt;
    struct kdnet_break_facts facts = facts_of(session);
    tell_status(session, interrupted, now_us);
    halt->action = session->policy->action[kdnet_crash_break_kind(&facts)];
    halt->deadline_us = KDNET_NEVER;
    kdnet_link_abandon(&session->talk->link);
    if (halt->action != KDNET_ACTION_HOLD) {
        release(session);
        return;
    }
    halt->stage = KDNET_STAGE_HELD;
    if (session->policy->hold_for_us > 0)
        halt->deadline_us = now_us + session->policy->hold_for_us;
    tell_released(session, now_us);
}

/* An unload of all symbols without a bug check is an ordinary reboot or shutdown: it must not wait, and nobody needs a
 * result. */
static void let_shut_down(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->talk->halt;
    halt->action = session->policy->action[KDNET_BREAK_KIND_SHUTDOWN];
    halt->deadline_us = KDNET_NEVER;
    if (halt->action == KDNET_ACTION_HOLD)
        halt->stage = KDNET_STAGE_HELD;
    else
        release(session);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* Each of the next functions sends its request and returns true, or returns false when there is nothing (more) to ask.
 */

static bool ask_debugger_data(struct kdnet_session *session)
{
    struct kdnet_boot *boot = session->boot;
    if (boot->data_tried || boot->version.debugger_data_list == 0)
        return false;
    return request_read(session, KDNET_STEP_LIST, address_of(session, boot->version.debugger_data_list), 8);
}

static bool ask_context(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->talk->halt;
    if (halt->context_tried || state_kind(halt) != KDNET_STATE_EXCEPTION ||
        !kdnet_crash_is_breakpoint(halt->change.exception.code))
        return false;
    return request_plain(session, KDNET_STEP_CONTEXT, KDNET_API_GET_CONTEXT);
}

static bool ask_bugcheck(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->talk->halt;
    if (halt->bugcheck_tried || !session->boot->data_known)
        return false;
    uint32_t length = (uint32_t)(KDNET_BUGCHECK_VALUES * layout_of(session)->pointer_size);
    return request_read(session, KDNET_STEP_BUGCHECK, address_of(session, session->boot->data.bugcheck_data), length);
}

static bool ask_identity(struct kdnet_session *session)
{
    if (session->boot->pdb_tried)
        return false;
    return request_read(session, KDNET_STEP_HEADER, kernel_base(session), KDNET_PE_HEADER_SIZE);
}

static bool ask_status(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->talk->halt;
    if (halt->status_tried || !session->boot->pdb_known)
        return false;
    halt->status_tried = true;
    return find_status(session) && request_read(session, KDNET_STEP_STATUS, halt->status_address, 4);
}

static bool ask_build_lab(struct kdnet_session *session)
{
    if (session->boot->build_lab_tried || !session->boot->data_known)
        return false;
    uint64_t address = address_of(session, session->boot->data.build_lab);
    return request_read(session, KDNET_STEP_BUILD_LAB, address, KDNET_BUILD_LAB_SIZE - 1);
}

/* Asks for the next thing that is not known; false when all that can be known is. The most telling come first. */
static bool read_on(struct kdnet_session *session)
{
    struct kdnet_boot *boot = session->boot;
    if (!boot->version_tried)
        return request_plain(session, KDNET_STEP_VERSION, KDNET_API_GET_VERSION);
    if (!boot->version_known)
        return false;
    if (!is_nt(boot) || !layout_of(session))
        return false;
    return ask_debugger_data(session) || ask_context(session) || ask_bugcheck(session) || ask_identity(session) ||
           ask_status(session) || ask_build_lab(session);
}

/* Whether this is the end of a machine that did not crash, now that it is known. */
static bool ordinary_shutdown(const struct kdnet_session *session)
{
    const struct kdnet_halt *halt = &session->talk->halt;
    const struct kdnet_boot *boot = session->boot;
    if (!halt->shutdown || session->crash.bugcheck.known || session->crash.first_released || !boot->version_known)
        return false;
    return !is_nt(boot) || (halt->bugcheck_known && halt->bugcheck.code == 0);
}

static void advance(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->talk->halt;
    if (session->talk->link.busy)
        return;
    if (halt->stage == KDNET_STAGE_READING) {
        bool phase_known = halt->shutdown ? halt->bugcheck_tried : halt->context_tried;
        if (ordinary_shutdown(session)) {
            let_shut_down(session);
            return;
        }
        if (phase_known)
            tell_break(session);
        if (!read_on(session))
            conclude(session, KDNET_REASON_NONE, now_us);
    } else if (halt->stage == KDNET_STAGE_RELEASING) {
        if (halt->load_symbols)
            go_on(session);
        else
            release(session);
    }
}

/* --- replies ------------------------------------------------------------------------------------------------------ */

/* The step has ended without an answer that can be used. */
static void step_failed(struct kdnet_session *session, enum kdnet_step step)
{
    struct kdnet_boot *boot = session->boot;
    struct kdnet_halt *halt = &session->talk->halt;
    halt->read_have = 0;
    switch (step) {
    case KDNET_STEP_VERSION:
        boot->version_tried = true;
        break;
    case KDNET_STEP_LIST:
    case KDNET_STEP_BLOCK:
        boot->data_tried = true;
        break;
    case KDNET_STEP_CONTEXT:
        halt->context_tried = true;
        break;
    case KDNET_STEP_BUGCHECK:
        halt->bugcheck_tried = true;
        break;
    case KDNET_STEP_HEADER:
    case KDNET_STEP_DIRECTORY:
    case KDNET_STEP_CODEVIEW:
        boot->pdb_tried = true;
        break;
    case KDNET_STEP_BUILD_LAB:
        boot->build_lab_tried = true;
        break;
    case KDNET_STEP_STATUS:
    case KDNET_STEP_SET_CONTEXT:
    case KDNET_STEP_PROVE:
    case KDNET_STEP_SAME:
    case KDNET_STEP_NONE:
        break;
    }
}

static void take_version(struct kdnet_session *session, const struct kdnet_version *version)
{
    struct kdnet_boot *boot = session->boot;
    struct kdnet_crash *crash = &session->crash;
    if (boot->version_known && memcmp(&boot->version, version, sizeof *version) != 0)
        *boot = (struct kdnet_boot){0}; /* another one answers: what was known is of the one before */
    boot->version_tried = true;
    boot->version_known = true;
    boot->version = *version;
    /* A loader, or a kernel elsewhere, has started since: the crash before is over. */
    bool over = !is_nt(boot) || (crash->kernel_base != 0 && crash->kernel_base != version->kernel_base);
    if (over && !crash->printed)
        *crash = (struct kdnet_crash){0};
    crash->kernel_base = is_nt(boot) ? version->kernel_base : 0;
}

static void take_build_lab(struct kdnet_boot *boot, const uint8_t *text, size_t length)
{
    size_t n = strnlen((const char *)text, length);
    boot->build_lab_tried = true;
    boot->build_lab_known = n > 0;
    memcpy(boot->build_lab, text, n);
    boot->build_lab[n] = '\0';
}

static void take_debugger_data(struct kdnet_boot *boot, const uint8_t *block, size_t length)
{
    boot->data_tried = true;
    boot->data_known = kdnet_debugger_data_decode(block, length, &boot->data) == KDNET_OK;
}

static void take_bugcheck(struct kdnet_session *session, const uint8_t *data, size_t length)
{
    struct kdnet_halt *halt = &session->talk->halt;
    halt->bugcheck_tried = true;
    halt->bugcheck_known = kdnet_bugcheck_decode(layout_of(session), data, length, &halt->bugcheck) == KDNET_OK;
    if (halt->bugcheck_known && halt->bugcheck.code != 0) {
        tell_break(session);
        tell_bugcheck(session, &halt->bugcheck, true);
    }
}

/* From the image's headers to the debug directory to the CodeView record, a read each. */
static void take_identity(struct kdnet_session *session, enum kdnet_step step, const uint8_t *data, size_t length)
{
    struct kdnet_boot *boot = session->boot;
    uint32_t rva, size;
    int error;
    if (step == KDNET_STEP_CODEVIEW) {
        boot->pdb_tried = true;
        boot->pdb_known = kdnet_pdb_decode(data, length, &boot->pdb) == KDNET_OK;
        return;
    }
    if (step == KDNET_STEP_HEADER)
        error = kdnet_pe_debug_directory(data, length, &rva, &size);
    else
        error = kdnet_pe_codeview(data, length, &rva, &size);
    if (error != KDNET_OK) {
        boot->pdb_tried = true;
        return;
    }
    if (step == KDNET_STEP_HEADER) {
        request_read(session, KDNET_STEP_DIRECTORY, kernel_base(session) + rva, size);
        return;
    }
    if (size > KDNET_CODEVIEW_SIZE)
        size = KDNET_CODEVIEW_SIZE;
    request_read(session, KDNET_STEP_CODEVIEW, kernel_base(session) + rva, size);
}

/* All bytes of a memory read are there, or as many as the machine could give. */
static void take_memory(struct kdnet_session *session, const uint8_t *data, size_t length, bool whole)
{
    struct kdnet_halt *halt = &session->talk->halt;
    enum kdnet_step step = halt->step;
    halt->step = KDNET_STEP_NONE;
    halt->read_have = 0;
    if (length == 0 || (!whole && step != KDNET_STEP_BUILD_LAB && step != KDNET_STEP_HEADER &&
                        step != KDNET_STEP_CODEVIEW && step != KDNET_STEP_DIRECTORY)) {
        step_failed(session, step);
        if (step == KDNET_STEP_STATUS)
            halt->reason = KDNET_REASON_UNREADABLE;
        return;
    }
    switch (step) {
    case KDNET_STEP_LIST:
        request_read(session, KDNET_STEP_BLOCK, address_of(session, kdnet_get_le64(data)), KDNET_DEBUGGER_DATA_SIZE);
        break;
    case KDNET_STEP_BLOCK:
        take_debugger_data(session->boot, data, length);
        break;
    case KDNET_STEP_BUGCHECK:
        take_bugcheck(session, data, length);
        break;
    case KDNET_STEP_HEADER:
    case KDNET_STEP_DIRECTORY:
    case KDNET_STEP_CODEVIEW:
        take_identity(session, step, data, length);
        break;
    case KDNET_STEP_STATUS:
        halt->status = kdnet_get_le32(data);
        halt->status_known = true;
        break;
    case KDNET_STEP_BUILD_LAB:
        take_build_lab(session->boot, data, length);
        break;
    default:
        break;
    }
}

static void memory_reply(struct kdnet_session *session, const struct kdnet_manipulate *reply)
{
    struct kdnet_halt *halt = &session->talk->halt;
    size_t room = halt->read_wanted - halt->read_have;
    size_t given = reply->return_status == 0 ? reply->u.memory.actual : 0;
    if (given > reply->data_length)
        given = reply->data_length;
    if (given > room)
        given = room;
    memcpy(halt->read + halt->read_have, reply->data, given);
    halt->read_have += (uint32_t)given;
    if (given > 0 && given < room &&
        request_read(session, halt->step, halt->read_address, halt->read_wanted)) /* short: the rest */
        return;
    take_memory(session, halt->read, halt->read_have, halt->read_have == halt->read_wanted);
}

/* Whether a machine that says a break again still stands where SetContext put it; else it has run and broken in at the
 * same place. */
static bool still_there(const struct kdnet_session *session, const struct kdnet_manipulate *reply)
{
    const struct kdnet_halt *halt = &session->talk->halt;
    const struct kdnet_machine_layout *layout = layout_of(session);
    if (reply->return_status != 0 || !layout || reply->data_length < layout->context_size)
        return true;
    return kdnet_machine_pc(layout, reply->data) == kdnet_machine_pc(layout, halt->context);
}

static void context_reply(struct kdnet_session *session, const struct kdnet_manipulate *reply)
{
    struct kdnet_halt *halt = &session->talk->halt;
    const struct kdnet_machine_layout *layout = layout_of(session);
    halt->context_tried = true;
    if (reply->return_status != 0 || !layout || reply->data_length < layout->context_size)
        return;
    halt->context_length = layout->context_size;
    memcpy(halt->context, reply->data, halt->context_length);
    halt->context_known = true;
}

/* Whether a reply is the one to the request under way, and not a late one. */
static bool is_our_reply(const struct kdnet_session *session, const struct kdnet_manipulate *reply)
{
    const struct kdnet_link *link = &session->talk->link;
    const struct kdnet_halt *halt = &session->talk->halt;
    if (!link->busy || !link->wants_reply || link->type != KDNET_PACKET_MANIPULATE ||
        kdnet_get_le32(link->payload) != reply->api)
        return false;
    return reply->api != KDNET_API_READ_VIRTUAL_MEMORY ||
           reply->u.memory.address == halt->read_address + halt->read_have;
}

static void on_reply(struct kdnet_session *session, const struct kdnet_packet *packet, uint64_t now_us)
{
    struct kdnet_manipulate reply;
    if (kdnet_manipulate_decode(packet->payload, packet->payload_length, &reply) != KDNET_OK)
        return;
    if (session->talk->halt.stage == KDNET_STAGE_RUNNING) {
        kdnet_inquiry_ask(session, ASKS_MAX, now_us); /* to a former life of ours: the machine is halted */
        return;
    }
    if (!is_our_reply(session, &reply))
        return;
    kdnet_link_done(&session->talk->link);
    switch (reply.api) {
    case KDNET_API_GET_VERSION:
        if (session->talk->halt.step == KDNET_STEP_PROVE)
            break;
        if (reply.return_status == 0)
            take_version(session, &reply.u.version);
        else
            step_failed(session, KDNET_STEP_VERSION);
        break;
    case KDNET_API_GET_CONTEXT:
        if (session->talk->halt.step != KDNET_STEP_SAME) {
            context_reply(session, &reply);
        } else if (!still_there(session, &reply)) {
            begin_halt_again(session, now_us);
            return;
        }
        break;
    case KDNET_API_READ_VIRTUAL_MEMORY:
        memory_reply(session, &reply);
        break;
    default: /* SetContext: if it failed, the machine traps again and we try again */
        break;
    }
    advance(session, now_us);
}

/* --- state changes ------------------------------------------------------------------------------------------------ */

/* The machine runs: it sends something that only a running machine sends, or halts anew. What was under way is over. */
static void implied_release(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_link *link = &session->talk->link;
    struct kdnet_halt *halt = &session->talk->halt;
    if (link->busy && !link->wants_reply)
        kdnet_link_presume_done(link); /* it came, only its ACK did not */
    kdnet_link_abandon(link);
    if (halt->stage == KDNET_STAGE_GOING) {
        released(session, now_us);
    } else if (halt->stage != KDNET_STAGE_RUNNING) {
        if (!halt->load_symbols)
            tell_status(session, KDNET_REASON_LOST, now_us); /* not by us: what was known until then is the result */
        halt->stage = KDNET_STAGE_RUNNING;
    }
}

/* What is known of the kernel stays; what could not be had is tried again, and a loader is asked again: Windows may
 * have started since. */
static bool begin_boot(struct kdnet_session *session)
{
    if (!session->boot)
        session->boot = calloc(1, sizeof *session->boot);
    struct kdnet_boot *boot = session->boot;
    if (!boot)
        return false;
    boot->version_tried = boot->version_known && is_nt(boot);
    boot->data_tried = boot->data_known;
    boot->build_lab_tried = boot->build_lab_known;
    boot->pdb_tried = boot->pdb_known;
    return true;
}

/* Keeps what a state change says; all else of the halt is as new. */
static void keep_change(struct kdnet_halt *halt, const struct kdnet_packet *packet)
{
    memset(halt, 0, sizeof *halt);
    halt->checksum = kdnet_packet_checksum(packet->payload, packet->payload_length);
    halt->length = packet->payload_length;
    /* One that cannot be read (type 1, or cut) halts the machine all the same: it is an unknown state, read and
     * continued. */
    if (packet->type == KDNET_PACKET_STATE_CHANGE64)
        kdnet_state_change_decode(packet->payload, packet->payload_length, &halt->change);
    halt->change.load_symbols.path = NULL; /* borrowed from the datagram */
    size_t length = halt->change.report_length < sizeof halt->report ? halt->change.report_length : sizeof halt->report;
    if (length > 0)
        memcpy(halt->report, halt->change.report, length);
    halt->change.report = halt->report;
    halt->change.report_length = length;
    halt->shutdown = kdnet_state_change_is_shutdown(&halt->change);
    halt->load_symbols = state_kind(halt) == KDNET_STATE_LOAD_SYMBOLS && !halt->shutdown;
}

/* An image comes or goes: the machine goes on at once, when the policy lets it. */
static void on_load_symbols(struct kdnet_session *session)
{
    struct kdnet_halt *halt = &session->talk->halt;
    halt->action = session->policy->action[KDNET_BREAK_KIND_LOAD_SYMBOLS];
    halt->deadline_us = KDNET_NEVER;
    if (halt->action == KDNET_ACTION_HOLD)
        halt->stage = KDNET_STAGE_HELD;
    else
        go_on(session);
}

/* The machine has halted, at the state change that is kept. */
static void begin_halt(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->talk->halt;
    halt->stage = KDNET_STAGE_READING;
    halt->since_us = now_us;
    halt->deadline_us = now_us + session->shared->read_deadline_us;
    session->crash.dumping = false;

    if (halt->load_symbols)
        on_load_symbols(session);
    else if (!begin_boot(session))
        conclude(session, KDNET_REASON_UNREADABLE, now_us);
    else
        advance(session, now_us);
}

/* The same place, but another break: all but the state change is to be asked again. */
static void begin_halt_again(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->talk->halt;
    released(session, now_us);
    size_t kept = offsetof(struct kdnet_halt, stage);
    memset((uint8_t *)halt + kept, 0, sizeof *halt - kept);
    begin_halt(session, now_us);
}

/* Whether what comes may be said again because we asked for it. */
static bool asked_lately(const struct kdnet_link *link, uint64_t now_us)
{
    return link->asked_us != 0 && now_us - link->asked_us < ASKED_LATELY_US;
}

static void on_state_change(struct kdnet_session *session, const struct kdnet_packet *packet, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->talk->halt;
    bool same = halt->length == packet->payload_length &&
                halt->checksum == kdnet_packet_checksum(packet->payload, packet->payload_length);
    if (same && halt->stage != KDNET_STAGE_RUNNING && halt->stage != KDNET_STAGE_GOING) {
        kdnet_link_ignored(
            &session->talk->link); /* said again at our RESEND or RESET: it waits, and has not taken our request */
        return;
    }
    /* Or the Continue was not taken, and our RESEND or RESET brought the same break again. */
    if (same && halt->stage == KDNET_STAGE_GOING && asked_lately(&session->talk->link, now_us) &&
        halt->said_again++ < SAID_AGAIN_MAX) {
        kdnet_link_abandon(&session->talk->link);
        halt->stage = KDNET_STAGE_RELEASING;
        if (!halt->stepped || !request_plain(session, KDNET_STEP_SAME, KDNET_API_GET_CONTEXT))
            advance(session, now_us);
        return;
    }
    implied_release(session, now_us);
    keep_change(halt, packet);
    begin_halt(session, now_us);
}

/* --- what else a target sends ------------------------------------------------------------------------------------- */

static void on_print(struct kdnet_session *session, const struct kdnet_debug_io *io)
{
    struct kdnet_talk *talk = session->talk;
    struct kdnet_bugcheck bugcheck;
    if (kdnet_bugcheck_from_text(io->text, io->text_length, &bugcheck)) {
        if (!session->crash.printed)
            session->crash = (struct kdnet_crash){.kernel_base = session->crash.kernel_base};
        session->crash.printed = true;
        tell_bugcheck(session, &bugcheck, false);
    }
    if (!session->shared->prints)
        return;
    memcpy(talk->print, io->text, io->text_length);
    struct kdnet_event *event = kdnet_session_event(session, KDNET_EVENT_PRINT);
    event->u.print = (struct kdnet_event_print){.text = talk->print, .length = io->text_length};
}

/*
 * The answer that lets the machine go on. RtlAssert asks "Break repeatedly, break Once, Ignore, terminate Process, or
 * terminate Thread (boipt)?" [ros]: ignore. Without an i among the letters, the first that means to go on; else i all
 * the same.
 */
static char prompt_answer(const char *text, size_t length)
{
    const char *open = memrchr(text, '(', length);
    const char *close = open ? memchr(open, ')', length - (size_t)(open - text)) : NULL;
    static const char wishes[] = "igcon";
    for (const char *wish = wishes; close && *wish != '\0'; ++wish)
        for (const char *c = open + 1; c < close; ++c)
            if ((*c | 0x20) == *wish)
                return *c;
    return 'i';
}

static void on_prompt(struct kdnet_session *session, const struct kdnet_debug_io *io)
{
    uint8_t payload[KDNET_DEBUG_IO_HEADER + 1];
    size_t length;
    char answer = prompt_answer(io->text, io->text_length);
    if (session->policy->action[KDNET_BREAK_KIND_PROMPT] == KDNET_ACTION_HOLD)
        return;
    struct kdnet_debug_io reply = *io;
    reply.text = &answer;
    reply.text_length = io->read_length > 0 ? 1 : 0;
    reply.read_length = (uint32_t)reply.text_length;
    if (kdnet_debug_io_encode(&reply, payload, sizeof payload, &length) == KDNET_OK)
        (void)kdnet_link_send(&session->talk->link, KDNET_PACKET_DEBUG_IO, false, payload, length);
}

static void on_debug_io(struct kdnet_session *session, const struct kdnet_packet *packet)
{
    struct kdnet_debug_io io;
    if (kdnet_debug_io_decode(packet->payload, packet->payload_length, &io) != KDNET_OK)
        return;
    if (io.api == KDNET_DEBUG_IO_GET_STRING)
        on_prompt(session, &io);
    else
        on_print(session, &io);
}

/* We have no replacement for any file: the same 64 bytes with a status, as WinDbg answers [cap frame 238]. */
static void on_file_io(struct kdnet_session *session, const struct kdnet_packet *packet)
{
    struct kdnet_file_io io;
    uint8_t payload[KDNET_FILE_IO_SIZE];
    size_t length;
    if (kdnet_file_io_decode(packet->payload, packet->payload_length, &io) != KDNET_OK)
        return;
    io.status = io.api == KDNET_FILE_IO_CREATE ? KDNET_STATUS_NO_SUCH_FILE : STATUS_INVALID_HANDLE;
    io.data_length = 0;
    if (kdnet_file_io_encode(&io, payload, sizeof payload, &length) == KDNET_OK)
        (void)kdnet_link_send(&session->talk->link, KDNET_PACKET_FILE_IO, false, payload, length);
}

/*
 * The same question while its answer is under way: our RESET brought it again, or the answer's ACK was lost and it is
 * asked anew. The answer goes on; when it has arrived we ask whether the machine still waits.
 */
static bool is_same_question(struct kdnet_session *session, const struct kdnet_packet *packet)
{
    struct kdnet_talk *talk = session->talk;
    uint32_t checksum = kdnet_packet_checksum(packet->payload, packet->payload_length);
    bool same = talk->link.busy && talk->link.type == packet->type && talk->question_checksum == checksum;
    talk->question_checksum = checksum;
    talk->question_doubted = same;
    return same;
}

void kdnet_inquiry_packet(struct kdnet_session *session, const struct kdnet_packet *packet, uint64_t now_us)
{
    if (packet->type != KDNET_PACKET_MANIPULATE)
        session->asks_left = 0;
    switch (packet->type) {
    case KDNET_PACKET_STATE_CHANGE64:
    case KDNET_PACKET_STATE_CHANGE32:
        on_state_change(session, packet, now_us);
        break;
    case KDNET_PACKET_MANIPULATE:
        on_reply(session, packet, now_us);
        break;
    case KDNET_PACKET_DEBUG_IO:
        if (is_same_question(session, packet))
            break;
        implied_release(session, now_us);
        on_debug_io(session, packet);
        break;
    case KDNET_PACKET_FILE_IO:
        if (is_same_question(session, packet))
            break;
        implied_release(session, now_us);
        on_file_io(session, packet);
        break;
    default: /* trace I/O, control requests and what is unknown want only their ACK */
        break;
    }
}

void kdnet_inquiry_acked(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_talk *talk = session->talk;
    if (talk->halt.stage == KDNET_STAGE_GOING)
        released(session, now_us);
    else if (talk->question_doubted || kdnet_link_is_unsure(&talk->link))
        kdnet_inquiry_ask(session, ASKS_QUICK, now_us); /* an answer: has it been taken? */
}

void kdnet_inquiry_ask(struct kdnet_session *session, unsigned times, uint64_t now_us)
{
    session->asks_left = times;
    session->ask_us = now_us;
}

static void expire_asks(struct kdnet_session *session, uint64_t now_us)
{
    if (session->asks_left == 0 || now_us < session->ask_us || !kdnet_session_wake(session))
        return;
    --session->asks_left;
    session->ask_us = session->asks_left % ASKS_QUICK != 0 ? now_us + ASK_PERIOD_US : KDNET_NEVER;
    struct kdnet_talk *talk = session->talk;
    if (talk->halt.stage == KDNET_STAGE_RUNNING && !talk->link.busy)
        kdnet_link_control(&talk->link, KDNET_PACKET_RESEND, 0);
}

/* --- time and life ------------------------------------------------------------------------------------------------ */

void kdnet_inquiry_heard(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_talk *talk = session->talk;
    if (session->asks_left > 0 && session->ask_us == KDNET_NEVER)
        session->ask_us = now_us;
    if (!talk || talk->halt.stage != KDNET_STAGE_GOING)
        return;
    struct kdnet_halt *halt = &talk->halt;
    ++halt->heard;
    if (halt->heard >= GOING_HEARD && talk->link.sends > GOING_SENDS / 2 && !halt->told_release) {
        tell_released(session, now_us);
        crash_goes_on(session, now_us);
        halt->told_release = true;
    }
    if (halt->heard >= GOING_HEARD_MAX) {
        kdnet_link_abandon(&talk->link);
        released(session, now_us);
    } else if (talk->link.sends >= GOING_SENDS) {
        kdnet_link_wake(&talk->link, now_us);
    }
}

void kdnet_inquiry_rebooted(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->talk->halt;
    if (halt->stage == KDNET_STAGE_GOING)
        released(session, now_us); /* only the ACK was lost */
    else if (halt->stage == KDNET_STAGE_READING && !halt->load_symbols)
        tell_status(session, KDNET_REASON_LOST, now_us);
    halt->stage = KDNET_STAGE_RUNNING;
    session->crash.dumping = false;
    free(session->boot);
    session->boot = NULL;
}

/*
 * Under a new key nobody knows whether the Continue of before was taken; said again, it could release the next break
 * unread. A machine that is halted answers RESEND with its break; one that runs does not.
 */
void kdnet_inquiry_rekeyed(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->talk->halt;
    if (halt->stage != KDNET_STAGE_GOING)
        return;
    kdnet_link_abandon(&session->talk->link);
    halt->asked = 1; /* the handshake's own */
    halt->deadline_us = now_us + ASK_PERIOD_US;
}

static void ask_again(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->talk->halt;
    if (now_us < halt->deadline_us)
        return;
    if (halt->asked++ >= ASKS_MAX) {
        released(session, now_us);
        return;
    }
    if (halt->asked % ASKS_DEAF == 0)
        kdnet_session_suspect_key(session);
    kdnet_link_control(&session->talk->link, KDNET_PACKET_RESEND, 0);
    halt->deadline_us = now_us + ASK_PERIOD_US * halt->asked;
}

static void expire_going(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_talk *talk = session->talk;
    if (!talk->link.busy) {
        ask_again(session, now_us);
        return;
    }
    if (talk->link.sends < GOING_SENDS || now_us < kdnet_link_deadline(&talk->link))
        return;
    /* A machine that poked and now is silent after its first break has begun to dump: it has taken our Continue. */
    struct kdnet_break_facts facts = facts_of(session);
    if (talk->halt.heard == 0 && !talk->halt.load_symbols && kdnet_crash_phase(&facts) == KDNET_PHASE_BUGCHECK_FIRST &&
        !talk->halt.told_release) {
        tell_released(session, now_us);
        crash_goes_on(session, now_us);
        talk->halt.told_release = true;
    }
    kdnet_link_sleep(&talk->link); /* its pokes wake it */
}

static void expire_releasing(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->talk->halt;
    struct kdnet_link *link = &session->talk->link;
    if (now_us < kdnet_link_deadline(link) || !link->acked || ++halt->giving_up < RELEASE_STEP_TIMEOUTS)
        return;
    step_failed(session, halt->step);
    kdnet_link_abandon(link);
    go_on(session);
}

void kdnet_inquiry_expire(struct kdnet_session *session, uint64_t now_us)
{
    expire_asks(session, now_us);
    if (!session->talk)
        return;
    struct kdnet_halt *halt = &session->talk->halt;
    switch (halt->stage) {
    case KDNET_STAGE_READING:
        if (now_us >= halt->deadline_us)
            conclude(session, KDNET_REASON_TIMEOUT, now_us);
        break;
    case KDNET_STAGE_HELD:
        if (now_us >= halt->deadline_us)
            (void)kdnet_session_release(session, KDNET_ACTION_CONTINUE, now_us);
        break;
    case KDNET_STAGE_RELEASING:
        expire_releasing(session, now_us);
        break;
    case KDNET_STAGE_GOING:
        expire_going(session, now_us);
        break;
    case KDNET_STAGE_RUNNING:
        break;
    }
}

uint64_t kdnet_inquiry_deadline(const struct kdnet_session *session)
{
    uint64_t asks = session->asks_left > 0 ? session->ask_us : KDNET_NEVER;
    if (!session->talk)
        return asks;
    const struct kdnet_halt *halt = &session->talk->halt;
    bool asking = halt->stage == KDNET_STAGE_GOING && !session->talk->link.busy;
    bool waiting = halt->stage == KDNET_STAGE_READING || halt->stage == KDNET_STAGE_HELD || asking;
    return waiting && halt->deadline_us < asks ? halt->deadline_us : asks;
}

int kdnet_session_release(struct kdnet_session *session, enum kdnet_action action, uint64_t now_us)
{
    struct kdnet_talk *talk = session->talk;
    if (!talk || talk->halt.stage != KDNET_STAGE_HELD || action == KDNET_ACTION_HOLD)
        return KDNET_ERR_STATE;
    talk->halt.action = action;
    talk->halt.deadline_us = KDNET_NEVER;
    kdnet_link_abandon(&talk->link);
    talk->halt.stage = KDNET_STAGE_RELEASING;
    advance(session, now_us);
    return KDNET_OK;
}
