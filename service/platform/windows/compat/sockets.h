/* SPDX-License-Identifier: Apache-2.0 */
/* sockets: includes Windows' headers first and once, and undefines the names that they take from other sources. */
#ifndef SERVICE_PLATFORM_WINDOWS_SOCKETS_H
#define SERVICE_PLATFORM_WINDOWS_SOCKETS_H

#include "service/platform/windows/compat/compat.h"

/* A name that our sources use for functions of their own. */
#define tell io_tell
#include <io.h>
#undef tell

#include <winsock2.h>
#include <ws2tcpip.h>

/* libevent treats a socket as a signed number, option values have any type, and closing one direction has another
 * name. */
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

/* Values that no file mode and no error has here. */
#ifndef S_IFSOCK
#define S_IFSOCK 0xC000
#endif
#ifndef S_ISSOCK
#define S_ISSOCK(mode) (((mode)&S_IFMT) == S_IFSOCK)
#endif
#ifndef ESTALE
#define ESTALE WSAESTALE
#endif

/* Files. The access list of a folder, which new files inherit, replaces modes and owners. */
#ifndef O_NONBLOCK
#define O_NONBLOCK 0 /* open() reaches nothing here that blocks or becomes a terminal */
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
int compat_rename(const char *from, const char *to); /* replaces an existing file, as in POSIX */
int compat_fsync(int descriptor);
int compat_fchmod(int descriptor, unsigned mode);
int compat_fchown(int descriptor, unsigned owner, unsigned group);
unsigned compat_geteuid(void); /* 0: never told from an administrator */

/* A handler stays installed: Windows' own signal() resets it at the first call. SIGINT comes on a thread of its own. */
struct sigaction {
    void (*sa_handler)(int number);
    unsigned sa_flags;
};
int sigaction(int number, const struct sigaction *action, struct sigaction *before);

#endif
