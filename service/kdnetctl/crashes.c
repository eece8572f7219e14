/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl crashes, ack, buckets; crash_view.c has one crash in full. */
#include "service/kdnetctl/crashes.h"
#include "service/kdnetctl/commands.h"
#include "service/kdnetctl/fields.h"

#include <stdio.h>
#include <string.h>

enum {
    OPTION_SINCE = 1,
    OPTION_UNTIL,
    OPTION_VERDICT,
    OPTION_TARGET,
    OPTION_CODE,
    OPTION_LABEL,
    OPTION_LIMIT,
    OPTION_NOTE
};

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     10000000UL

const struct table_column crashes_columns[CRASHES_COLUMNS] = {
    {"TIME", 12, false},  {"TARGET", 11, false}, {"VERDICT", 11, false}, {"BUG CHECK", 6, false},
    {"STATUS", 6, false}, {"DUMP", 6, true},     {"CRASH", 16, false}};

/* The code as people say it, D1, and the name: what is cut on a narrow terminal is the name. */
static const char *bugcheck_of(const json_t *crash, char out[static FIELDS_SIZE])
{
    const char *code = fields_text(crash, "bugcheck.code", NULL), *name = fields_text(crash, "bugcheck.name", NULL);
    if (!code)
        return name;
    code += strspn(code, "0xX");
    (void)snprintf(out, FIELDS_SIZE, "%s%s%s", *code != '\0' ? code : "0", name ? " " : "", name ? name : "");
    return out;
}

const char *crashes_verdict(const json_t *crash, char out[static FIELDS_SIZE])
{
    const char *verdict = fields_text(crash, "verdict", "-"), *likely = fields_text(crash, "assessment.likely", NULL);
    const char *how = fields_is(crash, "assessment.strength", "strong") ? "probably" : "perhaps";
    if (likely && strcmp(verdict, "unknown") == 0)
        (void)snprintf(out, FIELDS_SIZE, "%s, %s %s", verdict, how,
                       strcmp(likely, "not_started") == 0 ? "not started" : likely);
    else
        (void)snprintf(out, FIELDS_SIZE, "%s", verdict);
    return out;
}

bool crashes_row(const struct ask *ask, const json_t *crash, struct table *table)
{
    char time[TIMES_SIZE], dump[FIELDS_SIZE], verdict[FIELDS_SIZE], bugcheck[FIELDS_SIZE];
    const char *texts[] = {ask_time(ask, crash, "time", time),
                           fields_text(crash, "target", NULL),
                           crashes_verdict(crash, verdict),
                           bugcheck_of(crash, bugcheck),
                           fields_text(crash, "reason", fields_text(crash, "status", NULL)),
                           fields_duration(crash, "dump_ms", dump),
                           fields_text(crash, "crash", NULL)};
    if (!table_add(table, texts))
        return false;
    table_colour(table, 2, ask_colour(verdict));
    return true;
}

void crashes_print_list(const struct ask *ask, const json_t *list)
{
    ask_print_list(ask, NULL, list, crashes_columns, CRASHES_COLUMNS, crashes_row);
}

static int run_crashes(int count, char **arguments)
{
    struct ask ask;
    char path[ASK_PATH_SIZE] = "/api/v1/crashes";
    struct ask_list list = {.path = path,
                            .member = "crashes",
                            .most = LIMIT_DEFAULT,
                            .columns = crashes_columns,
                            .column_count = CRASHES_COLUMNS,
                            .row = crashes_row,
                            .empty = "no crash matches"};
    if (!ask_begin(&ask, &command_crashes, count, arguments, 0, 0))
        return ask.status;
    int status = COMMAND_USAGE;
    if (ask_number(&ask, OPTION_LIMIT, "limit", LIMIT_MAX, &list.most) && ask_verdicts(&ask, OPTION_VERDICT) &&
        ask_query(&ask, path, OPTION_SINCE, "since") && ask_query(&ask, path, OPTION_UNTIL, "until") &&
        ask_query(&ask, path, OPTION_VERDICT, "verdict") && ask_query(&ask, path, OPTION_TARGET, "target") &&
        ask_query(&ask, path, OPTION_CODE, "code") && ask_query(&ask, path, OPTION_LABEL, "label"))
        status = ask_list(&ask, &list);
    return ask_end(&ask, status);
}

