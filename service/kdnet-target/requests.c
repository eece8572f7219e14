/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/base/wire.h"
#include "kdnet/wire/debug_io.h"
#include "kdnet/error.h"
#include "kdnet/wire/file_io.h"
#include "service/kdnet-target/machine_internal.h"

#include <string.h>

#define BUILD        20348
#define WHO_SHIFT    8
#define FREE_BUILD   0xf
#define PAYLOAD_SIZE (KDNET_MANIPULATE_SIZE + KDNET_CONTEXT_MAX)
#define FILLER       0x5a /* content of registers that no host reads */

static void reply(struct machine *m, struct kdnet_manipulate *out, uint32_t status, const uint8_t *data, size_t length)
{
    uint8_t payload[PAYLOAD_SIZE];
    size_t payload_length;
    out->return_status = status;
    out->data = data;
    out->data_length = length;
    if (kdnet_manipulate_encode(out, payload, sizeof payload, &payload_length) == KDNET_OK)
        link_send(m, KDNET_PACKET_MANIPULATE, payload, payload_length);
}

void requests_refuse(struct machine *m, struct kdnet_manipulate *request)
{
    reply(m, request, KDNET_STATUS_UNSUCCESSFUL, NULL, 0);
}

static void read_memory(struct machine *m, struct kdnet_manipulate *request)
{
    uint8_t data[KDNET_READ_MAX];
    size_t count = request->u.memory.count < sizeof data ? request->u.memory.count : sizeof data;
    size_t actual = memory_read(m, request->u.memory.address, data, count);
    request->u.memory.actual = (uint32_t)actual;
    reply(m, request, actual > 0 ? 0 : KDNET_STATUS_UNSUCCESSFUL, data, actual);
}

static void get_version(struct machine *m, struct kdnet_manipulate *request)
{
    bool nt = m->who == KDNET_WHO_NT;
    request->u.version = (struct kdnet_version){
        .major = (uint16_t)((unsigned)m->who << WHO_SHIFT | FREE_BUILD),
        .minor = BUILD,
        .protocol = 6,
        .kd_secondary = 2,
        .flags = m->layout->pointer_size == 8 ? 7 : 3, /* MP, DATA, PTR64 */
        .machine = (uint16_t)m->layout->machine,
        .max_packet_type = 12,
        .max_state_change = 3,
        .max_manipulate = 0x32,
        .kernel_base = m->kernel_base,
        .loaded_module_list = memory_address(m, MACHINE_RVA_LOADED_MODULES),
        .debugger_data_list = nt ? memory_address(m, MACHINE_RVA_DATA_LIST) : 0,
    };
    reply(m, request, 0, NULL, 0);
}

/* The registers at the halt, until the host sets them. */
static void prepare_context(struct machine *m)
{
    if (m->context_set)
        return;
    memset(m->context, FILLER, m->layout->context_size);
    for (size_t i = 0; i < 4; ++i)
        m->context[m->layout->context_flags_at + i] = (uint8_t)(m->layout->context_all >> (8 * i));
    kdnet_machine_set_pc(m->layout, m->context, m->halt.pc);
    kdnet_machine_set_argument(m->layout, m->context, m->halt.argument);
    stack_put_registers(m, m->context);
    if (m->halt.stepped)
        harm_trace(m, m->context);
}

static void get_context(struct machine *m, struct kdnet_manipulate *request)
{
    prepare_context(m);
    reply(m, request, 0, m->context, m->layout->context_size);
}

static void get_context_ex(struct machine *m, struct kdnet_manipulate *request)
{
    size_t offset = request->u.context_ex.offset, count = request->u.context_ex.count;
    request->u.context_ex.copied = 0;
    /* a loader does not know this request [cap] */
    if (m->who != KDNET_WHO_NT || offset > m->layout->context_size || count > m->layout->context_size - offset) {
        reply(m, request, KDNET_STATUS_UNSUCCESSFUL, NULL, 0);
        return;
    }
    prepare_context(m);
    request->u.context_ex.copied = (uint32_t)count;
    reply(m, request, 0, m->context + offset, count);
}

