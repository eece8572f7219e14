/* SPDX-License-Identifier: Apache-2.0 */
/* Sends bodies by HTTP, one after the other over one connection, and judges each answer's status. */
#include "config/characters.h"
#include "service/runtime/name_search.h"
#include "service/sinks/certificate.h"
#include "service/sinks/format.h"
#include "service/sinks/gzip.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define TOKEN_SIZE    1024U
#define HEADER_SIZE   (TOKEN_SIZE + 64)
#define ANSWER_SHOW   200 /* bytes of an answer in messages */
#define PAUSE_LOOK_MS 50U

struct sink_link {
    const struct config_sink *config;
    const struct sink_format *format;
    struct format_source source;
    const atomic_bool *stop;
    CURL *curl;
    char *url;
    struct text reply;
    char error[CURL_ERROR_SIZE];
    struct name_search names;
    uint64_t sent_ms; /* 0: nothing yet */
};

static void prepare_curl(void)
{
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t take(char *bytes, size_t size, size_t count, void *user)
{
    struct sink_link *link = user;
    size_t length = size * count;
    if (link->reply.length + length <= SINK_REPLY_MAX)
        text_add(&link->reply, bytes, length);
    return length; /* excess bytes are dropped: the status suffices */
}

static int go_on(void *user, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
    const struct sink_link *link = user;
    (void)down_all;
    (void)down;
    (void)up_all;
    (void)up;
    if (!atomic_load(link->stop))
        return 0;
    name_search_leave(link->curl);
    return 1;
}

/* Makes the URL from the sink's address, with the format's path when the address has none. */
static char *make_url(const struct config_sink *config, const struct sink_format *format)
{
    const char *host = strstr(config->url, "://") + 3, *path = strpbrk(host, "/?#");
    bool has_path = path && path[1] != '\0';
    size_t length = path && !has_path ? (size_t)(path - config->url) : strlen(config->url);
    size_t size = length + strlen(format->path) + 1;
    char *url = malloc(size);
    if (url)
        (void)snprintf(url, size, "%.*s%s", (int)length, config->url, has_path ? "" : format->path);
    return url;
}

static bool set_up(struct sink_link *link)
{
    CURL *curl = link->curl;
    const struct config_sink *config = link->config;
    certificate_forget(curl);
    /* Windows asks whether a certificate was revoked; the authorities of a company often have no place to ask. */
    (void)curl_easy_setopt(curl, CURLOPT_SSL_OPTIONS, (long)CURLSSLOPT_REVOKE_BEST_EFFORT);
    return curl_easy_setopt(curl, CURLOPT_URL, link->url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)SINK_CONNECT_S) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)SINK_ANSWER_S) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_USERAGENT, "kdnetd/" KDNETD_VERSION) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, link) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, go_on) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_XFERINFODATA, link) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, link->error) == CURLE_OK &&
           (!config->ca_file || curl_easy_setopt(curl, CURLOPT_CAINFO, config->ca_file) == CURLE_OK);
}

static void close_link(struct sink_link *link)
{
    if (link->curl)
        curl_easy_cleanup(link->curl);
    text_clear(&link->reply);
    free(link->url);
    free(link);
}

static struct sink_link *open_link(const struct config_sink *config, const char *collector, const atomic_bool *stop)
{
    static const struct sink_format *const formats[] = {
        [CONFIG_FORMAT_NDJSON] = &format_ndjson, [CONFIG_FORMAT_HEC] = &format_hec,
        [CONFIG_FORMAT_LOKI] = &format_loki,     [CONFIG_FORMAT_BULK] = &format_bulk,
        [CONFIG_FORMAT_OTLP] = &format_otlp,     [CONFIG_FORMAT_ALERTMANAGER] = &format_alertmanager,
        [CONFIG_FORMAT_SLACK] = &format_slack,
    };
    static uv_once_t once = UV_ONCE_INIT;
    struct sink_link *link = calloc(1, sizeof *link);
    if (!link)
        return NULL;
    uv_once(&once, prepare_curl);
    link->config = config;
    link->format = formats[config->format];
    link->source = (struct format_source){collector, config->index};
    link->stop = stop;
    link->url = make_url(config, link->format);
    link->curl = curl_easy_init();
    if (link->url && link->curl && set_up(link))
        return link;
    close_link(link);
    return NULL;
}

