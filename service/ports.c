/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses that machines reach us by. Sockets are opened here, where a mistake can be told; workers use them. */
#include "service/log.h"
#include "service/platform/platform.h"
#include "service/server_internal.h"

#include <stdlib.h>

struct opening {
    struct mail mail;
    struct address local;
    uint32_t id;
    uv_os_sock_t socket;
};

struct closing {
    struct mail mail;
    uint32_t id;
};

static void say_not_opened(const struct address *local, int error)
{
    struct log_line line;
    char text[ADDRESS_TEXT_SIZE];
    const char *message = "cannot listen";
    if (error == UV_EADDRINUSE)
        message = "cannot listen: another program has this port; `ss -ulpn` names it (another kdnetd? a debugger?); "
                  "stop it, or "
                  "listen on another port";
    else if (error == UV_EADDRNOTAVAIL)
        message = "cannot listen: this machine has no such address; `ip address` lists those it has";
    else if (error == UV_EACCES)
        message = "cannot listen: not allowed; ports below 1024 need CAP_NET_BIND_SERVICE";
    address_format(local, text);
    log_begin(&line, CONFIG_LOG_ERROR, message);
    log_text(&line, "listen", text);
    log_text(&line, "error", uv_strerror(error));
    log_end(&line);
}

/* The kernel grants up to net.core.rmem_max. */
static void enlarge_buffer(const struct server *server, const struct address *local, uv_os_sock_t socket, bool tell)
{
    size_t wished = SERVER_SOCKET_BUFFER + SERVER_SOCKET_BUFFER_EACH * (server->summary.targets / server->worker_count);
    if (wished > SERVER_SOCKET_BUFFER_MAX)
        wished = SERVER_SOCKET_BUFFER_MAX;
    size_t granted = platform_receive_buffer((uv_os_fd_t)socket, wished);
    if (granted >= wished || !tell)
        return;
    struct log_line line;
    log_begin(&line, CONFIG_LOG_NOTICE,
              "the kernel grants a smaller receive buffer than wished; a large fleet may lose datagrams in a burst; "
              "set net.core.rmem_max to `wished`: sysctl -w net.core.rmem_max=BYTES");
    log_number(&line, "port", local->port);
    log_number(&line, "bytes", granted);
    log_number(&line, "wished", wished);
    log_end(&line);
}

static void say_opened(const struct port *port)
{
    struct log_line line;
    char text[ADDRESS_TEXT_SIZE];
    address_format(&port->local, text);
    log_begin(&line, CONFIG_LOG_NOTICE, "listening");
    log_text(&line, "listen", text);
    log_end(&line);
}

/* Each worker's socket, in order: so the kernel counts them, too. */
static int open_sockets(const struct server *server, const struct address *local, uv_os_sock_t *sockets)
{
    struct sockaddr_storage address;
    const struct sockaddr *at = (const struct sockaddr *)&address;
    bool shared = server->worker_count > 1;
    address_to_socket(local, &address);
    int error = platform_udp_socket(at, false, &sockets[0]); /* nobody else may have the port, not even half of it */
    if (error != 0 || !shared)
        return error;
    platform_close_socket(sockets[0]);
    for (unsigned i = 0; i < server->worker_count; ++i) {
        error = platform_udp_socket(at, true, &sockets[i]);
        if (error == 0)
            continue;
        while (i > 0)
            platform_close_socket(sockets[--i]);
        return error;
    }
    return 0;
}

static void steer(const struct server *server, const struct port *port, uv_os_sock_t socket)
{
    if (server->worker_count == 1 || platform_steer(socket, &server->steer, address_is_ipv4(&port->local)))
        return;
    struct log_line line;
    log_begin(&line, CONFIG_LOG_NOTICE,
              "this kernel does not give datagrams to the worker that they are for; workers pass them on, which costs "
              "time; with `workers: 1` nothing is passed on");
    log_number(&line, "port", port->local.port);
    log_end(&line);
}

static void open_listener(struct worker *worker, const struct opening *opening)
{
    struct log_line line;
    int error = listener_open(worker, opening->id, &opening->local, opening->socket);
    if (error == 0)
        return;
    log_begin(&line, CONFIG_LOG_ERROR,
              "a worker cannot use its socket: machines of this port are served in part; "
              "restart kdnetd");
    log_number(&line, "port", opening->local.port);
    log_number(&line, "worker", worker->number);
    log_text(&line, "error", uv_strerror(error));
    log_end(&line);
}

static void open_opening(struct mail *mail, void *owner)
{
    struct opening *opening = (struct opening *)mail;
    struct worker *worker = owner;
    if (worker->finished)
        platform_close_socket(opening->socket);
    else
        open_listener(worker, opening);
    free(opening);
}

/* Gives a worker its socket. */
static void hand_over(struct worker *worker, const struct port *port, uv_os_sock_t socket)
{
    struct opening *opening = malloc(sizeof *opening);
    if (!opening) {
        platform_close_socket(socket);
        log_plain(CONFIG_LOG_ERROR, "out of memory: a worker does not listen; restart kdnetd");
        return;
    }
    *opening = (struct opening){.mail.open = open_opening, .local = port->local, .id = port->id, .socket = socket};
    mailbox_post(&worker->mailbox, &opening->mail);
}

