/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators' actions: each comes to the server's thread as a message, goes to the worker that has the target, or to the
 * store, or to the reload, and comes back; then it is reported as an event, and to the requester.
 */
#include "service/server/api.h"
#include "service/server/server_internal.h"
#include "service/worker/act.h"
#include "service/worker/target_request.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERRORS_MAX 20U /* mistakes of a configuration in an answer */
#define HEARD_US   10000000U
#define LOOK_MS    50U                /* interval of checking a machine that is being read */
#define LOOK_US    UINT64_C(20000000) /* then the answer waits no longer; the result is still reported */

struct acting {
    struct target_request request; /* to the worker */
    struct message back;           /* to the server's thread */
    struct server *server;
    struct acting *next; /* actions that wait for a reload, or for a read */
    bool looks;          /* the action waits for a read */
    uint64_t begun_us;
    enum http_action action;
    bool break_in;
    uint64_t for_us, since_us;
    char sink[CONFIG_NAME_SIZE];
    char by[HTTP_ID_SIZE], crash[HTTP_ID_SIZE], note[STORE_NOTE_MAX + 1];
    struct act_result result;
    enum store_result stored;
    void (*done)(void *user, const struct http_acted *acted);
    void *user;
};

static uint64_t wall_us(void)
{
    uv_timeval64_t now = {0};
    (void)uv_gettimeofday(&now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_usec;
}

static struct acting *acting_of(struct message *back)
{
    return (struct acting *)(void *)((char *)back - offsetof(struct acting, back));
}

static const char *action_name(enum http_action action)
{
    static const char *const names[] = {
        [HTTP_ACTION_RELEASE] = "release",     [HTTP_ACTION_TO_DEBUGGER] = "to_debugger",
        [HTTP_ACTION_TAKE_BACK] = "take_back", [HTTP_ACTION_REBOOT] = "reboot",
        [HTTP_ACTION_READ] = "read",           [HTTP_ACTION_RELOAD] = "reload",
        [HTTP_ACTION_DRAIN] = "drain",         [HTTP_ACTION_UNDRAIN] = "undrain",
        [HTTP_ACTION_ACKNOWLEDGE] = "ack",     [HTTP_ACTION_REPUBLISH] = "republish"};
    return names[action];
}

/* Reports an action that has ended, and frees it. */
static void end(struct acting *acting, struct http_acted *acted)
{
    struct server *server = acting->server;
    server->reads -= acting->looks;
    if (server->finished) { /* nothing is told any more */
        acting->done(acting->user, acted);
        free(acting);
        return;
    }
    struct event_json_service service = {
        .time_us = wall_us(),
        .collector = server->config.collector,
        .event = "action",
        .target = acting->request.name[0] != '\0' ? acting->request.name : NULL,
        .crash = acting->action == HTTP_ACTION_ACKNOWLEDGE && strlen(acting->crash) == 16 ? acting->crash : NULL};
    bool ok = acted->outcome == HTTP_ACTED;
    json_t *fields = json_pack("{s:s,s:s,s:b}", "action", action_name(acting->action), "by", acting->by, "ok", ok);
    if (fields && acted->detail && !ok)
        (void)json_object_set_new(fields, "detail", json_string(acted->detail));
    (void)publisher_service(&server->publisher, &service, fields, acted->id);
    event_log_ring(&server->event_log);
    acting->done(acting->user, acted);
    free(acting);
}

/* Refuses an action that has not begun: no event reports it. */
static void refuse(struct acting *acting, enum http_outcome outcome, const char *detail)
{
    const struct http_acted acted = {.outcome = outcome, .detail = detail};
    acting->server->reads -= acting->looks;
    acting->done(acting->user, &acted);
    free(acting);
}

/* Targets */

static enum act act_of(const struct acting *acting)
{
    switch (acting->action) {
    case HTTP_ACTION_RELEASE:
        return ACT_RELEASE;
    case HTTP_ACTION_TO_DEBUGGER:
        return ACT_TO_DEBUGGER;
    case HTTP_ACTION_TAKE_BACK:
        return ACT_TAKE_BACK;
    case HTTP_ACTION_REBOOT:
        return ACT_REBOOT;
    default:
        return acting->break_in ? ACT_BREAK_IN : ACT_READ;
    }
}

static const char *read_detail(const struct acting *acting)
{
    switch (acting->result.state) {
    case TARGET_CONNECTED:
        return acting->break_in ? "something else is under way with this machine: ask again"
                                : "the machine runs: with break_in it is stopped for as long as the reads take";
    case TARGET_HELD:
        return "the machine is held at a question, at the load of an image or at its shutdown: there is nothing to "
               "read; release it";
    case TARGET_HALTED:
        return "the machine is being read now: its result comes by itself";
    case TARGET_DUMPING:
        return "the machine writes its dump and is not disturbed: its result comes when it has";
    case TARGET_REBOOTING:
        return "the machine starts anew: ask again when it is connected";
    case TARGET_HANDED_OVER:
        return "another debugger has the machine: take it back first";
    case TARGET_NEVER_SEEN:
    case TARGET_LOST:
    default:
        return "nothing comes from the machine: look at it, and at kdnetctl doctor";
    }
}

static const char *state_detail(const struct acting *acting)
{
    switch (acting->action) {
    case HTTP_ACTION_TAKE_BACK:
        return "only a machine that is handed over can be taken back";
    case HTTP_ACTION_REBOOT:
        return "only a machine that is held or being read can be told to reboot";
    case HTTP_ACTION_READ:
        return read_detail(acting);
    default:
        return "only a held machine can be let go: one that is being read goes on by itself";
    }
}

static void on_look(uv_timer_t *timer);

/* Schedules the next check of a read; false: it has taken too long. */
static bool wait_for_read(struct acting *acting)
{
    struct server *server = acting->server;
    uint64_t now_us = worker_now_us();
    if (!acting->looks)
        acting->begun_us = now_us;
    if (now_us - acting->begun_us >= LOOK_US || server->finished)
        return false;
    server->reads += !acting->looks;
    acting->looks = true;
    acting->next = server->read_waits;
    server->read_waits = acting;
    if (!uv_is_active((uv_handle_t *)&server->read_timer))
        (void)uv_timer_start(&server->read_timer, on_look, LOOK_MS, 0);
    return true;
}

static void handle_target_acted(struct message *message, void *owner)
{
    struct acting *acting = acting_of(message);
    struct http_acted acted = {.outcome = HTTP_ACTED};
    (void)owner;
    switch (acting->result.outcome) {
    case ACT_DONE:
        break;
    case ACT_WRONG_STATE:
        acted.outcome = HTTP_WRONG_STATE;
        acted.state = target_state_name(acting->result.state);
        acted.detail = state_detail(acting);
        break;
    case ACT_TOO_OFTEN:
        acted.outcome = HTTP_TOO_OFTEN;
        acted.retry_s = (unsigned)(acting->result.wait_us / 1000000 + 1);
        acted.detail = "a machine is stopped to be read once a minute at most: wait";
        break;
    case ACT_UNDER_WAY:
        if (wait_for_read(acting))
            return;
        break;
    case ACT_UNANSWERED:
        acted.outcome = HTTP_WRONG_STATE;
        acted.state = target_state_name(acting->result.state);
        acted.detail = "the machine was asked to stop and has not answered within 5 s: it runs on, or its network "
                       "loses what kdnetd sends. If it stops later, it is read and let go at once";
        break;
    case ACT_NO_MEMORY:
        acted.outcome = HTTP_BUSY;
        acted.detail = "memory is out: try again";
        break;
    }
    end(acting, &acted);
}

static void on_look(uv_timer_t *timer)
{
    struct server *server = timer->data;
    if (server->joined)
        return; /* api_refuse_waiting is for them */
    struct acting *acting = server->read_waits;
    server->read_waits = NULL;
    while (acting) {
        struct acting *next = acting->next;
        target_request_post(&server->env, &acting->request, acting->request.worker);
        acting = next;
    }
}

static void handle_target_missing(struct message *message, void *owner)
{
    (void)owner;
    refuse(acting_of(message), HTTP_NO_SUCH_TARGET, "no target of this name is configured");
}

/* On the worker's thread. */
static void act_on_target(struct target_request *request, struct worker *worker, struct target *target)
{
    struct acting *acting = (struct acting *)request;
    acting->back.handle = target ? handle_target_acted : handle_target_missing;
    if (target)
        acting->result = acting->looks ? act_look(target) : act_on(worker, target, act_of(acting), acting->for_us);
    mailbox_post(&acting->server->mailbox, &acting->back);
}

static bool note_worker(void *user, const struct snapshot_view *view)
{
    *(unsigned *)user = view->snapshot.worker;
    return false;
}

static void begin_target(struct acting *acting)
{
    struct server *server = acting->server;
    unsigned worker = 0;
    if (!server->observe.snapshots ||
        !snapshots_look(server->observe.snapshots, acting->request.name, note_worker, &worker)) {
        refuse(acting, HTTP_NO_SUCH_TARGET, "no target of this name is configured");
        return;
    }
    if (acting->action == HTTP_ACTION_READ && acting->break_in && server->config.break_in != CONFIG_BREAK_IN_ALLOWED) {
        struct http_acted acted = {.outcome = HTTP_FORBIDDEN,
                                   .detail = "break_in is refused by this kdnetd's configuration: `break_in: allowed` "
                                             "lets running machines be stopped to be read"};
        end(acting, &acted);
        return;
    }
    acting->request.act = act_on_target;
    target_request_post(&server->env, &acting->request, worker);
}

/* The store */

static void handle_acknowledged(struct message *message, void *owner)
{
    struct acting *acting = acting_of(message);
    struct http_acted acted = {.outcome = HTTP_ACTED};
    (void)owner;
    if (acting->stored == STORE_MISSING) {
        refuse(acting, HTTP_NO_SUCH_TARGET, "no crash of this name is in the store");
        return;
    }
    if (acting->stored != STORE_DONE) {
        acted.outcome = HTTP_STORE;
        acted.detail = "the store cannot be written now: look at `degraded` in the status";
    }
    end(acting, &acted);
}

/* On the store's thread. */
static void on_acknowledged(void *user, enum store_result result)
{
    struct acting *acting = user;
    acting->stored = result;
    acting->back.handle = handle_acknowledged;
    mailbox_post(&acting->server->mailbox, &acting->back);
}

static void begin_acknowledge(struct acting *acting)
{
    struct store *store = acting->server->observe.store;
    if (!store || !store_acknowledge(store, acting->crash, acting->by, acting->note, on_acknowledged, acting))
        refuse(acting, HTTP_STORE, "there is no store: set `store:`");
}

/* Sinks */

static void begin_republish(struct acting *acting)
{
    struct sinks *sinks = acting->server->observe.sinks;
    struct http_acted acted = {.outcome = HTTP_ACTED};
    if (!sinks)
        refuse(acting, HTTP_STORE, "there is no store that sinks are fed from: set `store:`");
    else if (!sinks_republish(sinks, acting->sink, acting->since_us))
        refuse(acting, HTTP_NO_SUCH_TARGET, "there is no such sink; GET /api/v1/status lists them");
    else
        end(acting, &acted);
}

/* Draining */

static void drain(struct acting *acting)
{
    struct server *server = acting->server;
    const struct worker_totals *totals = &server->summary.totals;
    server->draining = acting->action == HTTP_ACTION_DRAIN;
    struct http_acted acted = {
        .outcome = HTTP_ACTED, .draining = server->draining, .halted = totals->halted, .held = totals->held};
    if (server->observe.snapshots)
        acted.heard_last_10s = snapshots_heard_since(server->observe.snapshots, wall_us() - HEARD_US);
    api_look(&server->api); /* /readyz says so at once */
    hinting_drain(server, server->draining);
    end(acting, &acted);
}

/* The configuration */

static void begin_reload(struct acting *acting)
{
    struct server *server = acting->server;
    if (server->reload) {
        refuse(acting, HTTP_BUSY, "a reload is under way: try again when it is over");
        return;
    }
    acting->next = server->reload_waits;
    server->reload_waits = acting;
    reload_again(server);
    if (!server->reload)
        api_reloaded(server, NULL, "out of memory or threads, or earlier readings hang: look at the log");
}

/* The number behind the last colon of a place, which is cut off; 0: there is none, and the place stays. */
static unsigned cut_number(char *place)
{
    char *colon = strrchr(place, ':');
    if (!colon || !isdigit((unsigned char)colon[1]))
        return 0;
    *colon = '\0';
    return (unsigned)strtoul(colon + 1, NULL, 10);
}

/* Makes an object of FILE:LINE:COLUMN: FIELD: mistake; parts may be absent. */
static json_t *mistake_object(const char *line)
{
    char file[256] = "", field[128] = "";
    unsigned number = 0, column = 0;
    const char *colon = strstr(line, ": "), *detail = colon ? colon + 2 : line;
    int length = colon ? (int)(colon - line) : 0;
    if (length > 0 && length < (int)sizeof file) {
        (void)snprintf(file, sizeof file, "%.*s", length, line);
        column = cut_number(file);
        number = column > 0 ? cut_number(file) : 0;
    }
    const char *end_of_field = strstr(detail, ": ");
    if (end_of_field && (size_t)(end_of_field - detail) < sizeof field &&
        !memchr(detail, ' ', (size_t)(end_of_field - detail))) {
        (void)snprintf(field, sizeof field, "%.*s", (int)(end_of_field - detail), detail);
        detail = end_of_field + 2;
    }
    return json_pack("{s:s?,s:o,s:s?,s:s}", "file", file[0] ? file : NULL, "line",
                     number > 0 ? json_integer(number) : json_null(), "field", field[0] ? field : NULL, "detail",
                     detail);
}

static json_t *mistakes_array(const struct config_report *report, const char *failure)
{
    json_t *array = json_array();
    for (size_t i = 0; report && i < ERRORS_MAX && config_report_line(report, i); ++i)
        (void)json_array_append_new(array, mistake_object(config_report_line(report, i)));
    if (failure) /* a sentence of our own: no part of it is a place */
        (void)json_array_append_new(array, json_pack("{s:n,s:n,s:n,s:s}", "file", "line", "field", "detail", failure));
    return array;
}

void api_reloaded(struct server *server, const struct config_report *report, const char *failure)
{
    char id[IDENTITY_SIZE];
    bool ok = !report && !failure;
    json_t *errors = mistakes_array(report, failure);
    char *text = json_dumps(errors, JSON_COMPACT);
    struct event_json_service service = {
        .time_us = wall_us(), .collector = server->config.collector, .event = "reload"};
    if (ok)
        server->api.read_us = service.time_us;
    (void)publisher_service(&server->publisher, &service, json_pack("{s:b,s:o}", "ok", ok, "errors", errors), id);
    event_log_ring(&server->event_log);
    while (server->reload_waits) {
        struct acting *acting = server->reload_waits;
        struct http_acted acted = {.outcome = ok        ? HTTP_ACTED
                                              : failure ? HTTP_BUSY
                                                        : HTTP_CONFIGURATION,
                                   .detail = ok        ? NULL
                                             : failure ? failure
                                                       : "the configuration is wrong; the one until now stays in force",
                                   .errors = text};
        server->reload_waits = acting->next;
        end(acting, &acted);
    }
    free(text);
}

void api_refuse_waiting(struct server *server)
{
    struct acting **lists[] = {&server->reload_waits, &server->read_waits};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; ++i)
        while (*lists[i]) {
            struct acting *acting = *lists[i];
            *lists[i] = acting->next;
            refuse(acting, HTTP_NOT_READY, "kdnetd is stopping");
        }
}

