/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl status, health, reload, drain: the service itself. */
#include "config/characters.h"
#include "service/kdnetctl/ask.h"
#include "service/kdnetctl/commands.h"
#include "service/kdnetctl/fields.h"

#include <stdio.h>
#include <string.h>

enum { OPTION_UNDO = 1 };

static bool listener_row(const struct ask *ask, const json_t *listener, struct table *table)
{
    char heard[TIMES_SIZE];
    bool open = fields_true(listener, "open");
    const char *texts[] = {fields_text(listener, "address", NULL), open ? "yes" : "no",
                           ask_time(ask, listener, "heard_at", heard)};
    bool added = table_add(table, texts);
    table_colour(table, 1, open ? COLOUR_GOOD : COLOUR_BAD);
    return added;
}

static bool sink_row(const struct ask *ask, const json_t *sink, struct table *table)
{
    char behind[FIELDS_SIZE];
    (void)ask;
    const char *texts[] = {fields_text(sink, "name", NULL), fields_text(sink, "type", NULL),
                           fields_cell(sink, "behind_events", behind), fields_text(sink, "last_error", NULL)};
    return table_add(table, texts);
}

static void print_degraded(const struct ask *ask, const json_t *status)
{
    size_t i;
    const json_t *one;
    json_array_foreach((json_t *)fields_at(status, "degraded"), i, one)
    { // NOLINT(cert-exp05-c): jansson's macro
        char since[TIMES_SIZE], text[2 * FIELDS_SIZE];
        (void)snprintf(text, sizeof text, "%.*s %.*s since %s: %.*s", CHARACTERS(fields_text(one, "what", ""), 60),
                       CHARACTERS(fields_text(one, "name", ""), 60), ask_time(ask, one, "since", since),
                       CHARACTERS(fields_text(one, "why", ""), 300));
        ask_print_field(ask, "degraded", text);
    }
}

static void print_status(const struct ask *ask, const json_t *status)
{
    static const struct table_column listeners[] = {{"LISTENER", 12, false}, {"OPEN", 4, false}, {"HEARD", 10, false}};
    static const struct table_column sinks[] = {
        {"SINK", 8, false}, {"TYPE", 7, false}, {"BEHIND", 7, true}, {"LAST ERROR", 10, false}};
    char text[FIELDS_SIZE], time[TIMES_SIZE];
    double uptime = (double)fields_number(status, "uptime_seconds");
    ask_print_field(ask, "version", fields_cell(status, "version", text));
    ask_print_field(ask, "collector", fields_cell(status, "collector", text));
    ask_print_field(ask, "started", ask_time(ask, status, "started", time));
    ask_print_field(ask, "uptime", times_duration(uptime * 1e3, time));
    ask_print_field(ask, "workers", fields_cell(status, "workers", text));
    ask_print_field(ask, "draining", fields_cell(status, "draining", text));
    ask_print_field(ask, "targets", fields_cell(status, "targets", text));
    ask_print_field(ask, "store", fields_cell(status, "store", text));
    ask_print_field(ask, "configuration", fields_cell(status, "configuration.path", text));
    ask_print_field(ask, "read at", ask_time(ask, status, "configuration.read_at", time));
    ask_print_field(ask, "mistake", fields_cell(status, "configuration.error", text));
    print_degraded(ask, status);
    ask_print_list(ask, NULL, fields_at(status, "listeners"), listeners, 3, listener_row);
    ask_print_list(ask, NULL, fields_at(status, "sinks"), sinks, 4, sink_row);
}

static int run_status(int count, char **arguments)
{
    struct ask ask;
    json_t *answer = NULL;
    if (!ask_begin(&ask, &command_status, count, arguments, 0, 0))
        return ask.status;
    int status = client_get(ask.client, "/api/v1/status", &answer);
    if (status == COMMAND_OK && ask.options.json)
        client_print_json(answer);
    else if (status == COMMAND_OK)
        print_status(&ask, answer);
    json_decref(answer);
    return ask_end(&ask, status);
}

const struct command command_status = {
    .name = "status",
    .summary = "say how the service is",
    .arguments = "",
    .text = "Says how kdnetd is: version, targets by state, listeners, store, sinks, and what is degraded and why.\n",
    .asks = true,
    .run = run_status};

/* ---------------------------------------------------------------------------------------------------- health */

