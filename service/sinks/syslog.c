/* SPDX-License-Identifier: Apache-2.0 */
/*
 * syslog, RFC 5424: over TCP and TLS with octet counting (RFC 6587, RFC 5425), over UDP one datagram an event.
 *
 * libcurl makes the connections: names, time limits, TLS with verification of the receiver's name.
 */
#include "config/characters.h"
#include "service/sinks/certificate.h"
#include "service/sinks/sink.h"
#include "service/sinks/datagram.h"
#include "service/sinks/text.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define LOOK_MS    20 /* interval of retrying a slow receiver */
#define ALIVE_S    10
#define SILENT_S   20 /* less than events are held back */
#define HOST_SIZE  256U
#define ENTERPRISE "kdnetd@32473"

struct sink_link {
    const struct config_sink *config;
    const char *collector;
    const atomic_bool *stop;
    CURL *curl;                /* TCP, TLS; NULL: not connected */
    struct datagram *datagram; /* UDP; NULL: not connected */
    char error[CURL_ERROR_SIZE];
};

static void disconnect(struct sink_link *link)
{
    if (link->curl)
        curl_easy_cleanup(link->curl);
    datagram_close(link->datagram);
    link->curl = NULL;
    link->datagram = NULL;
}

static void close_link(struct sink_link *link)
{
    disconnect(link);
    free(link);
}

static void prepare_curl(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static struct sink_link *open_link(const struct config_sink *config, const char *collector, const atomic_bool *stop)
{
    static uv_once_t once = UV_ONCE_INIT;
    struct sink_link *link = calloc(1, sizeof *link);
    uv_once(&once, prepare_curl);
    if (link)
        *link = (struct sink_link){.config = config, .collector = collector, .stop = stop};
    return link;
}

/* A message */

/* "]", "\" and a quote are escaped in values of structured data. */
static void add_parameter(struct text *text, const char *name, const char *value)
{
    if (!value)
        return;
    text_string(text, " ");
    text_string(text, name);
    text_string(text, "=\"");
    for (; *value != '\0'; ++value) {
        if (*value == '"' || *value == '\\' || *value == ']')
            text_add(text, "\\", 1);
        text_add(text, value, 1);
    }
    text_string(text, "\"");
}

static void make_message(const struct sink_link *link, const struct sink_event *event, struct text *text)
{
    char head[512], time[SINK_TIME_SIZE];
    unsigned priority = link->config->facility * 8 + (unsigned)sink_severity(event);
    (void)snprintf(head, sizeof head, "<%u>1 %s %.64s kdnetd - %.32s [" ENTERPRISE, priority,
                   sink_time(event->time_us, time), link->collector[0] != '\0' ? link->collector : "-",
                   event->type ? event->type : "-");
    text_string(text, head);
    add_parameter(text, "id", event->id);
    add_parameter(text, "target", event->target);
    add_parameter(text, "verdict", event->verdict);
    add_parameter(text, "crash", event->crash);
    text_string(text, "] ");
    text_add(text, event->line, event->length);
}

/* Streams */

/* A receiver that is gone without a word is noticed while what it was sent is still held back. */
static int limit_silence(void *user, curl_socket_t socket, curlsocktype purpose)
{
    (void)user;
    (void)purpose;
    stream_limit_silence((uintptr_t)socket, SILENT_S);
    return CURL_SOCKOPT_OK;
}

static bool connect_stream(struct sink_link *link, struct sink_answer *answer)
{
    char url[HOST_SIZE + 16];
    bool is_tls = link->config->transport == CONFIG_TRANSPORT_TLS;
    CURL *curl = curl_easy_init();
    (void)snprintf(url, sizeof url, "%s://%.250s", is_tls ? "https" : "http", link->config->address);
    link->error[0] = '\0';
    bool good = curl && curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_SSL_ENABLE_ALPN, 0L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)SINK_CONNECT_S) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, (long)ALIVE_S) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, (long)ALIVE_S) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, limit_silence) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, link->error) == CURLE_OK &&
                (!link->config->ca_file || curl_easy_setopt(curl, CURLOPT_CAINFO, link->config->ca_file) == CURLE_OK);
    if (curl) /* as in http.c */
        (void)curl_easy_setopt(curl, CURLOPT_SSL_OPTIONS, (long)CURLSSLOPT_REVOKE_BEST_EFFORT);
    CURLcode code = good ? curl_easy_perform(curl) : CURLE_FAILED_INIT;
    if (code == CURLE_OK) {
        link->curl = curl;
        return true;
    }
    certificate_explain(code, link->error, answer->text, sizeof answer->text);
    if (curl)
        curl_easy_cleanup(curl);
    return false;
}

