/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/delay.h"
#include "service/http/state_internal.h"
#include "service/http/system.h"
#include "service/net/address.h"
#include "service/runtime/log.h"

#include <stdio.h>
#include <string.h>

#define ACCEPT_MAX 64  /* connections in one round of the loop */
#define PAUSE_MS   200 /* without descriptors */
#define SOON_MS    10  /* time for a closed connection to return its descriptor, or for the next accept to be due */

/* Connections. */

static void pause_accepting(struct endpoint *endpoint, uint64_t ms)
{
    (void)event_del(endpoint->event);
    (void)delay_add(endpoint->pause, ms);
}

static void on_pause_over(evutil_socket_t socket, short what, void *user)
{
    struct endpoint *endpoint = user;
    (void)socket, (void)what;
    if (endpoint->socket >= 0 && event_add(endpoint->event, NULL) != 0)
        (void)delay_add(endpoint->pause, PAUSE_MS); /* out of memory */
}

static unsigned places(const struct endpoint *endpoint)
{
    const struct http_limits *limits = &endpoint->http->limits;
    return endpoint->local ? limits->local : limits->connections;
}

static void admit(struct endpoint *endpoint, evutil_socket_t socket)
{
    if (endpoint->count >= places(endpoint))
        (void)connection_evict(endpoint);
    if (endpoint->count >= places(endpoint))
        (void)evutil_closesocket(socket); /* all are streams */
    else
        connection_open(endpoint, socket);
}

/*
 * Out of descriptors: closes the longest idle connection. A TCP connection makes room for the Unix socket, if need be a
 * stream: even when somebody outside uses up all descriptors, kdnetctl gets in.
 */
static void make_room(struct endpoint *endpoint)
{
    struct endpoint *tcp = &endpoint->http->tcp;
    bool gives = endpoint->local && (connection_evict(tcp) || connection_evict_stream(tcp));
    if (!gives)
        (void)connection_evict(endpoint);
    pause_accepting(endpoint, gives ? SOON_MS : PAUSE_MS);
}

static void on_accept(evutil_socket_t socket, short what, void *user)
{
    struct endpoint *endpoint = user;
    (void)socket, (void)what;
    for (int i = 0; i < ACCEPT_MAX; ++i) {
        evutil_socket_t peer = -1;
        if (!endpoint->local && pace_left_us(&endpoint->accepts, pace_now_us()) > 0) {
            pause_accepting(endpoint, SOON_MS);
            return;
        }
        enum system_accepted accepted = system_accept(endpoint, &peer);
        if (accepted == SYSTEM_NONE_WAITS)
            return;
        if (accepted == SYSTEM_NO_DESCRIPTORS) {
            make_room(endpoint);
            return;
        }
        if (!endpoint->local)
            (void)pace_take(&endpoint->accepts, pace_now_us());
        if (accepted == SYSTEM_ACCEPTED)
            admit(endpoint, peer);
    }
}

/* Opening. */

static evutil_socket_t open_tcp(const struct endpoint *endpoint, char *error)
{
    struct address address = address_from_config(&endpoint->http->settings.address);
    struct sockaddr_storage name;
    address_to_socket(&address, &name);
    return system_listen((const struct sockaddr *)&name, error);
}

static void name_of(const struct endpoint *endpoint, char out[static HTTP_ADDRESS_SIZE])
{
    struct address address = address_from_config(&endpoint->http->settings.address);
    if (endpoint->local)
        (void)snprintf(out, HTTP_ADDRESS_SIZE, "%.79s", endpoint->path);
    else
        address_format(&address, out);
}

static void tell(struct endpoint *endpoint, enum config_log_level level, const char *message, const char *error)
{
    struct log_line line;
    char name[HTTP_ADDRESS_SIZE];
    name_of(endpoint, name);
    log_begin(&line, level, message);
    log_text(&line, endpoint->local ? "socket" : "address", name);
    log_text(&line, "why", error);
    log_end(&line);
}

/* Logs a failure once; a configured endpoint is retried, and degraded until then. */
static void note_failure(struct endpoint *endpoint, const char *error)
{
    struct http *http = endpoint->http;
    char name[HTTP_ADDRESS_SIZE];
    name_of(endpoint, name);
    if (!endpoint->warned)
        tell(endpoint, CONFIG_LOG_WARNING,
             endpoint->local ? "http_socket: cannot be opened; kdnetd serves its machines without it"
                             : "http: cannot be opened; kdnetd serves its machines without it",
             error);
    endpoint->warned = true;
    if (!endpoint->told)
        return;
    (void)http_set_trouble(http, endpoint->local ? HTTP_TROUBLE_LOCAL : HTTP_TROUBLE_TCP, name, error);
    (void)delay_add(endpoint->retry, http->limits.retry_ms);
}

static void note_success(struct endpoint *endpoint)
{
    (void)http_set_trouble(endpoint->http, endpoint->local ? HTTP_TROUBLE_LOCAL : HTTP_TROUBLE_TCP, "", NULL);
    if (endpoint->warned)
        tell(endpoint, CONFIG_LOG_NOTICE, endpoint->local ? "http_socket: is open now" : "http: is open now", NULL);
    endpoint->warned = false;
}

/* An address that others can reach is not served in the clear. */
static bool may_open(const struct endpoint *endpoint, char *error)
{
    const struct http *http = endpoint->http;
    bool wants_tls = http->settings.tls_cert || http->settings.tls_key;
    if (endpoint->local || http->tls.context || (!wants_tls && endpoint->loopback))
        return true;
    if (wants_tls)
        (void)snprintf(error, HTTP_DETAIL_SIZE, "its certificate cannot be used: %.400s",
                       http->trouble[HTTP_TROUBLE_TLS].why);
    else
        (void)snprintf(error, HTTP_DETAIL_SIZE,
                       "the address is not a loopback address and there is no certificate; set http_tls_cert and "
                       "http_tls_key, or listen on 127.0.0.1");
    return false;
}

