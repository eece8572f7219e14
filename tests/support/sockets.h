/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sockets: a test's own end of a connection, by a port of this computer, or by a Unix socket where there are any
 * (system_is_posix()). Blocking, one peer at a time.
 */
#ifndef TESTS_SUPPORT_SOCKETS_H
#define TESTS_SUPPORT_SOCKETS_H

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#ifdef _WIN32

#define MSG_NOSIGNAL 0
#define OF(fd)       ((SOCKET)(fd))
typedef int sockets_length;

/* Winsock is opened once for each process that asks for a socket. */
static inline int sockets_new(int family)
{
    WSADATA data;
    if (family != AF_INET || WSAStartup(MAKEWORD(2, 2), &data) != 0)
        return -1;
    SOCKET made = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                             WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    return made == INVALID_SOCKET ? -1 : (int)made;
}

static inline void sockets_close(int fd)
{
    (void)closesocket(OF(fd));
}

/* Whether the other end has cut the connection, as the last call tells. */
static inline bool sockets_was_reset(void)
{
    return WSAGetLastError() == WSAECONNRESET || WSAGetLastError() == WSAECONNABORTED;
}

static inline bool sockets_set_patience(int fd, unsigned seconds)
{
    const DWORD ms = seconds * 1000;
    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &ms, sizeof ms) == 0;
}

static inline bool sockets_local_name(const char *path, struct sockaddr_storage *name, socklen_t *size)
{
    (void)path, (void)name, (void)size;
    return false;
}

#else

#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define OF(fd) (fd)
typedef size_t sockets_length;

static inline int sockets_new(int family)
{
    return socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static inline void sockets_close(int fd)
{
    (void)close(fd);
}

static inline bool sockets_was_reset(void)
{
    return errno == ECONNRESET;
}

static inline bool sockets_set_patience(int fd, unsigned seconds)
{
    const struct timeval patience = {.tv_sec = seconds};
    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0;
}

static inline bool sockets_local_name(const char *path, struct sockaddr_storage *name, socklen_t *size)
{
    struct sockaddr_un local = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof local.sun_path)
        return false;
    memcpy(local.sun_path, path, strlen(path));
    memcpy(name, &local, sizeof local);
    *size = sizeof local;
    return true;
}

#endif

static inline void sockets_port_name(uint16_t port, struct sockaddr_storage *name, socklen_t *size)
{
    const struct sockaddr_in local = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    memcpy(name, &local, sizeof local);
    *size = sizeof local;
}

/* A listener at a Unix socket (`path`), or at a free port of 127.0.0.1 (NULL), which *port then is. -1: failed. */
static inline int sockets_listen(const char *path, uint16_t *port)
{
    struct sockaddr_storage name;
    struct sockaddr_in bound;
    socklen_t size = 0, bound_size = sizeof bound;
    if (!path)
        sockets_port_name(0, &name, &size);
    else if (!sockets_local_name(path, &name, &size))
        return -1;
    int fd = sockets_new(path ? AF_UNIX : AF_INET);
    bool good = fd >= 0 && bind(OF(fd), (const struct sockaddr *)&name, size) == 0 && listen(OF(fd), 4) == 0;
    if (good && !path) {
        good = getsockname(fd, (struct sockaddr *)&bound, &bound_size) == 0;
        *port = ntohs(bound.sin_port);
    }
    if (good || fd < 0)
        return fd;
    sockets_close(fd);
    return -1;
}

/* A port of 127.0.0.1 that nobody listens at. 0: failed. */
static inline uint16_t sockets_free_port(void)
{
    uint16_t port = 0;
    int fd = sockets_listen(NULL, &port);
    if (fd < 0)
        return 0;
    sockets_close(fd);
    return port;
}

/* -1: nobody listens there. */
static inline int sockets_connect(const char *path, uint16_t port)
{
    struct sockaddr_storage name;
    socklen_t size = 0;
    if (!path)
        sockets_port_name(port, &name, &size);
    else if (!sockets_local_name(path, &name, &size))
        return -1;
    int fd = sockets_new(path ? AF_UNIX : AF_INET);
    if (fd < 0 || connect(OF(fd), (const struct sockaddr *)&name, size) == 0)
        return fd;
    sockets_close(fd);
    return -1;
}

/* -1: the listener was closed. */
static inline int sockets_accept(int listener)
{
    return (int)accept(OF(listener), NULL, NULL);
}

/* Bytes; 0: the other end has ended, below 0: failed. */
static inline ssize_t sockets_receive(int fd, char *bytes, size_t size)
{
    return recv(OF(fd), bytes, (sockets_length)size, 0);
}

static inline ssize_t sockets_send(int fd, const char *bytes, size_t length)
{
    return send(OF(fd), bytes, (sockets_length)length, MSG_NOSIGNAL);
}

#undef OF

#endif
