/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP by libcurl. */
#include "service/kdnetctl/client_internal.h"
#include "service/runtime/name_search.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#define BODY_MAX     ((size_t)64 << 20)
#define LINE_BYTES   ((size_t)1 << 20) /* a line of a stream: no event is as long */
#define CONNECT_MS   5000L
#define REQUEST_MS   40000L /* kdnetd ends a request after 30 s */
#define SILENT_S     50L    /* a stream says something every 15 s */
#define AGENT        "kdnetctl/" KDNETD_VERSION
#define URL_SIZE_MAX 8192

struct body {
    char *bytes;
    size_t length, room, most;
    bool too_long;
};

struct exchange {
    CURL *curl;
    struct body body; /* the whole answer, or its last incomplete line */
    client_line *line;
    void *user;
    bool ended; /* the reader wants no more */
};

int client_transport_open(struct client *client)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
        client->transport = curl_easy_init();
    if (client->transport)
        return COMMAND_OK;
    command_say(client->command, "libcurl cannot be used: out of memory");
    return COMMAND_FAILED;
}

void client_transport_close(struct client *client)
{
    curl_easy_cleanup(client->transport);
    client->transport = NULL;
}

static bool append(struct body *body, const char *bytes, size_t length)
{
    if (length > body->most - body->length) {
        body->too_long = true;
        return false;
    }
    if (body->length + length + 1 > body->room) {
        size_t room = (body->length + length + 1) * 2;
        char *larger = realloc(body->bytes, room);
        if (!larger)
            return false;
        body->bytes = larger;
        body->room = room;
    }
    memcpy(body->bytes + body->length, bytes, length);
    body->length += length;
    body->bytes[body->length] = '\0';
    return true;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *user)
{
    struct exchange *exchange = user;
    return append(&exchange->body, bytes, size * count) ? size * count : 0;
}

static bool is_error(CURL *curl)
{
    long status = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status >= 300;
}

/* Lines as they come; the answer of an error is kept whole. */
static size_t take_lines(char *bytes, size_t size, size_t count, void *user)
{
    struct exchange *exchange = user;
    size_t length = size * count;
    const char *at = bytes, *end = bytes + length, *line_end;
    if (is_error(exchange->curl))
        return take_body(bytes, size, count, user);
    for (; (line_end = memchr(at, '\n', (size_t)(end - at))); at = line_end + 1) {
        if (!append(&exchange->body, at, (size_t)(line_end - at)))
            return 0;
        size_t whole = exchange->body.length;
        exchange->body.length = 0;
        if (whole > 0 && exchange->body.bytes[whole - 1] == '\r')
            --whole;
        exchange->body.bytes[whole] = '\0';
        if (!exchange->line(exchange->user, exchange->body.bytes, whole)) {
            exchange->ended = true;
            return 0;
        }
    }
    return append(&exchange->body, at, (size_t)(end - at)) ? length : 0;
}

static void set_place(const struct client *client, CURL *curl, const char *path)
{
    char url[URL_SIZE_MAX];
    const char *certificates = getenv("SSL_CERT_FILE");
    (void)snprintf(url, sizeof url, "%s%s", client->by_socket ? "http://localhost" : client->place, path);
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    if (client->by_socket) {
        (void)curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, client->place);
        (void)curl_easy_setopt(curl, CURLOPT_PROXY, "");
    }
    /* Windows asks whether a certificate was revoked; the authorities of a company often have no place to ask. */
    (void)curl_easy_setopt(curl, CURLOPT_SSL_OPTIONS, (long)CURLSSLOPT_REVOKE_BEST_EFFORT);
    if (certificates && certificates[0] != '\0')
        (void)curl_easy_setopt(curl, CURLOPT_CAINFO, certificates);
}

static bool add_header(struct curl_slist **headers, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*headers, line);
    if (longer)
        *headers = longer;
    return longer != NULL;
}

