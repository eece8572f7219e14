/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/receiver.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Not a multiple of a page: otherwise the starts of all datagrams would compete for the same cache lines. */
#define STRIDE     (RECEIVER_DATAGRAM + 64)
#define CONTROL    128 /* bytes of control data with a datagram: one address */
#define TRIES      3   /* consecutive failures until another call is used */
#define ALARMS_MAX 16  /* consecutive errors that poll reports and no call can fetch */

enum way { WAY_MANY, WAY_ONE, WAY_PLAIN, WAYS };

struct receiver {
    union {
        uv_handle_t any;
        uv_poll_t poll;
        uv_timer_t none; /* not watched: never started */
    } handle;
    uv_udp_t *udp;
    int descriptor; /* a duplicate of the socket's: libuv watches each descriptor once, and the udp handle may, too */
    bool watched;   /* there is a poll */
    bool wanted;    /* the socket should report the local address */
    bool closed;
    enum way way;
    unsigned alarms;
    int error;
    struct receiver_calls calls;
    struct mmsghdr messages[RECEIVER_BATCH];
    struct iovec vectors[RECEIVER_BATCH];
    struct sockaddr_storage sources[RECEIVER_BATCH];
    struct receiver_datagram datagrams[RECEIVER_BATCH];
    union {
        size_t aligned; /* alignment of struct cmsghdr */
        uint8_t bytes[CONTROL];
    } controls[RECEIVER_BATCH];
    uint8_t space[RECEIVER_BATCH * STRIDE];
};

static void on_ready(uv_poll_t *poll, int status, int events);

static void watch(struct receiver *receiver)
{
    if (receiver->watched)
        (void)uv_poll_start(&receiver->handle.poll, UV_READABLE, on_ready);
}

static void fail(struct receiver *receiver, int error)
{
    receiver->error = error;
    if (receiver->watched)
        (void)uv_poll_stop(&receiver->handle.poll);
}

/* With an error, too, there is something to fetch: the error. libuv has stopped the poll then. */
static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct receiver *receiver = poll->data;
    (void)events;
    receiver->alarms = status < 0 ? receiver->alarms + 1 : 0;
    if (receiver->alarms > ALARMS_MAX)
        fail(receiver, UV_EIO);
    receiver->calls.ready(receiver->calls.user);
    if (status < 0 && !receiver->closed && receiver->wanted && receiver->error == 0)
        watch(receiver);
}

static void init_messages(struct receiver *receiver)
{
    for (size_t i = 0; i < RECEIVER_BATCH; ++i) {
        receiver->vectors[i] = (struct iovec){.iov_base = receiver->space + i * STRIDE, .iov_len = RECEIVER_DATAGRAM};
        receiver->messages[i].msg_hdr =
            (struct msghdr){.msg_name = &receiver->sources[i], .msg_iov = &receiver->vectors[i], .msg_iovlen = 1};
        if (receiver->calls.via)
            receiver->messages[i].msg_hdr.msg_control = receiver->controls[i].bytes;
    }
}

/* Without a descriptor, or room in the kernel, the socket is not watched. */
static void begin_watch(struct receiver *receiver, uv_os_fd_t original)
{
    receiver->descriptor = fcntl(original, F_DUPFD_CLOEXEC, 0);
    receiver->watched = receiver->descriptor >= 0 &&
                        uv_poll_init(receiver->udp->loop, &receiver->handle.poll, receiver->descriptor) == 0;
    if (!receiver->watched && receiver->descriptor >= 0)
        (void)close(receiver->descriptor);
    if (!receiver->watched) {
        receiver->descriptor = original;
        (void)uv_timer_init(receiver->udp->loop, &receiver->handle.none);
    }
    receiver->handle.any.data = receiver;
    receiver->wanted = true;
    watch(receiver);
}

int receiver_open(struct receiver **out, uv_udp_t *udp, const struct receiver_calls *calls)
{
    uv_os_fd_t original;
    int error = uv_fileno((const uv_handle_t *)udp, &original);
    struct receiver *receiver = error == 0 ? calloc(1, sizeof *receiver) : NULL;
    if (!receiver)
        return error != 0 ? error : UV_ENOMEM;
    receiver->calls = *calls;
    receiver->udp = udp;
    init_messages(receiver);
    begin_watch(receiver, original);
    *out = receiver;
    return 0;
}

/* Finds our address that a datagram was sent to. */
static bool find_local(struct msghdr *message, uint8_t local[static 16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control; control = CMSG_NXTHDR(message, control)) {
        if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(control), sizeof info);
            memcpy(local, mapped, sizeof mapped);
            memcpy(local + sizeof mapped, &info.ipi_spec_dst, 4);
            return true;
        }
        if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(control), sizeof info);
            memcpy(local, &info.ipi6_addr, 16);
            return local[0] != 0xff; /* a group's address is nobody's to answer from */
        }
    }
    return false;
}

