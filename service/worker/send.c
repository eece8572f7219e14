/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/send.h"

#include <stdlib.h>
#include <string.h>

#define SEND_RETRY_MS 1 /* until a full socket is tried again */

/* A datagram that its socket did not take at once. */
struct waiting {
    struct waiting *next;
    struct address to;
    size_t length;
    uint8_t payload[];
};

static void send_failed(struct listener *listener, int error)
{
    ++listener->counts.send_failed;
    listener->send_error = error;
}

/* A datagram dropped here is retransmitted by its session. */
static void queue_datagram(struct listener *listener, const struct sender_datagram *datagram)
{
    struct worker *worker = listener->worker;
    struct waiting *waiting = NULL;
    if (worker->sending_bytes + datagram->length <= WORKER_SEND_QUEUE)
        waiting = malloc(sizeof *waiting + datagram->length);
    if (!waiting) {
        ++listener->counts.send_dropped;
        return;
    }
    waiting->next = NULL;
    waiting->to = datagram->to;
    waiting->length = datagram->length;
    memcpy(waiting->payload, datagram->payload, datagram->length);
    if (listener->waiting_last)
        listener->waiting_last->next = waiting;
    else
        listener->waiting_first = waiting;
    listener->waiting_last = waiting;
    worker->sending_bytes += waiting->length;
    if (!uv_is_active((uv_handle_t *)&worker->send_timer))
        (void)uv_timer_start(&worker->send_timer, send_on_timer, SEND_RETRY_MS, 0);
}

static const uint8_t *source_of(const struct listener *listener, const struct address *to)
{
    return locals_ip(listener->worker->env->locals, to->via);
}

/* Sends waiting datagrams in order. Returns whether all of them went out. */
static bool send_waiting(struct listener *listener)
{
    while (listener->waiting_first) {
        struct waiting *waiting = listener->waiting_first;
        const struct sender_datagram datagram = {.to = waiting->to,
                                                 .payload = waiting->payload,
                                                 .length = waiting->length,
                                                 .from = source_of(listener, &waiting->to)};
        int error = UV_EAGAIN;
        size_t sent = sender_send(&listener->sender, &listener->udp, &datagram, 1, &error);
        if (sent == 0 && error == UV_EAGAIN)
            return false;
        if (sent == 0)
            send_failed(listener, error);
        listener->counts.sent += sent;
        listener->waiting_first = waiting->next;
        if (!waiting->next)
            listener->waiting_last = NULL;
        listener->worker->sending_bytes -= waiting->length;
        free(waiting);
    }
    return true;
}

void send_on_timer(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    bool all = true;
    for (struct listener *listener = worker->listeners; listener; listener = listener->next)
        all = send_waiting(listener) && all;
    if (!all)
        (void)uv_timer_start(timer, send_on_timer, SEND_RETRY_MS, 0);
}

/* Sends the worker's batch; datagrams that a socket does not take at once are queued. */
void send_flush(struct worker *worker)
{
    struct outbox *outbox = &worker->outbox;
    struct listener *listener = outbox->listener;
    size_t at = 0;
    while (at < outbox->count) {
        int error = UV_EAGAIN;
        size_t left = outbox->count - at, sent = 0;
        if (send_waiting(listener)) /* otherwise behind the waiting ones */
            sent = sender_send(&listener->sender, &listener->udp, &outbox->datagrams[at], left, &error);
        listener->counts.sent += sent;
        at += sent;
        if (sent == left)
            break;
        const struct sender_datagram *datagram = &outbox->datagrams[at++];
        if (error == UV_EAGAIN)
            queue_datagram(listener, datagram);
        else
            send_failed(listener, error);
    }
    outbox->count = outbox->bytes = 0;
    outbox->listener = NULL;
}

void send_datagram(struct listener *listener, const struct address *to, const uint8_t *payload, size_t length)
{
    struct outbox *outbox = &listener->worker->outbox;
    if (length > sizeof outbox->space)
        return;
    if (outbox->count > 0 && (outbox->listener != listener || outbox->count == SENDER_BATCH ||
                              sizeof outbox->space - outbox->bytes < length))
        send_flush(listener->worker);
    uint8_t *copy = outbox->space + outbox->bytes;
    memcpy(copy, payload, length);
    outbox->listener = listener;
    outbox->datagrams[outbox->count++] =
        (struct sender_datagram){.to = *to, .payload = copy, .length = length, .from = source_of(listener, to)};
    outbox->bytes += length;
}

void send_drop_waiting(struct listener *listener)
{
    while (listener->waiting_first) {
        struct waiting *waiting = listener->waiting_first;
        listener->waiting_first = waiting->next;
        listener->worker->sending_bytes -= waiting->length;
        ++listener->counts.send_dropped;
        free(waiting);
    }
    listener->waiting_last = NULL;
}

void send_outgoing(struct target *target, struct listener *listener, const struct address *source,
                   const struct kdnet_outgoing *out)
{
    const struct target_endpoint *endpoint = targets_destination(target);
    if (out->to_sender && listener) {
        send_datagram(listener, source, out->payload, out->length);
    } else if (endpoint) {
        struct address address = targets_route(target);
        send_datagram(endpoint->listener, &address, out->payload, out->length);
    }
}
