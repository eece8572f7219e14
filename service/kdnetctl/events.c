/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl events: stored events, and new ones as they come. */
#include "config/characters.h"
#include "service/kdnetctl/ask.h"
#include "service/kdnetctl/commands.h"
#include "service/kdnetctl/fields.h"
#include "service/kdnetctl/printable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

enum { OPTION_FOLLOW = 1, OPTION_SINCE, OPTION_TAIL, OPTION_TYPE, OPTION_TARGET };

#define TAIL_DEFAULT 100
#define TAIL_MAX     10000UL
#define PAGE         10000
#define ID_SIZE      160
#define RETRY_S      2

struct events {
    struct ask ask;
    int64_t since_us;   /* older ones are left out; 0: none is */
    char last[ID_SIZE]; /* id of the newest event */
    size_t page_count;  /* of this page */
    bool resync;        /* in a stream: the next data says what is missing */
    bool heard;         /* a stream was open once */
};

/* Members that every event has, or that have a column of their own. */
static bool is_common(const char *name)
{
    static const char *const names[] = {"time",    "event", "target", "id",     "collector", "address",
                                        "session", "boot",  "labels", "source", "evidence",  "evidence_unknown",
                                        "crash",   "tried", "pdb",    "rtt_ms"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Writes the members that only this kind of event has, as name=value. */
static void describe(const json_t *event, char *out, size_t size)
{
    const char *name;
    json_t *value;
    size_t length = 0;
    out[0] = '\0';
    json_object_foreach((json_t *)event, name, value)
    { // NOLINT(cert-exp05-c): jansson's macro wants it
        char text[FIELDS_SIZE];
        if (is_common(name) || json_is_null(value) || json_is_array(value))
            continue;
        const char *brief = json_is_object(value) ? fields_brief(value) : NULL;
        const char *told = brief ? brief : fields_cell(value, "", text);
        int count = snprintf(out + length, size - length, "%s%.*s=%s", length > 0 ? " " : "", CHARACTERS(name, 63),
                             told);
        if (count < 0 || (size_t)count >= size - length) {
            characters_mend(out);
            return;
        }
        length += (size_t)count;
    }
}

static void print_line(const struct ask *ask, const json_t *event)
{
    char time[TIMES_SIZE], rest[1024], line[1400];
    const char *kind = fields_text(event, "event", "-");
    describe(event, rest, sizeof rest);
    (void)snprintf(line, sizeof line, "%s  %-12.40s  %-16.63s  %s", ask_time(ask, event, "time", time),
                   fields_text(event, "target", "-"), kind, rest);
    unsigned width;
    char *copy = printable_copy(line, strlen(line), &width);
    if (!copy) {
        command_short_of_memory();
        return;
    }
    const char *verdict = fields_text(event, "verdict", NULL);
    enum colour colour = verdict ? ask_colour(verdict) : COLOUR_NONE;
    (void)fputs(colour_begin(&ask->screen, colour), stdout);
    (void)printable_print_cut(stdout, copy, ask->screen.width == 0 ? width : ask->screen.width);
    (void)puts(colour_end(&ask->screen, colour));
    free(copy);
}

static bool is_wanted(const struct events *events, const json_t *event)
{
    int64_t time_us;
    return events->since_us == 0 ||
           (times_parse(fields_text(event, "time", ""), &time_us) && time_us >= events->since_us);
}

/* A line of results. */
static bool take_line(void *user, const char *line, size_t length)
{
    struct events *events = user;
    json_t *event = length > 0 ? json_loadb(line, length, JSON_ALLOW_NUL, NULL) : NULL;
    if (!event)
        return true;
    ++events->page_count;
    (void)snprintf(events->last, sizeof events->last, "%s", fields_text(event, "id", ""));
    if (is_wanted(events, event)) {
        if (events->ask.options.json)
            client_print_json(event);
        else
            print_line(&events->ask, event);
    }
    json_decref(event);
    return !ferror(stdout);
}

static bool add_filters(const struct events *events, char *path)
{
    return ask_query(&events->ask, path, OPTION_TYPE, "type") && ask_query(&events->ask, path, OPTION_TARGET, "target");
}

/* --- stored events ------------------------------------------------------------------------------------------------ */

/* Page by page from the oldest; skips events before --since. */
static int list_since(struct events *events)
{
    int status = COMMAND_OK;
    do {
        char path[ASK_PATH_SIZE] = "/api/v1/events", limit[16];
        (void)snprintf(limit, sizeof limit, "%d", PAGE);
        events->page_count = 0;
        if (!client_query(path, sizeof path, "limit", limit) || !add_filters(events, path) ||
            (events->last[0] != '\0' && !client_query(path, sizeof path, "after", events->last)))
            return COMMAND_USAGE;
        status = client_lines(events->ask.client, path, NULL, take_line, events);
    } while (status == COMMAND_OK && events->page_count == PAGE && !ferror(stdout));
    return status;
}

static int list_tail(struct events *events)
{
    char path[ASK_PATH_SIZE] = "/api/v1/events", text[24];
    unsigned long tail = TAIL_DEFAULT;
    if (!ask_number(&events->ask, OPTION_TAIL, "tail", TAIL_MAX, &tail))
        return COMMAND_USAGE;
    (void)snprintf(text, sizeof text, "%lu", tail);
    if (!client_query(path, sizeof path, "tail", text) || !client_query(path, sizeof path, "limit", text) ||
        !add_filters(events, path))
        return COMMAND_USAGE;
    return client_lines(events->ask.client, path, NULL, take_line, events);
}

/* ----------------------------------------------------------------------------------------------- as they come */

static void take_data(struct events *events, const char *data, size_t length)
{
    if (!events->resync) {
        (void)take_line(events, data, length);
        (void)fflush(stdout);
        return;
    }
    events->resync = false;
    command_say(&command_events, "events are missing here: kdnetd no longer has those that came before");
}

/* A line of server-sent events. */
static bool take_stream(void *user, const char *line, size_t length)
{
    struct events *events = user;
    events->heard = true;
    if (strncmp(line, "event: resync", 13) == 0)
        events->resync = true;
    else if (strncmp(line, "id:", 3) == 0 && length < sizeof events->last)
        (void)snprintf(events->last, sizeof events->last, "%s", line + 3 + (line[3] == ' '));
    else if (strncmp(line, "data:", 5) == 0)
        take_data(events, line + 5 + (line[5] == ' '), length - 5 - (line[5] == ' '));
    return !ferror(stdout);
}

/* Runs until nobody reads us or kdnetd refuses; waits for a restarting kdnetd. */
static int follow(struct events *events)
{
    char path[ASK_PATH_SIZE] = "/api/v1/stream";
    if (!add_filters(events, path))
        return COMMAND_USAGE;
    for (;;) {
        const char *last = events->last[0] != '\0' ? events->last : NULL;
        int status = client_lines(events->ask.client, path, last, take_stream, events);
        if (ferror(stdout))
            return COMMAND_FAILED;
        if (status == COMMAND_UNREACHABLE ? !events->heard : status != COMMAND_OK)
            return status;
        if (status == COMMAND_OK)
            command_say(&command_events, "kdnetd ended the stream; asking again");
        (void)sleep(RETRY_S);
    }
}

/* --------------------------------------------------------------------------------------------- the command line */

static int run_events(int count, char **arguments)
{
    struct events events = {.since_us = 0};
    struct ask *ask = &events.ask;
    if (!ask_begin(ask, &command_events, count, arguments, 0, 0))
        return ask->status;
    if (!ask_since(&events.ask, OPTION_SINCE, &events.since_us))
        return ask_end(ask, COMMAND_USAGE);
    int status = COMMAND_OK;
    if (ask_given(ask, OPTION_SINCE) && ask_given(ask, OPTION_TAIL))
        status = command_misuse(&command_events, "--since or --tail, not both", NULL);
    else if (ask_given(ask, OPTION_SINCE))
        status = list_since(&events);
    else if (ask_given(ask, OPTION_TAIL) || !ask_given(ask, OPTION_FOLLOW))
        status = list_tail(&events);
    if (status == COMMAND_OK && ask_given(ask, OPTION_FOLLOW)) {
        (void)fflush(stdout);
        status = follow(&events);
    }
    return ask_end(ask, status);
}

static const struct command_option options[] = {
    {"follow", NULL, OPTION_FOLLOW, "goes on with those to come, also when kdnetd is restarted"},
    {"since", "TIME", OPTION_SINCE, COMMAND_SINCE_HELP},
    {"tail", "N", OPTION_TAIL, "the newest N (100)"},
    {"type", "EVENT", OPTION_TYPE, "of this kind, as crash_status; may be given again"},
    {"target", "NAME", OPTION_TARGET, COMMAND_TARGET_HELP},
    {0}};

const struct command command_events = {
    .name = "events",
    .summary = "print what kdnetd tells",
    .arguments = "[--follow] [--since TIME | --tail N] [--type EVENT]... [--target NAME]...",
    .text = "Prints events, the oldest first: with --json as kdnetd wrote them.\n",
    .options = options,
    .asks = true,
    .run = run_events};
