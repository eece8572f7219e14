/* SPDX-License-Identifier: Apache-2.0 */
/* datagrams: shared by receiver_windows.c and sender_windows.c. */
#ifndef SERVICE_PLATFORM_WINDOWS_DATAGRAMS_H
#define SERVICE_PLATFORM_WINDOWS_DATAGRAMS_H

#include <stddef.h>
#include <winsock2.h>
#include <mswsock.h>

/* Room for the control data with our address of a datagram. */
#define DATAGRAMS_CONTROL 64

/* Returns WSARecvMsg, WSASendMsg of the socket's provider; NULL: missing. */
LPFN_WSARECVMSG datagrams_receive_call(SOCKET socket);
LPFN_WSASENDMSG datagrams_send_call(SOCKET socket);

#endif
