/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence at a break: when the status is known or cannot be, further values are read, those that lie near each other
 * together. The machine stands still meanwhile: it gets a part of the reading time and no more, and no look-up is
 * waited for.
 */
#include "kdnet/session/gather_internal.h"

#include <stdlib.h>
#include <string.h>

#define BUDGET_DIVISOR 4U /* of the read deadline: evidence may take a quarter of it */

const struct kdnet_reads *kdnet_gather_reads(const struct kdnet_session *session)
{
    const struct kdnet_reads *reads = session->shared->reads;
    const struct kdnet_boot *boot = session->boot;
    return reads && boot && boot->facts && boot->facts->version == reads->version ? reads : NULL;
}

static bool is_kernel(const struct kdnet_read *read)
{
    return strcmp(read->module, "nt") == 0;
}

/* --- beginning ---------------------------------------------------------------------------------------------------- */

void kdnet_boot_clear(struct kdnet_boot *boot)
{
    if (boot && boot->facts) {
        free(boot->facts->modules);
        free(boot->facts);
        boot->facts = NULL;
    }
}

/* Facts of these reads: those of others are forgotten. */
static bool have_facts(struct kdnet_boot *boot, const struct kdnet_reads *reads)
{
    if (boot->facts && boot->facts->version != reads->version)
        kdnet_boot_clear(boot);
    if (!boot->facts)
        boot->facts = calloc(1, sizeof *boot->facts);
    if (!boot->facts)
        return false;
    boot->facts->version = reads->version;
    return true;
}

static void end_unit(struct kdnet_gather *gather, size_t i, enum kdnet_value_state state)
{
    gather->unit[i].stage = KDNET_UNIT_DONE;
    gather->evidence.value[i].state = (uint8_t)state;
}

/* Whether something of this value is known from an earlier break of this boot. */
static bool recall_once(const struct kdnet_facts *facts, struct kdnet_evidence *evidence, size_t i)
{
    for (size_t n = 0; n < facts->once_count; ++n) {
        const struct kdnet_value *value = &facts->once[n];
        if (facts->once_read[n] != i)
            continue;
        evidence->value[i] = *value;
        if (value->text_length > 0)
            kdnet_evidence_text(evidence, i, (const uint8_t *)facts->texts + value->text_at, value->text_length, false,
                                false);
        return true;
    }
    return false;
}

static void keep_once(struct kdnet_facts *facts, const struct kdnet_evidence *evidence, size_t i)
{
    const struct kdnet_value *value = &evidence->value[i];
    if (facts->once_count == KDNET_ONCE_MAX || value->text_length > sizeof facts->texts - facts->texts_length)
        return; /* asked again: slower, not wrong */
    for (size_t n = 0; n < facts->once_count; ++n)
        if (facts->once_read[n] == i)
            return;
    facts->once_read[facts->once_count] = (uint8_t)i;
    facts->once[facts->once_count] = *value;
    facts->once[facts->once_count++].text_at = facts->texts_length;
    memcpy(facts->texts + facts->texts_length, evidence->texts + value->text_at, value->text_length);
    facts->texts_length = (uint16_t)(facts->texts_length + value->text_length);
}

