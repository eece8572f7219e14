/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends events to a Kafka topic by librdkafka: the target as the key, the id as a header, acknowledged by all in-sync
 * replicas. Everything runs on the sink's thread: librdkafka's reports are polled.
 *
 * One batch (FLIGHT_MAX) is in flight at a time, until each of its events was reported. Unacknowledged events are
 * produced again with the same id.
 */
#include "config/characters.h"
#include "service/sinks/sink.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define FLIGHT_MAX      512U
#define LOOK_MS         50 /* at `stop` */
#define RETRY_MS        1000U
#define MESSAGE_MS      "10000" /* until an event counts as not acknowledged; librdkafka tries again by itself before */
#define PURGE_MS        20000U  /* without any report: the batch is taken back */
#define FLUSH_MS        1000
#define PROPERTY_SIZE   1024U
#define PROPERTIES_MAX  256U
#define LIBRDKAFKA_SIZE 200U /* bytes shown of librdkafka's texts */

/* A batch in flight. */
struct flight {
    struct sink_event *const *events;
    size_t count, waiting; /* waiting: produced, and not reported on */
    struct sink_answer *answer;
};

struct sink_link {
    const struct config_sink *config;
    const atomic_bool *stop;
    rd_kafka_t *producer;          /* NULL: none */
    struct flight *flight;         /* NULL: none */
    char trouble[LIBRDKAFKA_SIZE]; /* librdkafka's last complaint about the brokers; empty: none */
};

static void complain(struct sink_answer *answer, const char *text)
{
    if (answer->text[0] == '\0')
        (void)snprintf(answer->text, sizeof answer->text, "%.*s", (int)LIBRDKAFKA_SIZE, text);
}

/* Callbacks of librdkafka, all from rd_kafka_poll */

static void on_report(rd_kafka_t *producer, const rd_kafka_message_t *message, void *user)
{
    struct sink_link *link = user;
    struct flight *flight = link->flight;
    size_t index = (size_t)(uintptr_t)message->_private;
    (void)producer;
    if (!flight || index >= flight->count || flight->waiting == 0)
        return;
    --flight->waiting;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        flight->events[index]->done = true;
        return;
    }
    flight->events[index]->refusals += message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    complain(flight->answer, link->trouble[0] != '\0' && message->err == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT
                                 ? link->trouble
                                 : rd_kafka_err2str(message->err));
}

static void on_error(rd_kafka_t *producer, int error, const char *why, void *user)
{
    struct sink_link *link = user;
    (void)producer;
    (void)error;
    (void)snprintf(link->trouble, sizeof link->trouble, "%s", why);
}

static void on_log(const rd_kafka_t *producer, int level, const char *facility, const char *text)
{
    (void)producer; /* librdkafka's own log would go to standard error; errors that matter are reported as the sink's
                       error */
    (void)level;
    (void)facility;
    (void)text;
}

/* The producer */

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, struct sink_answer *answer)
{
    char error[LIBRDKAFKA_SIZE];
    if (!value || rd_kafka_conf_set(conf, name, value, error, sizeof error) == RD_KAFKA_CONF_OK)
        return true;
    complain(answer, error);
    return false;
}

/* NAME=VALUE lines; # begins a comment. */
static bool set_line(rd_kafka_conf_t *conf, char *line, struct sink_answer *answer)
{
    line[strcspn(line, "\r\n")] = '\0';
    char *value = strchr(line, '=');
    if (line[0] == '\0' || line[0] == '#')
        return true;
    if (!value) {
        complain(answer, "a line of its properties_file is not NAME=VALUE");
        return false;
    }
    *value = '\0';
    return set(conf, line, value + 1, answer);
}

static bool set_file(rd_kafka_conf_t *conf, const char *path, struct sink_answer *answer)
{
    char line[PROPERTY_SIZE], text[SINK_TEXT_SIZE];
    FILE *file = path ? fopen(path, "r") : NULL;
    bool good = !path || file;
    if (!good) {
        (void)snprintf(text, sizeof text, "its properties cannot be read from %.*s", CHARACTERS(path, 150));
        complain(answer, text);
    }
    for (unsigned i = 0; good && file && i < PROPERTIES_MAX && fgets(line, sizeof line, file); ++i)
        good = set_line(conf, line, answer);
    if (file)
        (void)fclose(file);
    return good;
}

