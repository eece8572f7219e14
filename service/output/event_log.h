/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_log: writes result lines to a file, a FIFO or standard output. Neither the wire nor the server ever waits for
 * it.
 *
 * A thread of its own opens, checks, writes and closes the file: a full disk, a hanging share, a missing folder or a
 * slow reader costs up to EVENT_LOG_QUEUE_BYTES of memory. Beyond that, lines are shed by event_queue.h's rules. A
 * failure is logged when it begins and when it ends; the write is retried each second from where it stopped. Each
 * second the thread checks whether the path still names the file: a moved or deleted file is opened again, and lines
 * written into a deleted file since the last check are written again.
 *
 * No line is lost silently: each line that is shed, or that nobody can read any more, is counted by its worth. Results
 * of crashes go into the log instead, up to EVENT_LOG_LOG_EACH a second.
 *
 * A thread that hangs in a file call (EVENT_LOG_HANGS_MS) is reported. When the configuration is read again, another
 * thread takes over its unwritten lines.
 *
 * Thread: any for adding lines and asking for their progress; the loop's for the rest.
 */
#ifndef SERVICE_EVENT_LOG_H
#define SERVICE_EVENT_LOG_H

#include "service/output/event_queue.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define EVENT_LOG_QUEUE_BYTES   ((size_t)64 << 20)
#define EVENT_LOG_MACHINE_BYTES (EVENT_LOG_QUEUE_BYTES / 1024) /* more than all lines of one crash */
#define EVENT_LOG_BATCH_BYTES   ((size_t)64 << 10)
#define EVENT_LOG_LOG_BYTES     ((size_t)1 << 20) /* lost results that wait for their place in the log */
#define EVENT_LOG_LOG_EACH      100U              /* of them a second */
#define EVENT_LOG_HANGS_MS      5000U
#define EVENT_LOG_HUNG_MAX      4U /* hanging threads that were replaced */

struct event_log_writer;

struct event_log_counts {
    uint64_t written; /* lines */
    uint64_t dropped; /* lines: all of `lost` */
    uint64_t errors;  /* failed file calls */
    uint64_t lost[EVENT_WORTHS];
    size_t waiting_lines, waiting_bytes;
};

struct event_log {
    uv_loop_t *loop;
    uv_async_t wakeup; /* the thread has written lines that somebody may wait for */
    bool ready;        /* the lock, the condition and the wakeup are there */
    bool closed;
    void (*on_settled)(void *user); /* on the loop, after lines were written; NULL: nobody */
    void *user;

    uv_mutex_t lock; /* protects the members below */
    uv_cond_t changed;
    struct event_queue queue;
    struct event_log_writer *writer;         /* NULL: there is no thread yet */
    struct event_log_writer *hung;           /* threads that were replaced */
    char *path;                              /* where results go: NULL and `wanted`: standard output */
    bool wanted_at_all;                      /* false: waiting lines are written, then the file is closed */
    uint64_t generation;                     /* of the two above: grows when the file is to be opened again */
    bool ending;                             /* no more lines come */
    bool gone;                               /* the reader of standard output went away */
    struct event_line *log_first, *log_last; /* lost, and not in the log yet */
    size_t log_bytes;
    struct event_log_counts counts;

    atomic_bool wanted;                  /* lines are taken; or counted, when their reader is gone */
    atomic_uint_fast64_t added, settled; /* lines: numbered as they came; written or given up */

    struct event_log_counts logged; /* used on the loop only: counts already logged, and when */
    uint64_t logged_ms;
    bool logged_hang, logged_thread;
    uint64_t replaced_generation; /* generation for which a hanging thread was replaced */
};

/*
 * Starts the thread, which opens the file; nothing waits for the file.
 *
 * path  a file, appended to; "-" is standard output; NULL: results are not wanted.
 * Returns 0 or a UV_ code, for lack of memory or handles; event_log_close must be called in any case.
 */
int event_log_open(struct event_log *event_log, uv_loop_t *loop, const char *path);

/*
 * Takes over a line (malloc'd, with line end), also on failure; NULL: there was no memory for it, which is counted. The
 * write starts after event_log_ring.
 *
 * source  identifies the machine that caused the line; 0: none.
 * Returns the line's number; 0: not taken. Thread: any. Cost: a lock, an allocation and a copy.
 */
uint64_t event_log_add(struct event_log *event_log, char *text, size_t length, enum event_worth worth, uint64_t source);

/* Wakes the thread after lines were added. Call it once for many lines, or they are written one by one. Thread: any. */
void event_log_ring(struct event_log *event_log);

/* Whether event_log_add takes lines: otherwise none need be made. Thread: any. */
bool event_log_is_wanted(const struct event_log *event_log);

/* Opens the file again (log rotation), or another one; `path` as above. */
void event_log_reopen(struct event_log *event_log, const char *path);

/* Up to which number every line was written or given up. Thread: any. */
uint64_t event_log_settled(const struct event_log *event_log);
bool event_log_is_settled(const struct event_log *event_log); /* all lines so far */

void event_log_count(struct event_log *event_log, struct event_log_counts *out);

/* Call each second: logs lost results, losses and hanging threads, and replaces a thread that hangs when the
 * configuration was read again since. */
void event_log_look(struct event_log *event_log);

/* Ends the input: the thread writes the waiting lines, closes the file and ends. */
void event_log_end(struct event_log *event_log);
bool event_log_has_ended(struct event_log *event_log); /* whether the thread has ended */

/*
 * Ends the thread if it has not ended, and logs the lines that it could not write, most important first. Waits
 * `wait_ms` at most, for the thread and for the log.
 *
 * Returns whether every line since event_log_open was written.
 */
bool event_log_give_up(struct event_log *event_log, unsigned wait_ms);

/* Frees everything, after event_log_give_up; waits for nothing. The loop must run until the handle is closed. False: a
 * thread hangs in a file call and still uses `results`, which must not be freed; the program can only end by
 * platform_end. */
bool event_log_close(struct event_log *event_log);

#endif
