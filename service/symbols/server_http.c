/* SPDX-License-Identifier: Apache-2.0 */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "service/symbols/server_internal.h"

#define REDIRECTS_MAX 5L

/* Symbol servers have been known to turn away other clients, so the name of Microsoft's comes first. [inf] */
#define USER_AGENT "Microsoft-Symbol-Server/10.0 kdnetd/" KDNETD_VERSION

struct http {
    const struct symbol_server_state *state;
    struct name_search *names; /* of the state */
    CURL *curl;
    struct body *body;    /* of the request under way */
    uint64_t deadline_ns; /* of all requests */
    int64_t retry_after_ms;
    char error[CURL_ERROR_SIZE];
};

static uv_once_t once = UV_ONCE_INIT;
static CURLcode ready;

static void make_ready(void)
{
    ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static long status_of(const struct http *http)
{
    long status = 0;
    (void)curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static size_t take(char *data, size_t size, size_t count, void *context)
{
    struct http *http = context;
    size_t length = size * count;
    if (status_of(http) != 200) {
        return length; /* the error page of another status */
    }
    return symbol_server_body_take(http->state, http->body, (const uint8_t *)data, length) ? length : 0;
}

static int go_on(void *context, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up)
{
    const struct http *http = context;
    (void)down_all;
    (void)down;
    (void)up_all;
    (void)up;
    if (!atomic_load(&http->state->stopped)) {
        return 0;
    }
    name_search_leave(http->curl);
    return 1;
}

static bool set_timeouts(CURL *curl, const struct symbol_server *settings)
{
    return curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)settings->connect_timeout_ms) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, (long)settings->low_speed_bytes) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)settings->low_speed_seconds) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
}

/* Proxies come from the environment: libcurl's default. No content encoding is requested, so that the counted bytes
 * are the file's. */
static bool set_limits(CURL *curl, const struct symbol_server_state *state)
{
    bool secure = strncmp(state->url, "https:", 6) == 0;
    /* Windows asks whether a certificate was revoked; the authorities of a company often have no place to ask. */
    (void)curl_easy_setopt(curl, CURLOPT_SSL_OPTIONS, (long)CURLSSLOPT_REVOKE_BEST_EFFORT);
    return curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_MAXREDIRS, REDIRECTS_MAX) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_USERAGENT, USER_AGENT) == CURLE_OK &&
           (state->ca_file == NULL || curl_easy_setopt(curl, CURLOPT_CAINFO, state->ca_file) == CURLE_OK);
}

static bool set_callbacks(struct http *http)
{
    CURL *curl = http->curl;
    return curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, http) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, go_on) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_XFERINFODATA, http) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->error) == CURLE_OK;
}

struct http *symbol_server_http_open(struct symbol_server_state *state, char *reason, size_t size)
{
    uv_once(&once, make_ready);
    struct http *http = ready == CURLE_OK ? calloc(1, sizeof(*http)) : NULL;
    if (http != NULL) {
        http->state = state;
        http->names = &state->names;
        http->deadline_ns = uv_hrtime() + (uint64_t)state->settings.total_timeout_ms * 1000000;
        http->curl = curl_easy_init();
    }
    if (http == NULL || http->curl == NULL || !set_timeouts(http->curl, &state->settings) ||
        !set_limits(http->curl, state) || !set_callbacks(http)) {
        symbol_server_say(reason, size, "%s: libcurl could not be set up: out of memory, or built without HTTPS",
                          state->url);
        symbol_server_http_close(http);
        return NULL;
    }
    return http;
}

void symbol_server_http_close(struct http *http)
{
    if (http != NULL) {
        curl_easy_cleanup(http->curl);
        free(http);
    }
}

int64_t symbol_server_http_retry_after_ms(const struct http *http)
{
    return http->retry_after_ms;
}

