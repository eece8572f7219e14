/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl fleet: one table of several collectors' events, from a stream of NATS. */
#include "service/kdnetctl/fleet.h"
#include "service/kdnetctl/ask.h"
#include "service/kdnetctl/commands.h"
#include "service/kdnetctl/fields.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    OPTION_SERVERS = 1,
    OPTION_CONFIG,
    OPTION_STREAM,
    OPTION_SUBJECT,
    OPTION_CREDENTIALS,
    OPTION_CA,
    OPTION_CERT,
    OPTION_KEY,
    OPTION_SINCE,
    OPTION_TARGET,
    OPTION_VERDICT,
    OPTION_INTERVAL,
    OPTION_COUNT
};

#define CONFIG_DEFAULT KDNETD_ETC "/kdnetd/kdnetd.yaml"
#define INTERVAL_MS    2000
#define HEAD_LINES     6
#define SERVERS_MAX    32

static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

static uint64_t now_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Where the stream is read */

struct place {
    struct kdnetd_config config; /* when servers are not told here */
    struct config_nats nats;     /* borrows from the configuration, the arguments and the next two */
    char *servers;
    char *list[SERVERS_MAX];
};

static void clear_place(struct place *place)
{
    config_clear(&place->config);
    free(place->servers);
}

/* URLs with commas between them. */
static int take_servers(struct place *place, const char *text)
{
    size_t count = 0;
    place->servers = strdup(text);
    if (!place->servers) {
        command_short_of_memory();
        return COMMAND_FAILED;
    }
    for (char *rest = place->servers, *one = strsep(&rest, ","); one; one = strsep(&rest, ","))
        if (one[0] != '\0' && count < SERVERS_MAX)
            place->list[count++] = one;
    place->nats.servers = (struct config_texts){.text = place->list, .count = count};
    return count > 0
               ? COMMAND_OK
               : command_misuse(&command_fleet, "--servers takes URLs such as nats://HOST:4222; this is none:", text);
}

static int take_config(struct place *place, const char *path)
{
    struct config_report report;
    config_report_init(&report);
    (void)config_load(path, &place->config, &report);
    place->nats = place->config.nats;
    bool good = place->nats.servers.count > 0;
    if (!good && config_report_count(&report) > 0)
        config_report_print(&report, stderr);
    if (!good)
        command_say(&command_fleet, "%s names no servers of NATS; say --servers nats://HOST:4222", path);
    config_report_clear(&report);
    return good ? COMMAND_OK : COMMAND_USAGE;
}

static void take_value(const struct ask *ask, int option, char **member)
{
    const char *value = ask_value(ask, option);
    if (value)
        *member = (char *)(uintptr_t)value;
}

static int find_place(const struct ask *ask, struct place *place)
{
    const char *servers = ask_value(ask, OPTION_SERVERS), *path = ask_value(ask, OPTION_CONFIG);
    config_init(&place->config);
    int status = servers ? take_servers(place, servers) : take_config(place, path ? path : CONFIG_DEFAULT);
    if (!place->nats.stream)
        place->nats.stream = (char *)(uintptr_t)config_default(CONFIG_SET_nats_stream);
    if (!place->nats.subject)
        place->nats.subject = (char *)(uintptr_t)config_default(CONFIG_SET_nats_subject);
    take_value(ask, OPTION_STREAM, &place->nats.stream);
    take_value(ask, OPTION_SUBJECT, &place->nats.subject);
    take_value(ask, OPTION_CREDENTIALS, &place->nats.credentials);
    take_value(ask, OPTION_CA, &place->nats.tls_ca);
    take_value(ask, OPTION_CERT, &place->nats.tls_cert);
    take_value(ask, OPTION_KEY, &place->nats.tls_key);
    if (status == COMMAND_OK && strpbrk(place->nats.stream, " .*>/\\\t"))
        return command_misuse(
            &command_fleet,
            "--stream takes the name of a stream; none has a blank, or one of .*>/\\:", place->nats.stream);
    return status;
}

/* Tables */

static const struct table_column target_columns[] = {
    {"TARGET", 12, false}, {"COLLECTOR", 9, false}, {"SEEN", 5, false},    {"LAST EVENT", 10, false},
    {"TIME", 19, false},   {"ADDRESS", 15, false},  {"VERDICT", 11, false}};
