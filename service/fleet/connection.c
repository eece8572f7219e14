/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "service/fleet/connection.h"
#include "service/fleet/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fleet_clear_options(struct config_nats *nats)
{
    for (size_t i = 0; i < nats->servers.count; ++i)
        free(nats->servers.text[i]);
    free(nats->servers.text);
    free(nats->credentials);
    free(nats->tls_ca);
    free(nats->tls_cert);
    free(nats->tls_key);
    *nats = (struct config_nats){.servers = {.count = 0}};
}

static bool copy_text(const char *from, char **to)
{
    *to = from ? strdup(from) : NULL;
    return !from || *to;
}

bool fleet_copy_options(const struct config_nats *from, struct config_nats *to)
{
    *to = (struct config_nats){.servers = {.count = 0}};
    to->servers.text = calloc(from->servers.count + 1, sizeof *to->servers.text);
    for (size_t i = 0; to->servers.text && i < from->servers.count; ++i) {
        if (!copy_text(from->servers.text[i], &to->servers.text[i]))
            return false;
        to->servers.count = i + 1;
    }
    return to->servers.text && copy_text(from->credentials, &to->credentials) && copy_text(from->tls_ca, &to->tls_ca) &&
           copy_text(from->tls_cert, &to->tls_cert) && copy_text(from->tls_key, &to->tls_key);
}

/* Silences libnats, which otherwise prints errors. */
static void on_error(natsConnection *connection, natsSubscription *subscription, natsStatus status, void *closure)
{
    (void)connection;
    (void)subscription;
    (void)status;
    (void)closure;
}

/* Our port of a connection; 0: unknown. */
static uint16_t our_port(natsConnection *connection)
{
    char *address = NULL;
    int port = 0;
    if (natsConnection_GetLocalIPAndPort(connection, &address, &port) != NATS_OK)
        port = 0;
    free(address);
    return (uint16_t)port;
}

static void on_reconnected(natsConnection *connection, void *closure)
{
    (void)closure;
    guard_up(connection, our_port(connection));
}

static void on_lost(natsConnection *connection, void *closure)
{
    (void)closure;
    guard_lost(connection);
}

static void on_ended(natsConnection *connection, void *closure)
{
    (void)closure;
    guard_ended(connection);
}

/* Leaves out where in libnats' sources an error was made: "Timeout: (unix/sock.c:58): Timeout". */
static const char *without_place(const char *text)
{
    const char *place = strstr(text, "(");
    const char *end = place ? strstr(place, "): ") : NULL;
    const char *line = end ? memchr(place, ':', (size_t)(end - place)) : NULL;
    return line && memchr(place, '.', (size_t)(line - place)) ? end + 3 : text;
}

void fleet_explain(natsConnection *connection, natsStatus status, char error[static FLEET_ERROR_SIZE])
{
    const char *last = NULL;
    if (connection && natsConnection_GetLastError(connection, &last) == NATS_OK)
        last = NULL; /* an empty list */
    if (!last || last[0] == '\0')
        last = nats_GetLastError(NULL);
    if (last)
        last = without_place(last);
    if (!last || last[0] == '\0' || strcmp(last, natsStatus_GetText(status)) == 0)
        (void)snprintf(error, FLEET_ERROR_SIZE, "NATS: %s", natsStatus_GetText(status));
    else
        (void)snprintf(error, FLEET_ERROR_SIZE, "NATS: %s: %.*s", natsStatus_GetText(status), CHARACTERS(last, 180));
}

static bool uses_tls(const struct config_nats *config)
{
    for (size_t i = 0; i < config->servers.count; ++i)
        if (strncmp(config->servers.text[i], "tls://", 6) == 0)
            return true;
    return config->tls_ca || config->tls_cert;
}

static natsStatus set_tls(natsOptions *options, const struct config_nats *config)
{
    natsStatus status = natsOptions_SetSecure(options, true);
    if (status == NATS_OK && config->tls_ca)
        status = natsOptions_LoadCATrustedCertificates(options, config->tls_ca);
    if (status == NATS_OK && config->tls_cert)
        status = natsOptions_LoadCertificatesChain(options, config->tls_cert, config->tls_key);
    return status;
}

/* Sets options in order, until one fails. */
static natsStatus set_options(natsOptions *options, const struct config_nats *config, const char *name)
{
    natsStatus status = natsOptions_SetServers(options, (const char **)(uintptr_t)config->servers.text,
                                               (int)config->servers.count);
#define SET(call)                                                                                                      \
    if (status == NATS_OK)                                                                                             \
    status = (call)
    SET(natsOptions_SetName(options, name));
    SET(natsOptions_SetTimeout(options, FLEET_CONNECT_MS));
    SET(natsOptions_SetWriteDeadline(options, FLEET_CONNECT_MS));
    SET(natsOptions_SetMaxReconnect(options, -1));
    SET(natsOptions_SetReconnectWait(options, FLEET_RETRY_MS));
    SET(natsOptions_SetReconnectJitter(options, FLEET_RETRY_MS / 4, FLEET_RETRY_MS / 4));
    SET(natsOptions_SetReconnectBufSize(options, FLEET_BUFFER));
    SET(natsOptions_SetPingInterval(options, FLEET_PING_MS));
    SET(natsOptions_SetMaxPingsOut(options, 2));
    SET(natsOptions_SetErrorHandler(options, on_error, NULL));
    SET(natsOptions_SetReconnectedCB(options, on_reconnected, NULL));
    SET(natsOptions_SetDisconnectedCB(options, on_lost, NULL));
    SET(natsOptions_SetClosedCB(options, on_ended, NULL));
    SET(config->credentials ? natsOptions_SetUserCredentialsFromFiles(options, config->credentials, NULL) : NATS_OK);
    SET(uses_tls(config) ? set_tls(options, config) : NATS_OK);
#undef SET
    return status;
}

static natsConnection *connect_as(const struct config_nats *config, const char *name, bool at_once,
                                  char error[static FLEET_ERROR_SIZE])
{
    natsOptions *options = NULL;
    natsConnection *connection = NULL;
    natsStatus status = natsOptions_Create(&options);
    if (status == NATS_OK)
        status = set_options(options, config, name);
    if (status == NATS_OK)
        status = natsOptions_SetSendAsap(options, at_once);
    unsigned broken = guard_broken();
    guard_begin();
    if (status == NATS_OK)
        status = natsConnection_Connect(&connection, options);
    if (status == NATS_OK) {
        guard_up(connection, our_port(connection));
    } else {
        guard_failed();
        fleet_explain(NULL, status, error);
        if (guard_broken() != broken)
            (void)snprintf(error, FLEET_ERROR_SIZE, "NATS: a server took the connection, and then did not answer");
    }
    natsOptions_Destroy(options);
    return status == NATS_OK ? connection : NULL;
}

natsConnection *fleet_connect(const struct config_nats *config, const char *name, char error[static FLEET_ERROR_SIZE])
{
    return connect_as(config, name, false, error);
}

natsConnection *fleet_connect_at_once(const struct config_nats *config, const char *name,
                                      char error[static FLEET_ERROR_SIZE])
{
    return connect_as(config, name, true, error);
}

void fleet_token(const char *name, char out[static FLEET_TOKEN_SIZE])
{
    size_t length = 0;
    for (; *name != '\0' && length + 4 <= FLEET_TOKEN_SIZE; ++name) {
        if (*name != '.')
            out[length++] = *name;
        else
            length += (size_t)snprintf(out + length, FLEET_TOKEN_SIZE - length, "%%2E");
    }
    out[length] = '\0';
}
