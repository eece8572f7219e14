/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket is watched by uv_poll, and read until it is empty, as receiver_mmsg.c does. WSARecvFrom; WSARecvMsg where
 * the address that a datagram was sent to must be known.
 */
#include "service/platform/windows/datagrams.h"
#include "service/platform/receiver.h"

#include <stdlib.h>
#include <string.h>

#define ERRORS_MAX 16 /* consecutive errors: more than a socket can have pending */

struct receiver {
    uv_poll_t poll;
    uv_udp_t *udp;
    SOCKET socket;
    bool wanted; /* the socket should report the local address */
    bool closed;
    unsigned errors;
    int error;
    struct receiver_calls calls;
    LPFN_WSARECVMSG receive_message; /* NULL: the address of ours need not, or cannot, be known */
    struct receiver_datagram datagrams[RECEIVER_BATCH];
    uint8_t space[RECEIVER_BATCH * RECEIVER_DATAGRAM];
};

static void on_ready(uv_poll_t *poll, int status, int events);

static void watch(struct receiver *receiver)
{
    (void)uv_poll_start(&receiver->poll, UV_READABLE, on_ready);
}

static void fail(struct receiver *receiver, int error)
{
    receiver->error = error;
    (void)uv_poll_stop(&receiver->poll);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct receiver *receiver = poll->data;
    (void)events;
    if (status < 0 && ++receiver->errors > ERRORS_MAX)
        fail(receiver, status);
    receiver->calls.ready(receiver->calls.user);
    if (status < 0 && !receiver->closed && receiver->wanted && receiver->error == 0)
        watch(receiver);
}

int receiver_open(struct receiver **out, uv_udp_t *udp, const struct receiver_calls *calls)
{
    uv_os_fd_t descriptor;
    int error = uv_fileno((const uv_handle_t *)udp, &descriptor);
    struct receiver *receiver = error == 0 ? calloc(1, sizeof *receiver) : NULL;
    if (!receiver)
        return error != 0 ? error : UV_ENOMEM;
    receiver->calls = *calls;
    receiver->udp = udp;
    receiver->socket = (SOCKET)descriptor;
    receiver->receive_message = calls->via ? datagrams_receive_call(receiver->socket) : NULL;
    error = uv_poll_init_socket(udp->loop, &receiver->poll, receiver->socket);
    if (error != 0) {
        free(receiver);
        return error;
    }
    receiver->poll.data = receiver;
    receiver->wanted = true;
    watch(receiver);
    *out = receiver;
    return 0;
}

/* Finds our address that a datagram was sent to. */
static bool find_local(WSAMSG *message, uint8_t local[static 16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    for (WSACMSGHDR *control = WSA_CMSG_FIRSTHDR(message); control; control = WSA_CMSG_NXTHDR(message, control)) {
        if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
            IN_PKTINFO info;
            memcpy(&info, WSA_CMSG_DATA(control), sizeof info);
            memcpy(local, mapped, sizeof mapped);
            memcpy(local + sizeof mapped, &info.ipi_addr, 4);
            return true;
        }
        if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
            IN6_PKTINFO info;
            memcpy(&info, WSA_CMSG_DATA(control), sizeof info);
            memcpy(local, &info.ipi6_addr, 16);
            return local[0] != 0xff; /* a group's address is nobody's to answer from */
        }
    }
    return false;
}

struct arrival {
    struct sockaddr_storage source;
    DWORD length;
    bool cut;
    bool has_local;
    uint8_t local[16];
};

static int receive_message(struct receiver *receiver, WSABUF *buffer, struct arrival *arrival)
{
    union {
        size_t aligned; /* alignment of WSACMSGHDR */
        char bytes[DATAGRAMS_CONTROL];
    } control;
    WSAMSG message = {.name = (struct sockaddr *)&arrival->source,
                      .namelen = sizeof arrival->source,
                      .lpBuffers = buffer,
                      .dwBufferCount = 1,
                      .Control = {.buf = control.bytes, .len = sizeof control.bytes}};
    int outcome = receiver->receive_message(receiver->socket, &message, &arrival->length, NULL, NULL);
    arrival->cut = (message.dwFlags & MSG_TRUNC) != 0;
    arrival->has_local = outcome == 0 && find_local(&message, arrival->local);
    return outcome;
}

