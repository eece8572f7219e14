/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "config/remedies.h"
#include "service/http/state_internal.h"
#include "service/http/system.h"
#include "service/net/address.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#define HOST_SIZE 256

/* Writes the name or address of a Host header, without port and brackets. False: invalid. */
static bool host_name(const char *host, char out[static HOST_SIZE])
{
    size_t length = host[0] == '[' ? strcspn(host, "]") : strcspn(host, ":");
    const char *behind = host + length;
    if (host[0] == '[') {
        if (*behind != ']')
            return false;
        ++behind;
        ++host;
        --length;
    }
    if (length == 0 || length >= HOST_SIZE || (*behind != '\0' && *behind != ':'))
        return false;
    for (const char *at = behind + 1; *behind != '\0' && *at != '\0'; ++at)
        if (*at < '0' || *at > '9')
            return false;
    memcpy(out, host, length);
    out[length] = '\0';
    return true;
}

static bool is_local_name(const char *name)
{
    return strcasecmp(name, "localhost") == 0 || strcmp(name, "127.0.0.1") == 0 || strcmp(name, "::1") == 0;
}

static bool is_ip(const char *name, const uint8_t ip[static 16])
{
    unsigned char six[16], four[4];
    if (evutil_inet_pton(AF_INET6, name, six) == 1)
        return memcmp(six, ip, 16) == 0;
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    return evutil_inet_pton(AF_INET, name, four) == 1 && memcmp(ip, prefix, 12) == 0 && memcmp(ip + 12, four, 4) == 0;
}

/* Whether a name is the address that the peer connected to: a wildcard listener has many. */
static bool is_own_address(const struct connection *c, const char *name)
{
    struct sockaddr_storage local;
    struct address address = {.port = 0};
    socklen_t size = sizeof local;
    return getsockname(bufferevent_getfd(c->bev), (struct sockaddr *)&local, &size) == 0 &&
           address_from_socket((const struct sockaddr *)&local, &address) && is_ip(name, address.ip);
}

static bool is_known_host(const struct connection *c, const char *host)
{
    const struct settings *settings = &c->endpoint->http->settings;
    char name[HOST_SIZE];
    if (!host || !host_name(host, name))
        return false;
    for (size_t i = 0; i < settings->name_count; ++i)
        if (strcasecmp(settings->names[i], name) == 0)
            return true;
    return is_local_name(name) || is_ip(name, settings->address.ip) || is_own_address(c, name);
}

bool access_check_host(struct call *call)
{
    if (call->connection->endpoint->local || is_known_host(call->connection, call->head.host))
        return true;
    call_problem(call, HTTP_PROBLEM_WRONG_HOST, "Host",
                 "this server is not called %.*s; use its address, or add the name to http_names",
                 CHARACTERS(call->head.host ? call->head.host : "(nothing)", 200));
    return false;
}

static bool refuse_token(struct call *call, const char *detail)
{
    call_problem(call, HTTP_PROBLEM_TOKEN_MISSING, "Authorization", "%s", detail);
    call_header(call, "WWW-Authenticate: Bearer realm=\"kdnetd\"");
    return false;
}

/* A token that is sent must be valid, even when none is needed. */
static bool check_token(struct call *call)
{
    const char *value = call->head.authorization;
    if (!value)
        return true;
    if (strncasecmp(value, "Bearer ", 7) != 0)
        return refuse_token(call, "send `Authorization: Bearer TOKEN`, with a token of the file http_tokens");
    value += 7 + strspn(value + 7, " ");
    call->role = tokens_find(&call->http->tokens, value, call->by);
    if (call->role == CALL_ROLE_NONE)
        return refuse_token(call, "there is no such token; `kdnetctl token add NAME` makes one");
    return true;
}

bool access_check(struct call *call)
{
    const struct endpoint *endpoint = call->connection->endpoint;
    if (call->route->access == ROUTE_PUBLIC)
        return true;
    if (endpoint->local) {
        call->role = CALL_ROLE_ACT;
        if (call->route->access == ROUTE_ACT)
            system_name_user(bufferevent_getfd(call->connection->bev), call->by);
        return true;
    }
    if (!check_token(call))
        return false;
    if (call->route->access == ROUTE_READ) {
        if (call->role != CALL_ROLE_NONE || !http_read_needs_token(endpoint))
            return true;
        return refuse_token(call, "reading needs a token here; send `Authorization: Bearer TOKEN`, with a token of the "
                                  "file http_tokens");
    }
    if (call->role == CALL_ROLE_NONE)
        return refuse_token(
            call, "acting needs a token with the role `act`; send `Authorization: Bearer TOKEN`" WORDS_OR_SOCKET);
    if (call->role == CALL_ROLE_ACT)
        return true;
    call_problem(call, HTTP_PROBLEM_FORBIDDEN, NULL,
                 "the token %.*s may read only; acting needs one with the role "
                 "`act`",
                 CHARACTERS(call->by, 64));
    return false;
}