static void open_endpoint(struct endpoint *endpoint)
{
    char error[HTTP_DETAIL_SIZE] = "";
    if (!endpoint->wanted || endpoint->socket >= 0)
        return;
    evutil_socket_t fd = -1;
    if (may_open(endpoint, error))
        fd = endpoint->local ? system_listen_local(endpoint, error) : open_tcp(endpoint, error);
    if (fd >= 0)
        endpoint->event = event_new(endpoint->http->base, fd, EV_READ | EV_PERSIST, on_accept, endpoint);
    if (endpoint->event && endpoint->local)
        (void)event_priority_set(endpoint->event, HTTP_LANE_LOCAL);
    if (fd < 0 || !endpoint->event || event_add(endpoint->event, NULL) != 0) {
        if (endpoint->event)
            event_free(endpoint->event);
        endpoint->event = NULL;
        if (fd >= 0) {
            system_close(fd);
            system_unlink_local(endpoint);
        }
        note_failure(endpoint, error[0] != '\0' ? error : "out of memory");
        return;
    }
    endpoint->socket = fd;
    note_success(endpoint);
}

static void on_retry(evutil_socket_t socket, short what, void *user)
{
    (void)socket, (void)what;
    open_endpoint(user);
}

/* Configuring. */

static void close_socket(struct endpoint *endpoint)
{
    (void)evtimer_del(endpoint->retry);
    (void)evtimer_del(endpoint->pause);
    if (endpoint->socket < 0)
        return;
    event_free(endpoint->event);
    endpoint->event = NULL;
    system_close(endpoint->socket);
    endpoint->socket = -1;
    system_unlink_local(endpoint);
}

static void close_connections(struct connection_list *list)
{
    struct connection *c = TAILQ_FIRST(list), *next = NULL;
    for (; c; c = next) {
        next = TAILQ_NEXT(c, idle);
        connection_close(c);
    }
}

static void configure_local(struct http *http)
{
    struct endpoint *endpoint = &http->local;
    const char *told = http->settings.socket;
    char path[HTTP_PATH_SIZE] = "";
    bool wanted = told ? strcmp(told, "none") != 0 : system_local_path(path);
    if (told && wanted && strlen(told) >= sizeof path) {
        (void)snprintf(endpoint->path, sizeof endpoint->path, "%.100s", told);
        endpoint->wanted = false;
        note_failure(endpoint, "the path is longer than 107 bytes; take a shorter one");
        return;
    }
    if (told && wanted)
        (void)snprintf(path, sizeof path, "%s", told);
    if (!wanted || strcmp(path, endpoint->path) != 0)
        close_socket(endpoint);
    endpoint->wanted = wanted;
    endpoint->told = told != NULL;
    (void)snprintf(endpoint->path, sizeof endpoint->path, "%s", path);
    if (!wanted)
        (void)http_set_trouble(http, HTTP_TROUBLE_LOCAL, "", NULL);
}

static bool same_address(const struct config_address *a, const struct config_address *b)
{
    return memcmp(a->ip, b->ip, sizeof a->ip) == 0 && a->port == b->port;
}

static void configure_tcp(struct http *http)
{
    static const uint8_t v4[13] = {[10] = 0xff, [11] = 0xff, [12] = 127}, v6[16] = {[15] = 1};
    struct endpoint *endpoint = &http->tcp;
    const struct config_address *address = &http->settings.address;
    if (endpoint->socket >= 0 && !same_address(&endpoint->address, address)) {
        close_socket(endpoint);
        close_connections(&endpoint->connections);
        close_connections(&endpoint->streaming);
    }
    endpoint->address = *address;
    endpoint->loopback = memcmp(address->ip, v4, sizeof v4) == 0 || memcmp(address->ip, v6, sizeof v6) == 0;
    endpoint->wanted = address->port != 0;
    endpoint->told = http->settings.address_told;
    if (!endpoint->wanted)
        (void)http_set_trouble(http, HTTP_TROUBLE_TCP, "", NULL);
}

void endpoints_configure(struct http *http)
{
    configure_local(http);
    configure_tcp(http);
    http->local.warned = http->tcp.warned = false;
    open_endpoint(&http->local);
    open_endpoint(&http->tcp);
}

void endpoint_init(struct endpoint *endpoint, struct http *http, bool local)
{
    endpoint->http = http;
    endpoint->local = local;
    endpoint->socket = -1;
    endpoint->loopback = true;
    TAILQ_INIT(&endpoint->connections);
    TAILQ_INIT(&endpoint->streaming);
    endpoint->retry = evtimer_new(http->base, on_retry, endpoint);
    endpoint->pause = evtimer_new(http->base, on_pause_over, endpoint);
    endpoint->requests.a_second = http->limits.requests;
    endpoint->accepts.a_second = http->limits.accepts;
    (void)turns_init(endpoint);
    if (local && endpoint->pause)
        (void)event_priority_set(endpoint->pause, HTTP_LANE_LOCAL);
}

void endpoint_close(struct endpoint *endpoint)
{
    close_connections(&endpoint->connections);
    close_connections(&endpoint->streaming);
    if (endpoint->retry && endpoint->pause)
        close_socket(endpoint);
    if (endpoint->retry)
        event_free(endpoint->retry);
    if (endpoint->pause)
        event_free(endpoint->pause);
    if (endpoint->turn)
        event_free(endpoint->turn);
}
