/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/sender.h"

size_t sender_send(struct sender *sender, uv_udp_t *udp, const struct sender_datagram *datagrams, size_t count,
                   int *error)
{
    (void)sender;
    for (size_t i = 0; i < count; ++i) {
        struct sockaddr_storage to;
        uv_buf_t buffer = uv_buf_init((char *)datagrams[i].payload, (unsigned)datagrams[i].length);
        address_to_socket(&datagrams[i].to, &to);
        int sent = uv_udp_try_send(udp, &buffer, 1, (const struct sockaddr *)&to);
        if (sent >= 0)
            continue;
        *error = sent;
        return i;
    }
    return count;
}

bool sender_is_slow(const struct sender *sender)
{
    (void)sender;
    return false;
}
