/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump_log_text: reads the text that the dump path of Windows keeps, and says whether it is that of a certain crash.
 *
 * Uses assessment (facts), crash. Source: logs that users published, 2023 to 2025. Pure; bytes come in pieces of any
 * length. Nothing but the lines of one log whose bug check code and four parameters are those of the crash is believed.
 */
#ifndef KDNET_DUMP_LOG_TEXT_H
#define KDNET_DUMP_LOG_TEXT_H

#include "kdnet/assessment.h"
#include "kdnet/kernel.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_DUMP_LOG_SIGNATURE "DLOGFILE"
#define KDNET_DUMP_LOG_LINE      128 /* bytes of a line that are looked at */

struct kdnet_dump_log_text {
    struct kdnet_bugcheck bugcheck; /* of the crash */
    bool narrow;                    /* the machine has 32-bit values */
    bool wide;                      /* UTF-16 */
    bool over;                      /* the text has ended */
    bool foreign;                   /* it names another crash */
    bool last;                      /* the last line says that the dump was completed */
    bool half_known;
    uint8_t half;  /* the first byte of a UTF-16 unit */
    uint8_t named; /* bits: code, parameters 1 to 4, as they are in the crash */
    size_t length; /* of the line that is not whole yet */
    char line[KDNET_DUMP_LOG_LINE];
    struct kdnet_dump_log_facts facts; /* `known` is not set here */
};

/* Finds the signature, in ASCII or UTF-16. False: it is not there. */
bool kdnet_dump_log_find(const uint8_t *data, size_t length, size_t *at, bool *wide);

/* The text begins at its signature. */
void kdnet_dump_log_text_begin(struct kdnet_dump_log_text *text, const struct kdnet_bugcheck *bugcheck, bool narrow,
                               bool wide);

/* More of it. Returns false when the text has ended. */
bool kdnet_dump_log_text_give(struct kdnet_dump_log_text *text, const uint8_t *data, size_t length);

/* Whether it is the log of this very crash. */
bool kdnet_dump_log_text_matches(const struct kdnet_dump_log_text *text);

/* Whether it says, besides, as its very last line, that the dump was completed. A text whose end was not seen says
 * nothing. */
bool kdnet_dump_log_text_completed(const struct kdnet_dump_log_text *text);

#endif
