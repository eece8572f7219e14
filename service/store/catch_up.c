/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/catch_up.h"
#include "service/store/line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define PIECE ((size_t)64 << 10)

struct reading {
    uv_file file;
    uint64_t at; /* in the file */
    bool skip;   /* the text up to the next line end is no whole line */
    bool no_memory;
    char *text; /* text not handed on yet */
    size_t length, size;
    catch_up_fn *each;
    void *user;
};

static uint64_t size_of(const char *path)
{
    uv_fs_t request;
    uint64_t size = 0;
    if (uv_fs_stat(NULL, &request, path, NULL) == 0 && (request.statbuf.st_mode & S_IFMT) == S_IFREG)
        size = request.statbuf.st_size;
    uv_fs_req_cleanup(&request);
    return size;
}

/* Reads a piece behind the present text. Returns its bytes; 0: end of file, unreadable, or no memory. */
static size_t read_piece(struct reading *reading)
{
    uv_fs_t request;
    if (reading->size - reading->length < PIECE) {
        char *text = realloc(reading->text, reading->size + 4 * PIECE);
        reading->no_memory = !text;
        if (!text)
            return 0;
        reading->text = text;
        reading->size += 4 * PIECE;
    }
    uv_buf_t buffer = uv_buf_init(reading->text + reading->length, (unsigned)PIECE);
    int got = uv_fs_read(NULL, &request, reading->file, &buffer, 1, (int64_t)reading->at, NULL);
    uv_fs_req_cleanup(&request);
    if (got <= 0)
        return 0;
    reading->at += (uint64_t)got;
    reading->length += (size_t)got;
    return (size_t)got;
}

/* Hands on the complete lines and keeps the rest. */
static bool hand_on(struct reading *reading)
{
    char *at = reading->text, *end = reading->text + reading->length, *close;
    bool goes_on = true;
    for (; goes_on && (close = memchr(at, '\n', (size_t)(end - at))) != NULL; at = close + 1) {
        if (!reading->skip && close > at)
            goes_on = reading->each(reading->user, at, (size_t)(close - at));
        reading->skip = false;
    }
    reading->length = (size_t)(end - at);
    memmove(reading->text, at, reading->length);
    if (reading->length > STORE_LINE_MAX) {
        reading->length = 0;
        reading->skip = true;
    }
    return goes_on;
}

static bool read_file(const char *path, uint64_t from, catch_up_fn *each, void *user)
{
    uv_fs_t request;
    struct reading reading = {.at = from > 0 ? from - 1 : 0, .skip = from > 0, .each = each, .user = user};
    bool goes_on = true;
    reading.file = uv_fs_open(NULL, &request, path, UV_FS_O_RDONLY, 0, NULL);
    uv_fs_req_cleanup(&request);
    if (reading.file < 0)
        return true;
    while (goes_on && read_piece(&reading) > 0)
        goes_on = hand_on(&reading);
    (void)uv_fs_close(NULL, &request, reading.file, NULL);
    uv_fs_req_cleanup(&request);
    free(reading.text);
    return goes_on && !reading.no_memory;
}

bool catch_up_read(const char *path, uint64_t bytes, catch_up_fn *each, void *user)
{
    char before[4200];
    (void)snprintf(before, sizeof before, "%s.1", path);
    uint64_t size = size_of(path), size_before = size_of(before);
    uint64_t left = size < bytes ? bytes - size : 0;
    if (left > 0 && size_before > 0 && !read_file(before, size_before > left ? size_before - left : 0, each, user))
        return false;
    return size == 0 || read_file(path, size > bytes ? size - bytes : 0, each, user);
}
