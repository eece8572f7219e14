/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/connect.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* A server whose disk access waits until a thread may block. */
struct connection {
    struct symbol_server server; /* the strings are below */
    char *directory, *url, *ca_file;
    uv_mutex_t mutex; /* protects the initialisation */
    atomic_bool ready, stopped;
};

static bool prepare(void *context, char reason[static SYMBOL_REASON_SIZE])
{
    struct connection *connection = context;
    uv_mutex_lock(&connection->mutex);
    bool good = atomic_load(&connection->ready) || symbol_server_init(&connection->server, reason, SYMBOL_REASON_SIZE);
    if (good)
        atomic_store(&connection->ready, true);
    uv_mutex_unlock(&connection->mutex);
    if (good && atomic_load(&connection->stopped)) /* meanwhile, when there was nothing to stop */
        symbol_server_stop(&connection->server);
    return good;
}

static int fetch(void *context, const char *name, const char *guidage, char *path, size_t size, char *reason,
                 size_t reason_size)
{
    struct connection *connection = context;
    char why[SYMBOL_REASON_SIZE] = "";
    if (!prepare(context, why)) {
        (void)snprintf(reason, reason_size, "%s", why);
        return 1;
    }
    return symbol_server_fetch(&connection->server, name, guidage, path, size, reason, reason_size) == SYMBOL_FETCH_OK
               ? 0
               : 1;
}

static void stop(void *context)
{
    struct connection *connection = context;
    atomic_store(&connection->stopped, true);
    if (atomic_load(&connection->ready))
        symbol_server_stop(&connection->server);
}

static void free_connection(struct connection *connection)
{
    free(connection->directory);
    free(connection->url);
    free(connection->ca_file);
    free(connection);
}

static void clear(void *context)
{
    struct connection *connection = context;
    if (atomic_load(&connection->ready))
        symbol_server_clear(&connection->server);
    uv_mutex_destroy(&connection->mutex);
    free_connection(connection);
}

static bool copy_texts(struct connection *connection, const char *directory, const char *url)
{
    struct symbol_server *server = &connection->server;
    connection->directory = strdup(directory);
    connection->url = strdup(url);
    connection->ca_file = server->ca_file ? strdup(server->ca_file) : NULL;
    bool good = connection->directory && connection->url && (connection->ca_file || !server->ca_file);
    server->directory = connection->directory;
    server->url = connection->url;
    server->ca_file = connection->ca_file;
    return good;
}

bool symbol_connect_server(void *user, const char *directory, const char *url, struct symbol_source *out,
                           char reason[static SYMBOL_REASON_SIZE])
{
    const struct symbol_server *settings = user;
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection && settings)
        connection->server = *settings;
    if (!connection || !copy_texts(connection, directory, url) || uv_mutex_init(&connection->mutex) != 0) {
        (void)symbol_reason(reason, "no memory");
        if (connection)
            free_connection(connection);
        return false;
    }
    out->prepare = prepare;
    out->fetch = fetch;
    out->stop = stop;
    out->clear = clear;
    out->context = connection;
    return true;
}
