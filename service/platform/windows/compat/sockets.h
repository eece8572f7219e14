/* SPDX-License-Identifier: Apache-2.0 */
/* sockets: Windows' headers, once and first, without the names that they take from everybody else. */
#ifndef SERVICE_PLATFORM_WINDOWS_SOCKETS_H
#define SERVICE_PLATFORM_WINDOWS_SOCKETS_H

#include "service/platform/windows/compat/compat.h"

/* A name that sources here give to functions of their own. */
#define tell io_tell
#include <io.h>
#undef tell

#include <winsock2.h>
#include <ws2tcpip.h>

/* A socket is a number with a sign in libevent, an option's value is of any type, and what closes one direction has a
 * name of its own. */
#define getsockname(socket, name, size) (getsockname)((SOCKET)(socket), name, size)
#define shutdown(socket, how)           (shutdown)((SOCKET)(socket), how)
#define setsockopt(socket, level, name, value, size)                                                                   \
    (setsockopt)((SOCKET)(socket), level, name, (const char *)(value), (int)(size))
#define SHUT_WR SD_SEND

#undef far
#undef near
#undef interface
#undef small
#undef DELETE
#undef ERROR
#undef IGNORE
#undef TEXT

#include <errno.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/types.h>

/* What no file and no error here is. */
#ifndef S_IFSOCK
#define S_IFSOCK 0xC000
#endif
#ifndef S_ISSOCK
#define S_ISSOCK(mode) (((mode)&S_IFMT) == S_IFSOCK)
#endif
#ifndef ESTALE
#define ESTALE WSAESTALE
#endif

/* Files. Who may use one is said by the access list of its folder, which each new file has: there is nothing to do for
 * modes and owners. */
#ifndef O_NONBLOCK
#define O_NONBLOCK 0 /* nothing that open() reaches here waits, and nothing becomes a terminal */
#define O_NOCTTY   0
#endif
#ifndef O_CLOEXEC
#define O_CLOEXEC _O_NOINHERIT
#endif
#define lstat(path, out)  stat(path, out)
#define mkdir(path, mode) compat_mkdir(path)
#define rename            compat_rename
#define fsync             compat_fsync
#define fchmod            compat_fchmod
#define fchown            compat_fchown
#define geteuid           compat_geteuid
int compat_mkdir(const char *path);
int compat_rename(const char *from, const char *to); /* another file of that name goes, as in POSIX */
int compat_fsync(int descriptor);
int compat_fchmod(int descriptor, unsigned mode);
int compat_fchown(int descriptor, unsigned owner, unsigned group);
unsigned compat_geteuid(void); /* 0: never told from an administrator */

/* A handler stays: Windows' own signal would forget it when it was called. SIGINT comes on a thread of its own. */
struct sigaction {
    void (*sa_handler)(int number);
    unsigned sa_flags;
};
int sigaction(int number, const struct sigaction *action, struct sigaction *before);

#endif
