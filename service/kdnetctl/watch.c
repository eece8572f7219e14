/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl watch: machines that need attention, and the newest crashes, redrawn periodically. */
#include "service/kdnetctl/crashes.h"
#include "service/kdnetctl/commands.h"
#include "service/kdnetctl/fields.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <unistd.h>

enum { OPTION_INTERVAL = 1, OPTION_COUNT };

#define INTERVAL_MS 2000
#define HEAD_LINES  8

static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

struct picture {
    json_t *status, *held, *crashes;
};

static void clear_picture(struct picture *picture)
{
    json_decref(picture->status);
    json_decref(picture->held);
    json_decref(picture->crashes);
    *picture = (struct picture){0};
}

static int ask_picture(struct ask *ask, struct picture *picture)
{
    int status = client_get(ask->client, "/api/v1/status", &picture->status);
    if (status == COMMAND_OK)
        status = client_get(ask->client, "/api/v1/targets?state=held&limit=20", &picture->held);
    if (status == COMMAND_OK)
        status = client_get(ask->client, "/api/v1/crashes?limit=100", &picture->crashes);
    return status;
}

static bool held_row(const struct ask *ask, const json_t *target, struct table *table)
{
    char since[TIMES_SIZE], until[TIMES_SIZE];
    const char *texts[] = {fields_text(target, "name", NULL), ask_time(ask, target, "since", since),
                           ask_time(ask, target, "held_until", until), fields_text(target, "last_crash.verdict", NULL)};
    return table_add(table, texts);
}

static void draw(struct ask *ask, const struct picture *picture)
{
    static const struct table_column held[] = {
        {"HELD", 12, false}, {"SINCE", 12, false}, {"UNTIL", 12, false}, {"VERDICT", 10, false}};
    char text[FIELDS_SIZE], time[TIMES_SIZE];
    struct timespec now;
    const json_t *list = fields_at(picture->crashes, "crashes");
    (void)clock_gettime(CLOCK_REALTIME, &now);
    ask_print_field(ask, "time", times_format((int64_t)now.tv_sec * 1000000, ask->options.utc, time));
    ask_print_field(ask, "targets", fields_cell(picture->status, "targets", text));
    size_t degraded = json_array_size(fields_at(picture->status, "degraded"));
    if (degraded > 0)
        ask_print_field(ask, "degraded",
                        fields_text(json_array_get(fields_at(picture->status, "degraded"), 0), "why", "-"));
    ask_print_list(ask, NULL, fields_at(picture->held, "targets"), held, 4, held_row);
    size_t used = HEAD_LINES + json_array_size(fields_at(picture->held, "targets"));
    struct table *table = table_new(crashes_columns, CRASHES_COLUMNS);
    size_t rows = ask->screen.height > used + 3 ? ask->screen.height - used : 3;
    bool whole = table != NULL;
    for (size_t i = 0; whole && i < json_array_size(list); ++i)
        whole = crashes_row(ask, json_array_get(list, i), table);
    if (!whole)
        command_short_of_memory();
    (void)putchar('\n');
    if (table)
        table_print(table, &ask->screen, ask->screen.height == 0 ? table_rows(table) : rows, stdout);
    table_free(table);
}

static int show_once(struct ask *ask, bool first)
{
    struct picture picture = {0};
    screen_of(stdout, &ask->screen);
    int status = ask_picture(ask, &picture);
    if (status == COMMAND_OK && ask->options.json) {
        client_print_json(picture.status);
    } else if (status == COMMAND_OK) {
        if (ask->screen.width != 0)
            (void)fputs("\033[H\033[2J", stdout);
        else if (!first)
            (void)putchar('\n');
        draw(ask, &picture);
    }
    clear_picture(&picture);
    (void)fflush(stdout);
    return status;
}

static int watch(struct ask *ask, int64_t interval_ms, unsigned long count)
{
    const struct timespec interval = {.tv_sec = interval_ms / 1000, .tv_nsec = (long)(interval_ms % 1000) * 1000000};
    const struct sigaction action = {.sa_handler = stop};
    (void)sigaction(SIGINT, &action, NULL);
    int status = COMMAND_OK;
    stopped = 0;
    for (unsigned long i = 0; !stopped && (count == 0 || i < count); ++i) {
        if (i > 0)
            (void)nanosleep(&interval, NULL);
        if (stopped)
            break;
        status = show_once(ask, i == 0);
        /* A restarting kdnetd comes back. */
        if (ferror(stdout) || (status != COMMAND_OK && (i == 0 || status != COMMAND_UNREACHABLE)))
            return status;
    }
    return status;
}

static int run_watch(int count, char **arguments)
{
    struct ask ask;
    int64_t interval = INTERVAL_MS;
    unsigned long times = 0;
    if (!ask_begin(&ask, &command_watch, count, arguments, 0, 0))
        return ask.status;
    const char *text = ask_value(&ask, OPTION_INTERVAL);
    int status = COMMAND_USAGE;
    if (text && (!times_parse_duration(text, &interval) || interval < 100 || interval > 86400000))
        command_misuse(&command_watch, "--interval takes a duration from 100ms to 24h; this is none:", text);
    else if (ask_number(&ask, OPTION_COUNT, "count", 1000000000, &times))
        status = watch(&ask, interval, times);
    return ask_end(&ask, status);
}

static const struct command_option options[] = {{"interval", "TIME", OPTION_INTERVAL, "between two looks (2s)"},
                                                {"count", "N", OPTION_COUNT, "ends after so many looks (never)"},
                                                {0}};

const struct command command_watch = {
    .name = "watch",
    .summary = "show held machines and the newest crashes, live",
    .arguments = "[--interval TIME] [--count N]",
    .text = "Shows the machines by state, those that are held, and the newest crashes, again and again.\n",
    .options = options,
    .asks = true,
    .run = run_watch};
