/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searches for the dump log at the last break of a crash whose status is unknown, when evidence shows that a dump was
 * set up. No report says yet whether real machines keep the log in that memory.
 */
#include "kdnet/crash/dump_log.h"
#include "kdnet/crash/trace_cache.h"
#include "kdnet/kernel/crash.h"
#include "kdnet/session/evidence.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/probes/dump_log_internal.h"
#include "kdnet/session/probes/evidence_internal.h"
#include "kdnet/session/probes/probe_internal.h"
#include "kdnet/session/request_internal.h"

struct dump_log_state {
    bool begun, over;
    uint64_t until_us;
    struct kdnet_dump_log_search search;
};

static bool is_last_break(const struct kdnet_session *session)
{
    struct kdnet_break_facts facts = kdnet_halt_facts(session);
    enum kdnet_phase phase = kdnet_crash_phase(&facts);
    return phase == KDNET_PHASE_BUGCHECK_SECOND || phase == KDNET_PHASE_SHUTDOWN;
}

static bool is_wanted(const struct kdnet_session *session)
{
    const struct kdnet_halt *halt = &session->active->halt;
    return session->shared->trace_cache && !halt->late && kdnet_is_tried(&halt->facts, KDNET_FACT_STATUS) &&
           !kdnet_is_known(&halt->facts, KDNET_FACT_STATUS) && halt->bugcheck.code != 0 && is_last_break(session);
}

/* Returns the value of a pointer variable of the kernel at this break; 0: null, or unknown. */
static uint64_t pointer_at(const struct kdnet_evidence *evidence, const char *symbol)
{
    uint64_t pointer = 0;
    return kdnet_evidence_find(evidence, symbol, KDNET_READ_POINTER, &pointer) ? pointer : 0;
}

static void begin(struct kdnet_session *session, struct dump_log_state *state, uint64_t now_us)
{
    const struct kdnet_kernel_info *info = session->kernel_info;
    const struct kdnet_evidence *evidence = kdnet_evidence_probe_look(session);
    const struct kdnet_dump_log_path *path = kdnet_dump_log_recall(&session->shared->trace_cache->logs, &info->pdb);
    struct kdnet_dump_log_start start = {
        .machine = (enum kdnet_machine)info->version.machine,
        .bugcheck = session->active->halt.bugcheck,
        .block = kdnet_halt_address(session, pointer_at(evidence, KDNET_DUMP_BLOCK_SYMBOL)),
        .driver = kdnet_halt_address(session, pointer_at(evidence, KDNET_DUMP_DRIVER_SYMBOL)),
    };
    if (path)
        start.path = *path;
    state->begun = true;
    state->until_us = kdnet_probe_share(session, now_us);
    kdnet_dump_log_begin(&state->search, &start);
}

static bool next(struct kdnet_session *session, uint64_t now_us)
{
    uint64_t address;
    uint32_t length;
    if (!is_wanted(session))
        return false;
    struct dump_log_state *state = kdnet_probe_state(session, &kdnet_probe_dump_log);
    if (!state || state->over)
        return false;
    if (!state->begun)
        begin(session, state, now_us);
    state->over = !kdnet_probe_has_time(session, state->until_us, now_us) ||
                  !kdnet_dump_log_next(&state->search, &address, &length) ||
                  !kdnet_request_read(session, KDNET_FOR_PROBE, address, length);
    return !state->over;
}

static enum kdnet_probe_outcome take(struct kdnet_session *session, const struct kdnet_answer *answer)
{
    struct dump_log_state *state = kdnet_probe_state_find(session, &kdnet_probe_dump_log);
    if (state && state->begun && !state->over)
        kdnet_dump_log_take(&state->search, answer->data, answer->length);
    return KDNET_PROBE_TAKEN;
}

static void failed(struct kdnet_session *session)
{
    const struct kdnet_answer nothing = {.data = session->active->halt.request.data};
    (void)take(session, &nothing);
}

const struct kdnet_probe kdnet_probe_dump_log = {
    .name = "dump_log",
    .needs = KDNET_FACT_KERNEL | KDNET_FACT_IDENTITY | KDNET_FACT_BUGCHECK,
    .state_size = sizeof(struct dump_log_state),
    .next = next,
    .take = take,
    .failed = failed,
};

bool kdnet_dump_log_end(struct kdnet_session *session, struct kdnet_dump_log_facts *out)
{
    const struct dump_log_state *state = kdnet_probe_state_find(session, &kdnet_probe_dump_log);
    *out = (struct kdnet_dump_log_facts){.tried = false};
    if (!state || !state->begun || state->search.asked == 0)
        return false;
    const struct kdnet_dump_log_search *search = &state->search;
    bool found = search->found || (search->reading && kdnet_dump_log_text_matches(&search->text));
    if (found)
        *out = search->text.facts;
    out->tried = true;
    out->known = found;
    out->header = search->header;
    if (found && session->shared->trace_cache)
        kdnet_dump_log_remember(&session->shared->trace_cache->logs, &session->kernel_info->pdb, &search->path);
    return found && kdnet_dump_log_text_completed(&search->text);
}
