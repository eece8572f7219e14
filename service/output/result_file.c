/* SPDX-License-Identifier: Apache-2.0 */
#include "service/output/result_file.h"
#include "service/platform/platform.h"

#include <errno.h>
#include <sys/stat.h>

#define FILE_MODE 0640
#define STDOUT    1

static int stat_file(uv_file file, uv_stat_t *out)
{
    uv_fs_t request;
    int error = uv_fs_fstat(NULL, &request, file, NULL);
    *out = request.statbuf;
    uv_fs_req_cleanup(&request);
    return error;
}

static int stat_path(const char *path, uv_stat_t *out)
{
    uv_fs_t request;
    int error = uv_fs_stat(NULL, &request, path, NULL);
    *out = request.statbuf;
    uv_fs_req_cleanup(&request);
    return error;
}

static int open_path(const char *path, int flags)
{
    uv_fs_t request;
    int opened = uv_fs_open(NULL, &request, path, flags, FILE_MODE, NULL);
    uv_fs_req_cleanup(&request);
    return opened;
}

static int close_descriptor(uv_file file)
{
    uv_fs_t request;
    int error = uv_fs_close(NULL, &request, file, NULL);
    uv_fs_req_cleanup(&request);
    return error;
}

static bool is_kind(const uv_stat_t *about, uint64_t kind)
{
    return (about->st_mode & (uint64_t)S_IFMT) == kind;
}

static bool is_file(const struct result_file *file, const uv_stat_t *about)
{
    return about->st_dev == file->device && about->st_ino == file->inode;
}

/* Our descriptor only writes. */
static bool read_last(const struct result_file *file, const char *path, char *out)
{
    uv_stat_t about;
    uv_fs_t request;
    uv_buf_t buffer = uv_buf_init(out, 1);
    int64_t got = 0;
    int reader = open_path(path, platform_read_flags());
    if (reader < 0)
        return false;
    if (stat_file(reader, &about) == 0 && is_file(file, &about) && about.st_size > 0) {
        got = uv_fs_read(NULL, &request, reader, &buffer, 1, (int64_t)about.st_size - 1, NULL);
        uv_fs_req_cleanup(&request);
    }
    (void)close_descriptor(reader);
    return got == 1;
}

/* Whether the file ends within a line. An unreadable file counts as ending within a line: an extra empty line costs
 * its reader nothing, a line that begins inside another costs a result. */
static bool ends_within_a_line(const struct result_file *file, const char *path)
{
    uv_stat_t about;
    char last = '\0';
    if (!file->is_regular || stat_file(file->file, &about) != 0 || about.st_size == 0)
        return false;
    return !read_last(file, path ? path : platform_stdout_path(), &last) || last != '\n';
}

/* An open standard output without file attributes (Windows: a pipe) is no file. */
static int look_at(struct result_file *file, uv_stat_t *about)
{
    int error = stat_file(file->file, about);
    if (error == 0 || error == UV_EBADF || !file->is_stdout)
        return error;
    *about = (uv_stat_t){.st_mode = uv_guess_handle(file->file) == UV_NAMED_PIPE ? S_IFIFO : 0};
    return 0;
}

int result_file_open(struct result_file *file, const char *path)
{
    uv_stat_t about;
    *file = (struct result_file){.file = path ? open_path(path, platform_append_flags()) : STDOUT, .is_stdout = !path};
    if (file->file < 0)
        return (int)file->file;
    int error = look_at(file, &about);
    if (error != 0) {
        if (path)
            (void)close_descriptor(file->file);
        return error;
    }
    file->open = true;
    file->is_pipe = is_kind(&about, S_IFIFO) || is_kind(&about, S_IFSOCK);
    file->is_regular = is_kind(&about, S_IFREG);
    file->device = about.st_dev;
    file->inode = about.st_ino;
    file->newline_due = ends_within_a_line(file, path);
    return 0;
}

int result_file_close(struct result_file *file)
{
    int error = file->open && !file->is_stdout ? close_descriptor(file->file) : 0;
    file->open = false;
    return error;
}

static int64_t write_bytes(const struct result_file *file, const char *text, size_t length)
{
    uv_fs_t request;
    char *bytes = (char *)text; /* the string is only read */
    uv_buf_t buffer = uv_buf_init(bytes, (unsigned)length);
    if (file->is_pipe && !platform_wait_writable(file->file, 0))
        return UV_EAGAIN;
    int64_t written = uv_fs_write(NULL, &request, file->file, &buffer, 1, -1, NULL);
    uv_fs_req_cleanup(&request);
    return written == 0 && file->is_pipe ? UV_EAGAIN : written; /* a full pipe of Windows */
}

int64_t result_file_write(struct result_file *file, const char *text, size_t length)
{
    uv_stat_t about;
    int64_t written = file->newline_due ? write_bytes(file, "\n", 1) : 1;
    if (written != 1)
        return written < 0 ? written : 0;
    file->newline_due = false;
    if (file->is_pipe && length > EVENT_LOG_PIPE_BYTES)
        length = EVENT_LOG_PIPE_BYTES;
    written = write_bytes(file, text, length);
    file->begun = file->begun && written <= 0;
    if (written > 0 && text[written - 1] != '\n') {
        file->begun = true;
        file->begun_end = stat_file(file->file, &about) == 0 ? about.st_size : 0;
    }
    return written;
}

bool result_file_can_go_on(struct result_file *file, const char *path)
{
    uv_stat_t about;
    if (!file->begun || (file->is_regular && stat_file(file->file, &about) == 0 && about.st_size == file->begun_end))
        return true;
    file->begun = false;
    file->newline_due = !file->is_regular || ends_within_a_line(file, path);
    return false;
}

void result_file_wait(const struct result_file *file, int timeout_ms)
{
    (void)platform_wait_writable(file->file, timeout_ms);
}

/* Whether a file server has put another file behind our handle: our file is gone. */
static bool is_stale(int error)
{
    return error == uv_translate_sys_error(ESTALE);
}

enum result_file_place result_file_look(const struct result_file *file, const char *path)
{
    uv_stat_t named, ours;
    int error = path ? stat_path(path, &named) : 0;
    if (path && error == 0 && is_file(file, &named))
        return RESULT_FILE_IN_PLACE;
    if (error != 0 && error != UV_ENOENT && error != UV_ENOTDIR && !is_stale(error))
        return RESULT_FILE_IN_PLACE;
    error = stat_file(file->file, &ours);
    if (is_stale(error) || (error == 0 && ours.st_nlink == 0 && file->is_regular))
        return RESULT_FILE_DELETED;
    return path ? RESULT_FILE_MOVED : RESULT_FILE_IN_PLACE;
}
