/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/sender.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static socklen_t length_of(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

static int send_all(int descriptor, struct mmsghdr *messages, size_t count)
{
    int sent = 0;
    do
        sent = sendmmsg(descriptor, messages, (unsigned)count, MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent;
}

size_t sender_send(uv_udp_t *udp, const struct sender_datagram *datagrams, size_t count, int *error)
{
    struct mmsghdr messages[SENDER_BATCH];
    struct sockaddr_storage to[SENDER_BATCH];
    struct iovec vectors[SENDER_BATCH];
    uv_os_fd_t descriptor;
    size_t done = 0;
    *error = uv_fileno((const uv_handle_t *)udp, &descriptor);
    if (*error != 0)
        return 0;
    if (count > SENDER_BATCH)
        count = SENDER_BATCH;
    for (size_t i = 0; i < count; ++i) {
        address_to_socket(&datagrams[i].to, &to[i]);
        vectors[i] = (struct iovec){.iov_base = datagrams[i].payload, .iov_len = datagrams[i].length};
        memset(&messages[i], 0, sizeof messages[i]);
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &to[i], .msg_namelen = length_of(&to[i]), .msg_iov = &vectors[i], .msg_iovlen = 1};
    }
    while (done < count) { /* the kernel stops in front of one that fails, and says why when it is the first */
        int sent = send_all(descriptor, messages + done, count - done);
        if (sent <= 0) {
            *error = sent < 0 ? uv_translate_sys_error(errno) : UV_EAGAIN;
            return done;
        }
        done += (size_t)sent;
    }
    return done;
}
