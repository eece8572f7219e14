/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/file.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#ifndef _WIN32 /* Windows lacks flock and its header */
#include <errno.h>
#include <sys/file.h>
#endif

#ifndef S_ISREG /* Windows */
#define S_ISREG(mode) (((mode)&S_IFMT) == S_IFREG)
#endif

enum symbol_answer symbol_reason(char reason[static SYMBOL_REASON_SIZE], const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reason, SYMBOL_REASON_SIZE, format, arguments);
    va_end(arguments);
    for (char *c = reason; *c; ++c)
        if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e)
            *c = '?';
    return SYMBOL_NONE;
}

void symbol_file_memory(struct symbol_file *file, const void *bytes, size_t length)
{
    static const uint8_t nothing[1];
    *file = (struct symbol_file){.memory = bytes ? bytes : nothing, .size = length, .descriptor = -1};
}

int symbol_file_open(struct symbol_file *file, const char *path)
{
    uv_fs_t request;
    *file = (struct symbol_file){.descriptor = -1};
    int descriptor = uv_fs_open(NULL, &request, path, UV_FS_O_RDONLY | UV_FS_O_NONBLOCK, 0, NULL);
    uv_fs_req_cleanup(&request);
    if (descriptor < 0)
        return descriptor;
    file->descriptor = descriptor;
    int outcome = uv_fs_fstat(NULL, &request, descriptor, NULL);
    file->size = request.statbuf.st_size;
    if (outcome == 0 && !S_ISREG(request.statbuf.st_mode))
        outcome = UV_EINVAL;
    uv_fs_req_cleanup(&request);
    if (outcome != 0)
        symbol_file_close(file);
    return outcome;
}

#ifdef _WIN32 /* opened for us alone */
#define LOCK_FLAGS UV_FS_O_EXLOCK
static int lock_descriptor(int descriptor)
{
    (void)descriptor;
    return 0;
}
#else
#define LOCK_FLAGS 0
static int lock_descriptor(int descriptor)
{
    if (flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        return 0;
    return errno == EWOULDBLOCK ? UV_EBUSY : uv_translate_sys_error(errno);
}
#endif

int symbol_file_lock(const char *path)
{
    uv_fs_t request;
    int flags = UV_FS_O_RDWR | UV_FS_O_CREAT | UV_FS_O_NONBLOCK | LOCK_FLAGS;
    int descriptor = uv_fs_open(NULL, &request, path, flags, 0640, NULL);
    uv_fs_req_cleanup(&request);
    if (descriptor < 0)
        return descriptor;
    int outcome = lock_descriptor(descriptor);
    if (outcome == 0)
        return descriptor;
    struct symbol_file file = {.descriptor = descriptor};
    symbol_file_close(&file);
    return outcome;
}

int symbol_file_temporary(struct symbol_file *file)
{
    uv_fs_t request, removal;
    char folder[SYMBOL_PATH_SIZE], path[SYMBOL_PATH_SIZE + 32];
    size_t length = sizeof folder;
    *file = (struct symbol_file){.descriptor = -1};
    int outcome = uv_os_tmpdir(folder, &length);
    if (outcome != 0)
        return outcome;
    (void)snprintf(path, sizeof path, "%s/kdnetd-XXXXXX", folder);
    file->descriptor = uv_fs_mkstemp(NULL, &request, path, NULL);
    outcome = file->descriptor < 0 ? file->descriptor : 0;
    if (outcome == 0) {
        (void)uv_fs_unlink(NULL, &removal, request.path, NULL);
        uv_fs_req_cleanup(&removal);
    }
    uv_fs_req_cleanup(&request);
    return outcome;
}

bool symbol_file_append(struct symbol_file *file, const void *bytes, size_t length)
{
    const char *next = bytes;
    while (length > 0) {
        uv_fs_t request;
        unsigned piece = length < (1U << 20) ? (unsigned)length : 1U << 20;
        uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)next, piece);
        int written = uv_fs_write(NULL, &request, file->descriptor, &buffer, 1, (int64_t)file->size, NULL);
        uv_fs_req_cleanup(&request);
        if (written <= 0)
            return false;
        file->size += (uint64_t)written;
        next += written;
        length -= (size_t)written;
    }
    return true;
}

static bool read_disk(const struct symbol_file *file, uint64_t offset, uint8_t *out, size_t length)
{
    while (length > 0) {
        uv_fs_t request;
        unsigned piece = length < (1U << 20) ? (unsigned)length : 1U << 20;
        uv_buf_t buffer = uv_buf_init((char *)out, piece);
        int got = uv_fs_read(NULL, &request, file->descriptor, &buffer, 1, (int64_t)offset, NULL);
        uv_fs_req_cleanup(&request);
        if (got <= 0)
            return false; /* 0: the file shrank since it was opened */
        offset += (uint64_t)got;
        out += got;
        length -= (size_t)got;
    }
    return true;
}

bool symbol_file_read(const struct symbol_file *file, uint64_t offset, void *out, size_t length)
{
    if (offset > file->size || length > file->size - offset)
        return false;
    if (!file->memory)
        return read_disk(file, offset, out, length);
    if (length > 0)
        memcpy(out, file->memory + offset, length);
    return true;
}

void symbol_file_close(struct symbol_file *file)
{
    uv_fs_t request;
    if (file->descriptor >= 0) {
        (void)uv_fs_close(NULL, &request, file->descriptor, NULL);
        uv_fs_req_cleanup(&request);
    }
    *file = (struct symbol_file){.descriptor = -1};
}

/* Whether `a` precedes `b` among the names of one address. */
static bool comes_first(const char *a, const char *b)
{
    if ((a[0] == '?') != (b[0] == '?'))
        return b[0] == '?';
    return strcmp(a, b) < 0;
}

void symbol_address_offer(struct symbol_address *address, uint32_t rva, const char *name)
{
    char text[SYMBOL_NAME_SIZE];
    size_t length = 0;
    if (rva > address->rva || address->rva - rva >= SYMBOL_REACH || name[0] == 0)
        return;
    uint32_t offset = address->rva - rva;
    for (; name[length] != 0 && length < sizeof text - 1; ++length)
        text[length] = (char)(name[length] > ' ' && name[length] < 0x7f ? name[length] : '_');
    text[length] = 0;
    if (address->answer == SYMBOL_FOUND &&
        (address->offset < offset || (address->offset == offset && !comes_first(text, address->name))))
        return;
    address->answer = SYMBOL_FOUND;
    address->offset = offset;
    memcpy(address->name, text, length + 1);
}
