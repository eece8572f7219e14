/* SPDX-License-Identifier: Apache-2.0 */
#include "service/log.h"
#include "service/platform/platform.h"
#include "service/server_internal.h"

#include <stdlib.h>
#include <string.h>

/* A datagram that its socket did not take at once. */
struct waiting {
    uv_udp_send_t request;
    struct listener *listener;
    size_t length;
    uint8_t payload[];
};

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct listener *listener = handle->data;
    (void)suggested;
    *buffer = uv_buf_init(listener->server->receive_space, SERVER_RECEIVE_SPACE);
}

static void on_received(uv_udp_t *udp, ssize_t length, const uv_buf_t *buffer, const struct sockaddr *from,
                        unsigned flags)
{
    struct listener *listener = udp->data;
    struct address source;
    if (!from || length < 0) /* nothing more to read, or an ICMP error that answers something we sent */
        return;
    ++listener->counts.received;
    if (length == 0 || (flags & UV_UDP_PARTIAL) != 0 || !address_from_socket(from, &source)) {
        ++listener->counts.malformed;
        return;
    }
    dispatch_datagram(listener, &source, (const uint8_t *)buffer->base, (size_t)length);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

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
static void enlarge_buffer(struct listener *listener)
{
    uv_os_fd_t descriptor;
    if (uv_fileno((const uv_handle_t *)&listener->udp, &descriptor) != 0)
        return;
    size_t granted = platform_receive_buffer(descriptor, SERVER_SOCKET_BUFFER);
    if (granted >= SERVER_SOCKET_BUFFER)
        return;
    struct log_line line;
    log_begin(&line, CONFIG_LOG_NOTICE,
              "the kernel grants a smaller receive buffer than wished; a large fleet may lose datagrams in a burst: "
              "sysctl -w net.core.rmem_max=8388608");
    log_number(&line, "port", listener->local.port);
    log_number(&line, "bytes", granted);
    log_end(&line);
}

static int bind_listener(struct listener *listener)
{
    struct sockaddr_storage local;
    address_to_socket(&listener->local, &local);
    unsigned flags = local.ss_family == AF_INET6 ? UV_UDP_IPV6ONLY : 0;
    int error = uv_udp_bind(&listener->udp, (const struct sockaddr *)&local, flags);
    if (error == 0)
        error = uv_udp_recv_start(&listener->udp, on_allocate, on_received);
    if (error == 0)
        enlarge_buffer(listener);
    return error;
}

static void say_opened(const struct listener *listener)
{
    struct log_line line;
    char text[ADDRESS_TEXT_SIZE];
    address_format(&listener->local, text);
    log_begin(&line, CONFIG_LOG_NOTICE, "listening");
    log_text(&line, "listen", text);
    log_end(&line);
}

bool listener_open(struct server *server, const struct config_address *address)
{
    struct listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return false;
    listener->server = server;
    listener->id = ++server->next_listener_id;
    listener->local = address_from_config(address);
    int error = uv_udp_init_ex(&server->loop, &listener->udp,
                               (address_is_ipv4(&listener->local) ? AF_INET : AF_INET6) | UV_UDP_RECVMMSG);
    if (error != 0) {
        say_not_opened(&listener->local, error);
        free(listener);
        return false;
    }
    listener->udp.data = listener;
    error = bind_listener(listener);
    if (error != 0) {
        say_not_opened(&listener->local, error);
        uv_close((uv_handle_t *)&listener->udp, on_closed);
        return false;
    }
    listener->next = server->listeners;
    server->listeners = listener;
    say_opened(listener);
    return true;
}

void listener_close(struct listener *listener)
{
    struct listener **at = &listener->server->listeners;
    while (*at != listener)
        at = &(*at)->next;
    *at = listener->next;
    targets_forget_listener(&listener->server->targets, listener);
    uv_close((uv_handle_t *)&listener->udp, on_closed);
}

struct listener *listener_by_id(const struct server *server, uint32_t id)
{
    struct listener *listener = server->listeners;
    while (listener && listener->id != id)
        listener = listener->next;
    return listener;
}

static void on_sent(uv_udp_send_t *request, int status)
{
    struct waiting *waiting = request->data;
    struct listener *listener = waiting->listener;
    listener->server->sending_bytes -= waiting->length;
    if (status == 0) {
        ++listener->counts.sent;
    } else {
        ++listener->counts.send_failed;
        listener->send_error = status;
    }
    free(waiting);
}

/* What is lost here is sent again by its session. */
static void send_later(struct listener *listener, const struct sockaddr *to, const uint8_t *payload, size_t length)
{
    struct server *server = listener->server;
    struct waiting *waiting = NULL;
    if (server->sending_bytes + length <= SERVER_SEND_QUEUE)
        waiting = malloc(sizeof *waiting + length);
    if (!waiting) {
        ++listener->counts.send_dropped;
        return;
    }
    waiting->listener = listener;
    waiting->length = length;
    waiting->request.data = waiting;
    memcpy(waiting->payload, payload, length);
    uv_buf_t buffer = uv_buf_init((char *)waiting->payload, (unsigned)length);
    int error = uv_udp_send(&waiting->request, &listener->udp, &buffer, 1, to, on_sent);
    if (error != 0) {
        ++listener->counts.send_failed;
        listener->send_error = error;
        free(waiting);
        return;
    }
    server->sending_bytes += length;
}

void listener_send(struct listener *listener, const struct address *to, const uint8_t *payload, size_t length)
{
    struct sockaddr_storage socket_address;
    uint8_t copy[KDNET_DATAGRAM_MAX];
    if (length > sizeof copy)
        return;
    memcpy(copy, payload, length); /* uv_buf_t has no const */
    uv_buf_t buffer = uv_buf_init((char *)copy, (unsigned)length);
    address_to_socket(to, &socket_address);
    int sent = uv_udp_try_send(&listener->udp, &buffer, 1, (const struct sockaddr *)&socket_address);
    if (sent >= 0) {
        ++listener->counts.sent;
    } else if (sent == UV_EAGAIN) {
        send_later(listener, (const struct sockaddr *)&socket_address, payload, length);
    } else {
        ++listener->counts.send_failed;
        listener->send_error = sent;
    }
}

static void tell_received(const struct listener *listener, const struct listener_counts *now,
                          const struct listener_counts *then)
{
    struct log_line line;
    if (now->malformed == then->malformed && now->forged == then->forged && now->unknown == then->unknown &&
        now->unknown_data == then->unknown_data && now->refused == then->refused)
        return;
    log_begin(&line, CONFIG_LOG_WARNING, "datagrams were ignored in the last minute");
    log_number(&line, "port", listener->local.port);
    log_number(&line, "not_kdnet", now->malformed - then->malformed);
    log_number(&line, "wrong_key", now->forged - then->forged);
    log_number(&line, "unknown_pokes", now->unknown - then->unknown);
    log_number(&line, "unknown_data", now->unknown_data - then->unknown_data);
    log_number(&line, "too_many", now->refused - then->refused);
    log_number(&line, "of", now->received - then->received);
    log_end(&line);
}

void listener_tell(struct listener *listener)
{
    const struct listener_counts *now = &listener->counts, *then = &listener->told;
    struct log_line line;
    tell_received(listener, now, then);
    if (now->send_failed != then->send_failed || now->send_dropped != then->send_dropped) {
        log_begin(&line, CONFIG_LOG_WARNING,
                  "datagrams could not be sent; their sessions send them again; look at the "
                  "routes and the firewall of this machine");
        log_number(&line, "port", listener->local.port);
        log_number(&line, "failed", now->send_failed - then->send_failed);
        log_number(&line, "no_room", now->send_dropped - then->send_dropped);
        log_text(&line, "error", listener->send_error != 0 ? uv_strerror(listener->send_error) : NULL);
        log_end(&line);
    }
    listener->told = *now;
}
