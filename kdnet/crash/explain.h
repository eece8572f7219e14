/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain: the meaning of bug checks and of their parameters, in short words of our own.
 *
 * Source: Microsoft's public bug check code reference. Only frequent codes; a parameter whose meaning depends on other
 * parameters says so.
 */
#ifndef KDNET_EXPLAIN_H
#define KDNET_EXPLAIN_H

#include <stddef.h>
#include <stdint.h>

struct kdnet_bugcheck_text {
    uint32_t code;
    const char *what;          /* meaning, one sentence */
    const char *parameters[4]; /* NULL: reserved, or nothing to say */
    const char *next;          /* first thing to check */
};

/* NULL: this code is not explained here. Codes with 10000000 have the text of the code without. */
const struct kdnet_bugcheck_text *kdnet_bugcheck_explain(uint32_t code);

/* The table, for tests and listings; ascending by code. */
extern const struct kdnet_bugcheck_text kdnet_bugcheck_texts[];
extern const size_t kdnet_bugcheck_text_count;

#endif
