/* SPDX-License-Identifier: Apache-2.0 */
/* The system's calls; tests/support/CMakeLists.txt has them, too. */
#include "tests/support/refused.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static bool is_refused(const char *name)
{
    int error;
    if (!refused_now(name, &error))
        return false;
    errno = error;
    return true;
}

#define CALL(type, name, parameters, arguments)                                                                        \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        return is_refused(#name) ? (type)-1 : __real_##name arguments;                                                 \
    }

CALL(int, socket, (int domain, int type, int protocol), (domain, type, protocol))
CALL(int, socketpair, (int domain, int type, int protocol, int *ends), (domain, type, protocol, ends))
CALL(int, pipe2, (int *ends, int flags), (ends, flags))
CALL(int, bind, (int fd, const struct sockaddr *name, socklen_t length), (fd, name, length))
CALL(int, connect, (int fd, const struct sockaddr *name, socklen_t length), (fd, name, length))
CALL(int, listen, (int fd, int backlog), (fd, backlog))
CALL(int, accept4, (int fd, struct sockaddr *name, socklen_t *length, int flags), (fd, name, length, flags))
CALL(int, getsockname, (int fd, struct sockaddr *name, socklen_t *length), (fd, name, length))
CALL(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *length), (fd, level, name, value, length))
CALL(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t length),
     (fd, level, name, value, length))
CALL(ssize_t, send, (int fd, const void *bytes, size_t length, int flags), (fd, bytes, length, flags))
CALL(ssize_t, recv, (int fd, void *bytes, size_t length, int flags), (fd, bytes, length, flags))
CALL(ssize_t, read, (int fd, void *bytes, size_t length), (fd, bytes, length))
CALL(ssize_t, write, (int fd, const void *bytes, size_t length), (fd, bytes, length))
CALL(int, poll, (struct pollfd * fds, nfds_t count, int ms), (fds, count, ms))
CALL(int, chmod, (const char *path, mode_t mode), (path, mode))
CALL(int, fchmod, (int fd, mode_t mode), (fd, mode))
CALL(int, chown, (const char *path, uid_t user, gid_t group), (path, user, group))
CALL(int, lstat, (const char *path, struct stat *status), (path, status))
CALL(int, fstat, (int fd, struct stat *status), (fd, status))
CALL(int, getrlimit, (int resource, struct rlimit *limit), (resource, limit))
CALL(int, setrlimit, (int resource, const struct rlimit *limit), (resource, limit))
CALL(pid_t, fork, (void), ())

int __real_fcntl(int fd, int command, ...);
int __wrap_fcntl(int fd, int command, ...);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int __wrap_fcntl(int fd, int command, ...)
{
    va_list rest;
    va_start(rest, command);
    long value = va_arg(rest, long); /* none for F_GETFL, as for the C library itself */
    va_end(rest);
    return is_refused("fcntl") ? -1 : __real_fcntl(fd, command, value);
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return is_refused("open") ? -1 : __real_open(path, flags, mode);
}
