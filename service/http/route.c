/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "service/http/route.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define REPEATABLE " state label verdict target code type " /* several are OR; labels: AND */

static const struct route routes[] = {
    {"GET", "/healthz", " ", ROUTE_PUBLIC, ROUTE_HERE, api_health},
    {"GET", "/readyz", " ", ROUTE_PUBLIC, ROUTE_HERE, api_ready},
    {"GET", "/metrics", " ", ROUTE_READ, ROUTE_MEMORY, metrics_answer},
    {"GET", "/api/v1/status", " ", ROUTE_READ, ROUTE_MEMORY, api_status},
    {"GET", "/api/v1/targets", " state q label limit cursor ", ROUTE_READ, ROUTE_MEMORY, api_targets},
    {"GET", "/api/v1/map", " ", ROUTE_READ, ROUTE_MEMORY, api_map},
    {"GET", "/api/v1/targets/*", " ", ROUTE_READ, ROUTE_STORE, api_target},
    {"GET", "/api/v1/targets/*/events", " after tail since until type limit ", ROUTE_READ, ROUTE_STORE,
     api_target_events},
    {"GET", "/api/v1/crashes", " since until verdict target code label limit cursor ", ROUTE_READ, ROUTE_STORE,
     api_crashes},
    {"GET", "/api/v1/crashes/*", " ", ROUTE_READ, ROUTE_STORE, api_crash},
    {"GET", "/api/v1/buckets", " since limit ", ROUTE_READ, ROUTE_STORE, api_buckets},
    {"GET", "/api/v1/events", " after tail since until type target limit ", ROUTE_READ, ROUTE_STORE, api_events},
    {"GET", "/api/v1/stream", " after type target ", ROUTE_READ, ROUTE_HERE, stream_answer},
    {"GET", "/api/v1/unknown", " ", ROUTE_READ, ROUTE_MEMORY, api_unknown},
    {"POST", "/api/v1/crashes/*/ack", " ", ROUTE_ACT, ROUTE_HERE, api_acknowledge},
    {"POST", "/api/v1/targets/*/release", " ", ROUTE_ACT, ROUTE_HERE, api_release},
    {"POST", "/api/v1/targets/*/reboot", " ", ROUTE_ACT, ROUTE_HERE, api_reboot},
    {"POST", "/api/v1/targets/*/take_back", " ", ROUTE_ACT, ROUTE_HERE, api_take_back},
    {"POST", "/api/v1/targets/*/read", " ", ROUTE_ACT, ROUTE_HERE, api_read},
    {"POST", "/api/v1/sinks/*/republish", " ", ROUTE_ACT, ROUTE_HERE, api_republish},
    {"POST", "/api/v1/reload", " ", ROUTE_ACT, ROUTE_HERE, api_reload},
    {"POST", "/api/v1/drain", " ", ROUTE_ACT, ROUTE_HERE, api_drain},
    {"DELETE", "/api/v1/drain", " ", ROUTE_ACT, ROUTE_HERE, api_undrain},
    {"GET", "/", " state q label verdict since target crash view ", ROUTE_PUBLIC, ROUTE_HERE, page_answer},
    {"GET", "/page/*", " ", ROUTE_PUBLIC, ROUTE_HERE, page_answer},
};
#define ROUTES (sizeof routes / sizeof routes[0])

/* Whether a path is of a pattern; the argument is copied, still encoded. */
static bool matches(const char *pattern, const char *path, char argument[static CALL_ARGUMENT_SIZE])
{
    const char *star = strchr(pattern, '*');
    if (!star)
        return strcmp(pattern, path) == 0;
    size_t before = (size_t)(star - pattern);
    if (strncmp(pattern, path, before) != 0)
        return false;
    size_t length = strcspn(path + before, "/");
    if (length == 0 || length >= CALL_ARGUMENT_SIZE || strcmp(path + before + length, star + 1) != 0)
        return false;
    memcpy(argument, path + before, length);
    argument[length] = '\0';
    return true;
}

static bool is_method(const struct route *route, const char *method)
{
    bool get = strcmp(route->method, "GET") == 0;
    return strcmp(route->method, method) == 0 || (get && strcmp(method, "HEAD") == 0);
}

static void refuse_method(struct call *call, const char *allowed)
{
    call_problem(call, HTTP_PROBLEM_METHOD, NULL, "%s is not for this path; use one of: %s", call->head.method,
                 allowed);
    call_header(call, "Allow: %s", allowed);
}

bool route_find(struct call *call)
{
    char allowed[64] = "", argument[CALL_ARGUMENT_SIZE] = "";
    for (size_t i = 0; i < ROUTES; ++i) {
        if (!matches(routes[i].path, call->head.path, argument))
            continue;
        if (is_method(&routes[i], call->head.method)) {
            call->route = &routes[i];
            memcpy(call->argument, argument, sizeof argument);
            if (query_decode(call->argument, false))
                return true;
            call_problem(call, HTTP_PROBLEM_BAD_REQUEST, "path",
                         "the path has a broken percent escape, a control "
                         "character, or is not UTF-8");
            return false;
        }
        size_t used = strlen(allowed);
        const char *method = strcmp(routes[i].method, "GET") == 0 ? "GET, HEAD" : routes[i].method;
        (void)snprintf(allowed + used, sizeof allowed - used, "%s%s", used > 0 ? ", " : "", method);
    }
    if (allowed[0] != '\0')
        refuse_method(call, allowed);
    else
        call_problem(call, HTTP_PROBLEM_NOT_FOUND, NULL,
                     "there is nothing at this path; the API starts at "
                     "/api/v1/status, the page is /");
    return false;
}

static bool in_list(const char *list, const char *name)
{
    char word[80];
    int length = snprintf(word, sizeof word, " %s ", name);
    return length > 2 && (size_t)length < sizeof word && !strchr(name, ' ') && strstr(list, word);
}

static bool complain_unknown(struct call *call, const char *names, const char *first)
{
    const char *known = call->route->parameters;
    if (known[1] == '\0')
        call_problem(call, HTTP_PROBLEM_BAD_REQUEST, first, "unknown parameters: %s; this path has none", names);
    else
        call_problem(call, HTTP_PROBLEM_BAD_REQUEST, first, "unknown parameters: %s; this path has:%.*s", names,
                     (int)strlen(known) - 1, known);
    return false;
}

bool route_check_parameters(struct call *call)
{
    char names[256] = "";
    const char *first = NULL;
    for (size_t i = 0; i < call->query.count; ++i) {
        const char *name = call->query.of[i].name;
        size_t used = strlen(names);
        if (!in_list(call->route->parameters, name)) {
            (void)snprintf(names + used, sizeof names - used, "%s%.*s", used > 0 ? ", " : "", CHARACTERS(name, 60));
            first = first ? first : name;
        } else if (query_count(&call->query, name) > 1 && !in_list(REPEATABLE, name)) {
            call_problem(call, HTTP_PROBLEM_BAD_REQUEST, name, "%s is there more than once; send it once", name);
            return false;
        }
    }
    return !first || complain_unknown(call, names, first);
}
