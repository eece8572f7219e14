/* SPDX-License-Identifier: Apache-2.0 */
/* Detects actions of a host that harm a machine: PROTOCOL.md sections 5 and 6. */
#include "kdnet/base/wire.h"
#include "service/kdnet-target/machine_internal.h"

#include <string.h>

#define SET_AT      20U /* offset of Continue2's control set, behind the status; DBGKD_CONTROL_SET */
#define DR7_ENABLED 0xffU
#define X64_EFLAGS  68U
#define X86_EFLAGS  192U
#define ARM64_CPSR  4U
#define EFLAGS_TF   0x100U
#define CPSR_SS     0x200000U

static uint32_t trace_flag(const struct machine *m, const struct kdnet_manipulate *request)
{
    bool second = m->layout->machine == KDNET_MACHINE_ARM64; /* behind the member Continue */
    return kdnet_get_le32(request->raw + SET_AT + (second ? 4 : 0));
}

static uint64_t given_dr7(const struct machine *m, const struct kdnet_manipulate *request)
{
    const uint8_t *at = request->raw + SET_AT + 4;
    return m->layout->machine == KDNET_MACHINE_X64 ? kdnet_get_le64(at) : kdnet_get_le32(at);
}

static bool is_kernels_trap(const struct machine *m)
{
    return m->halt.kind == HALT_EXCEPTION && m->halt.code == KDNET_EXCEPTION_SINGLE_STEP && !m->halt.user;
}

/* Returns the offset of the trace flag in a CONTEXT, and its bit. */
static size_t flag_at(const struct machine *m, uint32_t *bit)
{
    bool arm64 = m->layout->machine == KDNET_MACHINE_ARM64;
    *bit = arm64 ? CPSR_SS : EFLAGS_TF;
    return arm64 ? ARM64_CPSR : m->layout->machine == KDNET_MACHINE_X64 ? X64_EFLAGS : X86_EFLAGS;
}

void harm_trace(const struct machine *m, uint8_t *context)
{
    uint32_t bit;
    uint8_t *at = context + flag_at(m, &bit);
    kdnet_put_le32(at, kdnet_get_le32(at) | bit);
}

void harm_by_continue(struct machine *m, const struct kdnet_manipulate *request)
{
    if (request->api != KDNET_API_CONTINUE2)
        return;
    if (trace_flag(m, request) != 0)
        ++m->counts.trace_flags;
    if (m->layout->machine == KDNET_MACHINE_ARM64 || m->halt.kind != HALT_EXCEPTION || m->config.replay)
        return;
    uint64_t dr7 = given_dr7(m, request);
    bool good = is_kernels_trap(m) ? (dr7 & DR7_ENABLED) == 0 : dr7 == m->halt.dr7;
    if (!good)
        ++m->counts.wrong_dr7;
}

/* Continue2 clears the trace flag of x64 and x86, and sets Dr7 [ros]; on ARM64 only the registers are believed [inf].
 */
bool harm_is_traced(const struct machine *m, const struct kdnet_manipulate *request)
{
    uint32_t bit;
    size_t at = flag_at(m, &bit);
    if (!is_kernels_trap(m))
        return false;
    if (m->layout->machine == KDNET_MACHINE_ARM64)
        return m->halt.stepped && !(m->context_set && (kdnet_get_le32(m->context + at) & bit) == 0);
    if (request->api != KDNET_API_CONTINUE2)
        return true;
    return trace_flag(m, request) != 0 || (given_dr7(m, request) & DR7_ENABLED) != 0;
}

/* Compares with the registers as they were given: only the program counter may differ, and the flag of a trap. */
void harm_by_context(struct machine *m, const uint8_t *given, size_t offset, size_t length)
{
    uint8_t expected[KDNET_CONTEXT_MAX], got[KDNET_CONTEXT_MAX];
    uint32_t bit;
    size_t flag = flag_at(m, &bit);
    if (m->config.replay)
        return;
    memcpy(expected, m->context, m->layout->context_size);
    memcpy(got, m->context, m->layout->context_size);
    memcpy(got + offset, given, length);
    kdnet_machine_set_pc(m->layout, expected, kdnet_machine_pc(m->layout, got));
    if (is_kernels_trap(m)) {
        kdnet_put_le32(expected + flag, kdnet_get_le32(expected + flag) & ~bit);
        kdnet_put_le32(got + flag, kdnet_get_le32(got + flag) & ~bit);
    }
    if (memcmp(expected, got, m->layout->context_size) != 0)
        ++m->counts.contexts_changed;
}

void harm_by_request(struct machine *m, const struct kdnet_manipulate *request)
{
    switch (request->api) {
    case KDNET_API_WRITE_VIRTUAL_MEMORY:
    case KDNET_API_WRITE_PHYSICAL_MEMORY:
    case KDNET_API_FILL_MEMORY:
    case KDNET_API_WRITE_BREAK_POINT:
    case KDNET_API_WRITE_BREAK_POINT_EX:
    case KDNET_API_WRITE_CUSTOM_BREAKPOINT:
    case KDNET_API_SET_INTERNAL_BREAK_POINT:
    case KDNET_API_WRITE_CONTROL_SPACE:
    case KDNET_API_WRITE_IO_SPACE:
    case KDNET_API_WRITE_IO_SPACE_EXTENDED:
    case KDNET_API_WRITE_MSR:
    case KDNET_API_SET_BUS_DATA:
    case KDNET_API_CAUSE_BUG_CHECK:
        ++m->counts.writes;
        break;
    default:
        break;
    }
}

void harm_by_response(struct machine *m, const struct kdnet_response *response)
{
    static const uint8_t zeros[KDNET_RANDOM_LENGTH];
    if (memcmp(response->host_random, zeros, sizeof zeros) == 0)
        ++m->counts.zero_randoms;
}

uint32_t machine_harm(const struct machine_result *result)
{
    return result->released_wrongly + result->wrong_processors + result->contexts_changed + result->trace_flags +
           result->wrong_dr7 + result->writes + result->zero_randoms;
}
