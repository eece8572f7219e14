/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl targets, show: the machines. */
#include "service/kdnetctl/ask.h"
#include "service/kdnetctl/commands.h"
#include "service/kdnetctl/crashes.h"
#include "service/kdnetctl/fields.h"

#include <stdio.h>
#include <string.h>

enum { OPTION_STATE = 1, OPTION_LABEL, OPTION_LIMIT, OPTION_TEXT = 'q' };

#define LIMIT_MAX 10000000UL

static bool target_row(const struct ask *ask, const json_t *target, struct table *table)
{
    char since[TIMES_SIZE], labels[FIELDS_SIZE];
    const char *state = fields_text(target, "state", NULL), *verdict = fields_text(target, "last_crash.verdict", NULL);
    const char *texts[] = {fields_text(target, "name", NULL),     state,
                           ask_time(ask, target, "since", since), verdict,
                           fields_text(target, "address", NULL),  fields_text(target, "kernel.build_lab", NULL),
                           fields_cell(target, "labels", labels)};
    if (!table_add(table, texts))
        return false;
    table_colour(table, 1, ask_colour(state));
    table_colour(table, 3, ask_colour(verdict));
    return true;
}

static int run_targets(int count, char **arguments)
{
    static const struct table_column columns[] = {
        {"NAME", 12, false},    {"STATE", 10, false}, {"SINCE", 12, false}, {"LAST CRASH", 10, false},
        {"ADDRESS", 12, false}, {"KERNEL", 6, false}, {"LABELS", 4, false}};
    struct ask ask;
    char path[ASK_PATH_SIZE] = "/api/v1/targets";
    struct ask_list list = {.path = path,
                            .member = "targets",
                            .columns = columns,
                            .column_count = 7,
                            .row = target_row,
                            .empty = "no target matches"};
    if (!ask_begin(&ask, &command_targets, count, arguments, 0, 0))
        return ask.status;
    int status = COMMAND_USAGE;
    if (ask_number(&ask, OPTION_LIMIT, "limit", LIMIT_MAX, &list.most) &&
        ask_query(&ask, path, OPTION_STATE, "state") && ask_query(&ask, path, OPTION_LABEL, "label") &&
        ask_query(&ask, path, OPTION_TEXT, "q"))
        status = ask_list(&ask, &list);
    return ask_end(&ask, status);
}

static const struct command_option targets_options[] = {
    {"state", "STATE", OPTION_STATE,
     "in this state: never_seen, connected, halted, held, handed_over, dumping,\n"
     "rebooting, lost; given again: or in this one"},
    {"label", "K=V", OPTION_LABEL, "with this label; given again: and with this one"},
    {"q", "TEXT", OPTION_TEXT, "with this text in its name, address or labels"},
    {"limit", "N", OPTION_LIMIT, "at most so many (all)"},
    {0}};

const struct command command_targets = {.name = "targets",
                                        .summary = "list the machines and their states",
                                        .arguments = "[--state STATE]... [--label K=V]... [-q TEXT] [--limit N]",
                                        .text = "Lists the machines by name.\n",
                                        .options = targets_options,
                                        .asks = true,
                                        .run = run_targets};

/* ------------------------------------------------------------------------------------------------------ show */

static void print_target(const struct ask *ask, const json_t *target)
{
    static const struct {
        const char *name, *path;
        bool time;
    } rows[] = {{"target", "name", false},
                {"state", "state", false},
                {"since", "since", true},
                {"held until", "held_until", true},
                {"address", "address", false},
                {"last seen", "last_seen", true},
                {"kernel", "kernel", false},
                {"KDNET version", "version", false},
                {"boot", "boot", false},
                {"session", "session", false},
                {"listener", "listener", false},
                {"worker", "worker", false},
                {"labels", "labels", false},
                {"last crash", "last_crash.crash", false},
                {"verdict", "last_crash.verdict", false}};
    char text[FIELDS_SIZE], time[TIMES_SIZE];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i)
        ask_print_field(ask, rows[i].name,
                        rows[i].time ? ask_time(ask, target, rows[i].path, time)
                                     : fields_cell(target, rows[i].path, text));
    if (fields_true(target, "stale"))
        ask_print_field(ask, "stale", "as it was before kdnetd was started; not heard since");
    crashes_print_list(ask, fields_at(target, "crashes"));
}

/* Whether a word is written as a crash's name is. */
static bool is_crash(const char *word)
{
    return strlen(word) == 16 && strspn(word, "0123456789abcdef") == 16;
}

static int show(struct ask *ask, const char *before, void (*print)(const struct ask *, const json_t *))
{
    char path[ASK_PATH_SIZE];
    json_t *answer = NULL;
    if (!ask_path(ask, path, before, ask->words[0], ""))
        return COMMAND_USAGE;
    int status = client_get(ask->client, path, &answer);
    if (status == COMMAND_OK && ask->options.json)
        client_print_json(answer);
    else if (status == COMMAND_OK)
        print(ask, answer);
    json_decref(answer);
    return status;
}

/* A machine may have a name like a crash's id: shown when there is no such crash, or by `targets`. */
static bool is_target(struct ask *ask)
{
    char path[ASK_PATH_SIZE];
    json_t *answer = NULL;
    long http = 0;
    if (!is_crash(ask->words[0]))
        return true;
    if (!ask_path(ask, path, "/targets/", ask->words[0], ""))
        return false;
    (void)client_try(ask->client, path, &http, &answer);
    json_decref(answer);
    return http == 200;
}

static int run_show(int count, char **arguments)
{
    struct ask ask;
    if (!ask_begin(&ask, &command_show, count, arguments, 1, 1))
        return ask.status;
    int status = is_target(&ask) ? show(&ask, "/targets/", print_target) : show(&ask, "/crashes/", crashes_print_one);
    return ask_end(&ask, status);
}

const struct command command_show = {
    .name = "show",
    .summary = "tell all about a machine or a crash",
    .arguments = "NAME|CRASH",
    .text = "Tells all that is known of a machine, with its newest crashes, or of a crash (16 hex digits).\n",
    .asks = true,
    .run = run_show};
