/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/sender.h"
#include "service/net/address.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define REFUSED_MAX 3 /* times, until a call is given up */

enum way { WAY_MANY, WAY_ONE, WAY_PLAIN, WAYS };

/* Room for the control data with the source address. */
union control {
    size_t aligned; /* alignment of struct cmsghdr */
    uint8_t bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

struct batch {
    struct mmsghdr messages[SENDER_BATCH];
    struct sockaddr_storage to[SENDER_BATCH];
    struct iovec vectors[SENDER_BATCH];
    union control controls[SENDER_BATCH];
};

/* The routes choose the outgoing interface. */
static void set_from(struct msghdr *header, union control *control, const struct sender_datagram *datagram)
{
    bool ipv4 = address_is_ipv4(&datagram->to);
    size_t length = ipv4 ? sizeof(struct in_pktinfo) : sizeof(struct in6_pktinfo);
    memset(control, 0, sizeof *control);
    header->msg_control = control->bytes;
    header->msg_controllen = CMSG_SPACE(length);
    struct cmsghdr *first = CMSG_FIRSTHDR(header);
    first->cmsg_level = ipv4 ? IPPROTO_IP : IPPROTO_IPV6;
    first->cmsg_type = ipv4 ? IP_PKTINFO : IPV6_PKTINFO;
    first->cmsg_len = CMSG_LEN(length);
    if (ipv4) {
        struct in_pktinfo info = {.ipi_ifindex = 0};
        memcpy(&info.ipi_spec_dst, datagram->from + 12, 4);
        memcpy(CMSG_DATA(first), &info, sizeof info);
    } else {
        struct in6_pktinfo info = {.ipi6_ifindex = 0};
        memcpy(&info.ipi6_addr, datagram->from, 16);
        memcpy(CMSG_DATA(first), &info, sizeof info);
    }
}

static void prepare(struct batch *batch, const struct sender_datagram *datagrams, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        address_to_socket(&datagrams[i].to, &batch->to[i]);
        batch->vectors[i] = (struct iovec){.iov_base = datagrams[i].payload, .iov_len = datagrams[i].length};
        memset(&batch->messages[i], 0, sizeof batch->messages[i]);
        batch->messages[i].msg_hdr =
            (struct msghdr){.msg_name = &batch->to[i],
                            .msg_namelen = address_socket_length((const struct sockaddr *)&batch->to[i]),
                            .msg_iov = &batch->vectors[i],
                            .msg_iovlen = 1};
        if (datagrams[i].from)
            set_from(&batch->messages[i].msg_hdr, &batch->controls[i], &datagrams[i]);
    }
}

/* How many of `count` were taken; or -1, with errno. */
static int send_by(unsigned way, int descriptor, struct mmsghdr *messages, size_t count)
{
    const struct msghdr *first = &messages->msg_hdr;
    ssize_t sent = 0;
    do {
        if (way == WAY_MANY)
            sent = sendmmsg(descriptor, messages, (unsigned)count, MSG_DONTWAIT);
        else if (way == WAY_ONE)
            sent = sendmsg(descriptor, first, MSG_DONTWAIT);
        else
            sent = sendto(descriptor, first->msg_iov->iov_base, first->msg_iov->iov_len, MSG_DONTWAIT, first->msg_name,
                          first->msg_namelen);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 || way == WAY_MANY)
        return (int)sent;
    return 1;
}

/* Whether the error concerns the datagram, its route or the socket's room: another call would fail alike. */
static bool is_final(int error)
{
    switch (error) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
    case EMSGSIZE:
    case EINVAL:
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EADDRNOTAVAIL:
        return true;
    default:
        return false;
    }
}

/* A firewall refuses each call alike, a filter of system calls only some: so the others are tried. */
static int send_some(struct sender *sender, int descriptor, struct mmsghdr *messages, size_t count)
{
    int sent = send_by(sender->way, descriptor, messages, count);
    if (sent > 0)
        sender->refused = 0;
    for (unsigned way = sender->way + 1U; sent < 0 && way < WAYS && !is_final(errno); ++way) {
        sent = send_by(way, descriptor, messages, 1);
        if (sent <= 0 || ++sender->refused < REFUSED_MAX)
            continue;
        sender->way = (uint8_t)way;
        sender->refused = 0;
    }
    return sent;
}

size_t sender_send(struct sender *sender, uv_udp_t *udp, const struct sender_datagram *datagrams, size_t count,
                   int *error)
{
    struct batch batch;
    uv_os_fd_t descriptor;
    size_t done = 0;
    *error = uv_fileno((const uv_handle_t *)udp, &descriptor);
    if (*error != 0)
        return 0;
    if (count > SENDER_BATCH)
        count = SENDER_BATCH;
    prepare(&batch, datagrams, count);
    while (done < count) { /* the kernel stops before a failing datagram, and reports the error when it is the first */
        int sent = send_some(sender, descriptor, batch.messages + done, count - done);
        if (sent <= 0) {
            *error = sent < 0 ? uv_translate_sys_error(errno) : UV_EAGAIN;
            return done;
        }
        done += (size_t)sent;
    }
    return done;
}

bool sender_is_slow(const struct sender *sender)
{
    return sender->way != WAY_MANY;
}
