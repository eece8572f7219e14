/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a crash came from: asked once a crash, last of all, within a quarter of the read time. Its result and the
 * machine's release are as they are, whatever becomes of it.
 */
#include "kdnet/base/wire.h"
#include "kdnet/crash/frame_record.h"
#include "kdnet/crash/trace.h"
#include "kdnet/kernel/crash.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/probes/cause_internal.h"
#include "kdnet/session/probes/probe_internal.h"
#include "kdnet/session/request_internal.h"

#include <stdlib.h>

#define BUDGET_DIVISOR 4U /* of the read deadline */

struct cause_state {
    bool begun, over;
    unsigned named; /* frames whose names were asked for */
    uint64_t until_us;
    struct kdnet_trace_search search;
};

static bool is_of_a_crash(const struct kdnet_session *session)
{
    struct kdnet_break_facts facts = kdnet_halt_facts(session);
    enum kdnet_phase phase = kdnet_crash_phase(&facts);
    return phase == KDNET_PHASE_BUGCHECK_FIRST || phase == KDNET_PHASE_BUGCHECK_SECOND || phase == KDNET_PHASE_SHUTDOWN;
}

/* Where the processor stands. False: not all of its registers are known. */
static bool take_frame(const struct kdnet_session *session, struct kdnet_frame *out)
{
    const struct kdnet_halt *halt = &session->active->halt;
    const struct kdnet_machine_layout *layout = kdnet_halt_layout(session);
    return kdnet_is_known(&halt->facts, KDNET_FACT_CONTEXT) && !session->kernel_info->pieces &&
           halt->registers.length == layout->context_size &&
           kdnet_frame_from_context(layout->machine, halt->registers.bytes, out);
}

/* The machine among others, as long as this process lives: FNV-1a of its key. */
static uint64_t teller_of(const struct kdnet_session *session)
{
    const struct kdnet_key *key = kdnet_session_key(session);
    uint64_t hash = 0xcbf29ce484222325U;
    for (size_t i = 0; i < sizeof key->bytes; ++i)
        hash = (hash ^ key->bytes[i]) * 0x100000001b3U;
    return hash;
}

static void begin(struct kdnet_session *session, struct cause_state *state, uint64_t now_us)
{
    const struct kdnet_kernel_info *info = session->kernel_info;
    const struct kdnet_session_shared *shared = session->shared;
    bool block = kdnet_is_known(&info->facts, KDNET_FACT_DEBUGGER_DATA);
    struct kdnet_trace_start start = {
        .machine = (enum kdnet_machine)info->version.machine,
        .bugcheck = session->history->crash.bugcheck.data,
        .kernel_base = kdnet_halt_kernel_base(session),
        .module_list = kdnet_halt_address(session,
                                          block ? info->data.loaded_module_list : info->version.loaded_module_list),
        .cache = shared->trace_cache,
        .teller = teller_of(session),
    };
    start.frame_known = take_frame(session, &start.frame);
    start.storm = shared->crash_storm && !kdnet_trace_cache_may_ask(shared->trace_cache, &start.bugcheck, now_us);
    state->begun = true;
    state->until_us = now_us + shared->read_deadline_us / BUDGET_DIVISOR;
    kdnet_trace_begin(&state->search, &start);
}

/* The name of an address in an image whose symbol file is known: NULL, of none other. */
static const struct kdnet_pdb *pdb_of(const struct kdnet_session *session, const struct kdnet_trace *trace,
                                      uint8_t image)
{
    bool kernel = image == 0 && trace->image_count > 0 &&
                  kdnet_is_known(&session->kernel_info->facts, KDNET_FACT_IDENTITY);
    return kernel                                                       ? &session->kernel_info->pdb
           : image != KDNET_TRACE_NO_IMAGE && image == trace->pdb_image ? &trace->pdb
                                                                        : NULL;
}

