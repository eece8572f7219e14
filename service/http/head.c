/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/head.h"

#include <string.h>
#include <strings.h>

static bool refuse(struct head_error *error, enum http_problem kind, const char *field, const char *detail)
{
    *error = (struct head_error){kind, field, detail};
    return false;
}

static bool wrong(struct head_error *error, const char *field, const char *detail)
{
    return refuse(error, HTTP_PROBLEM_BAD_REQUEST, field, detail);
}

/* Lines end with CR LF, or with LF alone. */
size_t head_length(const char *text, size_t length)
{
    const char *at = text, *end = text + length;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at)))) {
        ++at;
        if (at < end && *at == '\n')
            return (size_t)(at + 1 - text);
        if (end - at >= 2 && at[0] == '\r' && at[1] == '\n')
            return (size_t)(at + 2 - text);
    }
    return 0;
}

/* tchar of RFC 9110. */
static bool is_token_char(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

bool head_can_begin(char first)
{
    return is_token_char((unsigned char)first);
}

static bool is_token(const char *text)
{
    const char *at = text;
    while (is_token_char((unsigned char)*at))
        ++at;
    return at != text && *at == '\0';
}

static bool is_visible(const char *text)
{
    for (; *text != '\0'; ++text)
        if ((unsigned char)*text <= ' ' || (unsigned char)*text >= 0x7f)
            return false;
    return true;
}

/* Terminates the line at `at`, and returns the next one; NULL: the line contains a NUL or a bare CR. */
static char *end_line(char *at, char *end)
{
    char *stop = memchr(at, '\n', (size_t)(end - at));
    if (!stop)
        return NULL;
    char *next = stop + 1;
    if (stop > at && stop[-1] == '\r')
        --stop;
    *stop = '\0';
    return memchr(at, '\r', (size_t)(stop - at)) || strlen(at) != (size_t)(stop - at) ? NULL : next;
}

/* http://HOST/PATH, as a proxy is asked. */
static bool take_absolute(char *target, struct http_head *out, struct head_error *error)
{
    bool secure = strncasecmp(target, "https://", 8) == 0;
    if (!secure && strncasecmp(target, "http://", 7) != 0)
        return wrong(error, "target", "the request target is neither a path nor an http URL; start it with a slash");
    char *host = target + (secure ? 8 : 7);
    size_t length = strcspn(host, "/?");
    if (length == 0 || host[length] != '/')
        return wrong(error, "target", "the URL in the request line has no host or no path; send the path alone");
    memmove(target, host, length); /* room for a NUL between host and path */
    target[length] = '\0';
    out->host = target;
    out->path = host + length;
    return true;
}

static bool take_target(char *target, struct http_head *out, struct head_error *error)
{
    if (!is_visible(target))
        return wrong(error, "target", "the request target has characters that must be percent-encoded");
    out->path = target;
    if (target[0] != '/' && strcmp(target, "*") != 0 && !take_absolute(target, out, error))
        return false;
    char *query = strchr(out->path, '?');
    if (query) {
        *query = '\0';
        out->query = query + 1;
    }
    if (strchr(query ? out->query : out->path, '#'))
        return wrong(error, "target", "a request target has no fragment; leave out what starts with #");
    return true;
}

static bool take_line(char *line, struct http_head *out, struct head_error *error)
{
    char *target = strchr(line, ' ');
    char *version = target ? strchr(target + 1, ' ') : NULL;
    if (strlen(line) > HEAD_LINE_SIZE)
        return refuse(error, HTTP_PROBLEM_URI_TOO_LONG, "target",
                      "the request line is longer than 8,192 bytes; ask for less at a time");
    if (!version)
        return wrong(error, "line", "the request line is not METHOD TARGET HTTP/1.1; is this an HTTP client?");
    *target++ = *version++ = '\0';
    if (strlen(line) >= HEAD_METHOD_SIZE || !is_token(line))
        return wrong(error, "method", "the method is no word of letters; use GET, HEAD, POST or DELETE");
    out->method = line;
    if (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)
        return wrong(error, "version", "only HTTP/1.1 and HTTP/1.0 are spoken here");
    out->http_1_0 = version[7] == '0';
    out->keep_alive = !out->http_1_0;
    return take_target(target, out, error);
}

static bool take_length(const char *value, struct http_head *out, struct head_error *error)
{
    uint64_t number = 0;
    const char *at = value;
    for (; *at >= '0' && *at <= '9' && at - value < 18; ++at)
        number = number * 10 + (uint64_t)(*at - '0');
    if (at == value || *at != '\0')
        return wrong(error, "Content-Length", "is no decimal number of bytes");
    if (out->has_length && out->content_length != number)
        return wrong(error, "Content-Length", "is there twice and differs; send it once");
    out->has_length = true;
    out->content_length = number;
    return true;
}

/* Whether a list separated by commas has a word. */
static bool has_word(const char *list, const char *word)
{
    size_t length = strlen(word);
    while (*list != '\0') {
        list += strspn(list, " \t,");
        size_t here = strcspn(list, " \t,");
        if (here == length && strncasecmp(list, word, length) == 0)
            return true;
        list += here;
    }
    return false;
}

static bool take_framing(const char *name, const char *value, struct http_head *out, struct head_error *error)
{
    if (strcasecmp(name, "Content-Length") == 0)
        return take_length(value, out, error);
    if (strcasecmp(name, "Transfer-Encoding") == 0) {
        if (out->chunked || strcasecmp(value, "chunked") != 0)
            return wrong(error, "Transfer-Encoding",
                         "only `chunked` is understood, and once; better send Content-Length");
        out->chunked = true;
    } else if (strcasecmp(name, "Connection") == 0) {
        if (has_word(value, "close"))
            out->keep_alive = false;
        else if (out->http_1_0 && has_word(value, "keep-alive"))
            out->keep_alive = true;
    } else if (strcasecmp(name, "Expect") == 0) {
        out->expects_continue = strcasecmp(value, "100-continue") == 0;
    }
    return true;
}

static bool take_once(const char **place, const char *value, const char *name, struct head_error *error)
{
    if (*place)
        return wrong(error, name, "is there twice; send it once");
    *place = value;
    return true;
}

static bool take_field(const char *name, const char *value, struct http_head *out, const char **host,
                       struct head_error *error)
{
    if (strcasecmp(name, "Host") == 0)
        return take_once(host, value, "Host", error);
    if (strcasecmp(name, "Authorization") == 0)
        return take_once(&out->authorization, value, "Authorization", error);
    if (strcasecmp(name, "Content-Type") == 0)
        return take_once(&out->content_type, value, "Content-Type", error);
    if (strcasecmp(name, "Last-Event-ID") == 0)
        return take_once(&out->last_event_id, value, "Last-Event-ID", error);
    if (strcasecmp(name, "Accept") == 0 && !out->accept)
        out->accept = value;
    return take_framing(name, value, out, error);
}

static bool split_field(char *line, char **value, struct head_error *error)
{
    char *colon = strchr(line, ':');
    if (!colon)
        return wrong(error, "headers", "a header has no colon");
    *colon = '\0';
    if (!is_token(line))
        return wrong(error, "headers", "the name of a header has characters that it must not have, or is folded");
    *value = colon + 1 + strspn(colon + 1, " \t");
    size_t length = strlen(*value);
    while (length > 0 && ((*value)[length - 1] == ' ' || (*value)[length - 1] == '\t'))
        (*value)[--length] = '\0';
    for (const char *at = *value; *at != '\0'; ++at)
        if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f)
            return wrong(error, "headers", "the value of a header has control characters");
    return true;
}

