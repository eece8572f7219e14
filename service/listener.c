/* SPDX-License-Identifier: Apache-2.0 */
#include "service/log.h"
#include "service/platform/platform.h"
#include "service/worker.h"

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
    listener_flush(listener->worker);
}

static void set_resting(struct listener *listener, bool resting)
{
    if (resting == listener->resting)
        return;
    listener->resting = resting;
    receiver_watch(listener->receiver, !resting);
}

static bool is_urgent(const struct worker *worker, uint64_t now_us)
{
    return now_us < worker->urgent_until_us || worker->stopping;
}

/* Drains a socket that rests or has something. Returns whether it rests from now on. */
static bool drain(struct listener *listener)
{
    struct worker *worker = listener->worker;
    uint64_t before = listener->counts.received;
    bool empty = receiver_drain(listener->receiver, LISTENER_BATCHES);
    if (listener->closed)
        return false;
    bool idle = listener->counts.received ==
                before; /* nothing came while it rested: it is watched, which costs nothing */
    listener->behind = !empty;
    set_resting(listener, empty && !idle && receiver_can_rest() && !is_urgent(worker, worker_now_us()));
    return listener->resting;
}

static void on_ready(void *user)
{
    struct listener *listener = user;
    uv_timer_t *timer = &listener->worker->rest_timer;
    if (drain(listener) && !uv_is_active((uv_handle_t *)timer))
        (void)uv_timer_start(timer, listener_on_rest, LISTENER_REST_MS, 0);
}

void listener_on_rest(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    bool some = false;
    for (struct listener *listener = worker->listeners; listener; listener = listener->next)
        if (listener->resting)
            some = drain(listener) || some;
    if (some)
        (void)uv_timer_start(timer, listener_on_rest, LISTENER_REST_MS, 0);
}

void listener_wake(struct worker *worker)
{
    if (!uv_is_active((uv_handle_t *)&worker->rest_timer) || !is_urgent(worker, worker_now_us()))
        return;
    (void)uv_timer_stop(&worker->rest_timer);
    for (struct listener *listener = worker->listeners; listener; listener = listener->next)
        set_resting(listener, false);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle); /* the first member of struct listener */
}

int listener_open(struct worker *worker, uint32_t id, const struct address *local, uv_os_sock_t socket)
{
    struct listener *listener = calloc(1, sizeof *listener);
    int error = listener ? uv_udp_init(&worker->loop, &listener->udp) : UV_ENOMEM;
    if (error != 0) {
        platform_close_socket(socket);
        free(listener);
        return error;
    }
    listener->worker = worker;
    listener->id = id;
    listener->local = *local;
    error = uv_udp_open(&listener->udp, socket);
    if (error != 0)
        platform_close_socket(socket);
    const struct receiver_calls calls = {.ready = on_ready, .batch = on_batch, .user = listener};
    if (error == 0)
        error = receiver_open(&listener->receiver, &listener->udp, &calls);
    if (error != 0) {
        uv_close((uv_handle_t *)&listener->udp, on_closed);
        return error;
    }
    platform_keep_address((uv_os_fd_t)socket);
    listener->next = worker->listeners;
    worker->listeners = listener;
    return 0;
}

void listener_close(struct listener *listener)
{
    struct listener **at = &listener->worker->listeners;
    listener->closed = true;
    listener_flush(listener->worker);
    while (*at != listener)
        at = &(*at)->next;
    *at = listener->next;
    targets_forget_listener(&listener->worker->targets, listener);
    receiver_close(listener->receiver);
    uv_close((uv_handle_t *)&listener->udp, on_closed);
}

struct listener *listener_by_id(const struct worker *worker, uint32_t id)
{
    struct listener *listener = worker->listeners;
    while (listener && listener->id != id)
        listener = listener->next;
    return listener;
}

static void on_sent(uv_udp_send_t *request, int status)
{
    struct waiting *waiting = request->data;
    struct listener *listener = waiting->listener;
    listener->worker->sending_bytes -= waiting->length;
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
    struct worker *worker = listener->worker;
    struct sockaddr_storage address;
    struct waiting *waiting = NULL;
    if (worker->sending_bytes + length <= WORKER_SEND_QUEUE)
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
    worker->sending_bytes += length;
}

/* Sends what waits in the worker's batch; what a socket does not take at once is queued. */
void listener_flush(struct worker *worker)
{
    struct outbox *outbox = &worker->outbox;
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
    struct outbox *outbox = &listener->worker->outbox;
    if (length > sizeof outbox->space)
        return;
    if (outbox->count > 0 && (outbox->listener != listener || outbox->count == SENDER_BATCH ||
                              sizeof outbox->space - outbox->bytes < length))
        listener_flush(listener->worker);
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