static const struct command_option crashes_options[] = {
    {"since", "TIME", OPTION_SINCE, COMMAND_SINCE_HELP},
    {"until", "TIME", OPTION_UNTIL, "before that"},
    {"verdict", "V", OPTION_VERDICT, COMMAND_VERDICT_HELP},
    {"target", "NAME", OPTION_TARGET, COMMAND_TARGET_HELP},
    {"code", "CODE", OPTION_CODE, "of this bug check, as 0xD1; may be given again"},
    {"label", "K=V", OPTION_LABEL, "of machines with this label; given again: and with this one"},
    {"limit", "N", OPTION_LIMIT, "at most so many (100)"},
    {0}};

const struct command command_crashes = {
    .name = "crashes",
    .summary = "list crashes, the newest first",
    .arguments = "[--since TIME] [--until TIME] [--verdict V]... [--target NAME]... [--code CODE]... [--limit N]",
    .text = "Lists crashes, each with the best verdict that is known.\n",
    .options = crashes_options,
    .asks = true,
    .run = run_crashes};

/* ------------------------------------------------------------------------------------------------------- ack */

static int run_ack(int count, char **arguments)
{
    struct ask ask;
    char path[ASK_PATH_SIZE];
    json_t *answer = NULL;
    if (!ask_begin(&ask, &command_ack, count, arguments, 1, 1))
        return ask.status;
    const char *note = ask_value(&ask, OPTION_NOTE);
    json_t *body = json_pack("{s:s}", "note", note ? note : "");
    int status = COMMAND_USAGE;
    if (!body)
        command_misuse(&command_ack, "--note is text in UTF-8", NULL);
    else if (ask_path(&ask, path, "/crashes/", ask.words[0], "/ack"))
        status = client_post(ask.client, "POST", path, body, &answer);
    if (status == COMMAND_OK && ask.options.json)
        client_print_json(answer ? answer : json_null());
    else if (status == COMMAND_OK)
        (void)printf("%s: acknowledged\n", ask.words[0]);
    json_decref(answer);
    json_decref(body);
    return ask_end(&ask, status);
}

static const struct command_option ack_options[] = {
    {"note", "TEXT", OPTION_NOTE, "what was found, for those who look later"}, {0}};

const struct command command_ack = {.name = "ack",
                                    .summary = "acknowledge a crash: somebody has seen it",
                                    .arguments = "CRASH [--note TEXT]",
                                    .text = "Takes a crash from the list of what needs a hand.\n",
                                    .options = ack_options,
                                    .asks = true,
                                    .run = run_ack};

/* --------------------------------------------------------------------------------------------------- buckets */

static bool bucket_row(const struct ask *ask, const json_t *bucket, struct table *table)
{
    char count[FIELDS_SIZE], machines[FIELDS_SIZE], first[TIMES_SIZE], last[TIMES_SIZE], verdicts[FIELDS_SIZE];
    const char *texts[] = {fields_cell(bucket, "count", count),   fields_cell(bucket, "machines", machines),
                           ask_time(ask, bucket, "first", first), ask_time(ask, bucket, "last", last),
                           fields_text(bucket, "bucket", NULL),   fields_cell(bucket, "verdicts", verdicts)};
    return table_add(table, texts);
}

static int run_buckets(int count, char **arguments)
{
    static const struct table_column columns[] = {{"CRASHES", 7, true}, {"MACHINES", 8, true}, {"FIRST", 11, false},
                                                  {"LAST", 11, false},  {"BUCKET", 20, false}, {"VERDICTS", 10, false}};
    struct ask ask;
    char path[ASK_PATH_SIZE] = "/api/v1/buckets";
    const struct ask_list list = {.path = path,
                                  .member = "buckets",
                                  .columns = columns,
                                  .column_count = 6,
                                  .row = bucket_row,
                                  .empty = "no crash matches"};
    json_t *answer = NULL;
    if (!ask_begin(&ask, &command_buckets, count, arguments, 0, 0))
        return ask.status;
    int status = COMMAND_USAGE;
    if (ask_query(&ask, path, OPTION_SINCE, "since"))
        status = client_get(ask.client, path, &answer);
    if (status == COMMAND_OK)
        status = ask_print_answer(&ask, &list, answer);
    json_decref(answer);
    return ask_end(&ask, status);
}

static const struct command_option buckets_options[] = {{"since", "TIME", OPTION_SINCE, COMMAND_SINCE_HELP}, {0}};

const struct command command_buckets = {.name = "buckets",
                                        .summary = "list crashes by what is at fault",
                                        .arguments = "[--since TIME]",
                                        .text = "Lists groups of crashes that have the same cause on any machine.\n",
                                        .options = buckets_options,
                                        .asks = true,
                                        .run = run_buckets};
