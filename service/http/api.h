/* SPDX-License-Identifier: Apache-2.0 */
/* api: shared by the answers of the API. */
#ifndef SERVICE_HTTP_API_H
#define SERVICE_HTTP_API_H

#include "service/http/call.h"
#include "service/http/json_out.h"

#define API_LIMIT            100U
#define API_LIMIT_MAX        1000U
#define API_EVENTS_LIMIT     1000U
#define API_EVENTS_LIMIT_MAX 10000U

const char *api_state_name(enum http_state state);

/* Returns the server's status; free() it. NULL: out of memory, and the answer is a problem. */
struct http_status *api_new_status(struct call *call);

/* Calls `each` for each degraded component of the server and of HTTP itself. */
void api_each_degraded(struct call *call, const struct http_status *status,
                       void (*each)(void *user, const struct http_degraded *degraded), void *user);

/* Writes a target as an object, without its closing bracket. */
void api_put_target(struct json_out *json, const struct http_target *target);

#endif
