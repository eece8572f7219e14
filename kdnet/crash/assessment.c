/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/assessment.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PERCENT_ALL        100U
#define QUICK_US           UINT64_C(2000000) /* a dump between the two breaks rarely takes less time */
#define US_PER_TENTH       UINT64_C(100000)
#define BYTES_PER_TENTH_GB UINT64_C(100000000)

const char *kdnet_likely_name(enum kdnet_likely likely)
{
#define TEXT(name, text) text,
    static const char *const names[] = {KDNET_LIKELY_MAP(TEXT)};
#undef TEXT
    return (size_t)likely < sizeof names / sizeof names[0] ? names[likely] : "none";
}

const char *kdnet_strength_name(const struct kdnet_assessment *assessment)
{
    return assessment->strong ? "strong" : "weak";
}

static bool is_last_break(const struct kdnet_dump_facts *facts)
{
    return facts->phase == KDNET_PHASE_BUGCHECK_SECOND || facts->phase == KDNET_PHASE_SHUTDOWN;
}

bool kdnet_dump_never_set_up(const struct kdnet_dump_facts *facts)
{
    const struct kdnet_dump_setup *first = &facts->first, *now = &facts->now;
    bool no_block = first->block == KDNET_POINTER_NULL && now->block == KDNET_POINTER_NULL;
    bool no_driver = first->driver == KDNET_POINTER_NULL && now->driver == KDNET_POINTER_NULL;
    return is_last_break(facts) && facts->first_seen && (no_block || no_driver);
}

/* --- facts -------------------------------------------------------------------------------------------------------- */

/* Whether the progress display belongs to this dump: it must not have stood at 100 before the dump began. */
static bool shows_progress(const struct kdnet_dump_facts *facts)
{
    const struct kdnet_dump_setup *first = &facts->first;
    bool stale = facts->first_seen && first->progress_known && first->progress >= PERCENT_ALL;
    return facts->now.progress_known && facts->now.progress <= PERCENT_ALL && !stale;
}

static bool says(char *text, const char *what)
{
    (void)snprintf(text, KDNET_ASSESSMENT_REASON_SIZE, "%s", what);
    return true;
}

static bool says_number(char *text, const char *before, uint64_t number, const char *behind)
{
    (void)snprintf(text, KDNET_ASSESSMENT_REASON_SIZE, "%s %" PRIu64 " %s", before, number, behind);
    return true;
}

static bool screen_is_full(const struct kdnet_dump_facts *facts, char *text)
{
    return shows_progress(facts) && facts->now.progress == PERCENT_ALL &&
           says_number(text, "screen showed", PERCENT_ALL, "percent");
}

static bool screen_stopped(const struct kdnet_dump_facts *facts, char *text)
{
    uint32_t progress = facts->now.progress;
    return shows_progress(facts) && progress > 0 && progress < PERCENT_ALL &&
           says_number(text, "screen showed", progress, "percent");
}

/* Whether the progress display stayed at 0 in too short a time for a dump. A display that is switched off stays at
 * 0, too. */
static bool screen_never_moved(const struct kdnet_dump_facts *facts, char *text)
{
    return shows_progress(facts) && facts->now.progress == 0 && facts->since_first_known &&
           facts->since_first_us < QUICK_US &&
           says_number(text, "screen showed 0 percent,", facts->since_first_us / 1000, "ms after the release");
}

/* At this break alone: the first break was not read, or did not say. */
static bool block_is_null(const struct kdnet_dump_facts *facts, char *text)
{
    bool alone = !facts->first_seen || facts->first.block == KDNET_POINTER_UNKNOWN;
    return facts->now.block == KDNET_POINTER_NULL && alone && says(text, "no dump is set up");
}

static bool driver_is_null(const struct kdnet_dump_facts *facts, char *text)
{
    bool alone = !facts->first_seen || facts->first.driver == KDNET_POINTER_UNKNOWN;
    return facts->now.driver == KDNET_POINTER_NULL && alone && says(text, "dump driver is not loaded");
}

static bool log_has_all_pages(const struct kdnet_dump_facts *facts, char *text)
{
    const struct kdnet_dump_log_facts *log = &facts->log;
    return log->known && log->pages_known && log->pages > 0 && log->pages_written == log->pages &&
           says_number(text, "dump log counts all", log->pages, "pages as written");
}

