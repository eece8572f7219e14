/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#ifdef __linux__
#include <linux/sock_diag.h>
#endif
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAPPED_BYTES (256 << 10)

int platform_signal_reload(void)
{
    return SIGHUP;
}

int platform_signal_summary(void)
{
    return SIGUSR1;
}

void platform_prepare(void)
{
    (void)signal(SIGPIPE, SIG_IGN); // NOLINT(cert-err33-c): nothing to do when it fails
    (void)umask(S_IWGRP | S_IRWXO);
#ifdef __GLIBC__
    /* Large tables get pages of their own, which are not there until they are used, and go when they are freed. Unless
     * it is told so, glibc puts those of up to 32 MiB among the small things after the first was freed. */
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
#endif
}

bool platform_write_log(const char *text, size_t length)
{
    struct pollfd descriptor = {.fd = STDERR_FILENO, .events = POLLOUT};
    /* A pipe that polls writable takes PIPE_BUF bytes at once, and a line is shorter: the write does not wait. */
    if (poll(&descriptor, 1, 0) != 1 || (descriptor.revents & POLLOUT) == 0)
        return false;
    ssize_t written = 0;
    do
        written = write(STDERR_FILENO, text, length);
    while (written < 0 && errno == EINTR);
    return written >= 0;
}

size_t platform_receive_buffer(uv_os_fd_t descriptor, size_t bytes)
{
    int size = bytes <= INT_MAX ? (int)bytes : INT_MAX, granted = 0;
    socklen_t length = sizeof granted;
    int outcome = -1;
#ifdef SO_RCVBUFFORCE
    outcome = setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size); /* needs CAP_NET_ADMIN */
#endif
    if (outcome != 0)
        (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (getsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &granted, &length) != 0 || granted < 0)
        return 0;
#ifdef __linux__
    granted /= 2; /* Linux counts its own bookkeeping too, and says twice what was asked for (socket(7)) */
#endif
    return (size_t)granted;
}

uint32_t platform_receive_drops(uv_os_fd_t descriptor)
{
#if defined SO_MEMINFO && defined __linux__
    /* The counter that SO_RXQ_OVFL sends along with datagrams, without a look at each. */
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t length = sizeof info;
    if (getsockopt(descriptor, SOL_SOCKET, SO_MEMINFO, info, &length) == 0)
        return info[SK_MEMINFO_DROPS];
#else
    (void)descriptor;
#endif
    return 0;
}

int platform_append_flags(void)
{
    return O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK;
}

size_t platform_memory(void)
{
    size_t bytes = 0;
    return uv_resident_set_memory(&bytes) == 0 ? bytes : 0;
}

void platform_trim_memory(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}