static int receive_plain(struct receiver *receiver, WSABUF *buffer, struct arrival *arrival)
{
    int source_length = sizeof arrival->source;
    DWORD flags = 0;
    return WSARecvFrom(receiver->socket, buffer, 1, &arrival->length, &flags, (struct sockaddr *)&arrival->source,
                       &source_length, NULL, NULL);
}

/* Whether an error is another computer's answer to a datagram of ours, which forget_resets did not prevent: no fault
 * of the socket. */
static bool is_of_another(int error)
{
    return error == WSAECONNRESET || error == WSAENETRESET || error == WSAEHOSTUNREACH || error == WSAENETUNREACH ||
           error == WSAECONNREFUSED;
}

/* An error of the socket concerned one datagram, and is gone once reported. */
static bool receive(struct receiver *receiver, WSABUF *buffer, struct arrival *arrival)
{
    for (unsigned answers = 0; answers < RECEIVER_BATCH;) {
        *arrival = (struct arrival){.length = 0};
        int outcome = receiver->receive_message ? receive_message(receiver, buffer, arrival)
                                                : receive_plain(receiver, buffer, arrival);
        int error = outcome == 0 ? 0 : WSAGetLastError();
        if (error == WSAEWOULDBLOCK)
            return false;
        arrival->cut = arrival->cut || error == WSAEMSGSIZE;
        if (error == 0 || error == WSAEMSGSIZE)
            return true;
        if (is_of_another(error)) {
            ++answers;
        } else if (++receiver->errors > ERRORS_MAX) {
            fail(receiver, uv_translate_sys_error(error));
            return false;
        }
    }
    return false; /* the rest in the next round */
}

static bool take(struct receiver *receiver, size_t at)
{
    struct receiver_datagram *datagram = &receiver->datagrams[at];
    struct arrival arrival;
    uint8_t *space = receiver->space + at * RECEIVER_DATAGRAM;
    WSABUF buffer = {.buf = (char *)space, .len = RECEIVER_DATAGRAM};
    if (!receive(receiver, &buffer, &arrival))
        return false;
    *datagram = (struct receiver_datagram){.payload = space, .length = arrival.length};
    if (arrival.cut || !address_from_socket((const struct sockaddr *)&arrival.source, &datagram->source))
        datagram->length = 0;
    if (arrival.has_local)
        datagram->source.via = receiver->calls.via(receiver->calls.user, arrival.local);
    return true;
}

bool receiver_drain(struct receiver *receiver, size_t batches)
{
    for (; batches > 0 && receiver->error == 0; --batches) {
        size_t count = 0;
        while (count < RECEIVER_BATCH && take(receiver, count))
            ++count;
        if (count == 0)
            return true;
        receiver->errors = 0;
        receiver->calls.batch(receiver->calls.user, receiver->datagrams, count);
        if (count < RECEIVER_BATCH || receiver->closed)
            return true;
    }
    return receiver->error != 0;
}

void receiver_watch(struct receiver *receiver, bool on)
{
    receiver->wanted = on;
    if (on && receiver->error == 0)
        watch(receiver);
    else
        (void)uv_poll_stop(&receiver->poll);
}

bool receiver_can_rest(void)
{
    return true;
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
    receiver->error = 0;
    receiver->errors = 0;
    receiver_watch(receiver, true);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void receiver_close(struct receiver *receiver)
{
    if (!receiver)
        return;
    receiver->closed = true;
    uv_close((uv_handle_t *)&receiver->poll, on_closed);
}
