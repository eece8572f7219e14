/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/windows/datagrams.h"
#include "service/net/address.h"
#include "service/platform/sender.h"

#include <string.h>

LPFN_WSARECVMSG datagrams_receive_call(SOCKET socket)
{
    GUID id = WSAID_WSARECVMSG;
    LPFN_WSARECVMSG call = NULL;
    DWORD bytes = 0;
    if (WSAIoctl(socket, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, &call, sizeof call, &bytes, NULL, NULL) !=
        0)
        return NULL;
    return call;
}

LPFN_WSASENDMSG datagrams_send_call(SOCKET socket)
{
    GUID id = WSAID_WSASENDMSG;
    LPFN_WSASENDMSG call = NULL;
    DWORD bytes = 0;
    if (WSAIoctl(socket, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, &call, sizeof call, &bytes, NULL, NULL) !=
        0)
        return NULL;
    return call;
}

/* Writes the control data with our source address. Returns its bytes. */
static ULONG set_from(void *control, const struct sender_datagram *datagram)
{
    bool ipv4 = address_is_ipv4(&datagram->to);
    size_t length = ipv4 ? sizeof(IN_PKTINFO) : sizeof(IN6_PKTINFO);
    WSACMSGHDR *header = control;
    memset(control, 0, DATAGRAMS_CONTROL);
    header->cmsg_level = ipv4 ? IPPROTO_IP : IPPROTO_IPV6;
    header->cmsg_type = ipv4 ? IP_PKTINFO : IPV6_PKTINFO;
    header->cmsg_len = WSA_CMSG_LEN(length);
    if (ipv4) {
        IN_PKTINFO info = {.ipi_ifindex = 0};
        memcpy(&info.ipi_addr, datagram->from + 12, 4);
        memcpy(WSA_CMSG_DATA(header), &info, sizeof info);
    } else {
        IN6_PKTINFO info = {.ipi6_ifindex = 0};
        memcpy(&info.ipi6_addr, datagram->from, 16);
        memcpy(WSA_CMSG_DATA(header), &info, sizeof info);
    }
    return (ULONG)WSA_CMSG_SPACE(length);
}

static int send_one(SOCKET socket, LPFN_WSASENDMSG send_message, const struct sender_datagram *datagram)
{
    union {
        size_t aligned; /* alignment of WSACMSGHDR */
        char bytes[DATAGRAMS_CONTROL];
    } control;
    struct sockaddr_storage to;
    WSABUF buffer = {.buf = (char *)datagram->payload, .len = (ULONG)datagram->length};
    DWORD sent = 0;
    address_to_socket(&datagram->to, &to);
    int length = address_socket_length((const struct sockaddr *)&to);
    if (!send_message)
        return WSASendTo(socket, &buffer, 1, &sent, 0, (const struct sockaddr *)&to, length, NULL, NULL);
    WSAMSG message = {.name = (struct sockaddr *)&to,
                      .namelen = length,
                      .lpBuffers = &buffer,
                      .dwBufferCount = 1,
                      .Control = {.buf = control.bytes, .len = set_from(control.bytes, datagram)}};
    return send_message(socket, &message, 0, &sent, NULL, NULL);
}

size_t sender_send(struct sender *sender, uv_udp_t *udp, const struct sender_datagram *datagrams, size_t count,
                   int *error)
{
    LPFN_WSASENDMSG send_message = NULL;
    uv_os_fd_t descriptor;
    (void)sender;
    *error = uv_fileno((const uv_handle_t *)udp, &descriptor);
    for (size_t i = 0; *error == 0 && i < count; ++i) {
        if (datagrams[i].from && !send_message)
            send_message = datagrams_send_call((SOCKET)descriptor);
        if (send_one((SOCKET)descriptor, datagrams[i].from ? send_message : NULL, &datagrams[i]) == 0)
            continue;
        *error = uv_translate_sys_error(WSAGetLastError());
        return i;
    }
    return *error == 0 ? count : 0;
}

bool sender_is_slow(const struct sender *sender)
{
    (void)sender;
    return false;
}
