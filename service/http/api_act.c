/* SPDX-License-Identifier: Apache-2.0 */
/* Actions: each is handed to the server, and answered when the server has. */
#include "config/characters.h"
#include "service/http/api.h"
#include "service/http/state_internal.h"
#include "service/http/lists.h"

#include <stdio.h>
#include <string.h>

#define TO_DEBUGGER_MAX_US (UINT64_C(7) * 86400 * 1000000)

/* Answering. Thread: any. */

static void refuse_state(struct call *call, const struct http_acted *acted)
{
    char state[64];
    (void)snprintf(state, sizeof state, "\"%.*s\"", CHARACTERS(acted->state ? acted->state : "", 40));
    call_problem_with(call, HTTP_PROBLEM_WRONG_STATE, "state", acted->state ? state : "null",
                      acted->detail ? acted->detail : "this is not possible in the target's state");
}

static void refuse(struct call *call, const struct http_acted *acted)
{
    static const struct {
        enum http_problem kind;
        const char *detail;
    } problems[] = {
        [HTTP_NO_SUCH_TARGET] = {HTTP_PROBLEM_NO_SUCH_TARGET,
                                 "no target has this name; GET /api/v1/targets lists them"},
        [HTTP_FORBIDDEN] = {HTTP_PROBLEM_FORBIDDEN, "the configuration does not allow it"},
        [HTTP_TOO_OFTEN] = {HTTP_PROBLEM_TOO_OFTEN, "it was done a moment ago; try again later"},
        [HTTP_STORE] = {HTTP_PROBLEM_STORE, "the store cannot be written; /api/v1/status says why"},
        [HTTP_BUSY] = {HTTP_PROBLEM_BUSY, "another one is under way; try again later"},
        [HTTP_NOT_READY] = {HTTP_PROBLEM_NOT_READY, "kdnetd starts or stops; try again later"},
    };
    enum http_problem kind = problems[acted->outcome].kind;
    if (acted->outcome == HTTP_NO_SUCH_TARGET &&
        (call->route->answer == api_acknowledge || call->route->answer == api_republish))
        kind = HTTP_PROBLEM_NOT_FOUND;
    call_problem(call, kind, NULL, "%s", acted->detail ? acted->detail : problems[acted->outcome].detail);
    if (acted->outcome == HTTP_TOO_OFTEN)
        call_header(call, "Retry-After: %u", acted->retry_s > 0 ? acted->retry_s : 1);
    else if (problem_status(kind) == 503)
        call_header(call, "Retry-After: 1");
}

static void say_done(struct call *call, const struct http_acted *acted)
{
    struct json_out json;
    bool drains = strcmp(call->route->path, "/api/v1/drain") == 0;
    if (!call_begin_json(call, &json))
        return;
    out_open(&json, '{');
    out_put_text(&json, "id", acted->id[0] != '\0' ? acted->id : NULL);
    if (drains) {
        out_put_bool(&json, "draining", acted->draining);
        out_put_whole(&json, "halted", acted->halted);
        out_put_whole(&json, "held", acted->held);
        out_put_whole(&json, "heard_last_10s", acted->heard_last_10s);
    }
    out_close(&json, '}');
    call_end_json(call, &json);
    if (call->reply.status == 200 && strncmp(call->route->path, "/api/v1/targets/", 16) == 0)
        call->reply.status = 202;
}

static void on_acted(void *user, const struct http_acted *acted)
{
    struct call *call = user;
    struct http *http = call->http;
    if (acted->outcome == HTTP_ACTED)
        say_done(call, acted);
    else if (acted->outcome == HTTP_WRONG_STATE)
        refuse_state(call, acted);
    else if (acted->outcome == HTTP_CONFIGURATION)
        call_problem_with(call, HTTP_PROBLEM_CONFIGURATION, "errors", acted->errors ? acted->errors : "[]",
                          acted->detail ? acted->detail
                                        : "nothing was changed; correct what `errors` says, and reload again");
    else
        refuse(call, acted);
    http_finish_call(call);
    http_end_act(http);
}

static void act(struct call *call, const struct http_act *act)
{
    const struct http_ops *ops = call->http->ops;
    http_begin_act(call->http);
    call->later = true;
    ops->act(ops->user, act, on_acted, call);
}

/* Bodies. */

/* Refuses unknown members of a request; `known`: the one known name, or NULL: none. */
static bool check_members(struct call *call, const char *known)
{
    const char *name;
    json_t *value;
    json_object_foreach(call->body, name, value)
    {
        if (known && strcmp(name, known) == 0)
            continue;
        if (known)
            call_problem(call, HTTP_PROBLEM_BAD_REQUEST, name, "the body has an unknown member %.*s; it may have %s",
                         CHARACTERS(name, 60), known);
        else
            call_problem(call, HTTP_PROBLEM_BAD_REQUEST, name, "the body has an unknown member %.*s; send none, or {}",
                         CHARACTERS(name, 60));
        return false;
    }
    return true;
}