static void take(struct receiver *receiver, size_t at)
{
    struct mmsghdr *message = &receiver->messages[at];
    struct receiver_datagram *datagram = &receiver->datagrams[at];
    uint8_t local[16];
    datagram->payload = receiver->space + at * STRIDE;
    datagram->length = message->msg_len;
    if ((message->msg_hdr.msg_flags & MSG_TRUNC) != 0 ||
        !address_from_socket((const struct sockaddr *)&receiver->sources[at], &datagram->source))
        datagram->length = 0;
    if (receiver->calls.via && find_local(&message->msg_hdr, local))
        datagram->source.via = receiver->calls.via(receiver->calls.user, local);
}

/* Resets the fields that the calls overwrite: room available, bytes used. */
static void renew(struct receiver *receiver, size_t at)
{
    struct msghdr *header = &receiver->messages[at].msg_hdr;
    header->msg_namelen = sizeof receiver->sources[at];
    if (receiver->calls.via)
        header->msg_controllen = sizeof receiver->controls[at].bytes;
}

static int receive_many(struct receiver *receiver)
{
    for (size_t i = 0; i < RECEIVER_BATCH; ++i)
        renew(receiver, i);
    return recvmmsg(receiver->descriptor, receiver->messages, RECEIVER_BATCH, MSG_DONTWAIT, NULL);
}

/* recvfrom does not report the destination address. */
static ssize_t receive_plain(struct receiver *receiver, struct msghdr *header)
{
    ssize_t length = recvfrom(receiver->descriptor, header->msg_iov->iov_base, header->msg_iov->iov_len,
                              MSG_DONTWAIT | MSG_TRUNC, header->msg_name, &header->msg_namelen);
    header->msg_controllen = 0;
    header->msg_flags = length > (ssize_t)header->msg_iov->iov_len ? MSG_TRUNC : 0;
    return length;
}

static int receive_singly(struct receiver *receiver)
{
    int count = 0;
    for (; count < (int)RECEIVER_BATCH; ++count) {
        struct mmsghdr *message = &receiver->messages[count];
        renew(receiver, (size_t)count);
        ssize_t length = receiver->way == WAY_ONE ? recvmsg(receiver->descriptor, &message->msg_hdr, MSG_DONTWAIT)
                                                  : receive_plain(receiver, &message->msg_hdr);
        if (length < 0)
            return count > 0 ? count : -1;
        message->msg_len = (unsigned)length;
    }
    return count;
}

/*
 * Receives; returns the number of datagrams. A reported error is gone from the socket: the next call reports something
 * else. A call that keeps reporting the same error is unusable here.
 */
static size_t receive(struct receiver *receiver)
{
    unsigned failures = 0;
    while (receiver->way < WAYS) {
        int count = receiver->way == WAY_MANY ? receive_many(receiver) : receive_singly(receiver);
        if (count >= 0)
            return (size_t)count;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        if (errno == EINTR || ++failures < TRIES)
            continue;
        failures = 0;
        if (++receiver->way == WAYS)
            fail(receiver, uv_translate_sys_error(errno));
    }
    return 0;
}

bool receiver_drain(struct receiver *receiver, size_t batches)
{
    for (; batches > 0 && receiver->error == 0; --batches) {
        size_t count = receive(receiver);
        if (count == 0)
            return true;
        receiver->alarms = 0;
        for (size_t i = 0; i < count; ++i)
            take(receiver, i);
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
    else if (receiver->watched)
        (void)uv_poll_stop(&receiver->handle.poll);
}

bool receiver_can_rest(void)
{
    return true;
}

bool receiver_is_watched(const struct receiver *receiver)
{
    return receiver->watched;
}

int receiver_error(const struct receiver *receiver)
{
    return receiver->error;
}

bool receiver_is_slow(const struct receiver *receiver)
{
    return receiver->way != WAY_MANY;
}

void receiver_retry(struct receiver *receiver)
{
    receiver->error = 0;
    receiver->alarms = 0;
    receiver->way = WAY_MANY;
    receiver_watch(receiver, true);
}

static void on_closed(uv_handle_t *handle)
{
    struct receiver *receiver = handle->data;
    if (receiver->watched)
        (void)close(receiver->descriptor);
    free(receiver);
}

void receiver_close(struct receiver *receiver)
{
    if (!receiver)
        return;
    receiver->closed = true;
    uv_close(&receiver->handle.any, on_closed);
}
