/* SPDX-License-Identifier: Apache-2.0 */
/* In the place of server_http.c when there is no libcurl: the store answers, servers do not. */
#include "service/symbols/server_internal.h"

struct http *symbol_server_http_open(struct symbol_server_state *state, char *reason, size_t size)
{
    symbol_server_say(reason, size, "%s: this kdnetd was built without libcurl (KDNETD_CURL) and asks no server",
                      state->url);
    return NULL;
}

enum answer symbol_server_http_get(struct http *http, const char *url, struct body *body, char *reason, size_t size)
{
    (void)http;
    (void)body;
    symbol_server_say(reason, size, "%s: not asked", url);
    return ANSWER_LOCAL;
}

int64_t symbol_server_http_retry_after_ms(const struct http *http)
{
    (void)http;
    return 0;
}

void symbol_server_http_close(struct http *http)
{
    (void)http;
}