static void act_on_target(struct call *call, enum http_action action)
{
    if (!list_is_name(call->argument))
        call_problem(call, HTTP_PROBLEM_NO_SUCH_TARGET, NULL,
                     "no target has this name; GET /api/v1/targets lists them");
    else if (check_members(call, NULL))
        act(call, &(struct http_act){.action = action, .target = call->argument, .by = call->by});
}

/* False: the problem is the answer. */
static bool take_silence(struct call *call, bool *hands_over, uint64_t *for_us)
{
    const json_t *value = json_object_get(call->body, "to_debugger");
    const char *text = json_string_value(value);
    *hands_over = value != NULL;
    *for_us = 0;
    if (!value || json_is_null(value)) {
        *hands_over = false;
        return true;
    }
    if (text && query_duration(text, for_us) && *for_us > 0 && *for_us <= TO_DEBUGGER_MAX_US)
        return true;
    call_problem(call, HTTP_PROBLEM_BAD_REQUEST, "to_debugger",
                 "to_debugger is no duration like \"10m\", of 1 second to 7 days");
    return false;
}

void api_release(struct call *call)
{
    struct http_act what = {.target = call->argument, .by = call->by};
    bool hands_over = false;
    if (!list_is_name(call->argument)) {
        call_problem(call, HTTP_PROBLEM_NO_SUCH_TARGET, NULL,
                     "no target has this name; GET /api/v1/targets lists them");
    } else if (check_members(call, "to_debugger") && take_silence(call, &hands_over, &what.for_us)) {
        what.action = hands_over ? HTTP_ACTION_TO_DEBUGGER : HTTP_ACTION_RELEASE;
        act(call, &what);
    }
}

void api_take_back(struct call *call)
{
    act_on_target(call, HTTP_ACTION_TAKE_BACK);
}

void api_reboot(struct call *call)
{
    act_on_target(call, HTTP_ACTION_REBOOT);
}

void api_read(struct call *call)
{
    const json_t *value = json_object_get(call->body, "break_in");
    if (!list_is_name(call->argument))
        call_problem(call, HTTP_PROBLEM_NO_SUCH_TARGET, NULL,
                     "no target has this name; GET /api/v1/targets lists them");
    else if (value && !json_is_boolean(value))
        call_problem(call, HTTP_PROBLEM_BAD_REQUEST, "break_in", "break_in is neither true nor false");
    else if (check_members(call, "break_in"))
        act(call,
            &(struct http_act){
                .action = HTTP_ACTION_READ, .target = call->argument, .by = call->by, .break_in = json_is_true(value)});
}

static void act_on_service(struct call *call, enum http_action action)
{
    if (check_members(call, NULL))
        act(call, &(struct http_act){.action = action, .by = call->by});
}

void api_reload(struct call *call)
{
    act_on_service(call, HTTP_ACTION_RELOAD);
}

void api_drain(struct call *call)
{
    act_on_service(call, HTTP_ACTION_DRAIN);
}

void api_undrain(struct call *call)
{
    act_on_service(call, HTTP_ACTION_UNDRAIN);
}

void api_acknowledge(struct call *call)
{
    const json_t *value = json_object_get(call->body, "note");
    const char *note = json_string_value(value);
    size_t length = strspn(call->argument, "0123456789abcdef");
    if (length != 16 || call->argument[length] != '\0')
        call_problem(call, HTTP_PROBLEM_NOT_FOUND, NULL, "there is no such crash; GET /api/v1/crashes lists them");
    else if (value && !json_is_null(value) &&
             (!note || strlen(note) != json_string_length(value) || strlen(note) > STORE_NOTE_MAX ||
              !query_is_text(note)))
        call_problem(call, HTTP_PROBLEM_BAD_REQUEST, "note",
                     "note is no text of at most 1,000 bytes without control characters");
    else if (check_members(call, "note"))
        act(call,
            &(struct http_act){
                .action = HTTP_ACTION_ACKNOWLEDGE, .by = call->by, .crash = call->argument, .note = note ? note : ""});
}

void api_republish(struct call *call)
{
    uint64_t since_us = 0;
    const char *since = json_string_value(json_object_get(call->body, "since"));
    if (!list_is_name(call->argument))
        call_problem(call, HTTP_PROBLEM_NOT_FOUND, NULL, "there is no such sink; GET /api/v1/status lists them");
    else if (!check_members(call, "since"))
        return;
    else if (!since || !query_time(since, call_now_us(), &since_us))
        call_problem(call, HTTP_PROBLEM_BAD_REQUEST, "since",
                     "since is missing or no time; send RFC 3339, or a duration back from now such as 2d");
    else
        act(call, &(struct http_act){
                      .action = HTTP_ACTION_REPUBLISH, .by = call->by, .sink = call->argument, .since_us = since_us});
}