/* Reads the token for each body, because tokens change. False: the fault is in `answer`. */
static bool add_token(const struct sink_link *link, struct curl_slist **headers, struct sink_answer *answer)
{
    char token[TOKEN_SIZE] = "", header[HEADER_SIZE];
    if (!link->config->token_file)
        return true;
    FILE *file = fopen(link->config->token_file, "r");
    bool good = file && fgets(token, sizeof token, file);
    if (file)
        (void)fclose(file);
    token[strcspn(token, "\r\n")] = '\0';
    if (!good || token[0] == '\0') {
        answer->outcome = SINK_PAUSE;
        (void)snprintf(answer->text, sizeof answer->text, "its token cannot be read from %.*s",
                       CHARACTERS(link->config->token_file, 150));
        return false;
    }
    (void)snprintf(header, sizeof header, "Authorization: %s %s", link->format->scheme, token);
    *headers = curl_slist_append(*headers, header);
    return true;
}

static void judge_status(const struct sink_link *link, long status, struct sink_answer *answer)
{
    curl_off_t after_s = 0;
    int shown = (int)(link->reply.length < ANSWER_SHOW ? link->reply.length : ANSWER_SHOW);
    (void)snprintf(answer->text, sizeof answer->text, "HTTP %ld: %.*s", status, shown,
                   link->reply.bytes ? link->reply.bytes : "");
    if (curl_easy_getinfo(link->curl, CURLINFO_RETRY_AFTER, &after_s) == CURLE_OK && after_s > 0)
        answer->after_s = (unsigned)(after_s < 86400 ? after_s : 86400);
    answer->outcome = format_judge_status(status);
}

/* Keeps the format's pace, e.g. one body a second. */
static void keep_pace(struct sink_link *link)
{
    uint64_t now_ms = uv_hrtime() / 1000000;
    while (link->sent_ms != 0 && now_ms - link->sent_ms < link->format->pause_ms && !atomic_load(link->stop)) {
        uv_sleep(PAUSE_LOOK_MS);
        now_ms = uv_hrtime() / 1000000;
    }
    link->sent_ms = now_ms;
}

static void post(struct sink_link *link, const struct text *body, struct curl_slist *headers,
                 struct sink_answer *answer)
{
    long status = 0;
    link->reply.length = 0;
    link->error[0] = '\0';
    (void)curl_easy_setopt(link->curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(link->curl, CURLOPT_POSTFIELDS, body->bytes);
    (void)curl_easy_setopt(link->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->length);
    keep_pace(link);
    bool leaves = name_search_begin(&link->names, link->curl);
    CURLcode code = curl_easy_perform(link->curl);
    name_search_end(&link->names, link->curl, leaves);
    if (code != CURLE_OK) {
        certificate_explain(code, link->error, answer->text, sizeof answer->text);
        return;
    }
    (void)curl_easy_getinfo(link->curl, CURLINFO_RESPONSE_CODE, &status);
    judge_status(link, status, answer);
}

static void send_body(struct sink_link *link, const struct text *body, struct sink_answer *answer)
{
    char type[HEADER_SIZE];
    struct curl_slist *headers = NULL;
    struct text packed = {.bytes = NULL};
    bool is_packed = link->config->gzip && gzip_text(body, &packed);
    (void)snprintf(type, sizeof type, "Content-Type: %s", link->format->content_type);
    headers = curl_slist_append(headers, type);
    headers = curl_slist_append(headers, "Expect:");
    if (is_packed)
        headers = curl_slist_append(headers, "Content-Encoding: gzip");
    if (add_token(link, &headers, answer))
        post(link, is_packed ? &packed : body, headers, answer);
    curl_slist_free_all(headers);
    text_clear(&packed);
}

static void deliver_wanted(struct sink_link *link, struct sink_event *const *events, size_t count,
                           struct sink_answer *answer)
{
    struct text body = {.bytes = NULL};
    format_make(link->format, &body, &link->source, events, count);
    if (body.failed)
        (void)snprintf(answer->text, sizeof answer->text, "out of memory");
    else
        send_body(link, &body, answer);
    if (answer->outcome == SINK_DONE && link->format->judge)
        link->format->judge(link->reply.bytes ? link->reply.bytes : "", link->reply.length, events, count, answer);
    text_clear(&body);
}

static void deliver(struct sink_link *link, struct sink_event *const *events, size_t count, struct sink_answer *answer)
{
    struct sink_event **wanted = calloc(count, sizeof(struct sink_event *));
    size_t wanted_count = 0;
    answer->outcome = SINK_AGAIN;
    for (size_t i = 0; wanted && i < count; ++i)
        if (!link->format->wants || link->format->wants(events[i]))
            wanted[wanted_count++] = events[i];
    if (!wanted)
        (void)snprintf(answer->text, sizeof answer->text, "out of memory");
    else if (wanted_count == 0)
        answer->outcome = SINK_DONE;
    else
        deliver_wanted(link, wanted, wanted_count, answer);
    free(wanted);
}

const struct sink_type sink_http = {.open = open_link, .deliver = deliver, .close = close_link};
