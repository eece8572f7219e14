/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads further values at a break once the status is known or cannot be known; neighbouring values share a read. The
 * machine is halted meanwhile: evidence gets only a part of the read time, and waits for no look-up.
 */
#include "kdnet/kernel/crash.h"
#include "kdnet/session/halt_internal.h"
#include "kdnet/session/probes/evidence_internal.h"
#include "kdnet/session/probes/evidence_state_internal.h"
#include "kdnet/session/probes/module_list_internal.h"
#include "kdnet/session/request_internal.h"
#include "kdnet/session/symbols_internal.h"

#include <stdlib.h>
#include <string.h>

static bool is_kernel(const struct kdnet_read *read)
{
    return strcmp(read->module, "nt") == 0;
}

/* --- beginning ---------------------------------------------------------------------------------------------------- */

/* Makes the cache of constant values for these reads; a cache for other reads is dropped. */
static bool have_boot_cache(struct kdnet_kernel_info *info, const struct kdnet_reads *reads)
{
    if (info->boot_cache && info->boot_cache->version != reads->version)
        kdnet_kernel_info_clear(info);
    if (!info->boot_cache)
        info->boot_cache = calloc(1, sizeof *info->boot_cache);
    if (!info->boot_cache)
        return false;
    info->boot_cache->version = reads->version;
    return true;
}

static void end_unit(struct kdnet_evidence_probe *probe, size_t i, enum kdnet_value_state state)
{
    probe->unit[i].stage = KDNET_UNIT_DONE;
    probe->evidence.value[i].state = (uint8_t)state;
}

/* Looks up the symbol of a value: the value then has an address to read, or is done. */
static void resolve(struct kdnet_session *session, size_t i, const struct kdnet_pdb *pdb, uint64_t base)
{
    struct kdnet_evidence_probe *probe = session->active->evidence_probe;
    const struct kdnet_read *read = &session->shared->reads->read[i];
    enum kdnet_source source;
    uint32_t rva;
    switch (kdnet_find_rva(session, pdb, read->symbol, &rva, &source)) {
    case KDNET_RVA_FOUND:
        probe->unit[i].address = kdnet_halt_address(session, base + rva + read->offset[0]);
        probe->unit[i].stage = KDNET_UNIT_READ;
        break;
    case KDNET_RVA_ABSENT:
        end_unit(probe, i, KDNET_VALUE_SYMBOL_ABSENT);
        break;
    case KDNET_RVA_NO_SYMBOLS:
        end_unit(probe, i, KDNET_VALUE_NO_SYMBOLS);
        break;
    case KDNET_RVA_PENDING:
        end_unit(probe, i, KDNET_VALUE_PENDING);
        break;
    }
}

static bool is_of_a_crash(const struct kdnet_session *session)
{
    struct kdnet_break_facts facts = kdnet_halt_facts(session);
    switch (kdnet_crash_phase(&facts)) {
    case KDNET_PHASE_BUGCHECK_FIRST:
    case KDNET_PHASE_BUGCHECK_SECOND:
    case KDNET_PHASE_SHUTDOWN:
        return true;
    default:
        return false;
    }
}

/* Selects the values to read at this break. Returns whether there are any. */
static bool begin_units(struct kdnet_session *session, const struct kdnet_reads *reads)
{
    struct kdnet_evidence_probe *probe = session->active->evidence_probe;
    bool crash = is_of_a_crash(session), any = false;
    for (size_t i = 0; i < reads->count; ++i) {
        const struct kdnet_read *read = &reads->read[i];
        if ((!crash && !read->always) ||
            (read->once && kdnet_boot_cache_recall(session->kernel_info->boot_cache, &probe->evidence, i)))
            probe->unit[i].stage = KDNET_UNIT_DONE;
        else if (is_kernel(read))
            resolve(session, i, &session->kernel_info->pdb, kdnet_halt_kernel_base(session));
        any |= crash || read->always;
    }
    return any;
}