/* Whether the receiver closed the connection: receivers send nothing, so readable means closed. */
static bool is_closed(const struct sink_link *link)
{
    char bytes[256];
    size_t got = 0;
    CURLcode code = CURLE_OK;
    do {
        got = 0;
        code = curl_easy_recv(link->curl, bytes, sizeof bytes, &got);
    } while (code == CURLE_OK && got > 0);
    return code != CURLE_AGAIN;
}

/* False: the sink has to end, or the receiver has taken nothing for too long. */
static bool wait_writable(const struct sink_link *link, uint64_t until)
{
    uv_sleep(LOOK_MS);
    return !atomic_load(link->stop) && uv_hrtime() < until;
}

static bool send_all(const struct sink_link *link, const struct text *text, struct sink_answer *answer)
{
    uint64_t until = uv_hrtime() + (uint64_t)SINK_ANSWER_S * 1000000000;
    for (size_t at = 0; at < text->length;) {
        size_t sent = 0;
        CURLcode code = curl_easy_send(link->curl, text->bytes + at, text->length - at, &sent);
        at += sent;
        if (code == CURLE_AGAIN && wait_writable(link, until))
            continue;
        if (code == CURLE_OK)
            continue;
        (void)snprintf(answer->text, sizeof answer->text, "%s",
                       code == CURLE_AGAIN ? "it takes nothing" : curl_easy_strerror(code));
        return false;
    }
    return true;
}

static void deliver_stream(struct sink_link *link, struct sink_event *const *events, size_t count,
                           struct sink_answer *answer)
{
    struct text text = {.bytes = NULL};
    if (link->curl && is_closed(link)) {
        (void)snprintf(answer->text, sizeof answer->text, "the receiver has closed the connection");
        disconnect(link);
        return;
    }
    for (size_t i = 0; i < count; ++i) {
        struct text message = {.bytes = NULL};
        char length[24];
        make_message(link, events[i], &message);
        (void)snprintf(length, sizeof length, "%zu ", message.length);
        text_string(&text, length);
        text_add(&text, message.bytes ? message.bytes : "", message.length);
        text.failed = text.failed || message.failed;
        text_clear(&message);
    }
    if (text.failed)
        (void)snprintf(answer->text, sizeof answer->text, "out of memory");
    else if ((link->curl || connect_stream(link, answer)) && send_all(link, &text, answer))
        answer->outcome = SINK_DONE;
    if (answer->outcome != SINK_DONE)
        disconnect(link);
    text_clear(&text);
}

/* Datagrams */

/* An event that is too large is truncated, as receivers would do. */
static void deliver_datagrams(struct sink_link *link, struct sink_event *const *events, size_t count,
                              struct sink_answer *answer)
{
    if (!link->datagram)
        link->datagram = datagram_open(link->config->address, answer->text);
    if (!link->datagram)
        return;
    answer->outcome = SINK_PARTLY;
    for (size_t i = 0; i < count; ++i) {
        struct text message = {.bytes = NULL};
        make_message(link, events[i], &message);
        size_t length = message.failed ? 0 : characters_fit(message.bytes, message.length, DATAGRAM_MAX);
        events[i]->done = !message.failed && datagram_send(link->datagram, message.bytes, length, answer->text);
        text_clear(&message);
        if (!events[i]->done) {
            disconnect(link);
            return;
        }
    }
    answer->outcome = SINK_DONE;
}

static void deliver(struct sink_link *link, struct sink_event *const *events, size_t count, struct sink_answer *answer)
{
    answer->outcome = SINK_AGAIN;
    if (link->config->transport == CONFIG_TRANSPORT_UDP)
        deliver_datagrams(link, events, count, answer);
    else
        deliver_stream(link, events, count, answer);
}

static bool has_ended(struct sink_link *link)
{
    bool ended = link->curl && is_closed(link);
    if (ended)
        disconnect(link);
    return ended;
}

const struct sink_type sink_syslog = {
    .open = open_link, .deliver = deliver, .close = close_link, .has_ended = has_ended};
