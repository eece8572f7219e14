/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends events to a stream of NATS JetStream: each is published with its id, and acknowledged to an inbox of this link.
 * Everything runs on the sink's thread: publishing may block, and answers are polled.
 *
 * One batch (FLIGHT_MAX) is in flight at a time. Unacknowledged events are published again with the same id, which the
 * stream stores once. Each HEARTBEAT_MS the link also writes its collector's heartbeat to a bucket beside the stream.
 */
#include "config/characters.h"
#include "service/fleet/stream.h"
#include "service/runtime/log.h"
#include "service/sinks/sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define FLIGHT_MAX   512U
#define ACK_MS       5000U  /* without any acknowledgement */
#define LOOK_MS      50     /* at `stop` */
#define RECONNECT_MS 1000U  /* wait of a batch for the connection */
#define SILENT_MAX   2U     /* batches in a row without any acknowledgement: another connection */
#define HEARTBEAT_MS 10000U /* a collector without a heartbeat for 30 s is reported as silent */
#define BUCKET_MS    60000U /* until the next try to create the bucket of heartbeats */
#define HEADERS_MAX  1024U  /* bytes of a message's headers, at most */
#define SUBJECT_SIZE 1024U
#define SEQ_SIZE     24U
#define RETRY_MS     1000U

struct sink_link {
    const struct config_nats *config;
    const char *collector;
    const atomic_bool *stop;
    natsConnection *connection; /* NULL: none */
    natsSubscription *answers;
    char inbox[128]; /* the inbox's subject, up to its last dot */
    bool has_stream; /* the stream existed at the last look */
    bool has_bucket;
    bool told_remark;
    unsigned silent;                      /* batches in a row without any acknowledgement */
    char why_no_stream[FLEET_ERROR_SIZE]; /* empty: the stream exists */
    uint64_t no_bucket_ms;                /* when creating the bucket failed; 0: it did not */
    uint64_t beat_ms;                     /* when a heartbeat was due last; 0: never */
    uint64_t reconnects;                  /* as libnats counts them, when the batch was published */
};

/* A batch in flight. */
struct flight {
    struct sink_event *const *events;
    size_t count, waiting; /* waiting: published, and neither acknowledged nor refused */
    struct sink_answer *answer;
};

static uint64_t clock_ms(void)
{
    return uv_hrtime() / 1000000;
}

static void complain(struct sink_answer *answer, const char *text)
{
    if (answer->text[0] == '\0')
        (void)snprintf(answer->text, sizeof answer->text, "%s", text);
}

/* The connection */

static void disconnect(struct sink_link *link)
{
    natsSubscription_Destroy(link->answers);
    natsConnection_Destroy(link->connection);
    link->answers = NULL;
    link->connection = NULL;
    link->has_stream = link->has_bucket = false;
    link->silent = 0;
}

/* Subscribes to "_INBOX.xyz.*"; a message asks for an answer to its number in place of the star. */
static natsStatus subscribe(struct sink_link *link)
{
    natsInbox *inbox = NULL;
    char subject[sizeof link->inbox + 2];
    natsStatus status = natsInbox_Create(&inbox);
    if (status != NATS_OK)
        return status;
    (void)snprintf(link->inbox, sizeof link->inbox, "%s", inbox);
    (void)snprintf(subject, sizeof subject, "%s.*", inbox);
    natsInbox_Destroy(inbox);
    return natsConnection_SubscribeSync(&link->answers, link->connection, subject);
}

static bool connect_link(struct sink_link *link, struct sink_answer *answer)
{
    char name[CONFIG_NAME_SIZE + 16], error[FLEET_ERROR_SIZE] = "";
    (void)snprintf(name, sizeof name, "kdnetd %s", link->collector);
    link->connection = fleet_connect(link->config, name, error);
    natsStatus status = link->connection ? subscribe(link) : NATS_OK;
    if (status != NATS_OK) {
        fleet_explain(link->connection, status, error);
        disconnect(link);
    }
    complain(answer, error);
    return link->connection != NULL;
}

static bool is_connected(const struct sink_link *link)
{
    return natsConnection_Status(link->connection) == NATS_CONN_STATUS_CONNECTED;
}

/* libnats reconnects a broken connection by itself. */
static bool wait_connected(struct sink_link *link, struct sink_answer *answer)
{
    char error[FLEET_ERROR_SIZE];
    uint64_t until = clock_ms() + RECONNECT_MS;
    if (natsConnection_Status(link->connection) == NATS_CONN_STATUS_CLOSED) {
        fleet_explain(link->connection, NATS_CONNECTION_CLOSED, error);
        disconnect(link);
        complain(answer, error);
        return false;
    }
    while (!is_connected(link) && clock_ms() < until && !atomic_load(link->stop))
        uv_sleep(LOOK_MS);
    if (is_connected(link))
        return true;
    fleet_explain(link->connection, NATS_CONNECTION_DISCONNECTED, error);
    complain(answer, error);
    return false;
}

