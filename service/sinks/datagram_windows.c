/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "config/text_windows.h"
#include "service/sinks/datagram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_SIZE 256U

struct datagram {
    SOCKET socket;
};

static SOCKET open_socket(const struct addrinfo *found)
{
    for (const struct addrinfo *one = found; one; one = one->ai_next) {
        SOCKET udp = WSASocketW(one->ai_family, SOCK_DGRAM, IPPROTO_UDP, NULL, 0,
                                WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
        if (udp != INVALID_SOCKET && connect(udp, one->ai_addr, (int)one->ai_addrlen) == 0)
            return udp;
        if (udp != INVALID_SOCKET)
            (void)closesocket(udp);
    }
    return INVALID_SOCKET;
}

static SOCKET reach(const char *address)
{
    char host[HOST_SIZE];
    const struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;
    const char *colon = strrchr(address, ':');
    bool is_v6 = address[0] == '[';
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - address) - (is_v6 ? 2 : 0), address + is_v6);
    if (getaddrinfo(host, colon + 1, &wanted, &found) != 0)
        return INVALID_SOCKET;
    SOCKET udp = open_socket(found);
    freeaddrinfo(found);
    return udp;
}

struct datagram *datagram_open(const char *address, char error[static SINK_TEXT_SIZE])
{
    char reason[TEXT_ERROR_SIZE];
    struct datagram *datagram = malloc(sizeof *datagram);
    SOCKET udp = datagram ? reach(address) : INVALID_SOCKET;
    if (udp != INVALID_SOCKET) {
        datagram->socket = udp;
        return datagram;
    }
    (void)snprintf(error, SINK_TEXT_SIZE, "%.*s: %s", CHARACTERS(address, 150),
                   text_of_error((DWORD)WSAGetLastError(), reason));
    free(datagram);
    return NULL;
}

bool datagram_send(struct datagram *datagram, const char *bytes, size_t length, char error[static SINK_TEXT_SIZE])
{
    char reason[TEXT_ERROR_SIZE];
    if (send(datagram->socket, bytes, (int)length, 0) >= 0)
        return true;
    (void)snprintf(error, SINK_TEXT_SIZE, "%s", text_of_error((DWORD)WSAGetLastError(), reason));
    return false;
}

void datagram_close(struct datagram *datagram)
{
    if (!datagram)
        return;
    (void)closesocket(datagram->socket);
    free(datagram);
}

/* Windows gives up after five tries, 21 s. */
void stream_limit_silence(uintptr_t socket, unsigned seconds)
{
    (void)socket;
    (void)seconds;
}