struct port *port_at(const struct server *server, const struct config_address *address)
{
    struct port *port = server->ports;
    while (port && (port->local.port != address->port || !address_same_ip(&port->local, address->ip)))
        port = port->next;
    return port;
}

bool port_open(struct server *server, const struct config_address *address)
{
    uv_os_sock_t sockets[CONFIG_WORKERS_MAX];
    struct port *port = calloc(1, sizeof *port);
    if (!port)
        return false;
    port->local = address_from_config(address);
    int error = open_sockets(server, &port->local, sockets);
    if (error != 0) {
        say_not_opened(&port->local, error);
        free(port);
        return false;
    }
    port->id = ++server->next_port_id;
    port->next = server->ports;
    server->ports = port;
    steer(server, port, sockets[0]);
    for (unsigned i = 0; i < server->worker_count; ++i) {
        enlarge_buffer(server, &port->local, sockets[i], i == 0);
        hand_over(&server->workers[i], port, sockets[i]);
    }
    say_opened(port);
    return true;
}

static void open_closing(struct mail *mail, void *owner)
{
    const struct closing *closing = (struct closing *)mail;
    struct listener *listener = listener_by_id(owner, closing->id);
    if (listener)
        listener_close(listener);
    free(mail);
}

static void say_closed(const struct port *port)
{
    char text[ADDRESS_TEXT_SIZE];
    struct log_line line;
    address_format(&port->local, text);
    log_begin(&line, CONFIG_LOG_NOTICE, "no longer listening");
    log_text(&line, "listen", text);
    log_end(&line);
}

void port_close(struct server *server, struct port *port)
{
    struct port **at = &server->ports;
    while (*at != port)
        at = &(*at)->next;
    *at = port->next;
    say_closed(port);
    for (unsigned i = 0; i < server->worker_count; ++i) {
        struct closing *closing = malloc(sizeof *closing);
        if (!closing)
            continue; /* it goes on to listen there; the next reload cannot open the port, and says so */
        *closing = (struct closing){.mail.open = open_closing, .id = port->id};
        mailbox_post(&server->workers[i].mailbox, &closing->mail);
    }
    free(port);
}

static void tell_lost(const struct port *port, const struct listener_counts *now, const struct listener_counts *then)
{
    struct log_line line;
    char source[ADDRESS_TEXT_SIZE];
    if (now->shed != then->shed) {
        address_format(&port->shed_source, source);
        log_begin(&line, CONFIG_LOG_WARNING,
                  "more datagrams came than can be handled, and sources that sent too many were shed; `address` is one "
                  "of them: look at what it sends");
        log_number(&line, "port", port->local.port);
        log_number(&line, "shed", now->shed - then->shed);
        log_text(&line, "address", source);
        log_end(&line);
    }
    if (now->pass_dropped != then->pass_dropped) {
        log_begin(&line, CONFIG_LOG_WARNING,
                  "datagrams that another worker should have had were dropped, because it has too much to do; machines "
                  "send them again");
        log_number(&line, "port", port->local.port);
        log_number(&line, "dropped", now->pass_dropped - then->pass_dropped);
        log_end(&line);
    }
    if (now->overflowed != then->overflowed) {
        log_begin(&line, CONFIG_LOG_WARNING,
                  "the kernel dropped datagrams, because more came than were taken; machines send them again; when it "
                  "goes on: a larger net.core.rmem_max, or fewer machines on this port");
        log_number(&line, "port", port->local.port);
        log_number(&line, "dropped", now->overflowed - then->overflowed);
        log_end(&line);
    }
}

static void tell_received(const struct port *port, const struct listener_counts *now,
                          const struct listener_counts *then)
{
    struct log_line line;
    if (now->malformed == then->malformed && now->forged == then->forged && now->unknown == then->unknown &&
        now->unknown_data == then->unknown_data && now->refused == then->refused)
        return;
    log_begin(&line, CONFIG_LOG_WARNING, "datagrams were ignored in the last minute");
    log_number(&line, "port", port->local.port);
    log_number(&line, "not_kdnet", now->malformed - then->malformed);
    log_number(&line, "wrong_key", now->forged - then->forged);
    log_number(&line, "unknown_pokes", now->unknown - then->unknown);
    log_number(&line, "unknown_data", now->unknown_data - then->unknown_data);
    log_number(&line, "too_many", now->refused - then->refused);
    log_number(&line, "of", now->received - then->received);
    log_end(&line);
}

void port_tell(struct port *port)
{
    const struct listener_counts *now = &port->counts, *then = &port->told;
    struct log_line line;
    tell_lost(port, now, then);
    tell_received(port, now, then);
    if (now->send_failed != then->send_failed || now->send_dropped != then->send_dropped) {
        log_begin(&line, CONFIG_LOG_WARNING,
                  "datagrams could not be sent; their sessions send them again; look at the "
                  "routes and the firewall of this machine");
        log_number(&line, "port", port->local.port);
        log_number(&line, "failed", now->send_failed - then->send_failed);
        log_number(&line, "no_room", now->send_dropped - then->send_dropped);
        log_text(&line, "error", port->send_error != 0 ? uv_strerror(port->send_error) : NULL);
        log_end(&line);
    }
    port->told = *now;
}