static void remark(struct sink_link *link, const char *text)
{
    struct log_line line;
    if (text[0] == '\0' || link->told_remark)
        return;
    link->told_remark = true;
    log_begin(&line, CONFIG_LOG_WARNING, "nats: the stream could be better");
    log_text(&line, "why", text);
    log_end(&line);
}

static bool prepare(struct sink_link *link, struct sink_answer *answer)
{
    char error[FLEET_ERROR_SIZE] = "";
    if (!link->connection && !connect_link(link, answer))
        return false;
    if (!wait_connected(link, answer))
        return false;
    if (!link->has_stream) {
        link->has_stream = fleet_make_stream(link->connection, link->config->stream, link->config->subject, error);
        if (link->has_stream)
            remark(link, error);
        (void)snprintf(link->why_no_stream, sizeof link->why_no_stream, "%s", error);
    }
    return true; /* an account that may publish may lack the right to ask */
}

static uint64_t count_reconnects(const struct sink_link *link)
{
    natsStatistics *statistics = NULL;
    uint64_t in, in_bytes, out, out_bytes, reconnects = 0;
    if (natsStatistics_Create(&statistics) == NATS_OK &&
        natsConnection_GetStats(link->connection, statistics) == NATS_OK)
        (void)natsStatistics_GetCounts(statistics, &in, &in_bytes, &out, &out_bytes, &reconnects);
    natsStatistics_Destroy(statistics);
    return reconnects;
}

/* Publishing */

static natsStatus set_headers(const struct sink_link *link, natsMsg *message, const struct sink_event *event)
{
    natsStatus status = natsMsgHeader_Set(message, "Nats-Msg-Id", event->id);
    if (status == NATS_OK)
        status = natsMsgHeader_Set(message, "Nats-Expected-Stream", link->config->stream);
    return status;
}

static natsStatus publish_event(struct sink_link *link, const struct sink_event *event)
{
    char subject[SUBJECT_SIZE], reply[sizeof link->inbox + SEQ_SIZE];
    natsMsg *message = NULL;
    if ((int64_t)(event->length + HEADERS_MAX) > natsConnection_GetMaxPayload(link->connection) ||
        !fleet_subject(link->config->subject, link->collector, event->target, subject, sizeof subject))
        return NATS_MAX_PAYLOAD;
    (void)snprintf(reply, sizeof reply, "%s.%llu", link->inbox, (unsigned long long)event->seq);
    natsStatus status = natsMsg_Create(&message, subject, reply, event->line, (int)event->length);
    if (status == NATS_OK)
        status = set_headers(link, message, event);
    if (status == NATS_OK)
        status = natsConnection_PublishMsg(link->connection, message);
    natsMsg_Destroy(message);
    return status;
}

/* Events too large for the servers must not hold up the others. */
static void publish(struct sink_link *link, struct flight *flight)
{
    char error[FLEET_ERROR_SIZE];
    for (size_t i = 0; i < flight->count && !atomic_load(link->stop); ++i) {
        natsStatus status = publish_event(link, flight->events[i]);
        if (status == NATS_OK) {
            ++flight->waiting;
        } else if (status == NATS_MAX_PAYLOAD) {
            ++flight->events[i]->refusals;
            complain(flight->answer, "an event is larger than the servers' max_payload");
        } else {
            fleet_explain(link->connection, status, error);
            complain(flight->answer, error);
            return;
        }
    }
}

/* Acknowledgements */

static struct sink_event *find_event(const struct flight *flight, uint64_t seq)
{
    size_t low = 0, high = flight->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (flight->events[middle]->seq == seq)
            return flight->events[middle];
        if (flight->events[middle]->seq < seq)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool is_too_large(const json_t *error)
{
    return json_integer_value(json_object_get(error, "err_code")) == JSStreamMessageExceedsMaximumErr;
}

/* Takes the answer to one event: acknowledged, refused, or a temporary error. */
static void judge(struct flight *flight, struct sink_event *event, natsMsg *message)
{
    char text[SINK_TEXT_SIZE];
    json_t *json = json_loadb(natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message), 0, NULL);
    const json_t *error = json_object_get(json, "error");
    const char *stream = json_string_value(json_object_get(json, "stream"));
    if (stream && !error) {
        event->done = true;
    } else {
        const char *description = json_string_value(json_object_get(error, "description"));
        event->refusals += is_too_large(error);
        (void)snprintf(text, sizeof text, "the stream says: %.*s",
                       CHARACTERS(description ? description : "something strange", 180));
        complain(flight->answer, text);
    }
    json_decref(json);
}