static enum answer answer_to_status(struct http *http, const char *url, char *reason, size_t size)
{
    long status = status_of(http);
    curl_off_t seconds = 0;
    symbol_server_say(reason, size, "%s: answered %ld", url, status);
    if (status == 404 || status == 410) {
        return ANSWER_ABSENT;
    }
    if (status >= 500 || status == 408 || status == 429) {
        if (curl_easy_getinfo(http->curl, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK && seconds > 0) {
            http->retry_after_ms = seconds < 86400 ? (int64_t)seconds * 1000 : SYMBOL_SERVER_BACK_OFF_MAX_MS;
        }
        return ANSWER_FAILED;
    }
    return ANSWER_DENIED;
}

static enum answer answer_to_body(const struct http *http, const char *url, char *reason, size_t size)
{
    const struct body *body = http->body;
    if (body->problem == ANSWER_LOCAL) {
        symbol_server_say(reason, size, "%s: cannot write to the store %s: %s", url, http->state->directory,
                          uv_strerror(body->error));
    } else if (body->error == UV_EFBIG) {
        symbol_server_say(reason, size, "%s: larger than the size limit of %llu bytes", url,
                          (unsigned long long)body->limit);
    } else {
        symbol_server_say(reason, size, "%s: what it sends is neither a PDB nor a cabinet", url);
    }
    return body->problem;
}

/* Whether the server took the connection of the last request, TLS and all. */
static bool is_connected(const struct http *http)
{
    curl_off_t connected = 0;
    return curl_easy_getinfo(http->curl, CURLINFO_PRETRANSFER_TIME_T, &connected) == CURLE_OK && connected > 0;
}

static enum answer answer_to_error(const struct http *http, CURLcode code, const char *url, char *reason, size_t size)
{
    const char *text = http->error[0] != '\0' ? http->error : curl_easy_strerror(code);
    symbol_server_say(reason, size, "%s: %s", url, text);
    switch (code) {
    case CURLE_ABORTED_BY_CALLBACK:
        return ANSWER_STOPPED;
    case CURLE_FILESIZE_EXCEEDED:
        symbol_server_say(reason, size, "%s: larger than the size limit of %llu bytes", url,
                          (unsigned long long)http->body->limit);
        return ANSWER_DENIED;
    case CURLE_PARTIAL_FILE: /* libcurl's text for this error changes with its versions */
        symbol_server_say(reason, size, "%s: ended after %llu bytes, before the whole file was sent", url,
                          (unsigned long long)http->body->length);
        return ANSWER_FAILED;
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return ANSWER_DENIED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        symbol_server_say(reason, size, "%s: %s; if the server is right, name its authority in the CA file", url, text);
        return ANSWER_BARRED;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
        return ANSWER_UNREACHED;
    default:
        return is_connected(http) ? ANSWER_FAILED : ANSWER_UNREACHED;
    }
}

static enum answer answer_to(struct http *http, CURLcode code, const char *url, char *reason, size_t size)
{
    if (code == CURLE_HTTP_RETURNED_ERROR || (code == CURLE_OK && status_of(http) != 200)) {
        return answer_to_status(http, url, reason, size);
    }
    if (http->body->problem != ANSWER_TAKEN) {
        return answer_to_body(http, url, reason, size);
    }
    if (code != CURLE_OK) {
        return answer_to_error(http, code, url, reason, size);
    }
    if (!http->body->pointer && symbol_server_body_kind(http->body) == BODY_NONE) {
        symbol_server_say(reason, size, "%s: ended after %llu bytes, and is no whole PDB or cabinet", url,
                          (unsigned long long)http->body->length);
        return http->body->length > 0 ? ANSWER_FAILED : ANSWER_DENIED; /* a right beginning: the connection was lost */
    }
    return ANSWER_TAKEN;
}

enum answer symbol_server_http_get(struct http *http, const char *url, struct body *body, char *reason, size_t size)
{
    uint64_t now_ns = uv_hrtime();
    if (now_ns + 1000000 > http->deadline_ns) {
        symbol_server_say(reason, size, "%s: no time left for it", url);
        return ANSWER_FAILED;
    }
    http->body = body;
    http->error[0] = '\0';
    http->retry_after_ms = 0;
    if (curl_easy_setopt(http->curl, CURLOPT_URL, url) != CURLE_OK ||
        curl_easy_setopt(http->curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)body->limit) != CURLE_OK ||
        curl_easy_setopt(http->curl, CURLOPT_TIMEOUT_MS, (long)((http->deadline_ns - now_ns) / 1000000)) != CURLE_OK) {
        symbol_server_say(reason, size, "%s: out of memory", url);
        return ANSWER_LOCAL;
    }
    bool leaves = name_search_begin(http->names, http->curl);
    CURLcode code = curl_easy_perform(http->curl);
    name_search_end(http->names, http->curl, leaves);
    return answer_to(http, code, url, reason, size);
}
