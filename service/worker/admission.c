/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/admission.h"

#include <stdlib.h>
#include <string.h>

#define FALLS 32U /* parts by which a first question's share of a place falls with each silent machine */
#define RISES 4U  /* fraction of the missing part that each answer restores */

enum state {
    RUNNING,
    WAITING,  /* in line */
    ADMITTED, /* admitted; has not repeated its break yet. From here to READING the machine has a place */
    ASKED,    /* its break was taken; no answer so far */
    READING,  /* answers come */
    LATE,     /* called after too long a wait; has not repeated its break yet */
    PASSING,  /* its break was taken so, and is not read */
    MISSED,   /* did not repeat its break when called; taken whenever it does */
    SILENT,   /* halted, without a place until it answers */
    HELD,     /* halted by policy */
};

/* A row that looks touched because of its padding costs only a page. */
static bool is_untouched(const struct admission_row *row)
{
    static const struct admission_row untouched;
    // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c)
    return memcmp(row, &untouched, sizeof untouched) == 0;
}

void admission_init(struct admission *admission)
{
    *admission = (struct admission){.limit = ADMISSION_LIMIT_START, .part = ADMISSION_WHOLE};
}

void admission_clear(struct admission *admission)
{
    free(admission->rows);
    admission->rows = NULL;
    admission->ids = 0;
}

bool admission_reserve(struct admission *admission, size_t ids)
{
    if (ids <= admission->ids)
        return true;
    struct admission_row *rows = calloc(ids, sizeof *rows);
    if (!rows)
        return false;
    for (size_t i = 0; i < admission->ids; ++i) /* pages of machines that never halt stay untouched */
        if (!is_untouched(&admission->rows[i]))
            rows[i] = admission->rows[i];
    free(admission->rows);
    admission->rows = rows;
    admission->ids = ids;
    return true;
}

static size_t at_least(size_t places)
{
    return places > ADMISSION_LIMIT_LEAST ? places : ADMISSION_LIMIT_LEAST;
}

void admission_configure(struct admission *admission, uint64_t read_deadline_us, unsigned sharers)
{
    admission->deadline_us = read_deadline_us;
    admission->limit_min = at_least(ADMISSION_LIMIT_MIN / sharers);
    admission->limit_max = at_least(ADMISSION_LIMIT_MAX / sharers);
    if (admission->limit > admission->limit_max)
        admission->limit = admission->limit_max;
}

/* Lines. */

static void append(struct admission *admission, struct admission_line *line, uint32_t id)
{
    struct admission_row *row = &admission->rows[id];
    row->previous = line->last;
    row->next = 0;
    if (line->last)
        admission->rows[line->last - 1].next = id + 1;
    else
        line->first = id + 1;
    line->last = id + 1;
    ++line->count;
}

static void take_out(struct admission *admission, struct admission_line *line, uint32_t id)
{
    struct admission_row *row = &admission->rows[id];
    if (row->previous)
        admission->rows[row->previous - 1].next = row->next;
    else
        line->first = row->next;
    if (row->next)
        admission->rows[row->next - 1].previous = row->previous;
    else
        line->last = row->previous;
    --line->count;
}

static bool has_endpoint(const struct admission_row *row)
{
    return row->state == ADMITTED || row->state == ASKED || row->state == READING;
}

static bool is_overdue(const struct admission_row *row)
{
    return row->state == LATE || row->state == PASSING;
}

static size_t *counter_of(struct admission *admission, const struct admission_row *row)
{
    return row->state == READING ? &admission->reading[row->hears] : &admission->asked[row->hears];
}