/* Notes an event that no stream takes; libnats does not tell which event. */
static void note_no_stream(struct sink_link *link, struct flight *flight)
{
    link->has_stream = false;
    --flight->waiting;
    complain(flight->answer, link->why_no_stream[0] != '\0' ? link->why_no_stream : "no stream takes the events now");
}

/* Takes one answer; false: none now. Answers to an earlier try count, too. */
static bool take_answer(struct sink_link *link, struct flight *flight)
{
    natsMsg *message = NULL;
    natsStatus status = natsSubscription_NextMsg(&message, link->answers, LOOK_MS);
    if (status == NATS_NO_RESPONDERS) {
        note_no_stream(link, flight);
        return true;
    }
    if (status != NATS_OK)
        return false;
    const char *number = strrchr(natsMsg_GetSubject(message), '.');
    struct sink_event *event = number ? find_event(flight, strtoull(number + 1, NULL, 10)) : NULL;
    if (event && !event->done && flight->waiting > 0) {
        judge(flight, event, message);
        --flight->waiting;
    }
    natsMsg_Destroy(message);
    return event != NULL;
}

static bool has_broken(const struct sink_link *link)
{
    return !is_connected(link) || count_reconnects(link) != link->reconnects;
}

static void collect(struct sink_link *link, struct flight *flight)
{
    uint64_t heard_ms = clock_ms();
    bool any = false;
    while (flight->waiting > 0 && !atomic_load(link->stop)) {
        if (take_answer(link, flight)) {
            heard_ms = clock_ms();
            any = true;
        } else if (has_broken(link)) {
            complain(flight->answer, "the connection to the servers broke");
            return;
        } else if (clock_ms() - heard_ms >= ACK_MS) {
            complain(flight->answer, "the servers acknowledge nothing");
            break;
        }
    }
    link->silent = any ? 0 : link->silent + (flight->waiting > 0);
}

static void deliver(struct sink_link *link, struct sink_event *const *events, size_t count, struct sink_answer *answer)
{
    struct flight flight = {.events = events, .count = count < FLIGHT_MAX ? count : FLIGHT_MAX, .answer = answer};
    bool all = flight.count == count;
    answer->outcome = SINK_AGAIN;
    if (!prepare(link, answer))
        return;
    answer->outcome = SINK_PARTLY;
    link->reconnects = count_reconnects(link);
    publish(link, &flight);
    collect(link, &flight);
    for (size_t i = 0; i < count && all; ++i)
        all = events[i]->done;
    if (all)
        answer->outcome = SINK_DONE;
    if (link->silent >= SILENT_MAX)
        disconnect(link);
}

/* Heartbeats */

static void beat(struct sink_link *link)
{
    char bucket[SUBJECT_SIZE], subject[2 * SUBJECT_SIZE], token[FLEET_TOKEN_SIZE], time[SINK_TIME_SIZE];
    char error[FLEET_ERROR_SIZE], body[512];
    uv_timeval64_t now = {0, 0};
    fleet_collectors_bucket(link->config->stream, bucket, sizeof bucket);
    if (!link->has_bucket && (link->no_bucket_ms == 0 || clock_ms() - link->no_bucket_ms > BUCKET_MS)) {
        link->has_bucket = fleet_make_bucket(link->connection, bucket, error);
        link->no_bucket_ms = clock_ms();
    }
    if (!link->has_bucket)
        return;
    (void)uv_gettimeofday(&now);
    fleet_token(link->collector, token);
    (void)snprintf(subject, sizeof subject, "$KV.%s.%s", bucket, token);
    (void)snprintf(body, sizeof body, "{\"collector\":\"%s\",\"time\":\"%s\",\"version\":\"%s\"}", link->collector,
                   sink_time((uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_usec, time), KDNETD_VERSION);
    if (natsConnection_PublishString(link->connection, subject, body) == NATS_OK)
        (void)natsConnection_FlushTimeout(link->connection, FLEET_CONNECT_MS);
}

/* Best effort: a collector without a heartbeat is still known by its events. */
static void tick(struct sink_link *link)
{
    struct sink_answer unheard = {.outcome = SINK_AGAIN};
    uint64_t now_ms = clock_ms();
    if (link->beat_ms != 0 && now_ms - link->beat_ms < HEARTBEAT_MS)
        return;
    link->beat_ms = now_ms;
    if (prepare(link, &unheard))
        beat(link);
}

/* The link */

static void close_link(struct sink_link *link)
{
    disconnect(link);
    free(link);
}

static struct sink_link *open_link(const struct config_sink *config, const char *collector, const atomic_bool *stop)
{
    struct sink_link *link = calloc(1, sizeof *link);
    if (!link)
        return NULL;
    link->config = &config->nats;
    link->collector = collector;
    link->stop = stop;
    return link;
}

const struct sink_type sink_nats = {
    .open = open_link, .deliver = deliver, .close = close_link, .longest_ms = RETRY_MS, .tick = tick};