static bool log_misses_pages(const struct kdnet_dump_facts *facts, char *text)
{
    const struct kdnet_dump_log_facts *log = &facts->log;
    return log->known && log->pages_known && log->pages_written < log->pages &&
           says_number(text, "dump log misses", log->pages - log->pages_written, "pages");
}

static bool log_stopped(const struct kdnet_dump_facts *facts, char *text)
{
    const struct kdnet_dump_log_facts *log = &facts->log;
    return log->known && !log->pages_known && log->percent_known && log->percent < PERCENT_ALL &&
           says_number(text, "dump log ends at", log->percent, "percent");
}

/* --- rules -------------------------------------------------------------------------------------------------------- */

/*
 * Sources. Blue screen: Microsoft's documentation of the bug check screen says that the percentage is the progress of
 * the dump file as the system writes it; the display may be off, behind, or throttled, and secondary data follow the
 * dump. Order: bug check callbacks, the second break and the unload of all symbols come after the dump step (PROTOCOL
 * section 9). Dump log: logs that users published, 2023 to 2025.
 *
 * A `strong` assessment needs two facts: the rule's own fact, and the end of the dump step, which every rule needs.
 */
static const struct {
    const char *name, *source;
    bool (*holds)(const struct kdnet_dump_facts *facts, char *text);
    enum kdnet_likely likely;
    bool strong;
} rules[] = {
    {"screen_full", "blue screen, order", screen_is_full, KDNET_LIKELY_WRITTEN, true},
    {"log_all_pages", "dump log, order", log_has_all_pages, KDNET_LIKELY_WRITTEN, true},
    {"screen_stopped", "blue screen", screen_stopped, KDNET_LIKELY_FAILED, false},
    {"log_misses_pages", "dump log", log_misses_pages, KDNET_LIKELY_FAILED, false},
    {"log_stopped", "dump log", log_stopped, KDNET_LIKELY_FAILED, false},
    {"screen_never_moved", "blue screen", screen_never_moved, KDNET_LIKELY_NOT_STARTED, false},
    {"block_null", "name of the symbol", block_is_null, KDNET_LIKELY_NOT_STARTED, false},
    {"driver_null", "name of the symbol", driver_is_null, KDNET_LIKELY_NOT_STARTED, false},
};

static char *next_reason(struct kdnet_assessment *out)
{
    return out->count < KDNET_ASSESSMENT_REASONS ? out->because[out->count++] : NULL;
}

/* Adds the outcome of one rule; false when the outcome contradicts an earlier rule's. */
static bool add_rule(struct kdnet_assessment *out, size_t rule, const char *text)
{
    if (out->likely != KDNET_LIKELY_NONE && out->likely != rules[rule].likely)
        return false;
    out->likely = rules[rule].likely;
    out->strong |= rules[rule].strong;
    char *reason = next_reason(out);
    if (reason)
        memcpy(reason, text, KDNET_ASSESSMENT_REASON_SIZE);
    return true;
}

/* Adds facts that no rule uses, but that help a reader. */
static void add_beside(const struct kdnet_dump_facts *facts, struct kdnet_assessment *out)
{
    char *reason = next_reason(out);
    if (reason)
        (void)snprintf(reason, KDNET_ASSESSMENT_REASON_SIZE, "dump step is over");
    if (!facts->log.known || !facts->log.size_known || !facts->since_first_known)
        return;
    uint64_t tenths = facts->since_first_us / US_PER_TENTH, size = facts->log.size / BYTES_PER_TENTH_GB;
    reason = next_reason(out);
    if (reason)
        (void)snprintf(reason, KDNET_ASSESSMENT_REASON_SIZE, "%" PRIu64 ".%" PRIu64 " s for %" PRIu64 ".%" PRIu64 " GB",
                       tenths / 10, tenths % 10, size / 10, size % 10);
}

void kdnet_assess(const struct kdnet_dump_facts *facts, struct kdnet_assessment *out)
{
    memset(out, 0, sizeof *out);
    if (facts->verdict != KDNET_VERDICT_UNKNOWN || !is_last_break(facts))
        return;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; ++i) {
        char text[KDNET_ASSESSMENT_REASON_SIZE] = "";
        if (rules[i].holds(facts, text) && !add_rule(out, i, text)) {
            memset(out, 0, sizeof *out);
            return;
        }
    }
    if (out->likely != KDNET_LIKELY_NONE)
        add_beside(facts, out);
}