static const struct table_column crash_columns[] = {
    {"TIME", 19, false},   {"TARGET", 10, false}, {"VERDICT", 11, false},   {"BUG CHECK", 10, false},
    {"STATUS", 10, false}, {"CRASH", 16, false},  {"COLLECTORS", 10, false}};
static const struct table_column collector_columns[] = {
    {"COLLECTOR", 10, false}, {"STATE", 6, false},  {"LAST SEEN", 19, false}, {"VERSION", 7, false},
    {"TARGETS", 7, true},     {"CRASHES", 7, true}, {"EVENTS", 6, true}};

/* A machine that only one collector has seen is neither newer nor older. */
static const char *seen_word(const json_t *row)
{
    if (fields_number(row, "collectors") < 2)
        return NULL;
    return fields_true(row, "newest") ? "newer" : "older";
}

static bool target_row(const struct ask *ask, const json_t *row, struct table *table)
{
    char time[TIMES_SIZE];
    const char *verdict = fields_text(row, "verdict", NULL);
    const char *texts[] = {fields_text(row, "target", NULL),
                           fields_text(row, "collector", NULL),
                           seen_word(row),
                           fields_text(row, "event", NULL),
                           ask_time(ask, row, "time", time),
                           fields_text(row, "address", NULL),
                           verdict};
    if (!table_add(table, texts))
        return false;
    table_colour(table, 6, ask_colour(verdict));
    return true;
}

static bool crash_row(const struct ask *ask, const json_t *row, struct table *table)
{
    char time[TIMES_SIZE], collectors[FIELDS_SIZE] = "";
    const json_t *all = fields_at(row, "collectors");
    const char *verdict = fields_text(row, "verdict", NULL);
    for (size_t i = 0; i < json_array_size(all); ++i) {
        size_t length = strlen(collectors);
        (void)snprintf(collectors + length, sizeof collectors - length, "%s%s", i > 0 ? " " : "",
                       json_string_value(json_array_get(all, i)));
    }
    const char *texts[] = {ask_time(ask, row, "time", time),
                           fields_text(row, "target", NULL),
                           verdict,
                           fields_text(row, "bugcheck.name", fields_text(row, "bugcheck.code", NULL)),
                           fields_text(row, "reason", fields_text(row, "status", NULL)),
                           fields_text(row, "crash", NULL),
                           collectors};
    if (!table_add(table, texts))
        return false;
    table_colour(table, 2, ask_colour(verdict));
    return true;
}

static bool collector_row(const struct ask *ask, const json_t *row, struct table *table)
{
    char time[TIMES_SIZE], state[FIELDS_SIZE], targets[FIELDS_SIZE], crashes[FIELDS_SIZE], events[FIELDS_SIZE];
    bool is_silent = fields_is(row, "state", "silent");
    (void)snprintf(state, sizeof state, "%s", fields_text(row, "state", "-"));
    if (is_silent)
        (void)snprintf(state, sizeof state, "silent for %lld s", (long long)fields_number(row, "silent_seconds"));
    const char *texts[] = {fields_text(row, "collector", NULL),   state,
                           ask_time(ask, row, "last_seen", time), fields_text(row, "version", NULL),
                           fields_cell(row, "targets", targets),  fields_cell(row, "crashes", crashes),
                           fields_cell(row, "events", events)};
    if (!table_add(table, texts))
        return false;
    table_colour(table, 1, is_silent ? COLOUR_BAD : COLOUR_GOOD);
    return true;
}

/* --- output ------------------------------------------------------------------------------------------------------- */

/* Removes rows that were not asked for. */
static void filter(const struct ask *ask, json_t *list)
{
    for (size_t i = json_array_size(list); i-- > 0;) {
        const json_t *row = json_array_get(list, i);
        if (!ask_wants(ask, OPTION_TARGET, fields_text(row, "target", NULL)) ||
            !ask_wants(ask, OPTION_VERDICT, fields_text(row, "verdict", NULL)))
            (void)json_array_remove(list, i);
    }
}

static int print_rows(struct ask *ask, json_t *rows, const struct ask_list *how)
{
    json_t *answer = json_pack("{s:o}", "rows", rows);
    int status = answer ? ask_print_answer(ask, how, answer) : COMMAND_FAILED;
    json_decref(answer);
    return status;
}