static bool print_probe(struct ask *ask, const char *path, const char *name, int *status)
{
    json_t *answer = NULL;
    long http = 0;
    *status = client_try(ask->client, path, &http, &answer);
    const char *text = json_string_value(answer);
    const char *why = text ? text : fields_text(answer, "detail", fields_text(answer, "title", "-"));
    if (http == 0) {
        (void)fprintf(stderr, "kdnetctl health: kdnetd cannot be reached at %s: %s\n", client_place(ask->client),
                      client_fault(ask->client));
    } else if (ask->options.json) {
        json_t *line = json_pack("{s:s,s:b,s:s}", "check", name, "ok", http == 200, "detail", why);
        client_print_json(line);
        json_decref(line);
    } else {
        char line[FIELDS_SIZE];
        (void)snprintf(line, sizeof line, "%s", why);
        line[strcspn(line, "\r\n")] = '\0';
        ask_print_field(ask, name, http == 200 ? "ok" : line);
    }
    json_decref(answer);
    return http == 200;
}

static int run_health(int count, char **arguments)
{
    struct ask ask;
    int status = COMMAND_OK;
    if (!ask_begin(&ask, &command_health, count, arguments, 0, 0))
        return ask.status;
    bool healthy = print_probe(&ask, "/healthz", "alive", &status);
    if (status == COMMAND_OK)
        healthy = print_probe(&ask, "/readyz", "ready", &status) && healthy;
    return ask_end(&ask, status != COMMAND_OK || healthy ? status : COMMAND_FAILED);
}

const struct command command_health = {
    .name = "health",
    .summary = "say whether the service is alive and ready",
    .arguments = "",
    .text = "Asks /healthz and /readyz. For scripts and containers: the exit status says it.\n",
    .exits = "0 alive and ready, 1 not, 2 wrong usage, 3 kdnetd cannot be reached.",
    .asks = true,
    .run = run_health};

/* --------------------------------------------------------------------------------------------- reload, drain */

static int run_reload(int count, char **arguments)
{
    struct ask ask;
    json_t *answer = NULL;
    if (!ask_begin(&ask, &command_reload, count, arguments, 0, 0))
        return ask.status;
    int status = client_post(ask.client, "POST", "/api/v1/reload", NULL, &answer);
    if (status == COMMAND_OK && ask.options.json)
        client_print_json(answer ? answer : json_null());
    else if (status == COMMAND_OK)
        (void)puts("reloaded");
    json_decref(answer);
    return ask_end(&ask, status);
}

const struct command command_reload = {
    .name = "reload",
    .summary = "read the configuration again",
    .arguments = "",
    .text =
        "Lets kdnetd read its configuration again, as the signal HUP does. With mistakes in it the old one stays in\n"
        "force, and each mistake is named.\n",
    .asks = true,
    .run = run_reload};

static int run_drain(int count, char **arguments)
{
    struct ask ask;
    json_t *answer = NULL;
    if (!ask_begin(&ask, &command_drain, count, arguments, 0, 0))
        return ask.status;
    int status = client_post(ask.client, ask_given(&ask, OPTION_UNDO) ? "DELETE" : "POST", "/api/v1/drain", NULL,
                             &answer);
    if (status == COMMAND_OK && ask.options.json) {
        client_print_json(answer ? answer : json_null());
    } else if (status == COMMAND_OK) {
        char text[FIELDS_SIZE];
        ask_print_field(&ask, "draining", fields_cell(answer, "draining", text));
        ask_print_field(&ask, "halted", fields_cell(answer, "halted", text));
        ask_print_field(&ask, "held", fields_cell(answer, "held", text));
        ask_print_field(&ask, "heard in 10 s", fields_cell(answer, "heard_last_10s", text));
    }
    json_decref(answer);
    return ask_end(&ask, status);
}

static const struct command_option drain_options[] = {
    {"undo", NULL, OPTION_UNDO, "takes it back: the service is ready again"}, {0}};

const struct command command_drain = {
    .name = "drain",
    .summary = "let balancers send machines elsewhere",
    .arguments = "[--undo]",
    .text =
        "Makes /readyz say 503, so that balancers and routers send machines elsewhere. What still arrives is served\n"
        "as before, and held machines stay held. Stop the service when nothing was heard for 10 seconds.\n",
    .options = drain_options,
    .asks = true,
    .run = run_drain};
