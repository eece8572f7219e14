/* SPDX-License-Identifier: Apache-2.0 */
#include "service/fleet/reader.h"
#include "service/fleet/stream.h"
#include "service/kdnetctl/fleet.h"

#include <stdio.h>
#include <stdlib.h>

struct fleet_source {
    const struct command *command;
    natsConnection *connection;
    struct fleet_reader *events, *collectors; /* collectors NULL: there is no such bucket */
};

static int fail(const struct command *command, const char *what, const char *error)
{
    command_say(command, "%s: %s", what, error);
    return COMMAND_UNREACHABLE;
}

static int open_readers(struct fleet_source *source, const struct config_nats *nats, uint64_t since_us)
{
    char filter[FLEET_SUBJECT_SIZE], bucket[FLEET_SUBJECT_SIZE], stream[FLEET_SUBJECT_SIZE + 8],
        keys[FLEET_SUBJECT_SIZE + 8], error[FLEET_ERROR_SIZE] = "";
    fleet_filter(nats->subject, filter);
    source->events = fleet_reader_open(source->connection, nats->stream, filter, since_us, error);
    if (!source->events) {
        command_say(source->command, "the stream %s cannot be read: %s", nats->stream, error);
        return COMMAND_FAILED;
    }
    fleet_collectors_bucket(nats->stream, bucket, sizeof bucket);
    (void)snprintf(stream, sizeof stream, "KV_%s", bucket);
    (void)snprintf(keys, sizeof keys, "$KV.%s.>", bucket);
    source->collectors = fleet_reader_open(source->connection, stream, keys, 0, error);
    return COMMAND_OK;
}

int fleet_source_open(struct fleet_source **out, const struct command *command, const struct config_nats *nats,
                      uint64_t since_us)
{
    char error[FLEET_ERROR_SIZE] = "";
    struct fleet_source *source = calloc(1, sizeof *source);
    *out = source;
    if (!source)
        return fail(command, "nothing can be read", "out of memory");
    source->command = command;
    source->connection = fleet_connect(nats, "kdnetctl", error);
    int status = source->connection ? open_readers(source, nats, since_us)
                                    : fail(command, "the servers cannot be reached", error);
    if (status != COMMAND_OK) {
        fleet_source_close(source);
        *out = NULL;
    }
    return status;
}

static void take_event(void *user, const struct fleet_message *message)
{
    fleet_view_event(user, message->data, message->length, message->time_us);
}

static void take_heartbeat(void *user, const struct fleet_message *message)
{
    fleet_view_heartbeat(user, message->data, message->length, message->time_us);
}

int fleet_source_read(struct fleet_source *source, struct fleet_view *view, unsigned wait_ms)
{
    char error[FLEET_ERROR_SIZE] = "";
    if (!fleet_reader_read(source->events, wait_ms, take_event, view, error))
        return fail(source->command, "the stream cannot be read on", error);
    if (source->collectors)
        (void)fleet_reader_read(source->collectors, wait_ms > 0 ? 1 : 0, take_heartbeat, view, error);
    return COMMAND_OK;
}

void fleet_source_close(struct fleet_source *source)
{
    if (!source)
        return;
    fleet_reader_close(source->events);
    fleet_reader_close(source->collectors);
    natsConnection_Destroy(source->connection);
    free(source);
}