static int print_crashes(struct ask *ask, const struct fleet_view *view)
{
    const struct ask_list how = {
        .member = "rows", .columns = crash_columns, .column_count = 7, .row = crash_row, .empty = "no crash matches"};
    json_t *rows = fleet_view_crashes(view);
    filter(ask, rows);
    return print_rows(ask, rows, &how);
}

static int print_targets(struct ask *ask, const struct fleet_view *view)
{
    const struct ask_list how = {.member = "rows",
                                 .columns = target_columns,
                                 .column_count = 7,
                                 .row = target_row,
                                 .empty = "no machine matches"};
    json_t *rows = fleet_view_targets(view);
    filter(ask, rows);
    return print_rows(ask, rows, &how);
}

static int print_collectors(struct ask *ask, const struct fleet_view *view)
{
    const struct ask_list how = {.member = "rows",
                                 .columns = collector_columns,
                                 .column_count = 7,
                                 .row = collector_row,
                                 .empty = "no collector has told anything"};
    return print_rows(ask, fleet_view_collectors(view, now_us()), &how);
}

/* Names silent collectors, and reports what was left out; not in the tables. */
static void remark(const struct fleet_view *view)
{
    size_t i;
    json_t *row, *collectors = fleet_view_collectors(view, now_us());
    struct fleet_view_counts counts = fleet_view_counts(view);
    (void)fflush(stdout);
    json_array_foreach(collectors, i, row)
    { // NOLINT(cert-exp05-c): jansson's macro wants it
        if (fields_is(row, "state", "silent"))
            command_say(&command_fleet, "the collector %s has been silent for %lld s",
                        fields_text(row, "collector", "-"), (long long)fields_number(row, "silent_seconds"));
    }
    json_decref(collectors);
    if (counts.strange > 0)
        command_say(&command_fleet, "%llu messages in the stream are no events; they were left out",
                    (unsigned long long)counts.strange);
    if (counts.left_out > 0)
        command_say(&command_fleet, "%llu events are of more machines and crashes than fit; say --since",
                    (unsigned long long)counts.left_out);
}

static void draw(struct ask *ask, const struct fleet_view *view, bool first)
{
    struct fleet_view_counts counts = fleet_view_counts(view);
    screen_of(stdout, &ask->screen);
    if (ask->screen.width != 0)
        (void)fputs("\033[H\033[2J", stdout);
    else if (!first)
        (void)putchar('\n');
    (void)print_collectors(ask, view);
    (void)printf("\n%llu events, %llu told twice, %llu that are none\n\n", (unsigned long long)counts.events,
                 (unsigned long long)counts.doubles, (unsigned long long)counts.strange);
    json_t *crashes = fleet_view_crashes(view), *collectors = fleet_view_collectors(view, now_us());
    struct table *table = table_new(crash_columns, 7);
    size_t used = HEAD_LINES + json_array_size(collectors);
    size_t rows = ask->screen.height > used + 3 ? ask->screen.height - used : 3;
    bool whole = table != NULL;
    for (size_t i = 0; whole && i < json_array_size(crashes) && i < 1000; ++i)
        whole = crash_row(ask, json_array_get(crashes, i), table);
    if (!whole)
        command_short_of_memory();
    if (table)
        table_print(table, &ask->screen, ask->screen.height == 0 ? table_rows(table) : rows, stdout);
    table_free(table);
    json_decref(crashes);
    json_decref(collectors);
    (void)fflush(stdout);
}

static int watch(struct ask *ask, struct fleet_source *source, struct fleet_view *view)
{
    const struct sigaction action = {.sa_handler = stop};
    int64_t interval = INTERVAL_MS;
    unsigned long count = 0;
    const char *text = ask_value(ask, OPTION_INTERVAL);
    if (text && (!times_parse_duration(text, &interval) || interval < 100 || interval > 86400000))
        return command_misuse(&command_fleet, "--interval takes a duration from 100ms to 24h; this is none:", text);
    if (!ask_number(ask, OPTION_COUNT, "count", 1000000000, &count))
        return COMMAND_USAGE;
    (void)sigaction(SIGINT, &action, NULL);
    int status = fleet_source_read(source, view, 0);
    for (unsigned long i = 0; status == COMMAND_OK && !stopped && (count == 0 || i < count); ++i) {
        uint64_t until = now_us() + (uint64_t)interval * 1000;
        while (i > 0 && status == COMMAND_OK && !stopped && now_us() < until)
            status = fleet_source_read(source, view, 100);
        if (status == COMMAND_OK && ask->options.json)
            status = print_collectors(ask, view);
        else if (status == COMMAND_OK)
            draw(ask, view, i == 0);
        if (ferror(stdout))
            break;
    }
    return status;
}