/* Coming in */

static void handle_act(struct message *message, void *owner)
{
    struct acting *acting = acting_of(message);
    const struct server *server = owner;
    if (server->stopping) {
        refuse(acting, HTTP_NOT_READY, "kdnetd is stopping");
        return;
    }
    switch (acting->action) {
    case HTTP_ACTION_RELOAD:
        begin_reload(acting);
        break;
    case HTTP_ACTION_DRAIN:
    case HTTP_ACTION_UNDRAIN:
        drain(acting);
        break;
    case HTTP_ACTION_ACKNOWLEDGE:
        begin_acknowledge(acting);
        break;
    case HTTP_ACTION_REPUBLISH:
        begin_republish(acting);
        break;
    default:
        begin_target(acting);
    }
}

static void copy_text(char *to, size_t size, const char *from)
{
    (void)snprintf(to, size, "%s", from ? from : "");
}

void api_act(void *user, const struct http_act *act, void (*done)(void *done_user, const struct http_acted *acted),
             void *done_user)
{
    struct api *api = user;
    struct acting *acting = calloc(1, sizeof *acting);
    bool is_long = act->target && strlen(act->target) >= sizeof acting->request.name;
    if (!acting || is_long) {
        const struct http_acted acted = {.outcome = is_long ? HTTP_NO_SUCH_TARGET : HTTP_BUSY,
                                         .detail = is_long ? "no target of this name is configured" : "memory is out"};
        free(acting);
        done(done_user, &acted);
        return;
    }
    acting->server = api->server;
    acting->action = act->action;
    acting->break_in = act->break_in;
    acting->for_us = act->for_us;
    acting->since_us = act->since_us;
    acting->done = done;
    acting->user = done_user;
    copy_text(acting->request.name, sizeof acting->request.name, act->target);
    copy_text(acting->by, sizeof acting->by, act->by);
    copy_text(acting->crash, sizeof acting->crash, act->crash);
    copy_text(acting->note, sizeof acting->note, act->note);
    copy_text(acting->sink, sizeof acting->sink, act->sink);
    acting->back.handle = handle_act;
    mailbox_post(&api->server->mailbox, &acting->back);
}