static void set_context(struct machine *m, struct kdnet_manipulate *request)
{
    bool whole = request->data_length >= m->layout->context_size;
    if (whole) {
        prepare_context(m);
        harm_by_context(m, request->data, 0, m->layout->context_size);
        memcpy(m->context, request->data, m->layout->context_size);
        m->context_set = true;
    }
    reply(m, request, whole ? 0 : KDNET_STATUS_UNSUCCESSFUL, NULL, 0);
}

static void set_context_ex(struct machine *m, struct kdnet_manipulate *request)
{
    size_t offset = request->u.context_ex.offset, count = request->u.context_ex.count;
    bool good = m->who == KDNET_WHO_NT && offset <= m->layout->context_size &&
                count <= m->layout->context_size - offset && count <= request->data_length;
    if (good && count > 0) {
        prepare_context(m);
        harm_by_context(m, request->data, offset, count);
        memcpy(m->context + offset, request->data, count);
        m->context_set = true;
    }
    request->u.context_ex.copied = good ? (uint32_t)count : 0;
    reply(m, request, good ? 0 : KDNET_STATUS_UNSUCCESSFUL, NULL, 0);
}

/* --- effects of a Continue ---------------------------------------------------------------------------------------- */

/* Whether the halt is left over from a former debugger: the kernel has no handler for it. */
static bool is_trap(const struct halt *halt)
{
    return halt->code == KDNET_EXCEPTION_SINGLE_STEP && !halt->user;
}

/* Whether the status fits: Windows must find the handler of an expected exception. */
static bool status_fits(const struct halt *halt, uint32_t status)
{
    bool handled = status == KDNET_DBG_CONTINUE || status == KDNET_DBG_EXCEPTION_HANDLED;
    bool expected = halt->kind == HALT_EXCEPTION && (halt->user || (!halt->breakpoint && !is_trap(halt)));
    return expected ? status == KDNET_DBG_EXCEPTION_NOT_HANDLED : handled;
}

/* Where the host may leave the program counter: past a breakpoint, and nowhere else; after load symbols either. */
static bool pc_fits(const struct machine *m, uint64_t pc)
{
    const struct halt *halt = &m->halt;
    uint64_t past = halt->pc + m->layout->break_length;
    if (halt->kind == HALT_EXCEPTION)
        return pc == (halt->breakpoint && !halt->user ? past : halt->pc);
    return pc == halt->pc || pc == past;
}

/* Whether a repeated break has come often enough. */
static bool spins_on(struct machine *m)
{
    return m->config.times == 0 || ++m->said < m->config.times;
}

static void go_on(struct machine *m, const struct kdnet_manipulate *request, uint64_t now_us)
{
    struct halt halt = m->halt;
    uint64_t pc = m->context_set ? kdnet_machine_pc(m->layout, m->context) : halt.pc;
    bool trap = halt.kind == HALT_EXCEPTION &&
                ((halt.breakpoint && !halt.user && pc == halt.pc) || harm_is_traced(m, request));
    bool good = status_fits(&halt, request->u.go_on.status);
    harm_by_continue(m, request);
    ++m->counts.continues;
    if (trap)
        ++m->counts.traps_again;
    if (!good || (!trap && !pc_fits(m, pc)))
        ++m->counts.released_wrongly;
    halt_end(m, now_us);
    if ((halt.spins && spins_on(m)) || trap || (!good && halt.kind == HALT_EXCEPTION)) {
        m->processor = halt.processor;
        halt_begin(m, &halt, now_us);
    }
}