/* Looks the symbol of a value up; its address is to be read then, or it is done. */
static void resolve(struct kdnet_session *session, size_t i, const struct kdnet_pdb *pdb, uint64_t base)
{
    struct kdnet_gather *gather = session->talk->gather;
    const struct kdnet_read *read = &session->shared->reads->read[i];
    enum kdnet_source source;
    uint32_t rva;
    switch (kdnet_ask_caller(session)->find_rva(session->shared->user, pdb, read->symbol, &rva, &source)) {
    case KDNET_RVA_FOUND:
        gather->unit[i].address = kdnet_halt_address(session, base + rva + read->offset[0]);
        gather->unit[i].stage = KDNET_UNIT_READ;
        break;
    case KDNET_RVA_ABSENT:
        end_unit(gather, i, KDNET_VALUE_SYMBOL_ABSENT);
        break;
    case KDNET_RVA_NO_SYMBOLS:
        end_unit(gather, i, KDNET_VALUE_NO_SYMBOLS);
        break;
    case KDNET_RVA_PENDING:
        end_unit(gather, i, KDNET_VALUE_PENDING);
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

/* Sorts out what is asked at this break. Returns whether anything is. */
static bool begin_units(struct kdnet_session *session, const struct kdnet_reads *reads)
{
    struct kdnet_gather *gather = session->talk->gather;
    bool crash = is_of_a_crash(session), any = false;
    for (size_t i = 0; i < reads->count; ++i) {
        const struct kdnet_read *read = &reads->read[i];
        if ((!crash && !read->always) || (read->once && recall_once(session->boot->facts, &gather->evidence, i)))
            gather->unit[i].stage = KDNET_UNIT_DONE;
        else if (is_kernel(read))
            resolve(session, i, &session->boot->pdb, kdnet_halt_kernel_base(session));
        any |= crash || read->always;
    }
    return any;
}

/* Once for each break. */
static void begin(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_talk *talk = session->talk;
    struct kdnet_halt *halt = &talk->halt;
    const struct kdnet_reads *reads = session->shared->reads;
    halt->gather = KDNET_GATHER_OVER;
    if (!reads || reads->count == 0 || reads->count > KDNET_READS_MAX || !session->boot->pdb_known ||
        !have_facts(session->boot, reads))
        return;
    if (!talk->gather)
        talk->gather = malloc(sizeof *talk->gather);
    if (!talk->gather)
        return;
    *talk->gather = (struct kdnet_gather){.evidence.reads = reads};
    if (!begin_units(session, reads))
        return;
    halt->gather = KDNET_GATHER_UNDER_WAY;
    uint64_t until_us = now_us + session->shared->read_deadline_us / BUDGET_DIVISOR;
    if (until_us < halt->deadline_us)
        halt->deadline_us = until_us;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* How many bytes the next read of a value is. */
static uint32_t unit_length(const struct kdnet_session *session, size_t i)
{
    const struct kdnet_unit *unit = &session->talk->gather->unit[i];
    const struct kdnet_read *read = &session->shared->reads->read[i];
    const struct kdnet_machine_layout *layout = kdnet_halt_layout(session);
    if (unit->buffer)
        return unit->length;
    if (unit->step < read->steps)
        return (uint32_t)layout->pointer_size;
    return kdnet_read_length(layout, (enum kdnet_read_kind)read->kind);
}

/* Asks for the value at the lowest address, and for those that fit into the same read. */
static bool ask_values(struct kdnet_session *session, const struct kdnet_reads *reads)
{
    struct kdnet_gather *gather = session->talk->gather;
    size_t first = reads->count;
    for (size_t i = 0; i < reads->count; ++i)
        if (gather->unit[i].stage == KDNET_UNIT_READ &&
            (first == reads->count || gather->unit[i].address < gather->unit[first].address))
            first = i;
    if (first == reads->count)
        return false;
    uint64_t low = gather->unit[first].address;
    uint32_t length = unit_length(session, first);
    for (size_t i = 0; i < reads->count && !gather->unit[first].alone; ++i) {
        const struct kdnet_unit *unit = &gather->unit[i];
        uint64_t end = unit->address - low + unit_length(session, i);
        if (unit->stage == KDNET_UNIT_READ && !unit->alone && unit->address - low < KDNET_READ_SPACE &&
            end <= KDNET_READ_SPACE && end > length)
            length = (uint32_t)end;
    }
    gather->asks = KDNET_ASKS_VALUES;
    return kdnet_request_read(session, KDNET_STEP_EVIDENCE, low, length);
}

/* A UNICODE_STRING: its text is to be read. */
static void take_structure(struct kdnet_session *session, size_t i, const uint8_t *data)
{
    const struct kdnet_machine_layout *layout = kdnet_halt_layout(session);
    struct kdnet_gather *gather = session->talk->gather;
    struct kdnet_unit *unit = &gather->unit[i];
    uint32_t length = (uint32_t)(data[0] | data[1] << 8) & ~1U;
    uint64_t buffer = kdnet_pointer(layout, data + layout->pointer_size);
    if (length == 0) {
        kdnet_evidence_text(&gather->evidence, i, data, 0, true, false);
        unit->stage = KDNET_UNIT_DONE;
    } else if (buffer == 0) {
        end_unit(gather, i, KDNET_VALUE_NULL_POINTER);
    }
    unit->address = buffer;
    unit->length = length < KDNET_TEXT_MAX ? length : KDNET_TEXT_MAX;
    unit->more = length > KDNET_TEXT_MAX;
    unit->buffer = true;
}

/* The bytes at a value's address have come: a pointer on the way, or the value. */
static void take_unit(struct kdnet_session *session, size_t i, const uint8_t *data, size_t length)
{
    struct kdnet_gather *gather = session->talk->gather;
    struct kdnet_unit *unit = &gather->unit[i];
    const struct kdnet_read *read = &session->shared->reads->read[i];
    unit->alone = false;
    if (unit->step < read->steps) {
        uint64_t pointer = kdnet_pointer(kdnet_halt_layout(session), data);
        unit->address = kdnet_halt_address(session, pointer + read->offset[++unit->step]);
        if (pointer == 0)
            end_unit(gather, i, KDNET_VALUE_NULL_POINTER);
        return;
    }
    if (read->kind == KDNET_READ_UNICODE && !unit->buffer) {
        take_structure(session, i, data);
        return;
    }
    if (read->kind == KDNET_READ_UNICODE || read->kind == KDNET_READ_STRING)
        kdnet_evidence_text(&gather->evidence, i, data, length, read->kind == KDNET_READ_UNICODE,
                            read->kind == KDNET_READ_STRING || unit->more || length < unit->length);
    else
        kdnet_evidence_number(&gather->evidence, i, data, length);
    unit->stage = KDNET_UNIT_DONE;
}

static bool is_text(const struct kdnet_read *read, const struct kdnet_unit *unit)
{
    return unit->step == read->steps && (read->kind == KDNET_READ_STRING || unit->buffer);
}

/* `length` of the bytes that were asked for have come: each value that lies in them is taken. */
static void take_values(struct kdnet_session *session, const struct kdnet_reads *reads, const uint8_t *data,
                        size_t length)
{
    struct kdnet_gather *gather = session->talk->gather;
    const struct kdnet_halt *halt = &session->talk->halt;
    for (size_t i = 0; i < reads->count; ++i) {
        struct kdnet_unit *unit = &gather->unit[i];
        uint64_t at = unit->address - halt->read_address;
        uint32_t wanted = unit_length(session, i);
        if (unit->stage != KDNET_UNIT_READ || at >= halt->read_wanted || wanted > halt->read_wanted - at)
            continue;
        size_t have = at < length ? length - (size_t)at : 0;
        if (have >= wanted || (have > 0 && at == 0 && is_text(&reads->read[i], unit)))
            take_unit(session, i, data + at, have < wanted ? have : wanted);
        else if (at == 0 && wanted == halt->read_wanted)
            end_unit(gather, i, KDNET_VALUE_UNREADABLE); /* asked for by itself */
        else
            unit->alone = true; /* between it and its neighbours is a page that is not there */
    }
}

void kdnet_gather_take(struct kdnet_session *session, const uint8_t *data, size_t length)
{
    const struct kdnet_reads *reads = kdnet_gather_reads(session);
    if (session->talk->halt.gather != KDNET_GATHER_UNDER_WAY || !reads)
        return;
    if (session->talk->gather->asks == KDNET_ASKS_VALUES)
        take_values(session, reads, data, length);
    else
        kdnet_images_take(session, data, length);
}

/* --- other images than the kernel --------------------------------------------------------------------------------- */

/* Values whose image is known now, or is not there, wait no longer. Returns whether any did. */
static bool resolve_waiting(struct kdnet_session *session, const struct kdnet_reads *reads)
{
    struct kdnet_gather *gather = session->talk->gather;
    bool any = false;
    for (size_t i = 0; i < reads->count; ++i) {
        if (gather->unit[i].stage != KDNET_UNIT_WAITS)
            continue;
        const struct kdnet_module *module = kdnet_images_find(session, reads->read[i].module);
        any = true;
        if (!module || module->base == 0)
            end_unit(gather, i, KDNET_VALUE_NO_MODULE);
        else if (!module->pdb_known)
            end_unit(gather, i, KDNET_VALUE_UNREADABLE);
        else
            resolve(session, i, &module->pdb, module->base);
    }
    return any;
}

bool kdnet_gather_next(struct kdnet_session *session, uint64_t now_us)
{
    struct kdnet_halt *halt = &session->talk->halt;
    if (halt->unread || halt->load_symbols || !session->boot)
        return false;
    if (halt->gather == KDNET_GATHER_NOT_YET)
        begin(session, now_us);
    const struct kdnet_reads *reads = kdnet_gather_reads(session);
    if (halt->gather != KDNET_GATHER_UNDER_WAY || !reads)
        return false;
    do {
        if (ask_values(session, reads) || kdnet_images_next(session))
            return true;
    } while (resolve_waiting(session, reads));
    return false;
}

void kdnet_gather_moved(struct kdnet_session *session)
{
    if (session->talk && session->talk->gather)
        session->talk->gather->evidence.reads = session->shared->reads;
}

/* --- telling ------------------------------------------------------------------------------------------------------ */

struct kdnet_evidence *kdnet_gather_end(struct kdnet_session *session)
{
    struct kdnet_talk *talk = session->talk;
    const struct kdnet_reads *reads = kdnet_gather_reads(session);
    if (talk->halt.gather != KDNET_GATHER_UNDER_WAY || !reads)
        return NULL;
    struct kdnet_gather *gather = talk->gather;
    for (size_t i = 0; i < reads->count; ++i) {
        if (gather->unit[i].stage != KDNET_UNIT_DONE)
            end_unit(gather, i, KDNET_VALUE_TIMEOUT);
        if (reads->read[i].once && gather->evidence.value[i].state == KDNET_VALUE_KNOWN)
            keep_once(session->boot->facts, &gather->evidence, i);
    }
    talk->halt.gather = KDNET_GATHER_OVER;
    talk->gather = NULL; /* the event's from now on */
    return &gather->evidence;
}

void kdnet_want_symbols(struct kdnet_session *session)
{
    const struct kdnet_session_shared *shared = kdnet_ask_caller(session);
    const char *names[KDNET_READS_MAX + KDNET_PRINT_SYMBOLS + 1] = {KDNET_STATUS_SYMBOL};
    size_t count = 1;
    if (!shared->want_rvas)
        return;
    for (size_t i = 0; i < KDNET_PRINT_SYMBOLS; ++i)
        names[count++] = kdnet_print_symbol(i);
    for (size_t i = 0; shared->reads && i < shared->reads->count && i < KDNET_READS_MAX; ++i)
        if (is_kernel(&shared->reads->read[i]))
            names[count++] = shared->reads->read[i].symbol;
    shared->want_rvas(shared->user, &session->boot->pdb, names, count);
}
