/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "service/kdnetctl/table.h"
#include "service/kdnetctl/printable.h"

#include <stdlib.h>
#include <string.h>

#include <sys/ioctl.h>
#include <unistd.h>

#define GAP        2
#define CELL_MAX   1024 /* most bytes of a text; longer ones are truncated */
#define SCREEN_MAX 10000
#define BRIEF_SIZE 32

struct cell {
    char *text; /* printable */
    unsigned width;
    enum colour colour;
};

struct table {
    const struct table_column *columns;
    size_t column_count, row_count, room;
    unsigned widths[TABLE_COLUMNS_MAX]; /* the widest of each column */
    unsigned briefs[TABLE_COLUMNS_MAX]; /* the same with times in brief */
    struct cell *cells;
};

static unsigned of_environment(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);
    char *end = NULL;
    unsigned long value = text ? strtoul(text, &end, 10) : 0;
    return text && *end == '\0' && value > 0 && value < SCREEN_MAX ? (unsigned)value : otherwise;
}

void screen_of(FILE *stream, struct screen *screen)
{
    struct winsize size = {0};
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
    *screen = (struct screen){0};
    if (!isatty(fileno(stream)))
        return;
    if (ioctl(fileno(stream), TIOCGWINSZ, &size) != 0)
        size = (struct winsize){0};
    screen->width = of_environment("COLUMNS", size.ws_col > 0 ? size.ws_col : 80);
    screen->height = of_environment("LINES", size.ws_row > 0 ? size.ws_row : 24);
    screen->colours = !(no_colour && no_colour[0] != '\0') && !(term && strcmp(term, "dumb") == 0);
}

const char *colour_begin(const struct screen *screen, enum colour colour)
{
    static const char *const codes[] = {"", "\033[32m", "\033[31m", "\033[33m", "\033[2m", "\033[1m"};
    return screen->colours ? codes[colour] : "";
}

const char *colour_end(const struct screen *screen, enum colour colour)
{
    return screen->colours && colour != COLOUR_NONE ? "\033[0m" : "";
}

struct table *table_new(const struct table_column *columns, size_t count)
{
    struct table *table = count <= TABLE_COLUMNS_MAX ? calloc(1, sizeof *table) : NULL;
    if (!table)
        return NULL;
    table->columns = columns;
    table->column_count = count;
    for (size_t i = 0; i < count; ++i)
        table->widths[i] = table->briefs[i] = (unsigned)strlen(columns[i].heading);
    return table;
}

void table_free(struct table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->row_count * table->column_count; ++i)
        free(table->cells[i].text);
    free(table->cells);
    free(table);
}

size_t table_rows(const struct table *table)
{
    return table->row_count;
}

static bool grow(struct table *table)
{
    size_t room = table->room == 0 ? 64 : table->room * 2;
    if (table->row_count < table->room)
        return true;
    struct cell *cells = realloc(table->cells, room * table->column_count * sizeof *cells);
    if (!cells)
        return false;
    table->cells = cells;
    table->room = room;
    return true;
}

/* YYYY-MM-DD HH:MM:SS, and a zone behind it, as times_format writes it. */
static bool is_time(const char *text)
{
    static const char shape[] = "dddd-dd-dd dd:dd:dd";
    for (size_t i = 0; shape[i] != '\0'; ++i)
        if (shape[i] == 'd' ? text[i] < '0' || text[i] > '9' : text[i] != shape[i])
            return false;
    return strlen(text) <= BRIEF_SIZE;
}

/* MM-DD HH:MM and the zone of a time; any other text as it is. */
static const char *brief_of(const char *text, char out[static BRIEF_SIZE])
{
    if (!is_time(text))
        return text;
    (void)snprintf(out, BRIEF_SIZE, "%.11s%s", text + 5, text + 19);
    return out;
}

static unsigned brief_width(const struct cell *cell)
{
    char brief[BRIEF_SIZE];
    return is_time(cell->text) ? (unsigned)strlen(brief_of(cell->text, brief)) : cell->width;
}

