/* SPDX-License-Identifier: Apache-2.0 */
#include "service/fleet/strays.h"
#include "service/fleet/connection.h"
#include "service/fleet/ending.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define SUBJECT_PREFIX "kdnetd.astray."
#define ROOM           256U /* messages that wait to be published */
#define TURN_MS        25   /* so long the receiver waits for a message, and an end for the receiver */
#define WAITING_MAX    4096 /* messages that wait to be received */

struct waiting {
    size_t length;
    uint8_t data[STRAYS_SIZE];
};

struct strays {
    struct config_nats nats; /* our own texts */
    char collector[CONFIG_NAME_SIZE], subject[sizeof SUBJECT_PREFIX + CONFIG_NAME_SIZE];
    strays_came *came;
    void *user;
    uv_thread_t receiver, publisher;
    uv_mutex_t lock;
    uv_cond_t changed;
    bool stopping, ended;       /* by `lock` */
    size_t first, count;        /* of `waiting`, by `lock` */
    uv_mutex_t connection_lock; /* protects the use and the end of the connection */
    natsConnection *connection;
    struct waiting waiting[ROOM];
};

void strays_show(struct strays *strays, const struct stray *stray)
{
    if (!strays)
        return;
    uv_mutex_lock(&strays->lock);
    if (strays->count < ROOM) {
        struct waiting *waiting = &strays->waiting[(strays->first + strays->count) % ROOM];
        waiting->length = strays_encode(stray, strays->collector, waiting->data);
        strays->count += waiting->length > 0;
        uv_cond_broadcast(&strays->changed);
    }
    uv_mutex_unlock(&strays->lock);
}

static bool is_stopping(struct strays *strays, unsigned wait_ms)
{
    return ending_pause(&strays->lock, &strays->changed, &strays->stopping, wait_ms);
}

/* Waits for the next message; false: stopping. */
static bool next_waiting(struct strays *strays, struct waiting *out)
{
    uv_mutex_lock(&strays->lock);
    while (strays->count == 0 && !strays->stopping)
        uv_cond_wait(&strays->changed, &strays->lock);
    bool some = !strays->stopping;
    if (some) {
        const struct waiting *waiting = &strays->waiting[strays->first];
        out->length = waiting->length;
        memcpy(out->data, waiting->data, waiting->length);
        strays->first = (strays->first + 1) % ROOM;
        --strays->count;
    }
    uv_mutex_unlock(&strays->lock);
    return some;
}

static void run_publisher(void *user)
{
    struct strays *strays = user;
    struct waiting next;
    while (next_waiting(strays, &next)) {
        uv_mutex_lock(&strays->connection_lock);
        if (strays->connection && natsConnection_Status(strays->connection) == NATS_CONN_STATUS_CONNECTED)
            (void)natsConnection_Publish(strays->connection, strays->subject, next.data, (int)next.length);
        uv_mutex_unlock(&strays->connection_lock);
    }
    nats_ReleaseThreadMemory();
}

static void set_connection(struct strays *strays, natsConnection *connection)
{
    uv_mutex_lock(&strays->connection_lock);
    natsConnection *before = strays->connection;
    strays->connection = connection;
    uv_mutex_unlock(&strays->connection_lock);
    natsConnection_Destroy(before);
}

static void take(struct strays *strays, natsMsg *message)
{
    char collector[CONFIG_NAME_SIZE];
    struct stray stray;
    int length = natsMsg_GetDataLength(message);
    if (length > 0 && length <= (int)STRAYS_SIZE &&
        strays_decode((const uint8_t *)natsMsg_GetData(message), (size_t)length, collector, &stray) &&
        strcmp(collector, strays->collector) != 0)
        strays->came(strays->user, &stray);
}

/* Receives until the connection has ended, which libnats otherwise renews by itself. */
static void receive(struct strays *strays, natsSubscription *subscription)
{
    natsStatus status = NATS_OK;
    while ((status == NATS_OK || status == NATS_TIMEOUT || status == NATS_SLOW_CONSUMER) && !is_stopping(strays, 0)) {
        natsMsg *message = NULL;
        status = natsSubscription_NextMsg(&message, subscription, TURN_MS);
        if (status == NATS_OK)
            take(strays, message);
        natsMsg_Destroy(message);
    }
}

static void serve(struct strays *strays)
{
    char error[FLEET_ERROR_SIZE] = "";
    natsSubscription *subscription = NULL;
    natsConnection *connection = fleet_connect_at_once(&strays->nats, strays->collector, error);
    if (!connection)
        return;
    natsStatus status = natsConnection_SubscribeSync(&subscription, connection, strays->subject);
    if (status == NATS_OK)
        status = natsSubscription_SetPendingLimits(subscription, WAITING_MAX, WAITING_MAX * (int)STRAYS_SIZE);
    set_connection(strays, connection);
    if (status == NATS_OK)
        receive(strays, subscription);
    natsSubscription_Destroy(subscription);
    set_connection(strays, NULL);
}

static void run(void *user)
{
    struct strays *strays = user;
    bool publishes = uv_thread_create(&strays->publisher, run_publisher, strays) == 0;
    while (!is_stopping(strays, 0)) {
        serve(strays);
        if (is_stopping(strays, FLEET_RETRY_MS))
            break;
    }
    if (publishes)
        (void)uv_thread_join(&strays->publisher);
    nats_ReleaseThreadMemory();
    ending_say(&strays->lock, &strays->changed, &strays->ended);
}

static void free_strays(struct strays *strays)
{
    fleet_clear_options(&strays->nats);
    uv_cond_destroy(&strays->changed);
    uv_mutex_destroy(&strays->connection_lock);
    uv_mutex_destroy(&strays->lock);
    free(strays);
}

struct strays *strays_open(const struct kdnetd_config *config, strays_came *came, void *user)
{
    const char *bucket = config_nats_hints(&config->nats);
    struct strays *strays = bucket && config->nats.servers.count > 0 ? calloc(1, sizeof *strays) : NULL;
    if (!strays || uv_mutex_init(&strays->connection_lock) != 0) {
        free(strays);
        return NULL;
    }
    if (!ending_init(&strays->lock, &strays->changed)) {
        uv_mutex_destroy(&strays->connection_lock);
        free(strays);
        return NULL;
    }
    (void)snprintf(strays->collector, sizeof strays->collector, "%s", config->collector);
    (void)snprintf(strays->subject, sizeof strays->subject, SUBJECT_PREFIX "%s", bucket);
    strays->came = came;
    strays->user = user;
    if (fleet_copy_options(&config->nats, &strays->nats) && uv_thread_create(&strays->receiver, run, strays) == 0)
        return strays;
    free_strays(strays);
    return NULL;
}

bool strays_close(struct strays *strays, unsigned wait_ms)
{
    if (!strays)
        return true;
    if (!ending_await(&strays->lock, &strays->changed, &strays->stopping, &strays->ended, wait_ms))
        return false;
    (void)uv_thread_join(&strays->receiver);
    free_strays(strays);
    return true;
}
