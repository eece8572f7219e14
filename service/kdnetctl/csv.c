/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnetctl/csv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)64 << 20)

static bool fail(struct csv *csv, size_t line, const char *error)
{
    csv->error_line = line;
    (void)snprintf(csv->error, sizeof csv->error, "%s", error);
    return false;
}

static bool read_whole(struct csv *csv, FILE *file)
{
    size_t length = 0, room = 0, count;
    do {
        if (length == room) {
            room = room == 0 ? 65536 : room * 2;
            char *larger = realloc(csv->text, room + 1);
            if (!larger)
                return fail(csv, 0, "cannot be read: out of memory");
            csv->text = larger;
        }
        count = fread(csv->text + length, 1, room - length, file);
        length += count;
    } while (count > 0 && length <= FILE_MAX);
    if (length > FILE_MAX)
        return fail(csv, 0, "is too long; 64 MiB are the most");
    if (ferror(file))
        return fail(csv, 0, strerror(errno));
    csv->text[length] = '\0';
    csv->end = csv->text + length;
    if (memchr(csv->text, '\0', length))
        return fail(csv, 0, "has NUL characters in it; save it as CSV in UTF-8");
    return true;
}

bool csv_open(struct csv *csv, const char *path)
{
    *csv = (struct csv){.line = 1, .separator = ','};
    FILE *file = fopen(path, "rb");
    if (!file)
        return fail(csv, 0, strerror(errno));
    bool good = read_whole(csv, file);
    (void)fclose(file);
    if (!good) {
        csv_close(csv);
        return false;
    }
    csv->at = csv->text;
    if (strncmp(csv->at, "\xef\xbb\xbf", 3) == 0)
        csv->at += 3;
    size_t first = strcspn(csv->at, "\r\n");
    if (!memchr(csv->at, ',', first) && memchr(csv->at, ';', first))
        csv->separator = ';';
    return true;
}

void csv_close(struct csv *csv)
{
    if (csv->text)
        explicit_bzero(csv->text, (size_t)(csv->end ? csv->end - csv->text : 0)); /* the text may contain keys */
    free(csv->text);
    csv->text = NULL;
}

/* Empty lines and comments. */
static void skip_lines(struct csv *csv)
{
    while (csv->at < csv->end) {
        char *start = csv->at + strspn(csv->at, " \t");
        if (*start != '\n' && *start != '\r' && *start != '#' && *start != '\0')
            return;
        start += strcspn(start, "\n");
        csv->line += *start == '\n';
        csv->at = *start == '\n' ? start + 1 : csv->end;
    }
}

/* Unquotes a field in place. */
static bool take_quoted(struct csv *csv, struct csv_row *row)
{
    char *from = csv->at + 1, *to = csv->at;
    row->fields[row->count++] = to;
    for (; from < csv->end; ++from) {
        if (*from == '"' && from[1] != '"')
            break;
        if (*from == '"')
            ++from;
        csv->line += *from == '\n';
        *to++ = *from;
    }
    if (from >= csv->end)
        return fail(csv, row->line, "a quote is opened and never closed; write \" at the end of the field");
    csv->at = from + 1 + strspn(from + 1, " \t");
    *to = '\0';
    if (*csv->at != csv->separator && *csv->at != '\r' && *csv->at != '\n' && *csv->at != '\0')
        return fail(csv, csv->line, "something follows a closing quote; write quotes inside of a field twice");
    return true;
}

static void take_plain(struct csv *csv, struct csv_row *row)
{
    const char ends[] = {csv->separator, '\r', '\n', '\0'};
    row->fields[row->count++] = csv->at;
    csv->at += strcspn(csv->at, ends);
}

/* Terminates a field. Returns whether the row continues. */
static bool end_field(struct csv *csv, struct csv_row *row)
{
    char *end = csv->at, c = *end;
    if (c == '\r')
        ++csv->at;
    bool more = c == csv->separator;
    if (!more && *csv->at == '\n')
        ++csv->line;
    if (csv->at < csv->end && (more || *csv->at == '\n'))
        ++csv->at;
    *end = '\0';
    char *text = row->fields[row->count - 1];
    for (size_t length = strlen(text); length > 0 && (text[length - 1] == ' ' || text[length - 1] == '\t'); --length)
        text[length - 1] = '\0';
    return more;
}

bool csv_next(struct csv *csv, struct csv_row *row)
{
    skip_lines(csv);
    *row = (struct csv_row){.line = csv->line};
    csv->error[0] = '\0';
    if (csv->at >= csv->end)
        return false;
    do {
        if (row->count == CSV_FIELDS_MAX)
            return fail(csv, row->line, "has more than 64 fields; leave some out");
        csv->at += strspn(csv->at, " \t");
        if (*csv->at != '"')
            take_plain(csv, row);
        else if (!take_quoted(csv, row))
            return false;
    } while (end_field(csv, row));
    return true;
}
