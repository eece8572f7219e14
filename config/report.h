/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: the mistakes of a configuration, each as one line: FILE:LINE:COLUMN: FIELD: what is wrong; remedy
 *
 * Uses nothing. The first CONFIG_REPORT_LIMIT mistakes are kept, the rest is counted.
 */
#ifndef CONFIG_REPORT_H
#define CONFIG_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_REPORT_LIMIT 100

struct config_mistake {
    char *text; /* the whole line, printable, without its end */
    uint32_t source, line, column;
};

struct config_report {
    struct config_mistake mistakes[CONFIG_REPORT_LIMIT];
    size_t kept;
    size_t count; /* all of them, kept or not */
};

/* Where a mistake is. Text is borrowed for the call. */
struct config_spot {
    const char *file; /* the file's name, or "command line" */
    uint32_t source;  /* orders the files in the report */
    uint32_t line;    /* 0: not to be named */
    uint32_t column;
    const char *field; /* NULL: not to be named */
};

void config_report_init(struct config_report *report);
void config_report_clear(struct config_report *report);

/* Adds a mistake; format and the rest as for printf, and no line end. What is not printable is replaced. */
void config_report_add(struct config_report *report, const struct config_spot *spot, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* How many mistakes there are, those included that are not kept. */
size_t config_report_count(const struct config_report *report);

/* The line of a mistake that was kept, or NULL. */
const char *config_report_line(const struct config_report *report, size_t index);

/* Orders what is kept by source, line and column; what is equal stays in order. */
void config_report_sort(struct config_report *report);

/* A line for each mistake, then "and N more" when some were not kept. */
void config_report_print(const struct config_report *report, FILE *out);

#endif