/* Moves a row from its old state's list to its new state's. */
static void enter(struct admission *admission, uint32_t id, enum state state, uint64_t now_us)
{
    struct admission_row *row = &admission->rows[id];
    if (row->state == WAITING)
        take_out(admission, &admission->waiting[row->hears], id);
    if (has_endpoint(row)) {
        take_out(admission, &admission->placed, id);
        --*counter_of(admission, row);
    }
    if (is_overdue(row))
        take_out(admission, &admission->late, id);
    row->state = (uint8_t)state;
    row->since_ms = (uint32_t)(now_us / 1000);
    if (state == WAITING)
        append(admission, &admission->waiting[row->hears], id);
    if (has_endpoint(row)) {
        append(admission, &admission->placed, id);
        ++*counter_of(admission, row);
    }
    if (is_overdue(row))
        append(admission, &admission->late, id);
}

/* Places. */

static uint32_t passed_ms(uint32_t since_ms, uint64_t now_us)
{
    return (uint32_t)(now_us / 1000) - since_ms;
}

static size_t used_by(const struct admission *admission, bool hears)
{
    size_t asked = admission->asked[hears] * admission->part;
    return admission->reading[hears] + (asked + ADMISSION_WHOLE - 1) / ADMISSION_WHOLE;
}

/* Machines that hear us leave a quarter of the places to waiting others; the others always leave a quarter to them. */
static bool is_free(const struct admission *admission, bool hears)
{
    size_t used = used_by(admission, hears), share = admission->limit - admission->limit / 4;
    bool whole = hears && admission->waiting[false].count == 0;
    return used + used_by(admission, !hears) < admission->limit && (whole || used < share);
}

/* A silence shows that a machine does not hear us, an answer that the path is good; the answer weighs more. */
static void learn_silence(struct admission *admission)
{
    admission->part -= admission->part / FALLS;
    if (admission->part < ADMISSION_PART_MIN + FALLS / 2) /* where rounding would stop the decrease */
        admission->part = admission->part > ADMISSION_PART_MIN ? admission->part - 1 : ADMISSION_PART_MIN;
}

static void learn_answer(struct admission *admission)
{
    admission->part += (ADMISSION_WHOLE - admission->part + RISES - 1) / RISES;
}

/* Additive increase, multiplicative decrease; but when few places are in use, their number was not the cause. */
static void adapt(struct admission *admission, uint64_t took_us, uint64_t now_us)
{
    size_t *limit = &admission->limit;
    if (used_by(admission, false) + used_by(admission, true) < *limit / 2)
        return;
    if (took_us < admission->deadline_us / 8) {
        *limit += *limit < admission->limit_max;
    } else if (took_us > admission->deadline_us / 4 && now_us - admission->slowed_us >= took_us) {
        admission->slowed_us = now_us;
        *limit = *limit * 3 / 4 > admission->limit_min ? *limit * 3 / 4 : admission->limit_min;
    }
}

/* In small steps, so that a few slow machines do not raise everybody's patience. */
static void learn_latency(struct admission *admission, uint64_t took_us)
{
    uint64_t known_us = admission->answer_us, step = known_us / 16 + 500;
    if (took_us > known_us + step)
        took_us = known_us + step;
    else if (took_us + step < known_us)
        took_us = known_us - step;
    admission->answer_us = (uint32_t)took_us;
}

static uint32_t patience_ms_of(const struct admission *admission, const struct admission_row *row)
{
    uint64_t half_us = admission->deadline_us / 2;
    uint64_t most_us = half_us < ADMISSION_READING_US ? half_us : ADMISSION_READING_US;
    uint64_t least_us = row->patience_ms * UINT64_C(1000), late_us = 4ULL * admission->answer_us;
    if (row->state == READING)
        return (uint32_t)(most_us / 1000);
    if (row->hears &&
        row->state ==
            ADMITTED) /* its break is on the way, or RESEND was lost: the machine will repeat the break by itself */
        return ADMISSION_PATIENCE_MIN / 1000;
    if (row->hears && least_us < ADMISSION_HEARD_PATIENCE_US)
        least_us = ADMISSION_HEARD_PATIENCE_US;
    return (uint32_t)((late_us < least_us ? least_us : late_us < most_us ? late_us : most_us) / 1000);
}

