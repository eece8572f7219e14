/* SPDX-License-Identifier: Apache-2.0 */
/*
 * result_file: the file, FIFO or standard output that results are written to.
 *
 * Writes whole lines: a fragment that a killed process or a full disk left does not swallow the next line, which begins
 * on a line of its own. Each call may take as long as the file system needs, but a pipe with a slow reader does not
 * block a call.
 *
 * Thread: one at a time, and none that anybody waits for.
 */
#ifndef SERVICE_EVENT_LOG_FILE_H
#define SERVICE_EVENT_LOG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define EVENT_LOG_PIPE_BYTES ((size_t)4096) /* a pipe that polls writable takes this many bytes in one piece */

enum result_file_place {
    RESULT_FILE_IN_PLACE, /* the path names the file, or this cannot be told now */
    RESULT_FILE_MOVED,    /* the file has another name now; its path is free or names another file */
    RESULT_FILE_DELETED,  /* the file has no name any more: its content is lost when it is closed */
};

struct result_file {
    uv_file file;
    bool open, is_stdout, is_pipe, is_regular;
    bool newline_due; /* the last line in the file is incomplete */
    uint64_t device, inode;
    bool begun;         /* the last write ended within a line, and ... */
    uint64_t begun_end; /* ... then the file had this size */
};

/* path: appended to; NULL: standard output. Returns 0 or a UV_ code; then nothing is open. */
int result_file_open(struct result_file *file, const char *path);

/* Returns 0 or a UV_ code: the last written bytes may then be lost. */
int result_file_close(struct result_file *file);

/*
 * Writes text that begins within a line when `within`, and may end anywhere.
 *
 * Returns the bytes taken; UV_EAGAIN: the pipe is full; another UV_ code.
 */
int64_t result_file_write(struct result_file *file, const char *text, size_t length);

/*
 * Whether a partly written line can be continued where its bytes end. Otherwise somebody else wrote to the file,
 * truncated it, or its reader went: the line has to be written again from its beginning, on a line of its own.
 */
bool result_file_can_go_on(struct result_file *file, const char *path);

/* Waits until a pipe takes more, `timeout_ms` at most. */
void result_file_wait(const struct result_file *file, int timeout_ms);

/* Where the open file is now. */
enum result_file_place result_file_look(const struct result_file *file, const char *path);

#endif