/* Once for each break. */
static void begin(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_active *active = session->active;
    struct kdnet_halt *halt = &active->halt;
    const struct kdnet_reads *reads = session->shared->reads;
    halt->evidence_stage = KDNET_EVIDENCE_OVER;
    if (!reads || reads->count == 0 || reads->count > KDNET_READS_MAX ||
        !kdnet_is_known(&session->kernel_info->facts, KDNET_FACT_IDENTITY) ||
        !have_boot_cache(session->kernel_info, reads))
        return;
    if (!active->evidence_probe)
        active->evidence_probe = malloc(sizeof *active->evidence_probe);
    if (!active->evidence_probe)
        return;
    *active->evidence_probe = (struct kdnet_evidence_probe){.evidence.reads = reads};
    if (!begin_units(session, reads))
        return;
    halt->evidence_stage = KDNET_EVIDENCE_UNDER_WAY;
    (void)kdnet_probe_share(session, now_us);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* How many bytes the next read of a value is. */
static uint32_t unit_length(const struct kdnet_session *session, size_t i)
{
    const struct kdnet_unit *unit = &session->active->evidence_probe->unit[i];
    const struct kdnet_read *read = &session->shared->reads->read[i];
    const struct kdnet_machine_layout *layout = kdnet_halt_layout(session);
    if (unit->buffer)
        return unit->length;
    if (unit->step < read->steps)
        return (uint32_t)layout->pointer_size;
    return kdnet_read_length(layout, (enum kdnet_read_kind)read->kind);
}

/* Reads the value at the lowest address together with all values that fit into the same read. */
static bool ask_values(struct kdnet_session *session, const struct kdnet_reads *reads)
{
    struct kdnet_evidence_probe *probe = session->active->evidence_probe;
    size_t first = reads->count;
    for (size_t i = 0; i < reads->count; ++i)
        if (probe->unit[i].stage == KDNET_UNIT_READ &&
            (first == reads->count || probe->unit[i].address < probe->unit[first].address))
            first = i;
    if (first == reads->count)
        return false;
    uint64_t low = probe->unit[first].address;
    uint32_t length = unit_length(session, first);
    for (size_t i = 0; i < reads->count && !probe->unit[first].alone; ++i) {
        const struct kdnet_unit *unit = &probe->unit[i];
        uint64_t end = unit->address - low + unit_length(session, i);
        if (unit->stage == KDNET_UNIT_READ && !unit->alone && unit->address - low < KDNET_READ_SPACE &&
            end <= KDNET_READ_SPACE && end > length)
            length = (uint32_t)end;
    }
    probe->asks = KDNET_ASKS_VALUES;
    return kdnet_request_read(session, KDNET_FOR_PROBE, low, length);
}

/* Takes a UNICODE_STRING: its text is to be read next. */
static void take_structure(struct kdnet_session *session, size_t i, const uint8_t *data)
{
    const struct kdnet_machine_layout *layout = kdnet_halt_layout(session);
    struct kdnet_evidence_probe *probe = session->active->evidence_probe;
    struct kdnet_unit *unit = &probe->unit[i];
    uint32_t length = (uint32_t)(data[0] | data[1] << 8) & ~1U;
    uint64_t buffer = kdnet_machine_pointer(layout, data + layout->pointer_size);
    if (length == 0) {
        kdnet_evidence_text(&probe->evidence, i, data, 0, true, false);
        unit->stage = KDNET_UNIT_DONE;
    } else if (buffer == 0) {
        end_unit(probe, i, KDNET_VALUE_NULL_POINTER);
    }
    unit->address = buffer;
    unit->length = length < KDNET_TEXT_MAX ? length : KDNET_TEXT_MAX;
    unit->more = length > KDNET_TEXT_MAX;
    unit->buffer = true;
}

/* The bytes at a value's address have come: a pointer on the way, or the value. */
static void take_unit(struct kdnet_session *session, size_t i, const uint8_t *data, size_t length)
{
    struct kdnet_evidence_probe *probe = session->active->evidence_probe;
    struct kdnet_unit *unit = &probe->unit[i];
    const struct kdnet_read *read = &session->shared->reads->read[i];
    unit->alone = false;
    if (unit->step < read->steps) {
        uint64_t pointer = kdnet_machine_pointer(kdnet_halt_layout(session), data);
        unit->address = kdnet_halt_address(session, pointer + read->offset[++unit->step]);
        if (pointer == 0)
            end_unit(probe, i, KDNET_VALUE_NULL_POINTER);
        return;
    }
    if (read->kind == KDNET_READ_UNICODE && !unit->buffer) {
        take_structure(session, i, data);
        return;
    }
    if (read->kind == KDNET_READ_UNICODE || read->kind == KDNET_READ_STRING)
        kdnet_evidence_text(&probe->evidence, i, data, length, read->kind == KDNET_READ_UNICODE,
                            read->kind == KDNET_READ_STRING || unit->more || length < unit->length);
    else
        kdnet_evidence_number(&probe->evidence, i, data, length);
    unit->stage = KDNET_UNIT_DONE;
}

static bool is_text(const struct kdnet_read *read, const struct kdnet_unit *unit)
{
    return unit->step == read->steps && (read->kind == KDNET_READ_STRING || unit->buffer);
}

/* Takes each value that lies in the `length` bytes that came. */
static void take_values(struct kdnet_session *session, const struct kdnet_reads *reads, const uint8_t *data,
                        size_t length)
{
    struct kdnet_evidence_probe *probe = session->active->evidence_probe;
    const struct kdnet_request *request = &session->active->halt.request;
    for (size_t i = 0; i < reads->count; ++i) {
        struct kdnet_unit *unit = &probe->unit[i];
        uint64_t at = unit->address - request->address;
        uint32_t wanted = unit_length(session, i);
        if (unit->stage != KDNET_UNIT_READ || at >= request->wanted || wanted > request->wanted - at)
            continue;
        size_t have = at < length ? length - (size_t)at : 0;
        if (have >= wanted || (have > 0 && at == 0 && is_text(&reads->read[i], unit)))
            take_unit(session, i, data + at, have < wanted ? have : wanted);
        else if (at == 0 && wanted == request->wanted)
            end_unit(probe, i, KDNET_VALUE_UNREADABLE); /* asked for by itself */
        else
            unit->alone = true; /* a page between the value and its neighbours is unreadable */
    }
}

static enum kdnet_probe_outcome take(struct kdnet_session *session, const struct kdnet_answer *answer)
{
    const struct kdnet_reads *reads = kdnet_evidence_probe_reads(session);
    if (session->active->halt.evidence_stage != KDNET_EVIDENCE_UNDER_WAY || !reads)
        return KDNET_PROBE_TAKEN;
    if (session->active->evidence_probe->asks != KDNET_ASKS_VALUES)
        return kdnet_module_list_take(session, answer->data, answer->length);
    take_values(session, reads, answer->data, answer->length);
    return KDNET_PROBE_TAKEN;
}

static void failed(struct kdnet_session *session)
{
    const struct kdnet_answer nothing = {.data = session->active->halt.request.data};
    (void)take(session, &nothing);
}

/* --- other images than the kernel --------------------------------------------------------------------------------- */

/* Values whose image is known now, or is not there, wait no longer. Returns whether any did. */
static bool resolve_waiting(struct kdnet_session *session, const struct kdnet_reads *reads)
{
    struct kdnet_evidence_probe *probe = session->active->evidence_probe;
    bool any = false;
    for (size_t i = 0; i < reads->count; ++i) {
        if (probe->unit[i].stage != KDNET_UNIT_WAITS)
            continue;
        const struct kdnet_module *module = kdnet_module_list_find(session, reads->read[i].module);
        any = true;
        if (!module || module->base == 0)
            end_unit(probe, i, KDNET_VALUE_NO_MODULE);
        else if (!module->pdb_known)
            end_unit(probe, i, KDNET_VALUE_UNREADABLE);
        else
            resolve(session, i, &module->pdb, module->base);
    }
    return any;
}

/* Only when the status is known or cannot be known, and its look-up is not pending. */
static bool next(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->active->halt;
    if (halt->late || halt->dump_status.waiting)
        return false;
    if (halt->evidence_stage == KDNET_EVIDENCE_NOT_YET)
        begin(session, now_us);
    const struct kdnet_reads *reads = kdnet_evidence_probe_reads(session);
    if (halt->evidence_stage != KDNET_EVIDENCE_UNDER_WAY || !reads)
        return false;
    do {
        if (ask_values(session, reads) || kdnet_module_list_next(session))
            return true;
    } while (resolve_waiting(session, reads));
    return false;
}

const struct kdnet_probe kdnet_probe_evidence = {
    .name = "evidence",
    .needs = KDNET_FACT_KERNEL | KDNET_FACT_IDENTITY,
    .next = next,
    .take = take,
    .failed = failed,
};

void kdnet_evidence_probe_moved(struct kdnet_session *session)
{
    if (session->active && session->active->evidence_probe)
        session->active->evidence_probe->evidence.reads = session->shared->reads;
}

/* --- telling ------------------------------------------------------------------------------------------------------ */

const struct kdnet_evidence *kdnet_evidence_probe_look(const struct kdnet_session *session)
{
    const struct kdnet_active *active = session->active;
    bool any = active->halt.evidence_stage == KDNET_EVIDENCE_UNDER_WAY && kdnet_evidence_probe_reads(session);
    return any ? &active->evidence_probe->evidence : NULL;
}

struct kdnet_evidence *kdnet_evidence_probe_end(struct kdnet_session *session)
{
    struct kdnet_active *active = session->active;
    const struct kdnet_reads *reads = kdnet_evidence_probe_reads(session);
    if (active->halt.evidence_stage != KDNET_EVIDENCE_UNDER_WAY || !reads)
        return NULL;
    struct kdnet_evidence_probe *probe = active->evidence_probe;
    for (size_t i = 0; i < reads->count; ++i) {
        if (probe->unit[i].stage != KDNET_UNIT_DONE)
            end_unit(probe, i, KDNET_VALUE_TIMEOUT);
        if (reads->read[i].once && probe->evidence.value[i].state == KDNET_VALUE_KNOWN)
            kdnet_boot_cache_keep(session->kernel_info->boot_cache, &probe->evidence, i);
    }
    active->halt.evidence_stage = KDNET_EVIDENCE_OVER;
    active->evidence_probe = NULL; /* the event's from now on */
    return &probe->evidence;
}
