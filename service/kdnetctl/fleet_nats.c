/* SPDX-License-Identifier: Apache-2.0 */
#include "service/fleet/reader.h"
#include "service/fleet/stream.h"
#include "service/kdnetctl/fleet.h"
#include "service/kdnetctl/fleet_limit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Limits. They are longer than what libnats and the reader need to see a fault and name it. */
#define CONNECT_S 10U /* and for each server: */
#define SERVER_S  8U
#define OPEN_S    60U
#define READ_S    30U /* without any part of what is there (READER_LOOK_MS) */
#define CLOSE_S   3U
#define END_S     10U /* for the rest, up to the very end: threads of libraries can hang there */
#define TEXT_SIZE 1024

struct fleet_source {
    const struct command *command;
    const struct config_nats *nats;
    natsConnection *connection;
    struct fleet_reader *events, *collectors; /* collectors NULL: there is no such bucket */
    char servers[512];
    int status; /* what this process is to end with, when its end hangs */
};

/* Words */

/* The servers as they were told, without the passwords that URLs may hold, and harmless on a terminal. */
static void name_servers(const struct config_nats *nats, char *out, size_t size)
{
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < nats->servers.count && length < size; ++i) {
        const char *url = nats->servers.text[i], *slashes = strstr(url, "://"), *at = strrchr(url, '@');
        int scheme = slashes ? (int)(slashes + 3 - url) : 0;
        length += (size_t)snprintf(out + length, size - length, "%s%.*s%s", i > 0 ? ", " : "", scheme, url,
                                   at ? at + 1 : url + scheme);
    }
    for (char *at = out; *at != '\0'; ++at)
        if ((unsigned char)*at < ' ' || (unsigned char)*at >= 127)
            *at = '?';
}

struct remedy {
    const char *sign; /* in the words of libnats or of the servers */
    const char *step;
};

static const char *find_step(const struct remedy *remedies, size_t count, const char *error)
{
    for (size_t i = 0; i + 1 < count; ++i)
        if (strstr(error, remedies[i].sign))
            return remedies[i].step;
    return remedies[count - 1].step;
}

static const char *connect_step(const char *error)
{
    static const char refused[] = "say --credentials FILE, a .creds file of a user of theirs that has not expired, or "
                                  "nats://USER:PASSWORD@HOST:4222 in --servers";
    static const char trust[] =
        "say --ca FILE, the certificate of who signed theirs, and where they ask for one --cert "
        "and --key; openssl x509 -noout -issuer -dates -in FILE shows what is in a file";
    static const struct remedy remedies[] = {
        {"uthoriz", refused},
        {"uthentic", refused},
        {"JWT", refused},
        {"xpired", refused},
        {"redentials", "make the file of --credentials readable, with the JWT and the seed of a user"},
        {".creds", "make the file of --credentials readable, with the JWT and the seed of a user"},
        {"rror loading", "is that file there, readable, and PEM?"},
        {"ecure connection required", trust},
        {"SECURE", trust},
        {"ecure", "they speak no TLS: leave out --ca, --cert and --key, and say nats:// in place of tls://"},
        {"SSL", trust},
        {"TLS", trust},
        {"certificate", trust},
        {"getaddrinfo", "look at the names in --servers, or in nats.servers of kdnetd's configuration"},
        {NULL, "is nats-server there, and its port (4222) open from here? --servers URL,... asks others"}};
    return find_step(remedies, sizeof remedies / sizeof remedies[0], error);
}

static const char *open_step(const char *error)
{
    static const struct remedy remedies[] = {
        {"stream not found", "--stream names another; kdnetd makes it with its first event (option nats.stream)"},
        {"ermission", "the user needs the right to publish on $JS.API.> and to subscribe to _INBOX.>"},
        {"esponder", "JetStream is off there: nats-server -js, or jetstream {} in its configuration"},
        {"not enabled", "JetStream is off for this account: let its operator give it JetStream"},
        {NULL, "nats-server's log says more; with several servers, most of them must be there"}};
    return find_step(remedies, sizeof remedies / sizeof remedies[0], error);
}

static int fail(const struct fleet_source *source, int status, const char *what, const char *error, const char *step)
{
    command_say(source->command, "%s (%s): %s; %s", what, source->servers, error, step);
    return status;
}