static int show(struct ask *ask, struct fleet_source *source, struct fleet_view *view)
{
    const char *what = ask->words[0];
    if (strcmp(what, "watch") == 0)
        return watch(ask, source, view);
    int status = fleet_source_read(source, view, 0);
    if (status != COMMAND_OK)
        return status;
    if (strcmp(what, "targets") == 0)
        status = print_targets(ask, view);
    else if (strcmp(what, "crashes") == 0)
        status = print_crashes(ask, view);
    else
        status = print_collectors(ask, view);
    remark(view);
    return status;
}

static bool is_known(const char *what)
{
    static const char *const known[] = {"targets", "crashes", "collectors", "watch"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; ++i)
        if (strcmp(known[i], what) == 0)
            return true;
    return false;
}

static int run_fleet(int count, char **arguments)
{
    struct ask ask;
    struct place place = {.servers = NULL};
    struct fleet_source *source = NULL;
    int64_t since_us = 0;
    if (!ask_parse(&ask, &command_fleet, count, arguments, 1, 1))
        return ask.status;
    if (!is_known(ask.words[0]))
        return command_misuse(&command_fleet, "targets, crashes, collectors or watch, not", ask.words[0]);
    if (!ask_since(&ask, OPTION_SINCE, &since_us) || !ask_verdicts(&ask, OPTION_VERDICT))
        return COMMAND_USAGE;
    struct fleet_view *view = fleet_view_new();
    if (!view)
        command_short_of_memory();
    int status = view ? COMMAND_OK : COMMAND_FAILED;
    if (status == COMMAND_OK)
        status = find_place(&ask, &place);
    if (status == COMMAND_OK)
        status = fleet_source_open(&source, &command_fleet, &place.nats, (uint64_t)since_us);
    if (status == COMMAND_OK)
        status = show(&ask, source, view);
    status = ask_end(&ask, status);
    fleet_source_close(source, status);
    clear_place(&place);
    fleet_view_free(view);
    return status;
}

static const struct command_option options[] = {
    {"servers", "URL,...", OPTION_SERVERS, "servers of NATS; else those of the configuration"},
    {"config", "FILE", OPTION_CONFIG, "kdnetd's configuration, whose option nats is taken\n(" CONFIG_DEFAULT ")"},
    {"stream", "NAME", OPTION_STREAM, "the stream (CRASH)"},
    {"subject", "SUBJECT", OPTION_SUBJECT, "of events (kdnet.crash.{collector}.{target})"},
    {"credentials", "FILE", OPTION_CREDENTIALS, "a .creds file"},
    {"ca", "FILE", OPTION_CA, "certificates (PEM) that the servers are checked by"},
    {"cert", "FILE", OPTION_CERT, "certificate (PEM) that is shown to the servers"},
    {"key", "FILE", OPTION_KEY, "its private key (PEM)"},
    {"since", "TIME", OPTION_SINCE, "only what the servers took since then: 7d, or a time in UTC"},
    {"target", "NAME", OPTION_TARGET, "of targets and crashes: " COMMAND_TARGET_HELP},
    {"verdict", "V", OPTION_VERDICT, "of targets and crashes: " COMMAND_VERDICT_HELP},
    {"interval", "TIME", OPTION_INTERVAL, "of watch: between two looks (2s)"},
    {"count", "N", OPTION_COUNT, "of watch: ends after so many looks (never)"},
    {0}};

const struct command command_fleet = {
    .name = "fleet",
    .summary = "show what all collectors have told, from NATS",
    .arguments = "targets|crashes|collectors|watch [--servers URL,...]",
    .text =
        "Reads the stream that kdnetd's option nats publishes to, and makes one table for all collectors. What came\n"
        "twice counts once; of a crash that several collectors have told of, the best verdict counts. A machine that\n"
        "two collectors have seen has a row for each, and which is newer. A collector that has said nothing for 30 s\n"
        "is named. No kdnetd is asked.\n",
    .options = options,
    .exits = "0 success, 1 the stream cannot be read, 2 wrong usage, 3 the servers cannot be reached.",
    .asks = true,
    .run = run_fleet};
