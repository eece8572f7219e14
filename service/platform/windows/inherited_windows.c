/* SPDX-License-Identifier: Apache-2.0 */
/* The service control manager keeps no sockets: machines retransmit datagrams that come during a restart. */
#include "service/platform/inherited.h"

void inherited_take(void)
{
}

size_t inherited_sockets(const struct sockaddr *local, uv_os_sock_t *out, size_t room)
{
    (void)local;
    (void)out;
    (void)room;
    return 0;
}

size_t inherited_close_rest(void)
{
    return 0;
}

int inherited_duplicate(uv_os_sock_t socket, uv_os_sock_t *out)
{
    WSAPROTOCOL_INFOW information;
    if (WSADuplicateSocketW(socket, GetCurrentProcessId(), &information) != 0)
        return uv_translate_sys_error(WSAGetLastError());
    *out = WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &information, 0,
                      WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    return *out == INVALID_SOCKET ? uv_translate_sys_error(WSAGetLastError()) : 0;
}

void inherited_keep(const struct sockaddr *local, unsigned index, uv_os_sock_t socket)
{
    (void)local;
    (void)index;
    (void)socket;
}

void inherited_forget(const struct sockaddr *local, unsigned index)
{
    (void)local;
    (void)index;
}

void inherited_begin(void)
{
}

bool inherited_pass_on(const struct sockaddr *local, unsigned index, uv_os_sock_t socket,
                       const struct successor_socket *before, size_t count, struct successor_socket *out)
{
    (void)local;
    (void)index;
    (void)socket;
    (void)before;
    (void)count;
    (void)out;
    return false;
}
