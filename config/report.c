/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "config/report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 1024

void config_report_init(struct config_report *report)
{
    memset(report, 0, sizeof *report);
}

void config_report_clear(struct config_report *report)
{
    for (size_t i = 0; i < report->kept; ++i)
        free(report->mistakes[i].text);
    config_report_init(report);
}

static size_t write_prefix(char *line, const struct config_spot *spot)
{
    const char *field = spot->field && spot->field[0] ? spot->field : NULL;
    const char *colon = field ? ": " : "";
    int n = spot->line > 0 ? snprintf(line, LINE_SIZE, "%.*s:%u:%u: %.*s%s", CHARACTERS(spot->file, 400), spot->line,
                                      spot->column, CHARACTERS(field ? field : "", 200), colon)
                           : snprintf(line, LINE_SIZE, "%.*s: %.*s%s", CHARACTERS(spot->file, 400),
                                      CHARACTERS(field ? field : "", 200), colon);
    return n > 0 ? (size_t)n : 0;
}

/* File names and values come from outside: none may move the reader's cursor or end the line. */
static void make_printable(char *line)
{
    for (; *line != '\0'; ++line)
        if ((unsigned char)*line < ' ' || *line == 0x7f)
            *line = '?';
}

void config_report_add(struct config_report *report, const struct config_spot *spot, const char *format, ...)
{
    ++report->count;
    if (report->kept == CONFIG_REPORT_LIMIT)
        return;
    char line[LINE_SIZE];
    size_t length = write_prefix(line, spot);
    va_list arguments;
    va_start(arguments, format);
    int written = vsnprintf(line + length, sizeof line - length, format, arguments);
    va_end(arguments);
    if (written < 0)
        line[length] = '\0';
    characters_mend(line);
    make_printable(line);
    char *text = strdup(line);
    if (!text)
        return;
    report->mistakes[report->kept++] = (struct config_mistake){text, spot->source, spot->line, spot->column};
}

size_t config_report_count(const struct config_report *report)
{
    return report->count;
}

const char *config_report_line(const struct config_report *report, size_t index)
{
    return index < report->kept ? report->mistakes[index].text : NULL;
}

static bool comes_before(const struct config_mistake *a, const struct config_mistake *b)
{
    if (a->source != b->source)
        return a->source < b->source;
    if (a->line != b->line)
        return a->line < b->line;
    return a->column < b->column;
}

void config_report_sort(struct config_report *report)
{
    for (size_t i = 1; i < report->kept; ++i) {
        struct config_mistake moving = report->mistakes[i];
        size_t hole = i;
        for (; hole > 0 && comes_before(&moving, &report->mistakes[hole - 1]); --hole)
            report->mistakes[hole] = report->mistakes[hole - 1];
        report->mistakes[hole] = moving;
    }
}

void config_report_print(const struct config_report *report, FILE *out)
{
    for (size_t i = 0; i < report->kept; ++i)
        (void)fprintf(out, "%s\n", report->mistakes[i].text);
    if (report->count > report->kept)
        (void)fprintf(out, "and %zu more\n", report->count - report->kept);
}
