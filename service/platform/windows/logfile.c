/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/windows/logfile.h"

#include <windows.h>

#include <stdio.h>
#include <stdlib.h>

#define PATH_SIZE 600

/* `number` 0: the current file. */
static void name(const struct logfile *file, int number, wchar_t out[static PATH_SIZE])
{
    if (number == 0)
        (void)swprintf(out, PATH_SIZE, L"%ls\\kdnetd.log", file->folder);
    else
        (void)swprintf(out, PATH_SIZE, L"%ls\\kdnetd.%d.log", file->folder, number);
}

static void open_file(struct logfile *file)
{
    wchar_t path[PATH_SIZE];
    LARGE_INTEGER size = {.QuadPart = 0};
    name(file, 0, path);
    HANDLE handle = CreateFileW(path, FILE_APPEND_DATA | FILE_READ_ATTRIBUTES,
                                FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_ALWAYS,
                                FILE_ATTRIBUTE_NORMAL, NULL);
    file->handle = handle == INVALID_HANDLE_VALUE ? NULL : handle;
    if (file->handle)
        (void)GetFileSizeEx(handle, &size);
    file->bytes = (unsigned long long)size.QuadPart;
}

void logfile_open(struct logfile *file, const wchar_t *folder)
{
    *file = (struct logfile){.folder = _wcsdup(folder)};
    if (file->folder && wcslen(folder) < PATH_SIZE - 20)
        open_file(file);
}

static void turn(struct logfile *file)
{
    wchar_t from[PATH_SIZE], to[PATH_SIZE];
    (void)CloseHandle(file->handle);
    for (int i = LOGFILE_OLD; i > 0; --i) {
        name(file, i - 1, from);
        name(file, i, to);
        (void)MoveFileExW(from, to, MOVEFILE_REPLACE_EXISTING);
    }
    open_file(file);
}

bool logfile_write(struct logfile *file, const char *text, size_t length)
{
    DWORD written = 0;
    if (file->handle && file->bytes >= LOGFILE_BYTES)
        turn(file);
    if (!file->handle || !WriteFile(file->handle, text, (DWORD)length, &written, NULL))
        return false;
    file->bytes += written;
    return written == length;
}

void logfile_close(struct logfile *file)
{
    if (file->handle)
        (void)CloseHandle(file->handle);
    free(file->folder);
    *file = (struct logfile){.folder = NULL};
}
