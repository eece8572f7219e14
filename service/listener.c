/* SPDX-License-Identifier: Apache-2.0 */
#include "service/log.h"
#include "service/platform/platform.h"
#include "service/server_internal.h"

#include <stdlib.h>
#include <string.h>

#define LISTENER_BATCHES 8U /* between two rounds of the loop: other sockets have their turn */
#define LISTENER_REST_MS 5  /* what a machine that breaks in waits for at most */

/* A datagram that its socket did not take at once. */
struct waiting {
    uv_udp_send_t request;
    struct listener *listener;
    size_t length;
    uint8_t payload[];
};

/* Receiving. When nothing is urgent, a socket rests for LISTENER_REST_MS after it was drained: thousands of idle
 * machines poke every millisecond, and a wake-up for each costs ten times what the datagram costs. */

static void on_batch(void *user, const struct receiver_datagram *datagrams, size_t count)
{
    struct listener *listener = user;
    dispatch_batch(listener, datagrams, count);
    listener_flush(listener->server);
}

static void set_resting(struct listener *listener, bool resting)
{
    if (resting == listener->resting)
        return;
    listener->resting = resting;
    receiver_watch(listener->receiver, !resting);
}

static bool is_urgent(const struct server *server, uint64_t now_us)
{
    return now_us < server->urgent_until_us || server->stopping;
}

/* Drains a socket that rests or has something. Returns whether it rests from now on. */
static bool drain(struct listener *listener)
{
    struct server *server = listener->server;
    uint64_t before = listener->counts.received;
    bool empty = receiver_drain(listener->receiver, LISTENER_BATCHES);
    bool idle = listener->counts.received ==
                before; /* nothing came while it rested: it is watched, which costs nothing */
    listener->behind = !empty;
    set_resting(listener, empty && !idle && receiver_can_rest() && !is_urgent(server, server_now_us()));
    return listener->resting;
}

static void on_ready(void *user)
{
    struct listener *listener = user;
    uv_timer_t *timer = &listener->server->rest_timer;
    if (drain(listener) && !uv_is_active((uv_handle_t *)timer))
        (void)uv_timer_start(timer, listener_on_rest, LISTENER_REST_MS, 0);
}

void listener_on_rest(uv_timer_t *timer)
{
    struct server *server = timer->data;
    bool some = false;
    for (struct listener *listener = server->listeners; listener; listener = listener->next)
        if (listener->resting)
            some = drain(listener) || some;
    if (some)
        (void)uv_timer_start(timer, listener_on_rest, LISTENER_REST_MS, 0);
}

void listener_wake(struct server *server)
{
    if (!uv_is_active((uv_handle_t *)&server->rest_timer) || !is_urgent(server, server_now_us()))
        return;
    (void)uv_timer_stop(&server->rest_timer);
    for (struct listener *listener = server->listeners; listener; listener = listener->next)
        set_resting(listener, false);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle); /* the first member of struct listener */
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
    size_t wished = SERVER_SOCKET_BUFFER + SERVER_SOCKET_BUFFER_EACH * listener->server->targets.count;
    if (wished > SERVER_SOCKET_BUFFER_MAX)
        wished = SERVER_SOCKET_BUFFER_MAX;
    size_t granted = platform_receive_buffer(descriptor, wished);
    if (granted >= wished)
        return;
    struct log_line line;
    log_begin(&line, CONFIG_LOG_NOTICE,
              "the kernel grants a smaller receive buffer than wished; a large fleet may lose datagrams in a burst; "
              "set net.core.rmem_max to `wished`: sysctl -w net.core.rmem_max=BYTES");
    log_number(&line, "port", listener->local.port);
    log_number(&line, "bytes", granted);
    log_number(&line, "wished", wished);
    log_end(&line);
}

