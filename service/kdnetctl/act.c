/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl release, reboot, read: actions on machines. */
#include "service/kdnetctl/ask.h"
#include "service/kdnetctl/commands.h"
#include "service/kdnetctl/fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPTION_ALL = 1, OPTION_STATE, OPTION_DEBUGGER, OPTION_YES, OPTION_BREAK_IN };

#define MACHINES_MAX    ((size_t)1000000)
#define DEBUGGER_FOR    "10m"
#define DEBUGGER_FOR_MS (7LL * 24 * 3600 * 1000) /* as the API */

struct act {
    struct ask ask;
    const char *after; /* the end of the path: "/release" */
    const char *done;  /* the word for a machine after the action */
    json_t *body;
    char **names; /* of --all */
    size_t name_count, room;
};

static int act_on(struct act *act, const char *name)
{
    char path[ASK_PATH_SIZE];
    json_t *answer = NULL;
    if (!ask_path(&act->ask, path, "/targets/", name, act->after))
        return COMMAND_USAGE;
    int status = client_post(act->ask.client, "POST", path, act->body, &answer);
    if (status == COMMAND_OK && act->ask.options.json) {
        json_t *line = json_pack("{s:s,s:s}", "target", name, "id", fields_text(answer, "id", ""));
        client_print_json(line);
        json_decref(line);
    } else if (status == COMMAND_OK) {
        command_print_argument(stdout, name);
        (void)printf(": %s\n", act->done);
    }
    json_decref(answer);
    return status;
}

/* Acts on each machine, also after a refusal. Returns the status of the first refusal. */
static int act_on_all(struct act *act, char **names, size_t count)
{
    int worst = COMMAND_OK;
    for (size_t i = 0; i < count; ++i) {
        int status = act_on(act, names[i]);
        if (worst == COMMAND_OK)
            worst = status;
        if (status == COMMAND_UNREACHABLE)
            break;
    }
    return worst;
}

static int allow_many(const struct act *act, size_t count)
{
    if (count <= 1 || ask_given(&act->ask, OPTION_YES))
        return COMMAND_OK;
    (void)fprintf(stderr, "kdnetctl %s: this is about %zu machines; nothing was done. Add --yes if you mean it.\n",
                  act->ask.command->name, count);
    return COMMAND_USAGE;
}

static bool add_name(void *user, const json_t *target)
{
    struct act *act = user;
    if (act->name_count == act->room) {
        size_t room = act->room == 0 ? 64 : act->room * 2;
        char **larger = room <= MACHINES_MAX ? realloc(act->names, room * sizeof *larger) : NULL;
        if (!larger) {
            command_short_of_memory();
            return false;
        }
        act->names = larger;
        act->room = room;
    }
    char *name = strdup(fields_text(target, "name", ""));
    if (!name) {
        command_short_of_memory();
        return false;
    }
    act->names[act->name_count++] = name;
    return true;
}

static int act_on_state(struct act *act)
{
    char path[ASK_PATH_SIZE] = "/api/v1/targets?state=held";
    int status = ask_pages(&act->ask, path, "targets", 0, add_name, act, NULL);
    if (status == COMMAND_OK && command_is_short_of_memory())
        return COMMAND_FAILED; /* nothing was done yet */
    if (status == COMMAND_OK && act->name_count == 0)
        (void)fprintf(stderr, "no machine is held\n");
    if (status == COMMAND_OK)
        status = allow_many(act, act->name_count);
    return status == COMMAND_OK ? act_on_all(act, act->names, act->name_count) : status;
}

static int finish(struct act *act, int status)
{
    for (size_t i = 0; i < act->name_count; ++i)
        free(act->names[i]);
    free(act->names);
    json_decref(act->body);
    return ask_end(&act->ask, status);
}

static int act_on_words(struct act *act)
{
    int status = allow_many(act, act->ask.word_count);
    return status == COMMAND_OK ? act_on_all(act, act->ask.words, act->ask.word_count) : status;
}

/* --------------------------------------------------------------------------------------------------- release */

static int check_release(const struct act *act)
{
    const struct ask *ask = &act->ask;
    bool all = ask_given(ask, OPTION_ALL);
    const char *state = ask_value(ask, OPTION_STATE);
    if (all && ask->word_count > 0)
        return command_misuse(ask->command, "--all or names, not both:", ask->words[0]);
    if (!all && ask->word_count == 0)
        return command_misuse(ask->command, "which machine? Name it, or say --all --state held", NULL);
    if (!all && state)
        return command_misuse(ask->command, "--state goes with --all", NULL);
    if (all && (!state || strcmp(state, "held") != 0))
        return command_misuse(ask->command, "only held machines are released: say --all --state held", NULL);
    return COMMAND_OK;
}