/* False: out of memory. A request without its token would be refused, and one without its place start anew. */
static bool make_headers(const struct client *client, const char *last_id, bool has_body, struct curl_slist **headers)
{
    char line[CLIENT_TOKEN_SIZE + 32];
    bool made = add_header(headers, has_body ? "Content-Type: application/json" : "Content-Type:");
    if (client->token[0] != '\0') {
        (void)snprintf(line, sizeof line, "Authorization: Bearer %s", client->token);
        made = made && add_header(headers, line);
    }
    if (last_id) {
        (void)snprintf(line, sizeof line, "Last-Event-ID: %s", last_id);
        made = made && add_header(headers, line);
    }
    return made;
}

static void set_method(CURL *curl, const char *method, const char *text)
{
    if (strcmp(method, "GET") == 0)
        return;
    (void)curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    if (strcmp(method, "POST") == 0)
        (void)curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, text ? text : "");
}

/* Why the Unix socket could not be opened; curl would name localhost and a port. */
static const char *socket_fault(CURL *curl)
{
    long error = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &error);
    switch (error) {
    case ENOENT:
        return "there is no such socket: no kdnetd runs here, or its http_socket is another";
    case ECONNREFUSED:
        return "no kdnetd listens at this socket any more";
    case EACCES:
    case EPERM:
        return "this user may not open the socket: be in the group kdnetd-operators, or root";
    case ENOTSOCK:
        return "this is no socket";
    case ENAMETOOLONG:
        return "the path is too long for a socket";
    case 0:
        return "no kdnetd listens at this socket";
    default:
        return strerror((int)error); // NOLINT(concurrency-mt-unsafe): kdnetctl has one thread
    }
}

static long finish(struct client *client, CURL *curl, struct exchange *exchange, CURLcode code, const char *error)
{
    long status = 0;
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (exchange->body.too_long)
        (void)snprintf(client->fault, sizeof client->fault, "its answer is too long for a kdnetd");
    else if (code == CURLE_COULDNT_CONNECT && client->by_socket)
        (void)snprintf(client->fault, sizeof client->fault, "%s", socket_fault(curl));
    else if (code != CURLE_OK)
        (void)snprintf(client->fault, sizeof client->fault, "%s", error[0] != '\0' ? error : curl_easy_strerror(code));
    return code == CURLE_OK || exchange->ended ? status : 0;
}

static long perform(struct client *client, struct exchange *exchange, const char *method, const char *path,
                    const char *text, const char *last_id)
{
    CURL *curl = client->transport;
    char error[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    if (!make_headers(client, last_id, text != NULL, &headers)) {
        curl_slist_free_all(headers);
        (void)snprintf(client->fault, sizeof client->fault, "out of memory");
        return 0;
    }
    exchange->curl = curl;
    curl_easy_reset(curl);
    set_place(client, curl, path);
    set_method(curl, method, text);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    name_search_leave(curl);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, AGENT);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    if (exchange->line) {
        (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SILENT_S);
    } else {
        (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, REQUEST_MS);
    }
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, exchange->line ? take_lines : take_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, exchange);
    CURLcode code = curl_easy_perform(curl);
    long status = finish(client, curl, exchange, code, error);
    (void)curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, NULL);
    curl_slist_free_all(headers);
    return status;
}

/* A body that is no JSON becomes a text. */
static json_t *parse(const struct body *body)
{
    if (body->length == 0)
        return NULL;
    json_t *value = json_loadb(body->bytes, body->length, JSON_ALLOW_NUL, NULL);
    return value ? value : json_stringn(body->bytes, body->length);
}

long client_transport(struct client *client, const char *method, const char *path, const json_t *body, json_t **answer)
{
    struct exchange exchange = {.body.most = BODY_MAX};
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    long status = perform(client, &exchange, method, path, text, NULL);
    *answer = parse(&exchange.body);
    free(exchange.body.bytes);
    free(text);
    return status;
}

long client_transport_lines(struct client *client, const char *path, const char *last_id, client_line *line, void *user,
                            json_t **answer)
{
    struct exchange exchange = {.body.most = LINE_BYTES, .line = line, .user = user};
    long status = perform(client, &exchange, "GET", path, NULL, last_id);
    *answer = status >= 300 ? parse(&exchange.body) : NULL;
    if (status >= 200 && status < 300 && !exchange.ended && exchange.body.length > 0)
        (void)line(user, exchange.body.bytes, exchange.body.length);
    free(exchange.body.bytes);
    return status;
}
