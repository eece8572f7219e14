/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/connect.h"

#include <stdlib.h>

static int fetch(void *context, const char *name, const char *guidage, char *path, size_t size, char *reason,
                 size_t reason_size)
{
    return symbol_server_fetch(context, name, guidage, path, size, reason, reason_size) == SYMBOL_FETCH_OK ? 0 : 1;
}

static void stop(void *context)
{
    symbol_server_stop(context);
}

static void clear(void *context)
{
    symbol_server_clear(context);
    free(context);
}

bool symbol_connect_server(void *user, const char *directory, const char *url, struct symbol_source *out,
                           char reason[static SYMBOL_REASON_SIZE])
{
    const struct symbol_server *settings = user;
    struct symbol_server *server = calloc(1, sizeof *server);
    if (!server) {
        (void)symbol_reason(reason, "no memory");
        return false;
    }
    if (settings)
        *server = *settings;
    server->directory = directory;
    server->url = url;
    if (!symbol_server_init(server, reason, SYMBOL_REASON_SIZE)) {
        free(server);
        return false;
    }
    out->fetch = fetch;
    out->stop = stop;
    out->clear = clear;
    out->context = server;
    return true;
}
