/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/windows/posix/posix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Streams in memory are files that go when they are closed. */
static struct memory_stream {
    FILE *file; /* NULL: free */
    char **text;
    size_t *length;
    char *bytes;
    size_t size;
} streams[8];

char *mkdtemp(char *path)
{
    static unsigned made;
    char *end = path + strlen(path) - 6;
    for (unsigned tries = 0; tries < 1000; ++tries) {
        unsigned number = ((unsigned)GetCurrentProcessId() * 1009U + made++) % 1000000U;
        (void)snprintf(end, 7, "%06u", number);
        if (CreateDirectoryA(path, NULL))
            return path;
        if (GetLastError() != ERROR_ALREADY_EXISTS)
            break;
    }
    return NULL;
}

int memfd_create(const char *name, unsigned flags)
{
    char folder[MAX_PATH], path[MAX_PATH];
    (void)name;
    (void)flags;
    if (GetTempPathA(sizeof folder, folder) == 0 || GetTempFileNameA(folder, "mem", 0, path) == 0)
        return -1;
    return open(path, _O_RDWR | _O_BINARY | _O_TEMPORARY | _O_NOINHERIT);
}

ssize_t pread(int descriptor, void *bytes, size_t size, off_t offset)
{
    long before = lseek(descriptor, 0, SEEK_CUR);
    if (before < 0 || lseek(descriptor, offset, SEEK_SET) < 0)
        return -1;
    int length = read(descriptor, bytes, (unsigned)size);
    return lseek(descriptor, before, SEEK_SET) < 0 ? -1 : length;
}

int pipe(int ends[2])
{
    return _pipe(ends, 65536, _O_BINARY | _O_NOINHERIT);
}

int setenv(const char *name, const char *value, int overwrite)
{
    return !overwrite && getenv(name) ? 0 : _putenv_s(name, value);
}

int unsetenv(const char *name)
{
    return _putenv_s(name, "");
}

char *strcasestr(const char *in, const char *what)
{
    size_t length = strlen(what);
    for (; *in != '\0'; ++in)
        if (_strnicmp(in, what, length) == 0)
            return (char *)(uintptr_t)in;
    return length == 0 ? (char *)(uintptr_t)in : NULL;
}

int mkfifo(const char *path, unsigned mode)
{
    (void)path;
    (void)mode;
    return -1;
}

static FILE *open_stream(const struct memory_stream *wanted)
{
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; ++i)
        if (!streams[i].file) {
            int descriptor = memfd_create("", 0);
            streams[i] = *wanted;
            streams[i].file = descriptor < 0 ? NULL : fdopen(descriptor, "w+b");
            return streams[i].file;
        }
    return NULL;
}

FILE *open_memstream(char **text, size_t *length)
{
    return open_stream(&(struct memory_stream){.text = text, .length = length});
}

FILE *fmemopen(void *bytes, size_t size, const char *mode)
{
    if (mode[0] == 'w')
        return open_stream(&(struct memory_stream){.bytes = bytes, .size = size});
    FILE *file = fdopen(memfd_create("", 0), "w+b");
    if (!file || (fwrite(bytes, 1, size, file) != size || fseek(file, 0, SEEK_SET) != 0))
        abort();
    return file;
}

/* Takes what was written out of the file. */
static void take(struct memory_stream *stream)
{
    if (fflush(stream->file) != 0 || fseek(stream->file, 0, SEEK_END) != 0)
        abort();
    size_t length = (size_t)ftell(stream->file);
    if (stream->text) {
        stream->bytes = *stream->text = malloc(length + 1);
        stream->size = length + 1;
        *stream->length = length;
    }
    rewind(stream->file);
    if (stream->bytes && stream->size > 0)
        stream->bytes[fread(stream->bytes, 1, length < stream->size ? length : stream->size - 1, stream->file)] = '\0';
}

int posix_fclose(FILE *file)
{
    for (size_t i = 0; i < sizeof streams / sizeof streams[0]; ++i)
        if (streams[i].file == file) {
            take(&streams[i]);
            streams[i].file = NULL;
        }
    return (fclose)(file);
}
