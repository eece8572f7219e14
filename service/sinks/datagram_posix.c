/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "service/sinks/datagram.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST_SIZE 256U

struct datagram {
    int socket;
};

static int open_socket(const struct addrinfo *found)
{
    for (const struct addrinfo *one = found; one; one = one->ai_next) {
        int descriptor = socket(one->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (descriptor >= 0 && connect(descriptor, one->ai_addr, one->ai_addrlen) == 0)
            return descriptor;
        if (descriptor >= 0)
            (void)close(descriptor);
    }
    return -1;
}

struct datagram *datagram_open(const char *address, char error[static SINK_TEXT_SIZE])
{
    char host[HOST_SIZE];
    const struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM};
    struct addrinfo *found = NULL;
    const char *colon = strrchr(address, ':');
    bool is_v6 = address[0] == '[';
    struct datagram *datagram = malloc(sizeof *datagram);
    (void)snprintf(host, sizeof host, "%.*s", (int)(colon - address) - (is_v6 ? 2 : 0), address + is_v6);
    int code = getaddrinfo(host, colon + 1, &wanted, &found);
    int descriptor = code == 0 ? open_socket(found) : -1;
    if (code == 0)
        freeaddrinfo(found);
    if (datagram && descriptor >= 0) {
        datagram->socket = descriptor;
        return datagram;
    }
    (void)snprintf(error, SINK_TEXT_SIZE, "%.*s: %s", CHARACTERS(address, 150),
                   code != 0 ? gai_strerror(code) : "it cannot be reached");
    free(datagram);
    if (descriptor >= 0)
        (void)close(descriptor);
    return NULL;
}

bool datagram_send(struct datagram *datagram, const char *bytes, size_t length, char error[static SINK_TEXT_SIZE])
{
    if (send(datagram->socket, bytes, length, MSG_NOSIGNAL) >= 0)
        return true;
    (void)snprintf(error, SINK_TEXT_SIZE, "%s", strerror(errno)); // NOLINT(concurrency-mt-unsafe)
    return false;
}

void datagram_close(struct datagram *datagram)
{
    if (!datagram)
        return;
    (void)close(datagram->socket);
    free(datagram);
}

void stream_limit_silence(uintptr_t socket, unsigned seconds)
{
    unsigned ms = seconds * 1000;
    (void)setsockopt((int)socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof ms);
}
