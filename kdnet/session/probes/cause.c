/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a crash came from: asked once a crash, last of all, within a quarter of the read time. Its result and the
 * machine's release are as they are, whatever becomes of it.
 */
#include "kdnet/base/wire.h"
#include "kdnet/base/hash.h"
#include "kdnet/crash/frame_record.h"
#include "kdnet/crash/trace.h"
#include "kdnet/crash/trace_check.h"
#include "kdnet/kernel/crash.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/probes/cause_internal.h"
#include "kdnet/session/probes/probe_internal.h"
#include "kdnet/session/request_internal.h"

#include <stdlib.h>

/* Parts of a search's time. */
#define WAIT_DIVISOR  2U     /* how long it waits for what other machines are being asked */
#define POLL_DIVISOR  32U    /* how often it looks whether they have told */
#define POLL_MOST_US  15000U /* a long deadline is for slow machines: those that wait do not wait longer */
#define CLAIM_DIVISOR 5U /* how long others wait for a machine that does not answer: shorter than they wait at all */

/* How a machine is asked. */
enum cause_way {
    CAUSE_SEARCH, /* full search, or in a storm a short one */
    CAUSE_CHECK,  /* check whether an image is where others had it */
    CAUSE_PLAIN,  /* no question: traces of similar crashes found no more than the parameters */
    CAUSE_LATER,  /* no question now: the crash's next break is asked */
};

struct cause_state {
    bool begun, over, found; /* found: of the check */
    enum cause_way way;
    unsigned named; /* frames whose names were asked for */
    uint64_t until_us, wait_until_us;
    uint64_t poll_us, claim_us; /* how often a wait looks whether it is over; how long an unanswered question keeps a
                                   claim */
    struct kdnet_trace_check check;
};

/* The search's state is large: only a full search allocates it. */
static const struct kdnet_probe search_state = {.name = "cause search",
                                                .state_size = sizeof(struct kdnet_trace_search)};

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

uint64_t kdnet_cause_kernel_id(const struct kdnet_kernel_info *info)
{
    uint16_t machine = info->version.machine, build = info->version.minor;
    uint64_t hash = kdnet_hash(KDNET_HASH_START, &machine, sizeof machine);
    if (!kdnet_is_known(&info->facts, KDNET_FACT_IDENTITY))
        return kdnet_hash(hash, &build, sizeof build);
    return kdnet_hash(kdnet_hash(hash, info->pdb.guid, sizeof info->pdb.guid), &info->pdb.age, sizeof info->pdb.age);
}

uint64_t kdnet_cause_teller(const struct kdnet_session *session)
{
    const struct kdnet_key *key = kdnet_session_key(session);
    return kdnet_hash(KDNET_HASH_START, key->bytes, sizeof key->bytes);
}

static struct kdnet_trace_start start_of(const struct kdnet_session *session)
{
    const struct kdnet_kernel_info *info = session->kernel_info;
    bool block = kdnet_is_known(&info->facts, KDNET_FACT_DEBUGGER_DATA);
    return (struct kdnet_trace_start){
        .machine = (enum kdnet_machine)info->version.machine,
        .bugcheck = session->history->crash.bugcheck.data,
        .kernel_base = kdnet_halt_kernel_base(session),
        .build = info->version.minor,
        .kernel_id = kdnet_cause_kernel_id(info),
        .module_list = kdnet_halt_address(session,
                                          block ? info->data.loaded_module_list : info->version.loaded_module_list),
        .cache = session->shared->trace_cache,
        .teller = kdnet_cause_teller(session),
    };
}

/* The address that the bug check names; 0: none, or that of a record. */
static uint64_t named_address(const struct kdnet_trace_start *start)
{
    enum kdnet_cause_kind kind = KDNET_CAUSE_ADDRESS;
    uint64_t address = kdnet_cause_address(start->machine, &start->bugcheck, &kind);
    return kind == KDNET_CAUSE_ADDRESS ? address : 0;
}

/* Asks whether the next candidate image is there. False: no further candidate. */
static bool ask_check(struct kdnet_session *session, struct cause_state *state)
{
    uint64_t want;
    struct kdnet_trace_start start = start_of(session);
    return kdnet_trace_check_next(&state->check, start.cache, start.machine, named_address(&start), &want) &&
           kdnet_request_read(session, KDNET_FOR_PROBE, want, KDNET_TRACE_CHECK_SIZE);
}

