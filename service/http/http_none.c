/* SPDX-License-Identifier: Apache-2.0 */
/* A build without libevent: there is no HTTP, and the service goes on. */
#include "service/http/http.h"
#include "service/runtime/log.h"

#include <string.h>

struct http *http_open(const struct http_options *options, const struct http_ops *ops, struct store *store)
{
    (void)ops, (void)store;
    bool wants_socket = options->socket && strcmp(options->socket, "none") != 0;
    if ((options->address_told && options->address.port != 0) || wants_socket)
        log_plain(CONFIG_LOG_WARNING,
                  "http: this kdnetd was built without libevent; install libevent-dev and build anew");
    return NULL;
}

void http_publish(struct http *http, const struct store_event *events, size_t count)
{
    (void)http, (void)events, (void)count;
}

bool http_configure(struct http *http, const struct http_options *options)
{
    (void)http, (void)options;
    return true;
}

size_t http_degraded(struct http *http, struct http_degraded *out, size_t most)
{
    (void)http, (void)out, (void)most;
    return 0;
}

bool http_close(struct http *http)
{
    (void)http;
    return true;
}
