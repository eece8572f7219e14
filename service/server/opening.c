/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets of a port: opened here, where a mistake can be told; workers use them. */
#include "config/remedies.h"
#include "service/runtime/log.h"
#include "service/platform/inherited.h"
#include "service/platform/platform.h"
#include "service/server/server_internal.h"
#include "service/worker/listener.h"

#include <stdio.h>
#include <stdlib.h>

struct opening {
    struct message message;
    struct address local;
    uint32_t id;
    uv_os_sock_t socket;
    bool any;
};

struct closing {
    struct message message;
    struct server *server;
    uint32_t id;
};

/* The kernel grants up to net.core.rmem_max. */
static void enlarge_buffer(const struct server *server, const struct address *local, uv_os_sock_t socket,
                           bool log_short)
{
    size_t wished = SERVER_SOCKET_BUFFER +
                    SERVER_SOCKET_BUFFER_EACH * (server->summary.totals.targets / server->worker_count);
    if (wished > SERVER_SOCKET_BUFFER_MAX)
        wished = SERVER_SOCKET_BUFFER_MAX;
    size_t granted = platform_receive_buffer((uv_os_fd_t)socket, wished);
    if (granted >= wished || !log_short)
        return;
    struct log_line line;
    char message[256];
    (void)snprintf(message, sizeof message,
                   "the kernel grants a smaller receive buffer than wished; a large fleet may lose datagrams in a "
                   "burst: " REMEDY_LARGER_BUFFERS,
                   wished);
    log_begin(&line, CONFIG_LOG_NOTICE, message);
    log_number(&line, "port", local->port);
    log_number(&line, "bytes", granted);
    log_number(&line, "wished", wished);
    log_end(&line);
}

static bool overlaps(const struct address *a, const struct address *b)
{
    return a->port == b->port && address_is_ipv4(a) == address_is_ipv4(b) &&
           (address_same_ip(a, b->ip) || address_is_any(a) || address_is_any(b));
}

/* Allows sockets at addresses that overlap ours, or ends that. Returns whether there is one. */
static bool allow_beside(const struct server *server, const struct port *port, bool allowed)
{
    bool some = false;
    for (const struct port *other = server->ports; other; other = other->next) {
        if (!other->open || !overlaps(&other->local, &port->local))
            continue;
        some = true;
        for (unsigned i = 0; i < server->worker_count; ++i)
            platform_set_reuse((uv_os_fd_t)other->sockets[i], allowed);
    }
    return some;
}

static bool is_being_closed(const struct server *server, const struct address *local)
{
    for (const struct port *port = server->ports; port; port = port->next)
        if (port->closing && overlaps(&port->local, local))
            return true;
    return false;
}

/* Binds worker 0's socket, or another one at its address; where sockets cannot share it, duplicates the first. */
static int bind_one(struct port *port, unsigned worker, unsigned how)
{
    struct sockaddr_storage address;
    if (worker > 0 && !platform_can_share())
        return inherited_duplicate(port->sockets[0], &port->sockets[worker]);
    address_to_socket(&port->local, &address);
    return platform_udp_socket((const struct sockaddr *)&address, how, &port->sockets[worker]);
}

/* Each worker's socket, in order: so the kernel counts them, too. */
static int bind_all(const struct server *server, struct port *port, unsigned how)
{
    for (unsigned i = 0; i < server->worker_count; ++i) {
        int error = bind_one(port, i, how);
        if (error == 0)
            continue;
        while (i > 0)
            platform_close_socket(port->sockets[--i]);
        return error;
    }
    return 0;
}

/* Checks that nobody else has the port, not even for one of its addresses. */
static int probe(const struct port *port, unsigned how)
{
    struct sockaddr_storage address;
    uv_os_sock_t socket;
    address_to_socket(&port->local, &address);
    int error = platform_udp_socket((const struct sockaddr *)&address, how, &socket);
    if (error == 0)
        platform_close_socket(socket);
    return error;
}

/* Binds a port of which we have another address: both are open while machines move from one to the other. */
static int bind_beside(const struct server *server, struct port *port, unsigned how)
{
    if (!allow_beside(server, port, true))
        return is_being_closed(server, &port->local) ? UV_EALREADY : UV_EADDRINUSE;
    int error = bind_all(server, port, how | PLATFORM_BESIDE);
    for (unsigned i = 0; i < server->worker_count && error == 0; ++i)
        platform_set_reuse((uv_os_fd_t)port->sockets[i], false);
    (void)allow_beside(server, port, false);
    return error;
}

/* Asks the service manager to keep the sockets over a restart; or no longer. */
static void keep(const struct server *server, const struct port *port, bool kept)
{
    struct sockaddr_storage address;
    address_to_socket(&port->local, &address);
    for (unsigned i = 0; i < server->worker_count; ++i)
        if (kept)
            inherited_keep((const struct sockaddr *)&address, i, port->sockets[i]);
        else
            inherited_forget((const struct sockaddr *)&address, i);
}

/*
 * Takes `count` sockets that the service manager kept, one a worker, and binds further ones beside them. Where that is
 * not permitted (a socket unit's belong to another user), workers share one: *steered is then false, and datagrams
 * arrive anywhere.
 */
static int take_inherited(const struct server *server, struct port *port, size_t count, unsigned how, bool *steered)
{
    struct sockaddr_storage address;
    unsigned i = (unsigned)count;
    int error = 0;
    address_to_socket(&port->local, &address);
    for (; i < server->worker_count && error == 0; ++i) {
        error = platform_udp_socket((const struct sockaddr *)&address, how | PLATFORM_SHARED, &port->sockets[i]);
        if (error == 0)
            continue;
        *steered = false;
        error = inherited_duplicate(port->sockets[i % count], &port->sockets[i]);
    }
    while (error != 0 && i > 1)
        platform_close_socket(port->sockets[--i - 1]);
    return error;
}

