/* SPDX-License-Identifier: Apache-2.0 */
#include "service/fleet/reader.h"

#include <stdio.h>
#include <stdlib.h>

#define OPEN_MS    2000  /* time for an answer to the opening */
#define OPEN_TRIES 8U    /* servers place a reader on one of them, perhaps on one that has died: then nobody answers */
#define OPEN_LATER 250   /* ms between two tries when they have no leader */
#define OPEN_ALL   16000 /* ms for all tries */
#define LOOK_MS    10000 /* in which what is there must come on by: */
#define LOOK_LEAST 50U

struct fleet_reader {
    natsConnection *connection;
    jsCtx *js;
    natsSubscription *subscription;
    uint64_t left; /* messages present at the start, and not given yet */
    int64_t begun_ms, look_ms;
    unsigned looked; /* messages since look_ms */
};

/* How many messages there were at the start. */
static natsStatus count_left(struct fleet_reader *reader)
{
    jsConsumerInfo *info = NULL;
    jsOptions options;
    (void)jsOptions_Init(&options);
    options.Wait = OPEN_MS;
    natsStatus status = natsSubscription_GetConsumerInfo(&info, reader->subscription, &options, NULL);
    if (status == NATS_OK)
        reader->left = info->NumPending + info->Delivered.Consumer;
    jsConsumerInfo_Destroy(info);
    return status;
}

static natsStatus subscribe(struct fleet_reader *reader, const char *stream, const char *filter, uint64_t since_us,
                            jsErrCode *why)
{
    jsSubOptions options;
    jsOptions ask;
    (void)jsSubOptions_Init(&options);
    (void)jsOptions_Init(&ask);
    ask.Wait = OPEN_MS;
    options.Stream = stream;
    options.Ordered = true;
    if (since_us > 0) {
        options.Config.DeliverPolicy = js_DeliverByStartTime;
        options.Config.OptStartTime = (int64_t)since_us * 1000;
    }
    return js_SubscribeSync(&reader->subscription, reader->js, filter, &ask, &options, why);
}

/* True: another try may do better; at once, when time has passed already. */
static bool may_try_again(natsStatus status, jsErrCode why)
{
    if (status == NATS_TIMEOUT)
        return true;
    if (why != JSClusterNotAvailErr && why != JSClusterNotLeaderErr && why != JSClusterNoPeersErr)
        return false;
    nats_Sleep(OPEN_LATER);
    return true;
}

static natsStatus try_open(struct fleet_reader *reader, const char *stream, const char *filter, uint64_t since_us,
                           jsErrCode *why)
{
    *why = (jsErrCode)0;
    natsStatus status = subscribe(reader, stream, filter, since_us, why);
    if (status == NATS_OK)
        status = count_left(reader);
    if (status != NATS_OK) {
        natsSubscription_Destroy(reader->subscription);
        reader->subscription = NULL;
    }
    return status;
}

struct fleet_reader *fleet_reader_open(natsConnection *connection, const char *stream, const char *filter,
                                       uint64_t since_us, bool *silent, char error[static FLEET_ERROR_SIZE])
{
    int64_t until_ms = nats_Now() + OPEN_ALL;
    struct fleet_reader *reader = calloc(1, sizeof *reader);
    natsStatus status = reader ? natsConnection_JetStream(&reader->js, connection, NULL) : NATS_NO_MEMORY;
    bool again = status == NATS_OK;
    jsErrCode why;
    for (unsigned i = 0; again && i < OPEN_TRIES; ++i) {
        reader->connection = connection;
        status = try_open(reader, stream, filter, since_us, &why);
        again = status != NATS_OK && nats_Now() < until_ms && may_try_again(status, why);
    }
    *silent = status == NATS_TIMEOUT && natsConnection_GetLastError(connection, &(const char *){NULL}) == NATS_OK;
    if (status == NATS_OK)
        return reader;
    fleet_explain(connection, status, error);
    fleet_reader_close(reader);
    return NULL;
}

static void give(natsMsg *message, fleet_each *each, void *user)
{
    struct fleet_message given = {.data = natsMsg_GetData(message), .length = (size_t)natsMsg_GetDataLength(message)};
    jsMsgMetaData *about = NULL;
    if (natsMsg_GetMetaData(&about, message) == NATS_OK)
        given.time_us = (uint64_t)about->Timestamp / 1000;
    jsMsgMetaData_Destroy(about);
    each(user, &given);
}

/* Whether what is there comes too slowly: a server may give a message now and then, for ever. */
static bool is_too_slow(struct fleet_reader *reader, char error[static FLEET_ERROR_SIZE])
{
    int64_t now_ms = nats_Now();
    bool slow = now_ms - reader->look_ms >= LOOK_MS && reader->looked < LOOK_LEAST;
    bool late = now_ms - reader->begun_ms >= FLEET_READ_MS;
    if (slow || late)
        (void)snprintf(error, FLEET_ERROR_SIZE, "%llu messages have not come %s", (unsigned long long)reader->left,
                       slow ? "yet, and fewer than 5 a second come" : "within 10 minutes");
    if (now_ms - reader->look_ms >= LOOK_MS) {
        reader->look_ms = now_ms;
        reader->looked = 0;
    }
    ++reader->looked;
    return slow || late;
}

static bool read_past(struct fleet_reader *reader, fleet_each *each, void *user, char error[static FLEET_ERROR_SIZE])
{
    reader->begun_ms = reader->look_ms = nats_Now();
    reader->looked = 0;
    while (reader->left > 0 && !is_too_slow(reader, error)) {
        natsMsg *message = NULL;
        natsStatus status = natsSubscription_NextMsg(&message, reader->subscription, FLEET_WAIT_MS);
        if (status != NATS_OK) {
            fleet_explain(reader->connection, status, error);
            return false;
        }
        --reader->left;
        give(message, each, user);
        natsMsg_Destroy(message);
    }
    return reader->left == 0;
}

bool fleet_reader_read(struct fleet_reader *reader, int64_t wait_ms, fleet_each *each, void *user,
                       char error[static FLEET_ERROR_SIZE])
{
    natsStatus status = NATS_OK;
    if (!read_past(reader, each, user, error))
        return false;
    int64_t until_ms = nats_Now() + wait_ms;
    for (int64_t left_ms = wait_ms; status == NATS_OK && left_ms > 0; left_ms = until_ms - nats_Now()) {
        natsMsg *message = NULL;
        status = natsSubscription_NextMsg(&message, reader->subscription, left_ms);
        if (status == NATS_OK)
            give(message, each, user);
        natsMsg_Destroy(message);
    }
    if (status == NATS_OK || status == NATS_TIMEOUT)
        return true;
    fleet_explain(reader->connection, status, error);
    return false;
}

void fleet_reader_close(struct fleet_reader *reader)
{
    if (!reader)
        return;
    natsSubscription_Destroy(reader->subscription);
    jsCtx_Destroy(reader->js);
    free(reader);
}