static void name_address(const struct kdnet_session *session, const struct kdnet_trace *trace, uint8_t image,
                         uint64_t address, struct kdnet_trace_name *out)
{
    const struct kdnet_session_shared *shared = session->shared;
    const struct kdnet_pdb *pdb = pdb_of(session, trace, image);
    if (pdb && shared->find_name && out->text[0] == '\0' &&
        !shared->find_name(shared->user, pdb, (uint32_t)(address - trace->image[image].base), out->text,
                           sizeof out->text, &out->offset))
        out->text[0] = '\0';
}

/* Names that are known, from a frame on; others are asked for, so that they may be known when the result is told. */
static void name_from(const struct kdnet_session *session, struct kdnet_trace *trace, unsigned first)
{
    if (trace->address != 0 && first == 0)
        name_address(session, trace, trace->address_image, trace->address, &trace->address_name);
    for (unsigned i = first; i < trace->frame_count; ++i)
        name_address(session, trace, trace->frame[i].image, trace->frame[i].address, &trace->frame_name[i]);
}

/* Once a crash: at its first break that is read. */
static bool is_wanted(const struct kdnet_session *session)
{
    const struct kdnet_halt *halt = &session->active->halt;
    const struct kdnet_crash *crash = &session->history->crash;
    return session->shared->trace_cache && !halt->late && !halt->dump_status.waiting && crash->bugcheck.known &&
           crash->bugcheck.data.code != 0 && crash->bucket[0] == '\0' && is_of_a_crash(session);
}

static bool next(struct kdnet_session *session, uint64_t now_us)
{
    uint64_t want;
    if (!is_wanted(session))
        return false;
    struct cause_state *state = kdnet_probe_state(session, &kdnet_probe_cause);
    if (!state || state->over)
        return false;
    if (!state->begun)
        begin(session, state, now_us);
    state->search.start.cache = session->shared->trace_cache; /* the session may have moved */
    state->over = now_us >= state->until_us || !kdnet_trace_next(&state->search, &want) ||
                  !kdnet_request_read(session, KDNET_FOR_PROBE, want, KDNET_BLOCK_SIZE);
    if (state->search.trace.frame_count > state->named)
        name_from(session, &state->search.trace, state->named);
    state->named = state->search.trace.frame_count;
    return !state->over;
}

static enum kdnet_probe_outcome take(struct kdnet_session *session, const struct kdnet_answer *answer)
{
    struct cause_state *state = kdnet_probe_state(session, &kdnet_probe_cause);
    if (state && state->begun && !state->over) {
        state->search.start.cache = session->shared->trace_cache;
        kdnet_trace_give(&state->search, answer->data, answer->length);
    }
    return KDNET_PROBE_TAKEN;
}

static void failed(struct kdnet_session *session)
{
    const struct kdnet_answer nothing = {.data = session->active->halt.request.data};
    (void)take(session, &nothing);
}

const struct kdnet_probe kdnet_probe_cause = {
    .name = "cause",
    .needs = KDNET_FACT_KERNEL,
    .state_size = sizeof(struct cause_state),
    .next = next,
    .take = take,
    .failed = failed,
};

struct kdnet_trace *kdnet_cause_end(struct kdnet_session *session)
{
    struct kdnet_crash *crash = &session->history->crash;
    struct cause_state *state = kdnet_probe_state_find(session, &kdnet_probe_cause);
    if (!state || !state->begun || crash->bucket[0] != '\0')
        return NULL;
    const struct kdnet_trace_search *search = &state->search;
    uint64_t address;
    struct kdnet_break_facts facts = kdnet_halt_facts(session);
    bool whole = search->stage == KDNET_TRACE_DONE && !search->trace.cut;
    /* Without a place, and time was short: the crash's next break tries again. */
    if (whole || kdnet_trace_blames(&search->trace, &address) ||
        kdnet_crash_phase(&facts) != KDNET_PHASE_BUGCHECK_FIRST)
        kdnet_trace_bucket(&search->trace, search->start.bugcheck.code, session->kernel_info->version.minor,
                           crash->bucket);
    state->over = true;
    struct kdnet_trace *trace = malloc(sizeof *trace);
    if (trace) {
        *trace = search->trace;
        trace->cut |= search->stage < KDNET_TRACE_IDENTITY;
        name_from(session, trace, 0);
    }
    return trace;
}