/* Finds kept sockets, but no more than there are workers: nobody would read the others. */
static size_t find_inherited(const struct server *server, struct port *port)
{
    struct sockaddr_storage address;
    uv_os_sock_t more[CONFIG_WORKERS_MAX];
    address_to_socket(&port->local, &address);
    size_t count = inherited_sockets((const struct sockaddr *)&address, port->sockets, server->worker_count);
    size_t surplus = inherited_sockets((const struct sockaddr *)&address, more, CONFIG_WORKERS_MAX);
    for (size_t i = 0; i < surplus; ++i) {
        inherited_forget((const struct sockaddr *)&address, server->worker_count + (unsigned)i);
        platform_close_socket(more[i]);
    }
    return count;
}

static int open_sockets(const struct server *server, struct port *port, bool *steered)
{
    size_t inherited = find_inherited(server, port);
    if (inherited > 0)
        return take_inherited(server, port, inherited, server->config.freebind ? PLATFORM_FREEBIND : 0, steered);
    unsigned how = server->config.freebind ? PLATFORM_FREEBIND : 0;
    unsigned shared = server->worker_count > 1 && platform_can_share() ? PLATFORM_SHARED : 0;
    int error = probe(port, how);
    if (error == UV_EADDRINUSE)
        return bind_beside(server, port, how | shared);
    return error == 0 ? bind_all(server, port, how | shared) : error;
}

void opening_steer(const struct server *server, const struct port *port)
{
    if (!port->steered || server->worker_count == 1 ||
        platform_steer(port->sockets[0], &server->env.steer, address_is_ipv4(&port->local)))
        return;
    struct log_line line;
    log_begin(&line, CONFIG_LOG_NOTICE,
              "this kernel does not give datagrams to the worker that they are for; workers pass them on, which costs "
              "time; with `workers: 1` nothing is passed on");
    log_number(&line, "port", port->local.port);
    log_end(&line);
}

/* Memory is out: the others serve, and the port is closed and opened again. */
static void open_listener(struct worker *worker, const struct opening *opening)
{
    int error = listener_open(worker, opening->id, &opening->local, opening->socket, opening->any);
    if (error == 0)
        return;
    worker->env->trouble(worker->env->user, opening->id, WORKER_TROUBLE_DEAF, error);
    worker->env->trouble(worker->env->user, opening->id, WORKER_TROUBLE_STAYS, error);
}

static void handle_opening(struct message *message, void *owner)
{
    struct opening *opening = (struct opening *)message;
    struct worker *worker = owner;
    if (worker->finished)
        platform_close_socket(opening->socket);
    else
        open_listener(worker, opening);
    free(opening);
}

/* Allocates everything first. */
static bool make_openings(const struct server *server, struct opening **openings)
{
    for (unsigned i = 0; i < server->worker_count; ++i) {
        openings[i] = malloc(sizeof *openings[i]);
        if (openings[i])
            continue;
        while (i > 0)
            free(openings[--i]);
        return false;
    }
    return true;
}

int opening_open(struct server *server, struct port *port)
{
    struct opening *openings[CONFIG_WORKERS_MAX];
    bool ipv4 = address_is_ipv4(&port->local);
    int error = make_openings(server, openings) ? 0 : UV_ENOMEM;
    if (error != 0)
        return error;
    bool steered = true;
    error = open_sockets(server, port, &steered);
    if (error == 0) {
        port->id = ++server->next_port_id;
        port->steered = steered;
        if (!successor_waits())
            opening_steer(server, port);
        keep(server, port, true);
    }
    for (unsigned i = 0; i < server->worker_count; ++i) {
        if (error != 0) {
            free(openings[i]);
            continue;
        }
        bool any = address_is_any(&port->local) && platform_report_local((uv_os_fd_t)port->sockets[i], ipv4);
        enlarge_buffer(server, &port->local, port->sockets[i], i == 0);
        *openings[i] = (struct opening){.message.handle = handle_opening,
                                        .local = port->local,
                                        .id = port->id,
                                        .socket = port->sockets[i],
                                        .any = any};
        mailbox_post(&server->workers[i].mailbox, &openings[i]->message);
    }
    return error;
}

/* Back at the server. */
static void handle_closed(struct message *message, void *owner)
{
    struct closing *closing = (struct closing *)message;
    struct server *server = owner;
    for (struct port **at = &server->ports; *at; at = &(*at)->next) {
        struct port *port = *at;
        if (!port->closing || port->id != closing->id)
            continue;
        if (--port->left == 0) {
            *at = port->next;
            free(port);
        }
        break;
    }
    free(closing);
}

static void handle_closing(struct message *message, void *owner)
{
    struct closing *closing = (struct closing *)message;
    struct listener *listener = worker_listener(owner, closing->id);
    if (listener)
        listener_close(listener);
    closing->message.handle = handle_closed;
    mailbox_post(&closing->server->mailbox, &closing->message);
}

/* A worker that cannot be told, for lack of memory, keeps listening. */
void opening_close(struct server *server, struct port *port)
{
    keep(server, port, false);
    port->open = false;
    port->closing = true;
    port->left = 1;
    for (unsigned i = 0; i < server->worker_count; ++i) {
        struct closing *closing = malloc(sizeof *closing);
        if (!closing)
            continue;
        ++port->left;
        *closing = (struct closing){.message.handle = handle_closing, .server = server, .id = port->id};
        mailbox_post(&server->workers[i].mailbox, &closing->message);
    }
    --port->left;
}
