/* SPDX-License-Identifier: Apache-2.0 */
/*
 * results: where the result lines go: a file or standard output, never waited for by the wire.
 *
 * Uses log, platform. Lines wait in memory, at most RESULTS_QUEUE_BYTES, and one write at a time is under way on
 * libuv's thread pool; a reader that is slow, or a disk that is full, costs memory up to that bound. Beyond it the
 * oldest `print` lines go first, then the oldest lines, counted and told in the log. A write that fails is tried again
 * each second, from where it stopped.
 *
 * Thread: lines are added, and what became of them is asked, from any; all else on the loop's.
 */
#ifndef SERVICE_RESULTS_H
#define SERVICE_RESULTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define RESULTS_QUEUE_BYTES ((size_t)64 << 20)
#define RESULTS_BATCH_BYTES ((size_t)256 << 10)

struct results_line;

struct results_counts {
    uint64_t written; /* lines */
    uint64_t dropped; /* lines, for want of room or because their reader is gone */
    uint64_t errors;  /* writes that failed */
};

struct results {
    uv_loop_t *loop;
    char *path; /* NULL: standard output */
    uv_file file;
    bool open;     /* somebody reads: otherwise lines are thrown away, and counted only when `gone` */
    bool gone;     /* the reader of standard output went away */
    bool writing;  /* `write` is under way */
    bool unwanted; /* no more lines are taken; those that wait are written, then the file is closed */
    bool reopen;   /* as soon as no write is under way */
    bool closed;   /* the timer is closed */

    uv_mutex_t lock; /* of the lines that came from any thread, and are not looked at yet */
    struct results_line *new_first, *new_last;
    uv_async_t bell;                     /* there are some */
    bool ready;                          /* the lock and the bell are */
    atomic_bool wanted;                  /* lines are taken; or counted, when their reader is gone */
    atomic_uint_fast64_t no_memory;      /* lines for which there was none */
    atomic_uint_fast64_t added, settled; /* lines: numbered as they came; written or given up */

    struct results_line *first, *last; /* of all waiting lines */
    struct results_line *first_print, *last_print;
    size_t waiting_bytes, queue_bytes;
    size_t waiting_lines;

    char *batch; /* RESULTS_BATCH_BYTES, or one longer line */
    size_t batch_size, batch_length, batch_done;
    size_t batch_lines;
    uint64_t taken, batch_taken, written; /* numbers of lines: looked at; in this batch; written */
    uv_fs_t write;
    uv_timer_t retry;
    struct results_counts counts;
    uint64_t told_dropped, told_errors; /* of the counts, what the log has said */
    int last_error;                     /* UV_… of the last failed write */
    void (*on_settled)(void *user);     /* after each write that ended a batch; NULL: nobody */
    void *user;
};

/*
 * path  a file, appended to; "-" is standard output; NULL: results are not wanted.
 * Returns 0 or a UV_ code: then the file could not be opened, and results_close must be called all the same.
 */
int results_open(struct results *results, uv_loop_t *loop, const char *path);

/*
 * Takes a line (malloc'd, with its line end), whatever comes of it; NULL: there was no memory for it, which is counted.
 * Its write starts after results_ring.
 * Returns its number; 0: it is not taken. Thread: any.
 */
uint64_t results_add(struct results *results, char *text, size_t length, bool is_print);

/* Lines were added: wakes the loop. Once for many of them, or they are written one by one. Thread: any. */
void results_ring(struct results *results);

/* Whether results_add takes lines: otherwise none need be made. Thread: any. */
bool results_are_wanted(const struct results *results);

/* Looks at what came, and starts a write if there is something to write and none is under way. */
void results_flush(struct results *results);

/* Opens the file again (log rotation), or another one: `path` as above. At once, or when the write under way is done.
 */
void results_reopen(struct results *results, const char *path);

/* Up to which number every line was written or given up. Thread: any. */
uint64_t results_settled(const struct results *results);
bool results_are_settled(const struct results *results); /* all that came */

/* Says in the log what was dropped or failed since the last call; nothing when nothing was. */
void results_tell(struct results *results);

/* Nothing waits, nothing is under way. */
bool results_is_idle(const struct results *results);

/* Closes the timer and the file, frees the lines that wait. The loop must run until its handles are closed; a write
 * that hangs is left alone. */
void results_close(struct results *results);

#endif