/* Options for exactly-once order come last, so that no file overrides them. */
static bool set_all(struct sink_link *link, rd_kafka_conf_t *conf, struct sink_answer *answer)
{
    const struct config_sink *config = link->config;
    rd_kafka_conf_set_opaque(conf, link);
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    return set(conf, "client.id", "kdnetd", answer) &&
           set(conf, "security.protocol", config->transport == CONFIG_TRANSPORT_TLS ? "ssl" : NULL, answer) &&
           set(conf, "ssl.ca.location", config->ca_file, answer) && set_file(conf, config->properties_file, answer) &&
           set(conf, "bootstrap.servers", config->address, answer) && set(conf, "acks", "all", answer) &&
           set(conf, "enable.idempotence", "true", answer) && set(conf, "message.timeout.ms", MESSAGE_MS, answer);
}

static bool open_producer(struct sink_link *link, struct sink_answer *answer)
{
    char error[LIBRDKAFKA_SIZE] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (set_all(link, conf, answer))
        link->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, error, sizeof error);
    if (!link->producer) {
        rd_kafka_conf_destroy(conf); /* a producer owns the configuration */
        complain(answer, error);
        answer->outcome = SINK_PAUSE;
    }
    return link->producer != NULL;
}

static void close_producer(struct sink_link *link)
{
    if (!link->producer)
        return;
    (void)rd_kafka_purge(link->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    (void)rd_kafka_flush(link->producer, FLUSH_MS);
    rd_kafka_destroy(link->producer);
    link->producer = NULL;
    link->trouble[0] = '\0';
}

/* A batch */

static rd_kafka_resp_err_t produce_event(struct sink_link *link, const struct sink_event *event, size_t index)
{
    const char *key = event->target;
    const rd_kafka_vu_t parts[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = link->config->topic},
        {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
        {.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {(void *)(uintptr_t)key, key ? strlen(key) : 0}},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {event->line, event->length}},
        {.vtype = RD_KAFKA_VTYPE_HEADER, .u.header = {"id", event->id, -1}},
        {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = (int64_t)(event->time_us / 1000)},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = (void *)(uintptr_t)index},
    };
    rd_kafka_error_t *error = rd_kafka_produceva(link->producer, parts, sizeof parts / sizeof parts[0]);
    rd_kafka_resp_err_t code = error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR_NO_ERROR;
    if (error)
        rd_kafka_error_destroy(error);
    return code;
}

static void produce(struct sink_link *link, struct flight *flight)
{
    for (size_t i = 0; i < flight->count && !atomic_load(link->stop); ++i) {
        rd_kafka_resp_err_t error = produce_event(link, flight->events[i], i);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            ++flight->waiting;
            continue;
        }
        complain(flight->answer, rd_kafka_err2str(error));
        if (error != RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
            return;
        ++flight->events[i]->refusals;
    }
}

/* Each is reported on: acknowledged, timed out, or taken back. */
static void collect(struct sink_link *link, struct flight *flight)
{
    uint64_t since = uv_hrtime();
    for (size_t before = flight->waiting; flight->waiting > 0; before = flight->waiting) {
        (void)rd_kafka_poll(link->producer, LOOK_MS);
        if (flight->waiting < before)
            since = uv_hrtime();
        if (atomic_load(link->stop) || (uv_hrtime() - since) / 1000000 > PURGE_MS) {
            (void)rd_kafka_purge(link->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
            (void)rd_kafka_poll(link->producer, LOOK_MS);
        }
    }
}

static void deliver(struct sink_link *link, struct sink_event *const *events, size_t count, struct sink_answer *answer)
{
    struct flight flight = {.events = events, .count = count < FLIGHT_MAX ? count : FLIGHT_MAX, .answer = answer};
    char error[LIBRDKAFKA_SIZE];
    bool all = flight.count == count;
    answer->outcome = SINK_AGAIN;
    if (!link->producer && !open_producer(link, answer))
        return;
    answer->outcome = SINK_PARTLY;
    link->flight = &flight;
    produce(link, &flight);
    collect(link, &flight);
    link->flight = NULL;
    for (size_t i = 0; i < count && all; ++i)
        all = events[i]->done;
    if (all)
        answer->outcome = SINK_DONE;
    if (rd_kafka_fatal_error(link->producer, error, sizeof error) != RD_KAFKA_RESP_ERR_NO_ERROR)
        close_producer(link);
}

/* The link */

static void tick(struct sink_link *link)
{
    if (link->producer)
        (void)rd_kafka_poll(link->producer, 0);
}

static void close_link(struct sink_link *link)
{
    close_producer(link);
    free(link);
}

static struct sink_link *open_link(const struct config_sink *config, const char *collector, const atomic_bool *stop)
{
    struct sink_link *link = calloc(1, sizeof *link);
    (void)collector; /* each event names its collector */
    if (!link)
        return NULL;
    link->config = config;
    link->stop = stop;
    return link;
}

const struct sink_type sink_kafka = {
    .open = open_link, .deliver = deliver, .close = close_link, .longest_ms = RETRY_MS, .tick = tick};