static void limit(const struct fleet_source *source, unsigned seconds, const char *what)
{
    char text[TEXT_SIZE];
    (void)snprintf(text, sizeof text,
                   "%s within %u s (%s); are the servers overloaded, or something else than nats-server?", what,
                   seconds, source->servers);
    fleet_limit(source->command, seconds, COMMAND_UNREACHABLE, text);
}

/* Opening */

static int open_readers(struct fleet_source *source, uint64_t since_us)
{
    char filter[FLEET_SUBJECT_SIZE], bucket[FLEET_SUBJECT_SIZE], stream[FLEET_SUBJECT_SIZE + 8],
        keys[FLEET_SUBJECT_SIZE + 8], error[FLEET_ERROR_SIZE] = "", what[FLEET_SUBJECT_SIZE];
    bool silent = false;
    fleet_filter(source->nats->subject, filter);
    source->events = fleet_reader_open(source->connection, source->nats->stream, filter, since_us, &silent, error);
    if (!source->events) {
        (void)snprintf(what, sizeof what, "the stream %s cannot be read", source->nats->stream);
        return fail(source, silent ? COMMAND_UNREACHABLE : COMMAND_FAILED, what, error, open_step(error));
    }
    fleet_collectors_bucket(source->nats->stream, bucket, sizeof bucket);
    (void)snprintf(stream, sizeof stream, "KV_%s", bucket);
    (void)snprintf(keys, sizeof keys, "$KV.%s.>", bucket);
    source->collectors = fleet_reader_open(source->connection, stream, keys, 0, &silent, error);
    return COMMAND_OK;
}

static int connect_source(struct fleet_source *source)
{
    char error[FLEET_ERROR_SIZE] = "";
    limit(source, CONNECT_S + SERVER_S * (unsigned)source->nats->servers.count, "no connection was made");
    source->connection = fleet_connect(source->nats, "kdnetctl", error);
    if (!source->connection)
        return fail(source, COMMAND_UNREACHABLE, "the servers cannot be reached", error, connect_step(error));
    return COMMAND_OK;
}

int fleet_source_open(struct fleet_source **out, const struct command *command, const struct config_nats *nats,
                      uint64_t since_us)
{
    struct fleet_source *source = calloc(1, sizeof *source);
    *out = source;
    if (!source) {
        command_say(command, "nothing can be read: out of memory");
        return COMMAND_FAILED;
    }
    source->command = command;
    source->nats = nats;
    name_servers(nats, source->servers, sizeof source->servers);
    source->status = connect_source(source);
    if (source->status == COMMAND_OK) {
        limit(source, OPEN_S, "the stream was not opened");
        source->status = open_readers(source, since_us);
    }
    return source->status;
}

/* Reading */

struct reading {
    struct fleet_source *source;
    struct fleet_view *view;
    unsigned count;
};

/* The limit is for each part of what is there: all of it may take long. */
static void note_progress(struct reading *reading)
{
    if (reading->count++ % 1024 == 0)
        limit(reading->source, READ_S, "the stream came no further");
}

static void take_event(void *user, const struct fleet_message *message)
{
    struct reading *reading = user;
    note_progress(reading);
    fleet_view_event(reading->view, message->data, message->length, message->time_us);
}

static void take_heartbeat(void *user, const struct fleet_message *message)
{
    struct reading *reading = user;
    note_progress(reading);
    fleet_view_heartbeat(reading->view, message->data, message->length, message->time_us);
}

int fleet_source_read(struct fleet_source *source, struct fleet_view *view, unsigned wait_ms)
{
    char error[FLEET_ERROR_SIZE] = "";
    struct reading reading = {.source = source, .view = view};
    limit(source, READ_S, "the stream came no further");
    if (!fleet_reader_read(source->events, wait_ms, take_event, &reading, error))
        source->status = fail(source, COMMAND_UNREACHABLE, "the stream cannot be read on", error,
                              "ask again; --since reads less of it");
    else if (source->collectors)
        (void)fleet_reader_read(source->collectors, wait_ms > 0 ? 1 : 0, take_heartbeat, &reading, error);
    fleet_limit(source->command, 0, COMMAND_OK, NULL);
    return source->status;
}

void fleet_source_close(struct fleet_source *source, int status)
{
    if (!source)
        return;
    fleet_limit(source->command, CLOSE_S, status, NULL);
    fleet_reader_close(source->events);
    fleet_reader_close(source->collectors);
    natsConnection_Destroy(source->connection);
    fleet_limit(source->command, END_S, status, NULL);
    free(source);
}
