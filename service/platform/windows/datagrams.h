/* SPDX-License-Identifier: Apache-2.0 */
/* datagrams: what receiver_windows.c and sender_windows.c share. */
#ifndef SERVICE_PLATFORM_WINDOWS_DATAGRAMS_H
#define SERVICE_PLATFORM_WINDOWS_DATAGRAMS_H

#include <stddef.h>
#include <winsock2.h>
#include <mswsock.h>

/* Room for the control data that says which address of ours a datagram is for, or from. */
#define DATAGRAMS_CONTROL 64

/* WSARecvMsg and WSASendMsg of the socket's provider; NULL: it has none. */
LPFN_WSARECVMSG datagrams_receive_call(SOCKET socket);
LPFN_WSASENDMSG datagrams_send_call(SOCKET socket);

#endif
