/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Not a multiple of a page: the starts of all datagrams would compete for the same lines of the cache. */
#define STRIDE (RECEIVER_DATAGRAM + 64)

struct receiver {
    uv_poll_t poll;
    int descriptor; /* a duplicate of the socket's: libuv watches each descriptor once, and the udp handle may, too */
    struct receiver_calls calls;
    struct mmsghdr messages[RECEIVER_BATCH];
    struct iovec vectors[RECEIVER_BATCH];
    struct sockaddr_storage sources[RECEIVER_BATCH];
    struct receiver_datagram datagrams[RECEIVER_BATCH];
    uint8_t space[RECEIVER_BATCH * STRIDE];
};

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct receiver *receiver = poll->data;
    (void)status; /* with an error, too, there is something to fetch: the error */
    (void)events;
    receiver->calls.ready(receiver->calls.user);
}

static void init_messages(struct receiver *receiver)
{
    for (size_t i = 0; i < RECEIVER_BATCH; ++i) {
        receiver->vectors[i] = (struct iovec){.iov_base = receiver->space + i * STRIDE, .iov_len = RECEIVER_DATAGRAM};
        receiver->messages[i].msg_hdr =
            (struct msghdr){.msg_name = &receiver->sources[i], .msg_iov = &receiver->vectors[i], .msg_iovlen = 1};
    }
}

int receiver_open(struct receiver **out, uv_udp_t *udp, const struct receiver_calls *calls)
{
    uv_os_fd_t original;
    int error = uv_fileno((const uv_handle_t *)udp, &original);
    struct receiver *receiver = error == 0 ? calloc(1, sizeof *receiver) : NULL;
    if (!receiver)
        return error != 0 ? error : UV_ENOMEM;
    receiver->calls = *calls;
    receiver->poll.data = receiver;
    receiver->descriptor = fcntl(original, F_DUPFD_CLOEXEC, 0);
    error = receiver->descriptor >= 0 ? uv_poll_init(udp->loop, &receiver->poll, receiver->descriptor)
                                      : uv_translate_sys_error(errno);
    if (error != 0) {
        if (receiver->descriptor >= 0)
            (void)close(receiver->descriptor);
        free(receiver);
        return error;
    }
    init_messages(receiver);
    (void)uv_poll_start(&receiver->poll, UV_READABLE, on_ready);
    *out = receiver;
    return 0;
}

static void take(struct receiver *receiver, size_t at)
{
    const struct mmsghdr *message = &receiver->messages[at];
    struct receiver_datagram *datagram = &receiver->datagrams[at];
    datagram->payload = receiver->space + at * STRIDE;
    datagram->length = message->msg_len;
    if ((message->msg_hdr.msg_flags & MSG_TRUNC) != 0 ||
        !address_from_socket((const struct sockaddr *)&receiver->sources[at], &datagram->source))
        datagram->length = 0;
}

bool receiver_drain(struct receiver *receiver, size_t batches)
{
    for (; batches > 0; --batches) {
        for (size_t i = 0; i < RECEIVER_BATCH; ++i)
            receiver->messages[i].msg_hdr.msg_namelen = sizeof receiver->sources[i];
        int count = 0;
        do
            count = recvmmsg(receiver->descriptor, receiver->messages, RECEIVER_BATCH, MSG_DONTWAIT, NULL);
        while (count < 0 && errno == EINTR);
        if (count <= 0)
            return true;
        for (size_t i = 0; i < (size_t)count; ++i)
            take(receiver, i);
        receiver->calls.batch(receiver->calls.user, receiver->datagrams, (size_t)count);
        if ((size_t)count < RECEIVER_BATCH)
            return true;
    }
    return false;
}

void receiver_watch(struct receiver *receiver, bool on)
{
    if (on)
        (void)uv_poll_start(&receiver->poll, UV_READABLE, on_ready);
    else
        (void)uv_poll_stop(&receiver->poll);
}

bool receiver_can_rest(void)
{
    return true;
}

static void on_closed(uv_handle_t *handle)
{
    struct receiver *receiver = handle->data;
    (void)close(receiver->descriptor);
    free(receiver);
}

void receiver_close(struct receiver *receiver)
{
    if (receiver)
        uv_close((uv_handle_t *)&receiver->poll, on_closed);
}
