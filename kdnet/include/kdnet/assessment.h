/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assessment: how a crash dump probably ended, when its status cannot be read. Pure functions.
 *
 * A verdict is proof. An assessment is a judgement that stands beside the verdict `unknown`, never beside another
 * verdict. The table of rules, each with its source, is in assessment.c.
 */
#ifndef KDNET_ASSESSMENT_H
#define KDNET_ASSESSMENT_H

#include "kdnet/header.h"
#include "kdnet/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

KDNET_HEADER_BEGIN

#define KDNET_ASSESSMENT_REASONS     4U
#define KDNET_ASSESSMENT_REASON_SIZE 72

/* Kernel symbols whose values at a break are facts for an assessment. */
#define KDNET_DUMP_BLOCK_SYMBOL    "CrashdmpDumpBlock"
#define KDNET_DUMP_DRIVER_SYMBOL   "CrashdmpImageBase"
#define KDNET_DUMP_PROGRESS_SYMBOL "BcpLastProgressDisplayed"

/* State of a pointer in the kernel at a break. */
enum kdnet_pointer_fact {
    KDNET_POINTER_UNKNOWN,
    KDNET_POINTER_NULL,
    KDNET_POINTER_SET,
};

/* Facts about the dump at one break of a crash. */
struct kdnet_dump_setup {
    enum kdnet_pointer_fact block;  /* CrashdmpDumpBlock */
    enum kdnet_pointer_fact driver; /* CrashdmpImageBase */
    bool progress_known;
    uint32_t progress; /* BcpLastProgressDisplayed, percent */
};

#define KDNET_DUMP_LOG_LINE_SIZE 96 /* bytes of the dump log's last line that are kept, with the NUL */

/* Facts from the dump log in the machine's memory; only from the log of this crash. */
struct kdnet_dump_log_facts {
    bool tried; /* the session searched the machine's memory */
    bool known; /* the search found the log */
    bool percent_known, pages_known, size_known;
    uint32_t percent;
    uint64_t pages, pages_written;
    uint32_t type; /* of the dump; valid when size_known */
    uint64_t size; /* bytes of the dump */
    char last_line[KDNET_DUMP_LOG_LINE_SIZE];
    bool header; /* a dump's header with this crash's bug check was prepared in memory; no proof of anything */
};

struct kdnet_dump_facts {
    enum kdnet_verdict verdict;
    enum kdnet_phase phase;        /* of the break that is judged */
    bool first_seen;               /* the first break of this crash was read */
    struct kdnet_dump_setup first; /* at the first break */
    struct kdnet_dump_setup now;
    bool since_first_known;
    uint64_t since_first_us; /* from the release of the first break to this break */
    struct kdnet_dump_log_facts log;
};

/* Likely outcomes. X(NAME, text) */
#define KDNET_LIKELY_MAP(X)                                                                                            \
    X(NONE, "none")                                                                                                    \
    X(WRITTEN, "written")                                                                                              \
    X(FAILED, "failed")                                                                                                \
    X(NOT_STARTED, "not_started")

#define KDNET_LIKELY_ENUM(name, text) KDNET_LIKELY_##name,
enum kdnet_likely { KDNET_LIKELY_MAP(KDNET_LIKELY_ENUM) };
#undef KDNET_LIKELY_ENUM

struct kdnet_assessment {
    enum kdnet_likely likely; /* NONE: no assessment; the other members are then 0 */
    bool strong;              /* strong, else weak */
    size_t count;
    char because[KDNET_ASSESSMENT_REASONS][KDNET_ASSESSMENT_REASON_SIZE]; /* the reasons in words, NUL-terminated */
};

/* Returns the text of the list above; never NULL. */
const char *kdnet_likely_name(enum kdnet_likely likely);

/* Returns "strong" or "weak". */
const char *kdnet_strength_name(const struct kdnet_assessment *assessment);

/*
 * Returns whether the dump was certainly never started: the dump block, or the dump driver's image base, is null both
 * at the crash's first break and at this last one.
 */
bool kdnet_dump_never_set_up(const struct kdnet_dump_facts *facts);

/*
 * Judges a dump whose verdict is unknown. No assessment results from facts that contradict each other, or that are
 * older than the end of the dump.
 */
void kdnet_assess(const struct kdnet_dump_facts *facts, struct kdnet_assessment *out);

KDNET_HEADER_END

#endif