static int bind_listener(struct listener *listener)
{
    struct sockaddr_storage local;
    address_to_socket(&listener->local, &local);
    unsigned flags = local.ss_family == AF_INET6 ? UV_UDP_IPV6ONLY : 0;
    int error = uv_udp_bind(&listener->udp, (const struct sockaddr *)&local, flags);
    const struct receiver_calls calls = {.ready = on_ready, .batch = on_batch, .user = listener};
    if (error == 0)
        error = receiver_open(&listener->receiver, &listener->udp, &calls);
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
    int error = uv_udp_init_ex(&server->loop, &listener->udp, address_is_ipv4(&listener->local) ? AF_INET : AF_INET6);
    if (error != 0) {
        say_not_opened(&listener->local, error);
        free(listener);
        return false;
    }
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
    listener_flush(listener->server);
    while (*at != listener)
        at = &(*at)->next;
    *at = listener->next;
    targets_forget_listener(&listener->server->targets, listener);
    receiver_close(listener->receiver);
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
static void send_later(struct listener *listener, const struct address *to, const uint8_t *payload, size_t length)
{
    struct server *server = listener->server;
    struct sockaddr_storage address;
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
    address_to_socket(to, &address);
    int error = uv_udp_send(&waiting->request, &listener->udp, &buffer, 1, (const struct sockaddr *)&address, on_sent);
    if (error != 0) {
        ++listener->counts.send_failed;
        listener->send_error = error;
        free(waiting);
        return;
    }
    server->sending_bytes += length;
}

/* Sends what waits in the server's batch; what a socket does not take at once is queued. */
void listener_flush(struct server *server)
{
    struct outbox *outbox = &server->outbox;
    struct listener *listener = outbox->listener;
    size_t at = 0;
    while (at < outbox->count) {
        int error = UV_EAGAIN;
        size_t left = outbox->count - at, sent = 0;
        if (uv_udp_get_send_queue_count(&listener->udp) == 0) /* else after those that are queued */
            sent = sender_send(&listener->udp, &outbox->datagrams[at], left, &error);
        listener->counts.sent += sent;
        at += sent;
        if (sent == left)
            break;
        const struct sender_datagram *datagram = &outbox->datagrams[at++];
        if (error == UV_EAGAIN) {
            send_later(listener, &datagram->to, datagram->payload, datagram->length);
        } else {
            ++listener->counts.send_failed;
            listener->send_error = error;
        }
    }
    outbox->count = outbox->bytes = 0;
    outbox->listener = NULL;
}

void listener_send(struct listener *listener, const struct address *to, const uint8_t *payload, size_t length)
{
    struct outbox *outbox = &listener->server->outbox;
    if (length > sizeof outbox->space)
        return;
    if (outbox->count > 0 && (outbox->listener != listener || outbox->count == SENDER_BATCH ||
                              sizeof outbox->space - outbox->bytes < length))
        listener_flush(listener->server);
    uint8_t *copy = outbox->space + outbox->bytes;
    memcpy(copy, payload, length);
    outbox->listener = listener;
    outbox->datagrams[outbox->count++] = (struct sender_datagram){.to = *to, .payload = copy, .length = length};
    outbox->bytes += length;
}

void listener_count(struct listener *listener)
{
    uv_os_fd_t descriptor;
    if (uv_fileno((const uv_handle_t *)&listener->udp, &descriptor) != 0)
        return;
    uint32_t before = (uint32_t)listener->counts.overflowed;
    listener->counts.overflowed += (uint32_t)(platform_receive_drops(descriptor) - before);
}

static void tell_lost(const struct listener *listener, const struct listener_counts *now,
                      const struct listener_counts *then)
{
    struct log_line line;
    char source[ADDRESS_TEXT_SIZE];
    if (now->shed != then->shed) {
        address_format(&listener->shed_source, source);
        log_begin(&line, CONFIG_LOG_WARNING,
                  "more datagrams came than can be handled, and sources that sent too many were shed; `address` is one "
                  "of them: look at what it sends");
        log_number(&line, "port", listener->local.port);
        log_number(&line, "shed", now->shed - then->shed);
        log_text(&line, "address", source);
        log_end(&line);
    }
    if (now->overflowed != then->overflowed) {
        log_begin(&line, CONFIG_LOG_WARNING,
                  "the kernel dropped datagrams, because more came than were taken; machines send them again; when it "
                  "goes on: a larger net.core.rmem_max, or fewer machines on this port");
        log_number(&line, "port", listener->local.port);
        log_number(&line, "dropped", now->overflowed - then->overflowed);
        log_end(&line);
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
    listener_count(listener);
    tell_lost(listener, now, then);
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