/* Chooses the way in a storm for an address that nobody can place: similar crashes tell whether asking is worth it. */
static enum cause_way way_without_place(const struct kdnet_trace_start *start, uint64_t now_us)
{
    switch (kdnet_trace_cache_group(start->cache, &start->bugcheck, start->kernel_id)) {
    case KDNET_TRACE_GROUP_PLAIN:
        return CAUSE_PLAIN;
    case KDNET_TRACE_GROUP_FRUITFUL:
        return CAUSE_SEARCH;
    case KDNET_TRACE_GROUP_UNKNOWN:
    default:
        return kdnet_trace_cache_may_find(start->cache, now_us) ? CAUSE_SEARCH : CAUSE_LATER;
    }
}

static void begin_search(struct kdnet_session *session, struct cause_state *state, bool storm)
{
    struct kdnet_trace_start start = start_of(session);
    struct kdnet_trace_search *search = kdnet_probe_state(session, &search_state);
    start.frame_known = take_frame(session, &start.frame);
    start.wait_until_us = state->wait_until_us;
    start.storm = storm;
    state->way = CAUSE_SEARCH;
    if (search)
        kdnet_trace_begin(search, &start);
}

static void begin(struct kdnet_session *session, struct cause_state *state, uint64_t now_us)
{
    const struct kdnet_session_shared *shared = session->shared;
    state->begun = true;
    state->until_us = kdnet_probe_share(session, now_us);
    uint64_t time_us = state->until_us - now_us;
    state->wait_until_us = now_us + time_us / WAIT_DIVISOR;
    state->poll_us = time_us / POLL_DIVISOR < POLL_MOST_US ? time_us / POLL_DIVISOR + 1 : POLL_MOST_US;
    state->claim_us = time_us / CLAIM_DIVISOR;
    struct kdnet_trace_start start = start_of(session);
    if (!shared->crash_storm || (kdnet_trace_cache_may_ask(start.cache, &start.bugcheck, start.kernel_id, now_us) &&
                                 kdnet_trace_cache_may_find(start.cache, now_us)))
        begin_search(session, state, false);
    else
        state->way = CAUSE_CHECK;
}