static bool take_fields(char *at, char *end, struct http_head *out, struct head_error *error)
{
    const char *host = NULL;
    for (unsigned count = 0; at < end; ++count) {
        char *line = at, *value = NULL;
        if (!(at = end_line(at, end)))
            return wrong(error, "headers", "a header has a NUL character, or a line end of its own");
        if (line[0] == '\0')
            break;
        if (count == HEAD_FIELDS_MAX)
            return refuse(error, HTTP_PROBLEM_HEADERS_TOO_LARGE, "headers",
                          "there are more than 100 headers; send fewer");
        if (!split_field(line, &value, error) || !take_field(line, value, out, &host, error))
            return false;
    }
    if (!out->host)
        out->host = host;
    if (out->chunked && out->has_length)
        return wrong(error, "Content-Length", "is there beside Transfer-Encoding; send one of them");
    if (!host && !out->http_1_0)
        return wrong(error, "Host", "is missing; HTTP/1.1 needs it");
    return true;
}

bool head_parse(char *text, size_t length, struct http_head *out, struct head_error *error)
{
    char *end = text + length, *next = end_line(text, end);
    *out = (struct http_head){.path = NULL};
    if (!next)
        return wrong(error, "line", "the request line has a NUL character, or a line end of its own");
    return take_line(text, out, error) && take_fields(next, end, out, error);
}
