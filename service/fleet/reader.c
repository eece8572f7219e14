/* SPDX-License-Identifier: Apache-2.0 */
#include "service/fleet/reader.h"

#include <stdlib.h>

#define OPEN_MS    2000 /* time for an answer to the opening */
#define OPEN_TRIES 8U   /* servers place a reader on one of them, perhaps on one that has died: then nobody answers */
#define OPEN_LATER 250  /* ms between two tries when they have no leader */

struct fleet_reader {
    natsConnection *connection;
    jsCtx *js;
    natsSubscription *subscription;
    uint64_t left; /* messages present at the start, and not given yet */
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
                                       uint64_t since_us, char error[static FLEET_ERROR_SIZE])
{
    struct fleet_reader *reader = calloc(1, sizeof *reader);
    natsStatus status = reader ? natsConnection_JetStream(&reader->js, connection, NULL) : NATS_NO_MEMORY;
    bool again = status == NATS_OK;
    jsErrCode why;
    for (unsigned i = 0; again && i < OPEN_TRIES; ++i) {
        reader->connection = connection;
        status = try_open(reader, stream, filter, since_us, &why);
        again = status != NATS_OK && may_try_again(status, why);
    }
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

bool fleet_reader_read(struct fleet_reader *reader, int64_t wait_ms, fleet_each *each, void *user,
                       char error[static FLEET_ERROR_SIZE])
{
    while (true) {
        natsMsg *message = NULL;
        bool is_past = reader->left > 0;
        if (!is_past && wait_ms == 0)
            return true;
        natsStatus status = natsSubscription_NextMsg(&message, reader->subscription, is_past ? FLEET_WAIT_MS : wait_ms);
        if (status == NATS_TIMEOUT && !is_past)
            return true;
        if (status != NATS_OK) {
            fleet_explain(reader->connection, status, error);
            return false;
        }
        reader->left -= is_past;
        give(message, each, user);
        natsMsg_Destroy(message);
    }
}

void fleet_reader_close(struct fleet_reader *reader)
{
    if (!reader)
        return;
    natsSubscription_Destroy(reader->subscription);
    jsCtx_Destroy(reader->js);
    free(reader);
}
