/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/windows/compat/sockets.h"
#include "service/platform/windows/compat/sys/ioctl.h"
#include "config/text_windows.h"

#include <stdbool.h>
#include <stdlib.h>
#include <wchar.h>

static int fail(DWORD error)
{
    switch (error) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
        errno = ENOENT;
        break;
    case ERROR_ACCESS_DENIED:
    case ERROR_SHARING_VIOLATION:
        errno = EACCES;
        break;
    case ERROR_ALREADY_EXISTS:
    case ERROR_FILE_EXISTS:
        errno = EEXIST;
        break;
    default:
        errno = EIO;
    }
    return -1;
}

int compat_mkdir(const char *path)
{
    wchar_t *wide = text_to_path(path);
    bool made = wide && CreateDirectoryW(wide, NULL);
    DWORD error = GetLastError();
    free(wide);
    return made ? 0 : fail(error);
}

int compat_rename(const char *from, const char *to)
{
    wchar_t *old = text_to_path(from), *new = text_to_path(to);
    bool moved = old && new &&MoveFileExW(old, new, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH);
    DWORD error = GetLastError();
    free(old);
    free(new);
    return moved ? 0 : fail(error);
}

int compat_fsync(int descriptor)
{
    return _commit(descriptor);
}

int compat_fchmod(int descriptor, unsigned mode)
{
    (void)descriptor;
    (void)mode;
    return 0;
}

int compat_fchown(int descriptor, unsigned owner, unsigned group)
{
    (void)descriptor;
    (void)owner;
    (void)group;
    return 0;
}

unsigned compat_geteuid(void)
{
    return 0;
}

int sigaction(int number, const struct sigaction *action, struct sigaction *before)
{
    void (*old)(int) = signal(number, action->sa_handler);
    if (before)
        *before = (struct sigaction){.sa_handler = old};
    return old == SIG_ERR ? -1 : 0;
}

int ioctl(int descriptor, int request, struct winsize *size)
{
    CONSOLE_SCREEN_BUFFER_INFO information;
    HANDLE handle = (HANDLE)_get_osfhandle(descriptor);
    if (request != TIOCGWINSZ || !GetConsoleScreenBufferInfo(handle, &information)) {
        errno = ENOTTY;
        return -1;
    }
    size->ws_col = (unsigned short)(information.srWindow.Right - information.srWindow.Left + 1);
    size->ws_row = (unsigned short)(information.srWindow.Bottom - information.srWindow.Top + 1);
    return 0;
}
