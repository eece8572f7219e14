/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/connecting.h"

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Whether it is TCP, and ends without waiting. */
static bool is_marked(int descriptor)
{
    int type = 0;
    struct linger linger = {0, 0};
    socklen_t type_size = sizeof type, linger_size = sizeof linger;
    return getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &type_size) == 0 && type == SOCK_STREAM &&
           getsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, &linger_size) == 0 && linger.l_onoff != 0 &&
           linger.l_linger == 0;
}

static uint16_t local_port(int descriptor)
{
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } local = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t size = sizeof local;
    if (getsockname(descriptor, &local.any, &size) != 0)
        return 0;
    if (local.any.sa_family == AF_INET6)
        return ntohs(local.ipv6.sin6_port);
    return local.any.sa_family == AF_INET ? ntohs(local.ipv4.sin_port) : 0;
}

/* The kernel's number of the socket; 0: this system has none. fstat would do, but race detectors take it for a use of
 * another thread's descriptor. */
static uint64_t number_of(int descriptor)
{
    uint64_t number = 0;
#ifdef SO_COOKIE
    socklen_t size = sizeof number;
    if (getsockopt(descriptor, SOL_SOCKET, SO_COOKIE, &number, &size) != 0)
        number = 0;
#else
    (void)descriptor;
#endif
    return number;
}

static bool describe(int descriptor, struct platform_connection *out)
{
    if (!is_marked(descriptor))
        return false;
    int flags = fcntl(descriptor, F_GETFL);
    *out = (struct platform_connection){.id = number_of(descriptor),
                                        .descriptor = descriptor,
                                        .port = local_port(descriptor),
                                        .blocks = flags >= 0 && (flags & O_NONBLOCK) == 0};
    return out->id != 0 && out->port != 0;
}

size_t platform_connections(struct platform_connection *out, size_t max)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        folder = opendir("/dev/fd");
    if (!folder)
        return 0;
    for (struct dirent *one = readdir(folder); one && count < max; one = readdir(folder)) {
        char *end = NULL;
        long descriptor = strtol(one->d_name, &end, 10);
        if (end != one->d_name && descriptor != dirfd(folder) && describe((int)descriptor, &out[count]))
            ++count;
    }
    (void)closedir(folder);
    return count;
}

void platform_break_connection(const struct platform_connection *connection)
{
    /* A duplicate cannot become another connection between the look and the end. */
    struct platform_connection now;
    int ours = fcntl(connection->descriptor, F_DUPFD_CLOEXEC, 0);
    if (ours < 0)
        return;
    if (describe(ours, &now) && now.id == connection->id)
        (void)shutdown(ours, SHUT_RDWR);
    (void)close(ours);
}

static void *call(void *user)
{
    void (*const *run)(void) = user;
    (*run)();
    return NULL;
}

bool platform_start_forever(void (*run)(void))
{
    static void (*what)(void); /* one such thread is enough so far */
    pthread_t thread;
    what = run;
    return pthread_create(&thread, NULL, call, &what) == 0 && pthread_detach(thread) == 0;
}