/* The check has found nothing. */
static void go_on(struct kdnet_session *session, struct cause_state *state, uint64_t now_us)
{
    struct kdnet_trace_start start = start_of(session);
    state->way = way_without_place(&start, now_us);
    if (state->way == CAUSE_SEARCH)
        begin_search(session, state, true);
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

/* Asks the next question of a search. */
static bool ask_search(struct kdnet_session *session, struct cause_state *state, uint64_t now_us)
{
    uint64_t want;
    struct kdnet_trace_search *search = kdnet_probe_state_find(session, &search_state);
    if (!search)
        return false;
    search->start.cache = session->shared->trace_cache; /* the session may have moved */
    search->start.now_us = now_us;
    search->start.claim_until_us = now_us + state->claim_us;
    bool asked = kdnet_trace_next(search, &want) &&
                 kdnet_request_read(session, KDNET_FOR_PROBE, want, KDNET_BLOCK_SIZE);
    if (search->waits)
        session->active->halt.paused_until_us = now_us + state->poll_us;
    if (search->trace.frame_count > state->named)
        name_from(session, &search->trace, state->named);
    state->named = search->trace.frame_count;
    return asked;
}

static bool ask(struct kdnet_session *session, struct cause_state *state, uint64_t now_us)
{
    if (state->way == CAUSE_CHECK && ask_check(session, state))
        return true;
    if (state->way == CAUSE_CHECK)
        go_on(session, state, now_us);
    return state->way == CAUSE_SEARCH && ask_search(session, state, now_us);
}

static bool next(struct kdnet_session *session, uint64_t now_us)
{
    uint64_t *paused_until_us = &session->active->halt.paused_until_us;
    *paused_until_us = 0;
    if (!is_wanted(session))
        return false;
    struct cause_state *state = kdnet_probe_state(session, &kdnet_probe_cause);
    if (!state || state->over)
        return false;
    if (!state->begun)
        begin(session, state, now_us);
    bool asks = kdnet_probe_has_time(session, state->until_us, now_us) && ask(session, state, now_us);
    state->over = !asks && *paused_until_us == 0;
    return asks;
}

static void take_check(struct kdnet_session *session, struct cause_state *state, const struct kdnet_answer *answer)
{
    switch (kdnet_trace_check_take(&state->check, answer->data, answer->length)) {
    case KDNET_TRACE_CHECK_FOUND:
        state->found = state->over = true;
        break;
    case KDNET_TRACE_CHECK_MISSING: /* the image's code may decide */
        begin_search(session, state, true);
        break;
    case KDNET_TRACE_CHECK_OTHER:
        break;
    }
}

static enum kdnet_probe_outcome take(struct kdnet_session *session, const struct kdnet_answer *answer)
{
    struct cause_state *state = kdnet_probe_state_find(session, &kdnet_probe_cause);
    struct kdnet_trace_search *search = kdnet_probe_state_find(session, &search_state);
    if (!state || !state->begun || state->over)
        return KDNET_PROBE_TAKEN;
    if (state->way == CAUSE_CHECK) {
        take_check(session, state, answer);
    } else if (search) {
        search->start.cache = session->shared->trace_cache;
        kdnet_trace_give(search, answer->data, answer->length);
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

static bool is_first_break(const struct kdnet_session *session)
{
    struct kdnet_break_facts facts = kdnet_halt_facts(session);
    return kdnet_crash_phase(&facts) == KDNET_PHASE_BUGCHECK_FIRST;
}

static bool blames_others(const struct kdnet_trace *trace)
{
    uint64_t address;
    const struct kdnet_image_place *blamed = kdnet_trace_blames(trace, &address);
    return blamed && !kdnet_image_is_of_crash_path(blamed->name);
}

/* Records what a search has found. "Nothing" counts only when the memory was readable. */
static void tell_group(const struct kdnet_trace_search *search)
{
    const struct kdnet_trace_start *start = &search->start;
    const struct kdnet_trace *trace = &search->trace;
    bool fruitful = blames_others(trace);
    bool whole = search->stage == KDNET_TRACE_DONE && !trace->cut && (trace->frame_count > 1 || !start->frame_known);
    if (start->cache && (fruitful || whole))
        kdnet_trace_cache_learn_group(start->cache, &start->bugcheck, start->kernel_id, start->teller, fruitful);
}

/* Moves the known cause to the caller's trace. */
static void find_out(struct kdnet_session *session, const struct cause_state *state, struct kdnet_trace *out)
{
    struct kdnet_trace_search *search = kdnet_probe_state_find(session, &search_state);
    if (state->way == CAUSE_SEARCH && search && search->stage != KDNET_TRACE_ADDRESS) {
        search->start.cache = session->shared->trace_cache;
        tell_group(search);
        *out = search->trace;
        out->cut |= search->stage < KDNET_TRACE_IDENTITY;
        return;
    }
    struct kdnet_trace_start start = start_of(session);
    kdnet_trace_of_parameters(&start, state->found ? &state->check : NULL, out);
    out->cut = state->way != CAUSE_PLAIN && !state->found; /* a search had no time to begin */
}

struct kdnet_trace *kdnet_cause_end(struct kdnet_session *session)
{
    struct kdnet_crash *crash = &session->history->crash;
    struct cause_state *state = kdnet_probe_state_find(session, &kdnet_probe_cause);
    if (!state || !state->begun || crash->bucket[0] != '\0')
        return NULL;
    state->over = true;
    struct kdnet_trace *trace = malloc(sizeof *trace);
    if (!trace)
        return NULL;
    find_out(session, state, trace);
    kdnet_probe_state_end(session, &search_state);
    /* Nobody is to blame yet, and time was short: the crash's next break tries again. */
    if (!trace->cut || blames_others(trace) || !is_first_break(session))
        kdnet_trace_bucket(trace, crash->bugcheck.data.code, session->kernel_info->version.minor, crash->bucket);
    name_from(session, trace, 0);
    return trace;
}