static void give_up(struct admission *admission, uint32_t id, uint64_t now_us)
{
    struct admission_row *row = &admission->rows[id];
    if (row->hears && row->state == ADMITTED) {
        row->silenced = false;
    } else if (row->state != READING) {
        row->silenced = true;
        learn_silence(admission);
    } else {
        adapt(admission, (uint64_t)passed_ms(row->taken_ms, now_us) * 1000, now_us);
    }
    enter(admission, id, row->state == ADMITTED ? MISSED : SILENT, now_us);
}

static void scan(struct admission *admission, uint64_t now_us)
{
    if (now_us - admission->scanned_us < ADMISSION_SCAN_US)
        return;
    admission->scanned_us = now_us;
    for (uint32_t next, at = admission->placed.first; at; at = next) {
        struct admission_row *row = &admission->rows[at - 1];
        next = row->next;
        if (passed_ms(row->since_ms, now_us) > patience_ms_of(admission, row))
            give_up(admission, at - 1, now_us);
    }
    for (uint32_t next, at = admission->late.first; at; at = next) {
        const struct admission_row *row = &admission->rows[at - 1];
        next = row->next;
        if (passed_ms(row->since_ms, now_us) > ADMISSION_READING_US / 1000)
            enter(admission, at - 1, row->state == LATE ? MISSED : SILENT, now_us);
    }
}

static bool find_endpoint(struct admission *admission, bool hears, uint64_t now_us)
{
    if (is_free(admission, hears))
        return true;
    scan(admission, now_us);
    return is_free(admission, hears);
}

/* --- events from machines ----------------------------------------------------------------------------------------- */

static bool hears_now(const struct admission_row *row, uint64_t now_us)
{
    return row->was_heard && passed_ms(row->heard_ms, now_us) < ADMISSION_HEARD_US / 1000;
}

static uint16_t bound_patience(uint64_t patience_us)
{
    uint64_t least = patience_us > ADMISSION_PATIENCE_MIN ? patience_us : ADMISSION_PATIENCE_MIN;
    return (uint16_t)((least < ADMISSION_PATIENCE_MAX ? least : ADMISSION_PATIENCE_MAX) / 1000);
}

bool admission_takes(struct admission *admission, uint32_t id, uint64_t now_us)
{
    struct admission_row *row = &admission->rows[id];
    bool hears = hears_now(row, now_us);
    if ((row->state == MISSED || row->state == LATE) && passed_ms(row->since_ms, now_us) > ADMISSION_MISSED_US / 1000)
        enter(admission, id, RUNNING, now_us); /* the machine has run since; this is another break */
    if (row->state != RUNNING)
        return row->state != WAITING;
    row->hears = hears;
    row->silenced = false;
    return admission->waiting[hears].count == 0 && find_endpoint(admission, hears, now_us);
}

void admission_wait(struct admission *admission, uint32_t id, uint64_t patience_us, uint64_t now_us)
{
    struct admission_row *row = &admission->rows[id];
    if (row->state != RUNNING)
        return;
    row->patience_ms = bound_patience(patience_us);
    row->taken_ms = (uint32_t)((now_us + admission->lag_us) / 1000);
    enter(admission, id, WAITING, now_us);
}

static bool has_waited_long(const struct admission *admission, uint32_t id, uint64_t now_us)
{
    return passed_ms(admission->rows[id].taken_ms, now_us + admission->lag_us) >
           ADMISSION_LINE_FACTOR * admission->deadline_us / 1000;
}

/* They take no place, for those may be taken for long, and get fewer where machines are slow; but no more at a time
 * than the socket holds datagrams of. */
static bool next_overdue(struct admission *admission, uint64_t now_us, uint32_t *id)
{
    for (size_t hears = 0; hears < 2 && admission->late.count < admission->limit_max; ++hears) {
        const struct admission_line *line = &admission->waiting[hears];
        if (line->count == 0 || !has_waited_long(admission, line->first - 1, now_us))
            continue;
        *id = line->first - 1;
        enter(admission, *id, LATE, now_us);
        return true;
    }
    return false;
}

