/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/receiver.h"

#include <stdlib.h>

#define ERRORS_MAX 16 /* consecutive errors: more than a socket can have pending */

struct receiver {
    uv_udp_t *udp;
    struct receiver_calls calls;
    unsigned errors;
    int error;
    char space[RECEIVER_DATAGRAM + 1]; /* one more byte reveals datagrams that are too long */
};

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct receiver *receiver = handle->data;
    (void)suggested;
    *buffer = uv_buf_init(receiver->space, sizeof receiver->space);
}

/* An ICMP error for a datagram that we sent is gone once reported. */
static void failed(struct receiver *receiver, int error)
{
    if (++receiver->errors < ERRORS_MAX)
        return;
    receiver->error = error;
    (void)uv_udp_recv_stop(receiver->udp);
    receiver->calls.ready(receiver->calls.user);
}

static void on_received(uv_udp_t *udp, ssize_t length, const uv_buf_t *buffer, const struct sockaddr *from,
                        unsigned flags)
{
    struct receiver *receiver = udp->data;
    struct receiver_datagram datagram = {.payload = (const uint8_t *)buffer->base};
    if (length < 0)
        failed(receiver, (int)length);
    if (!from || length < 0) /* an error, or nothing more to read */
        return;
    receiver->errors = 0;
    if (address_from_socket(from, &datagram.source) && (flags & UV_UDP_PARTIAL) == 0 &&
        (size_t)length <= RECEIVER_DATAGRAM)
        datagram.length = (size_t)length;
    receiver->calls.batch(receiver->calls.user, &datagram, 1);
}

int receiver_open(struct receiver **out, uv_udp_t *udp, const struct receiver_calls *calls)
{
    struct receiver *receiver = calloc(1, sizeof *receiver);
    if (!receiver)
        return UV_ENOMEM;
    receiver->udp = udp;
    receiver->calls = *calls;
    udp->data = receiver;
    int error = uv_udp_recv_start(udp, on_allocate, on_received);
    if (error == 0)
        *out = receiver;
    else
        free(receiver);
    return error;
}

bool receiver_drain(struct receiver *receiver, size_t batches)
{
    (void)receiver;
    (void)batches;
    return true; /* everything comes by itself */
}

void receiver_watch(struct receiver *receiver, bool on)
{
    (void)receiver;
    (void)on;
}

bool receiver_can_rest(void)
{
    return false;
}

bool receiver_is_watched(const struct receiver *receiver)
{
    (void)receiver;
    return true;
}

int receiver_error(const struct receiver *receiver)
{
    return receiver->error;
}

bool receiver_is_slow(const struct receiver *receiver)
{
    (void)receiver;
    return false;
}

void receiver_retry(struct receiver *receiver)
{
    receiver->errors = 0;
    receiver->error = uv_udp_recv_start(receiver->udp, on_allocate, on_received);
    if (receiver->error == UV_EALREADY)
        receiver->error = 0;
}

void receiver_close(struct receiver *receiver)
{
    if (!receiver)
        return;
    (void)uv_udp_recv_stop(receiver->udp);
    free(receiver);
}