static int prepare_debugger(struct act *act)
{
    const char *text = ask_value(&act->ask, OPTION_DEBUGGER);
    int64_t ms;
    if (!ask_given(&act->ask, OPTION_DEBUGGER))
        return COMMAND_OK;
    text = text ? text : DEBUGGER_FOR;
    if (!times_parse_duration(text, &ms) || ms < 1000 || ms > DEBUGGER_FOR_MS)
        return command_misuse(act->ask.command,
                              "--to-debugger takes a duration from 1s to 7d, as 10m; this is none:", text);
    act->body = json_pack("{s:s}", "to_debugger", text);
    act->done = "handed over: kdnetd is silent to it, so that a debugger at this address can take it";
    return act->body ? COMMAND_OK : COMMAND_FAILED; /* without a body the machine would run on */
}

static int run_release(int count, char **arguments)
{
    struct act act = {.after = "/release", .done = "released"};
    if (!ask_begin(&act.ask, &command_release, count, arguments, 0, MACHINES_MAX))
        return act.ask.status;
    int status = check_release(&act);
    if (status == COMMAND_OK)
        status = prepare_debugger(&act);
    if (status == COMMAND_OK)
        status = ask_given(&act.ask, OPTION_ALL) ? act_on_state(&act) : act_on_words(&act);
    return finish(&act, status);
}

static const struct command_option release_options[] = {
    {"all", NULL, OPTION_ALL, "every machine of the state that --state names"},
    {"state", "held", OPTION_STATE, "which machines --all is about"},
    {"to-debugger", "[=10m]", OPTION_DEBUGGER,
     "kdnetd is silent to the machine for so long, and a debugger that listens at\n"
     "kdnetd's address can take it"},
    {"yes", NULL, OPTION_YES, "also when it is about more than one machine"},
    {0}};

const struct command command_release = {
    .name = "release",
    .summary = "let held machines go on",
    .arguments = "NAME... | --all --state held [--to-debugger[=10m]] [--yes]",
    .text = "Lets machines go on that kdnetd holds. A machine that is being read goes on by itself.\n",
    .options = release_options,
    .asks = true,
    .run = run_release};

/* ---------------------------------------------------------------------------------------------- reboot, read */

static int run_reboot(int count, char **arguments)
{
    struct act act = {.after = "/reboot", .done = "told to reboot"};
    if (!ask_begin(&act.ask, &command_reboot, count, arguments, 1, MACHINES_MAX))
        return act.ask.status;
    return finish(&act, act_on_words(&act));
}

static const struct command_option yes_options[] = {
    {"yes", NULL, OPTION_YES, "also when it is about more than one machine"}, {0}};

const struct command command_reboot = {
    .name = "reboot",
    .summary = "reboot a held or halted machine",
    .arguments = "NAME... [--yes]",
    .text = "Lets the kernel of a machine that stands still reboot it. One that writes its dump is left alone.\n",
    .options = yes_options,
    .asks = true,
    .run = run_reboot};

static int run_read(int count, char **arguments)
{
    struct act act = {.after = "/read", .done = "was read; kdnetctl show NAME, or events, has the result"};
    if (!ask_begin(&act.ask, &command_read, count, arguments, 1, MACHINES_MAX))
        return act.ask.status;
    if (ask_given(&act.ask, OPTION_BREAK_IN) && !(act.body = json_pack("{s:b}", "break_in", 1)))
        return finish(&act, COMMAND_FAILED);
    return finish(&act, act_on_words(&act));
}

static const struct command_option read_options[] = {
    {"break-in", NULL, OPTION_BREAK_IN,
     "stops a machine that runs, for as long as the reads take; kdnetd must allow it\n"
     "(break_in: allowed)"},
    {"yes", NULL, OPTION_YES, "also when it is about more than one machine"},
    {0}};

const struct command command_read = {
    .name = "read",
    .summary = "read the crash status of a machine again",
    .arguments = "NAME... [--break-in] [--yes]",
    .text = "Reads a held machine again, or a running one, which is stopped for it. The result is\n"
            "an event as any other: kdnetctl show NAME has it.\n",
    .options = read_options,
    .asks = true,
    .run = run_read};