bool admission_next(struct admission *admission, uint64_t now_us, uint32_t *id)
{
    for (int hears = 1; hears >= 0; --hears) {
        const struct admission_line *line = &admission->waiting[hears];
        if (line->count == 0 || !find_endpoint(admission, hears, now_us))
            continue;
        *id = line->first - 1;
        enter(admission, *id, ADMITTED, now_us);
        return true;
    }
    return next_overdue(admission, now_us, id);
}

uint64_t admission_deadline(const struct admission *admission)
{
    return admission_waiting_count(admission) > 0 ? admission->scanned_us + ADMISSION_SCAN_US : UINT64_MAX;
}

static void note_halted(struct admission *admission, uint32_t id, uint64_t patience_us, uint64_t now_us)
{
    struct admission_row *row = &admission->rows[id];
    bool missed = row->state == MISSED, late = row->state == LATE;
    if (!missed && !late && row->state != RUNNING && row->state != WAITING && row->state != ADMITTED)
        return;
    row->taken_ms = (uint32_t)(now_us / 1000);
    row->patience_ms = bound_patience(patience_us);
    enter(admission, id, missed ? SILENT : late ? PASSING : ASKED, now_us);
}

static void note_running(struct admission *admission, uint32_t id, uint64_t now_us)
{
    struct admission_row *row = &admission->rows[id];
    if (row->state == READING && !row->silenced)
        adapt(admission, (uint64_t)passed_ms(row->taken_ms, now_us) * 1000, now_us);
    if (row->state == ASKED || row->state == READING || row->state == PASSING || row->state == SILENT ||
        row->state == HELD)
        enter(admission, id, RUNNING, now_us);
}

void admission_note(struct admission *admission, uint32_t id, bool halted, bool held, uint64_t patience_us,
                    uint64_t now_us)
{
    struct admission_row *row = &admission->rows[id];
    if (!halted)
        note_running(admission, id, now_us);
    else if (held && row->state != HELD)
        enter(admission, id, HELD, now_us);
    else if (!held && row->state == HELD)
        enter(admission, id, SILENT, now_us);
    else if (!held)
        note_halted(admission, id, patience_us, now_us);
}

void admission_said(struct admission *admission, uint32_t id, uint64_t now_us)
{
    struct admission_row *row = &admission->rows[id];
    row->heard_ms = (uint32_t)(now_us / 1000);
    row->was_heard = true;
}

void admission_heard(struct admission *admission, uint32_t id, uint64_t now_us)
{
    struct admission_row *row = &admission->rows[id];
    admission_said(admission, id, now_us);
    if (row->state == ASKED || (row->state == SILENT && row->silenced)) {
        learn_answer(admission);
        learn_latency(admission, (uint64_t)passed_ms(row->taken_ms, now_us) * 1000);
    }
    if (row->state == ASKED || row->state == SILENT)
        enter(admission, id, READING, now_us);
    else if (row->state == READING || row->state == PASSING)
        row->since_ms = row->heard_ms;
}

void admission_forget(struct admission *admission, uint32_t id)
{
    if (id >= admission->ids || is_untouched(&admission->rows[id]))
        return;
    enter(admission, id, RUNNING, 0);
    memset(&admission->rows[id], 0, sizeof admission->rows[id]);
}

bool admission_is_waiting(const struct admission *admission, uint32_t id)
{
    const struct admission_row *row = &admission->rows[id];
    return row->state == WAITING || row->state == ADMITTED || row->state == LATE;
}

bool admission_is_late(const struct admission *admission, uint32_t id)
{
    return admission->rows[id].state == LATE;
}

bool admission_is_in_line(const struct admission *admission, uint32_t id)
{
    return admission->rows[id].state == WAITING;
}

size_t admission_waiting_count(const struct admission *admission)
{
    return admission->waiting[false].count + admission->waiting[true].count;
}

size_t admission_halted_count(const struct admission *admission)
{
    return admission_waiting_count(admission) + admission->placed.count + admission->late.count;
}