static void do_request(struct machine *m, struct kdnet_manipulate *request, uint64_t now_us)
{
    harm_by_request(m, request);
    switch (request->api) {
    case KDNET_API_READ_VIRTUAL_MEMORY:
        read_memory(m, request);
        break;
    case KDNET_API_SET_CONTEXT:
        set_context(m, request);
        break;
    case KDNET_API_CONTINUE:
    case KDNET_API_CONTINUE2:
        go_on(m, request, now_us);
        break;
    case KDNET_API_REBOOT:
        halt_end(m, now_us);
        scenario_reboot(m);
        break;
    case KDNET_API_SWITCH_PROCESSOR: /* no reply: the other processor sends a state change */
        m->halt.processor = request->processor;
        halt_send(m);
        break;
    case KDNET_API_GET_VERSION:
        get_version(m, request);
        break;
    case KDNET_API_GET_CONTEXT:
        get_context(m, request);
        break;
    case KDNET_API_GET_CONTEXT_EX:
        get_context_ex(m, request);
        break;
    case KDNET_API_SET_CONTEXT_EX:
        set_context_ex(m, request);
        break;
    default:
        requests_refuse(m, request);
        break;
    }
}

static bool replay_knows(const struct machine *m, const struct kdnet_manipulate *request)
{
    switch (request->api) {
    case KDNET_API_READ_VIRTUAL_MEMORY:
    case KDNET_API_SET_CONTEXT:
    case KDNET_API_CONTINUE:
    case KDNET_API_CONTINUE2:
    case KDNET_API_REBOOT:
        return false;
    case KDNET_API_GET_CONTEXT:
        return !m->context_set;
    default:
        return true;
    }
}

/* Whether a restart or another break comes between the request and its answer. */
static bool befallen(struct machine *m, uint64_t now_us)
{
    if (m->reset_after > 0 && --m->reset_after == 0) {
        halt_end(m, now_us);
        scenario_reboot(m);
        return true;
    }
    if (m->trap_after > 0 && --m->trap_after == 0) {
        halt_nest(m, now_us);
        return true;
    }
    return false;
}

static void take_request(struct machine *m, const struct kdnet_packet *packet, uint64_t now_us)
{
    struct kdnet_manipulate request;
    if (kdnet_manipulate_decode(packet->payload, packet->payload_length, &request) != KDNET_OK)
        return;
    ++m->counts.requests;
    if (befallen(m, now_us))
        return;
    if (!m->config.replay && request.processor != m->halt.processor) {
        ++m->counts.wrong_processors;
        requests_refuse(m, &request);
        return;
    }
    if (m->config.replay && replay_knows(m, &request))
        replay_answer(m, &request);
    else
        do_request(m, &request, now_us);
}

static void take_file_answer(struct machine *m, const struct kdnet_packet *packet, uint64_t now_us)
{
    struct kdnet_file_io answer;
    if (kdnet_file_io_decode(packet->payload, packet->payload_length, &answer) != KDNET_OK)
        return;
    ++m->counts.answers;
    halt_end(m, now_us);
}

static void take_prompt_answer(struct machine *m, const struct kdnet_packet *packet, uint64_t now_us)
{
    struct kdnet_debug_io answer;
    if (kdnet_debug_io_decode(packet->payload, packet->payload_length, &answer) != KDNET_OK ||
        answer.api != KDNET_DEBUG_IO_GET_STRING)
        return;
    /* in an answer the text's length is LengthOfStringRead; the present bytes count */
    size_t room = packet->payload_length - KDNET_DEBUG_IO_HEADER;
    size_t length = answer.read_length < room ? answer.read_length : room;
    if (length > sizeof m->counts.answer - 1)
        length = sizeof m->counts.answer - 1;
    memset(m->counts.answer, 0, sizeof m->counts.answer);
    memcpy(m->counts.answer, packet->payload + KDNET_DEBUG_IO_HEADER, length);
    ++m->counts.answers;
    halt_end(m, now_us);
    if (!m->config.replay && !scenario_prompt_goes_on(m->counts.answer))
        halt_question(m, WAIT_PROMPT, now_us); /* like RtlAssert: asks until an answer is known */
}

void requests_do(struct machine *m, const struct kdnet_packet *packet, uint64_t now_us)
{
    if (m->wait == WAIT_CONTINUE)
        take_request(m, packet, now_us);
    else if (m->wait == WAIT_FILE)
        take_file_answer(m, packet, now_us);
    else if (m->wait == WAIT_PROMPT)
        take_prompt_answer(m, packet, now_us);
}
