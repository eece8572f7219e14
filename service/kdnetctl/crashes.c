/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl crashes, ack, buckets. */
#include "kdnet/crash/explain.h"
#include "service/kdnetctl/crashes.h"
#include "service/kdnetctl/commands.h"
#include "service/kdnetctl/fields.h"

#include <stdio.h>
#include <stdlib.h>
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
    {"TIME", 12, false},  {"TARGET", 8, false}, {"VERDICT", 11, false}, {"BUG CHECK", 6, false},
    {"STATUS", 8, false}, {"DUMP", 6, true},    {"CRASH", 16, false}};

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

bool crashes_row(const struct ask *ask, const json_t *crash, struct table *table)
{
    char time[TIMES_SIZE], dump[FIELDS_SIZE], bugcheck[FIELDS_SIZE];
    const char *verdict = fields_text(crash, "verdict", NULL);
    const char *texts[] = {ask_time(ask, crash, "time", time),
                           fields_text(crash, "target", NULL),
                           verdict,
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

/* --- one crash ---------------------------------------------------------------------------------------------------- */

static bool phase_row(const struct ask *ask, const json_t *phase, struct table *table)
{
    char time[TIMES_SIZE], read[FIELDS_SIZE], halted[FIELDS_SIZE];
    const char *verdict = fields_text(phase, "verdict", NULL);
    const char *texts[] = {ask_time(ask, phase, "time", time),
                           fields_text(phase, "phase", NULL),
                           verdict,
                           fields_text(phase, "reason", fields_text(phase, "status", NULL)),
                           fields_duration(phase, "read_ms", read),
                           fields_duration(phase, "halted_ms", halted)};
    if (!table_add(table, texts))
        return false;
    table_colour(table, 2, ask_colour(verdict));
    return true;
}

/* Returns the explanation of a bug check; NULL: none. */
static const struct kdnet_bugcheck_text *explain(const json_t *crash)
{
    return kdnet_bugcheck_explain((uint32_t)strtoul(fields_text(crash, "bugcheck.code", "0"), NULL, 16));
}

static void print_parameters(const struct ask *ask, const json_t *crash)
{
    size_t i;
    const json_t *parameter;
    const struct kdnet_bugcheck_text *known = explain(crash);
    json_array_foreach((json_t *)fields_at(crash, "bugcheck.parameters"), i, parameter)
    { // NOLINT(cert-exp05-c)
        char name[32], line[FIELDS_SIZE];
        const char *meaning = i < 4 && known ? known->parameters[i] : NULL;
        (void)snprintf(name, sizeof name, "parameter %zu", i + 1);
        (void)snprintf(line, sizeof line, "%.32s%s%s", json_is_string(parameter) ? json_string_value(parameter) : "",
                       meaning ? "  " : "", meaning ? meaning : "");
        if (i < 4 && json_is_string(parameter))
            ask_print_text(ask, name, line);
    }
}

/* Prints the origin, and the frames that led there. */
static void print_cause(const struct ask *ask, const json_t *crash)
{
    size_t i;
    const json_t *frame;
    char text[FIELDS_SIZE];
    ask_print_field(ask, "cause", fields_text(crash, "cause.place", fields_cell(crash, "cause.address", text)));
    ask_print_field(ask, "driver blamed", fields_text(crash, "evidence.bugcheck_driver", "-"));
    json_array_foreach((json_t *)fields_at(crash, "stack"), i, frame)
    { // NOLINT(cert-exp05-c)
        char name[32];
        (void)snprintf(name, sizeof name, "frame %zu", i);
        if (json_is_string(frame))
            ask_print_field(ask, name, json_string_value(frame));
    }
}

static void print_evidence(const struct ask *ask, const json_t *crash)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)fields_at(crash, "evidence"), name, value)
    { // NOLINT(cert-exp05-c)
        if (json_is_object(value) || strcmp(name, "bugcheck_driver") == 0)
            continue; /* told elsewhere */
        char line[2 * FIELDS_SIZE], text[FIELDS_SIZE];
        (void)snprintf(line, sizeof line, "%.100s %s", name, fields_cell(value, "", text));
        ask_print_field(ask, "evidence", line);
    }
}

void crashes_print_one(const struct ask *ask, const json_t *crash)
{
    static const struct table_column columns[] = {{"TIME", 12, false},   {"PHASE", 10, false}, {"VERDICT", 11, false},
                                                  {"STATUS", 10, false}, {"READ", 6, true},    {"HALTED", 6, true}};
    char text[FIELDS_SIZE], time[TIMES_SIZE];
    ask_print_field(ask, "crash", fields_cell(crash, "crash", text));
    ask_print_field(ask, "target", fields_cell(crash, "target", text));
    ask_print_field(ask, "time", ask_time(ask, crash, "time", time));
    ask_print_field(ask, "verdict", fields_cell(crash, "verdict", text));
    ask_print_field(ask, "reason", fields_cell(crash, "reason", text));
    ask_print_field(ask, "status", fields_cell(crash, "status", text));
    ask_print_field(ask, "assessment", fields_cell(crash, "assessment", text));
    ask_print_field(ask, "bucket", fields_cell(crash, "bucket", text));
    ask_print_field(ask, "bug check", fields_cell(crash, "bugcheck.code", text));
    ask_print_field(ask, "", fields_cell(crash, "bugcheck.name", text));
    if (explain(crash))
        ask_print_text(ask, "meaning", explain(crash)->what);
    print_parameters(ask, crash);
    print_cause(ask, crash);
    if (explain(crash))
        ask_print_text(ask, "look at", explain(crash)->next);
    ask_print_field(ask, "dump log", fields_text(crash, "evidence.dump_log.last_line", "-"));
    ask_print_field(ask, "dump took", fields_duration(crash, "dump_ms", text));
    ask_print_field(ask, "halted", fields_duration(crash, "halted_ms", text));
    ask_print_field(ask, "kernel", fields_cell(crash, "kernel.build_lab", text));
    ask_print_field(ask, "labels", fields_cell(crash, "labels", text));
    ask_print_field(ask, "seen by", fields_cell(crash, "acknowledged.by", text));
    ask_print_field(ask, "note", fields_cell(crash, "acknowledged.note", text));
    print_evidence(ask, crash);
    ask_print_list(ask, NULL, fields_at(crash, "phases"), columns, 6, phase_row);
}

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
    static const struct table_column columns[] = {{"CRASHES", 7, true}, {"MACHINES", 8, true}, {"FIRST", 10, false},
                                                  {"LAST", 10, false},  {"BUCKET", 20, false}, {"VERDICTS", 10, false}};
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
