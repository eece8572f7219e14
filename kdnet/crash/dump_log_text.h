/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump_log_text: parses the text that Windows' dump path keeps, and decides whether the text belongs to a certain
 * crash.
 *
 * Source: logs that users published, 2023 to 2025. Pure; the bytes come in pieces of any length. Only lines of a log
 * whose bug check code and four parameters equal the crash's are believed.
 */
#ifndef KDNET_DUMP_LOG_TEXT_H
#define KDNET_DUMP_LOG_TEXT_H

#include "kdnet/assessment.h"
#include "kdnet/kernel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_DUMP_LOG_SIGNATURE "DLOGFILE"
#define KDNET_DUMP_LOG_LINE      128 /* bytes of a line that are parsed */

struct kdnet_dump_log_text {
    struct kdnet_bugcheck bugcheck; /* of the crash */
    bool narrow;                    /* the machine has 32-bit values */
    bool wide;                      /* UTF-16 */
    bool over;                      /* the text has ended */
    bool foreign;                   /* the text names another crash */
    bool last;                      /* the last line reports a completed dump */
    bool half_known;
    uint8_t half;  /* the first byte of a UTF-16 unit */
    uint8_t named; /* bits: code, parameters 1 to 4, as they are in the crash */
    size_t length; /* of the incomplete line */
    char line[KDNET_DUMP_LOG_LINE];
    struct kdnet_dump_log_facts facts; /* `known` is not set here */
};

/* Finds the signature, in ASCII or UTF-16. False: no signature. */
bool kdnet_dump_log_find(const uint8_t *data, size_t length, size_t *at, bool *wide);

/* Starts parsing at the signature. */
void kdnet_dump_log_text_begin(struct kdnet_dump_log_text *text, const struct kdnet_bugcheck *bugcheck, bool narrow,
                               bool wide);

/* Parses more text. Returns false when the text has ended. */
bool kdnet_dump_log_text_give(struct kdnet_dump_log_text *text, const uint8_t *data, size_t length);

/* Whether the text is the log of this very crash. A bug check without code is none: its zeros may be those of a log
 * that was only prepared. */
bool kdnet_dump_log_text_matches(const struct kdnet_dump_log_text *text);

/* Whether the text is the log of this crash and its very last line reports a completed dump. False when the text's
 * end was not read. */
bool kdnet_dump_log_text_completed(const struct kdnet_dump_log_text *text);

#endif