bool table_add(struct table *table, const char *const *texts)
{
    if (!grow(table))
        return false;
    struct cell *row = table->cells + table->row_count * table->column_count;
    for (size_t i = 0; i < table->column_count; ++i) {
        const char *text = texts[i] ? texts[i] : "-";
        row[i] = (struct cell){.colour = COLOUR_NONE};
        row[i].text = printable_copy(text, characters_fit(text, strlen(text), CELL_MAX), &row[i].width);
        if (!row[i].text) {
            while (i > 0)
                free(row[--i].text);
            return false;
        }
    }
    for (size_t i = 0; i < table->column_count; ++i) {
        unsigned brief = brief_width(&row[i]);
        table->widths[i] = row[i].width > table->widths[i] ? row[i].width : table->widths[i];
        table->briefs[i] = brief > table->briefs[i] ? brief : table->briefs[i];
    }
    ++table->row_count;
    return true;
}

void table_colour(struct table *table, size_t column, enum colour colour)
{
    if (table->row_count > 0)
        table->cells[(table->row_count - 1) * table->column_count + column].colour = colour;
}

static unsigned sum_of(const unsigned *widths, size_t count)
{
    unsigned sum = count > 0 ? (unsigned)(count - 1) * GAP : 0;
    for (size_t i = 0; i < count; ++i)
        sum += widths[i];
    return sum;
}

/* Returns the widest column that exceeds its least width, or one column when `deep`; count: none. */
static size_t widest(const struct table *table, const unsigned *widths, bool deep)
{
    size_t found = table->column_count;
    for (size_t i = 0; i < table->column_count; ++i) {
        unsigned least = deep || table->columns[i].least == 0 ? 1 : table->columns[i].least;
        if (widths[i] > least && (found == table->column_count || widths[i] >= widths[found]))
            found = i;
    }
    return found;
}

/*
 * Takes times in brief, then narrows the widest columns until the row fits. A column wider than the screen is narrowed
 * at once. Returns whether times are in brief.
 */
static bool fit(const struct table *table, unsigned width, unsigned *widths)
{
    bool deep = false;
    memcpy(widths, table->widths, sizeof table->widths);
    if (width == 0 || sum_of(widths, table->column_count) <= width)
        return false;
    memcpy(widths, table->briefs, sizeof table->briefs);
    for (size_t i = 0; i < table->column_count; ++i)
        widths[i] = widths[i] > width ? width : widths[i];
    while (sum_of(widths, table->column_count) > width) {
        size_t at = widest(table, widths, deep);
        if (at < table->column_count)
            --widths[at];
        else if (!deep)
            deep = true;
        else
            break; /* a terminal narrower than the gaps */
    }
    return true;
}

static void pad(FILE *out, unsigned count)
{
    (void)fprintf(out, "%*s", (int)count, "");
}

static void print_cell(const struct screen *screen, const char *text, unsigned text_width, unsigned width, bool right,
                       bool last, enum colour colour, FILE *out)
{
    unsigned used = text_width < width ? text_width : width;
    if (right)
        pad(out, width - used);
    (void)fputs(colour_begin(screen, colour), out);
    used = printable_print_cut(out, text, width);
    (void)fputs(colour_end(screen, colour), out);
    if (!right && !last)
        pad(out, width - used);
    if (!last)
        pad(out, GAP);
}

void table_print(const struct table *table, const struct screen *screen, size_t rows, FILE *out)
{
    unsigned widths[TABLE_COLUMNS_MAX];
    char brief[BRIEF_SIZE];
    size_t count = table->column_count;
    bool in_brief = fit(table, screen->width, widths);
    /* Drops columns for which a very narrow terminal has no room. */
    while (screen->width != 0 && count > 1 && sum_of(widths, count) > screen->width)
        --count;
    for (size_t i = 0; i < count; ++i)
        print_cell(screen, table->columns[i].heading, (unsigned)strlen(table->columns[i].heading), widths[i],
                   table->columns[i].right, i + 1 == count, COLOUR_DIM, out);
    (void)fputc('\n', out);
    for (size_t row = 0; row < table->row_count && row < rows; ++row) {
        for (size_t i = 0; i < count; ++i) {
            const struct cell *cell = &table->cells[row * table->column_count + i];
            print_cell(screen, in_brief ? brief_of(cell->text, brief) : cell->text,
                       in_brief ? brief_width(cell) : cell->width, widths[i], table->columns[i].right, i + 1 == count,
                       cell->colour, out);
        }
        (void)fputc('\n', out);
    }
}
