/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: the mistakes of a configuration, each as one line: FILE:LINE:COLUMN: FIELD: mistake; remedy
 *
 * The first CONFIG_REPORT_LIMIT mistakes are kept, further ones are counted.
 */
#ifndef CONFIG_REPORT_H
#define CONFIG_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_REPORT_LIMIT 100

struct config_mistake {
    char *text; /* the whole line, printable, without line end */
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

/* Adds a mistake; format as for printf, without line end. Unprintable characters are replaced. */
void config_report_add(struct config_report *report, const struct config_spot *spot, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Returns the number of mistakes, including those not kept. */
size_t config_report_count(const struct config_report *report);

/* Returns the line of a kept mistake; NULL: none. */
const char *config_report_line(const struct config_report *report, size_t index);

/* Sorts the kept mistakes by source, line and column; stable. */
void config_report_sort(struct config_report *report);

/* A line for each mistake, then "and N more" when some were not kept. */
void config_report_print(const struct config_report *report, FILE *out);

#endif
