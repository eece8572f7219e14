/* SPDX-License-Identifier: Apache-2.0 */
/*
 * assessment: how a crash dump probably ended when its status cannot be read. Pure: facts in, judgement out.
 *
 * Uses crash (verdicts). A verdict is proof; an assessment stands beside the verdict `unknown` and never against
 * another one. assessment.c has the table of rules, each with its source.
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

/* Symbols of the kernel whose values at a break are facts for an assessment. */
#define KDNET_DUMP_BLOCK_SYMBOL    "CrashdmpDumpBlock"
#define KDNET_DUMP_DRIVER_SYMBOL   "CrashdmpImageBase"
#define KDNET_DUMP_PROGRESS_SYMBOL "BcpLastProgressDisplayed"

/* What a pointer of the kernel was at a break. */
enum kdnet_pointer_fact {
    KDNET_POINTER_UNKNOWN,
    KDNET_POINTER_NULL,
    KDNET_POINTER_SET,
};

/* What one break of a crash said of the dump. */
struct kdnet_dump_setup {
    enum kdnet_pointer_fact block;  /* CrashdmpDumpBlock */
    enum kdnet_pointer_fact driver; /* CrashdmpImageBase */
    bool progress_known;
    uint32_t progress; /* BcpLastProgressDisplayed, percent */
};

#define KDNET_DUMP_LOG_LINE_SIZE 96 /* of the last line of a dump log that is kept, with its NUL */

/* What the dump log in the machine's memory said, when it is the log of this very crash. */
struct kdnet_dump_log_facts {
    bool tried; /* the machine's memory was searched */
    bool known; /* the log was found */
    bool percent_known, pages_known, size_known;
    uint32_t percent;
    uint64_t pages, pages_written;
    uint32_t type; /* of the dump, when size_known */
    uint64_t size; /* bytes of the dump */
    char last_line[KDNET_DUMP_LOG_LINE_SIZE];
};

struct kdnet_dump_facts {
    enum kdnet_verdict verdict;
    enum kdnet_phase phase;        /* of the break that is judged */
    bool first_seen;               /* the first break of this crash was read */
    struct kdnet_dump_setup first; /* at that break */
    struct kdnet_dump_setup now;
    bool since_first_known;
    uint64_t since_first_us; /* from the release of the first break to this break */
    struct kdnet_dump_log_facts log;
};

/* What is likely. X(NAME, text) */
#define KDNET_LIKELY_MAP(X)                                                                                            \
    X(NONE, "none")                                                                                                    \
    X(WRITTEN, "written")                                                                                              \
    X(FAILED, "failed")                                                                                                \
    X(NOT_STARTED, "not_started")

#define KDNET_LIKELY_ENUM(name, text) KDNET_LIKELY_##name,
enum kdnet_likely { KDNET_LIKELY_MAP(KDNET_LIKELY_ENUM) };
#undef KDNET_LIKELY_ENUM

struct kdnet_assessment {
    enum kdnet_likely likely; /* NONE: no assessment; then nothing else is set */
    bool strong;              /* else weak */
    size_t count;
    char because[KDNET_ASSESSMENT_REASONS][KDNET_ASSESSMENT_REASON_SIZE]; /* in words, NUL-ended */
};

/* The texts of the list above; never NULL. */
const char *kdnet_likely_name(enum kdnet_likely likely);

/* "strong" or "weak". */
const char *kdnet_strength_name(const struct kdnet_assessment *assessment);

/*
 * Whether the dump was certainly never started: at the first break of this crash and at this last one the dump block
 * is null, or the image base of the dump driver is.
 */
bool kdnet_dump_never_set_up(const struct kdnet_dump_facts *facts);

/*
 * Judges a dump whose verdict is unknown. Facts that point in different directions give no assessment, and so do
 * facts from before the end of the dump step.
 *
 * out  always written.
 */
void kdnet_assess(const struct kdnet_dump_facts *facts, struct kdnet_assessment *out);

KDNET_HEADER_END

#endif
