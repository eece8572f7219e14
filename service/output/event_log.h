/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_log: where the result lines go: a file, a FIFO or standard output, never waited for by the wire or the server.
 *
 * Uses event_queue, result_file, log. A thread of its own opens, looks at, writes and closes the file: a disk that
 * is full, a share that hangs, a folder that is missing or a reader that is slow costs memory up to
 * EVENT_LOG_QUEUE_BYTES. Beyond it lines are shed as event_queue.h says. What fails is told once, when it begins and
 * when it ends, and is tried again each second, from where it stopped. Each second the thread looks whether the file
 * is still the one that its path names: it is opened again when it was moved or deleted, and what was written since the
 * last look into one that was deleted is written again.
 *
 * No line is lost without a word: each one that is shed, or that nobody can read any more, is counted by its worth;
 * results of crashes go into the log instead, as many as EVENT_LOG_LOG_EACH a second.
 *
 * A thread that hangs in a file call (EVENT_LOG_HANGS_MS) is told of; when the configuration is read again, another
 * thread takes over what it has not written.
 *
 * Thread: lines are added, and what became of them is asked, from any; all else on the loop's.
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
#define EVENT_LOG_MACHINE_BYTES (EVENT_LOG_QUEUE_BYTES / 1024) /* a crash with all that is told of it needs less */
#define EVENT_LOG_BATCH_BYTES   ((size_t)64 << 10)
#define EVENT_LOG_LOG_BYTES     ((size_t)1 << 20) /* lost results that wait for their place in the log */
#define EVENT_LOG_LOG_EACH      100U              /* of them a second */
#define EVENT_LOG_HANGS_MS      5000U
#define EVENT_LOG_HUNG_MAX      4U /* threads that hang and were replaced */

struct event_log_writer;

struct event_log_counts {
    uint64_t written; /* lines */
    uint64_t dropped; /* lines: all of `lost` */
    uint64_t errors;  /* file calls that failed */
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

    uv_mutex_t lock; /* of what follows */
    uv_cond_t changed;
    struct event_queue queue;
    struct event_log_writer *writer;         /* NULL: there is no thread yet */
    struct event_log_writer *hung;           /* threads that were replaced */
    char *path;                              /* where results go: NULL and `wanted`: standard output */
    bool wanted_at_all;                      /* otherwise what waits is written, and then the file is closed */
    uint64_t generation;                     /* of the two above: grows when the file is to be opened again */
    bool ending;                             /* no more lines come */
    bool gone;                               /* the reader of standard output went away */
    struct event_line *log_first, *log_last; /* lost, and not in the log yet */
    size_t log_bytes;
    struct event_log_counts counts;

    atomic_bool wanted;                  /* lines are taken; or counted, when their reader is gone */
    atomic_uint_fast64_t added, settled; /* lines: numbered as they came; written or given up */

    struct event_log_counts logged; /* the loop's own: what the log has said, and when */
    uint64_t logged_ms;
    bool logged_hang, logged_thread;
    uint64_t replaced_generation; /* for which a thread that hangs was replaced */
};

/*
 * Starts the thread, which opens the file: nothing waits for it.
 *
 * path  a file, appended to; "-" is standard output; NULL: results are not wanted.
 * Returns 0 or a UV_ code, for want of memory or handles; event_log_close must be called all the same.
 */
int event_log_open(struct event_log *event_log, uv_loop_t *loop, const char *path);

/*
 * Takes a line (malloc'd, with its line end), whatever comes of it; NULL: there was no memory for it, which is counted.
 * Its write starts after event_log_ring.
 *
 * source  which machine caused it: any number that is its own; 0: none.
 * Returns its number; 0: it is not taken. Thread: any. Cost: a lock, an allocation and a copy.
 */
uint64_t event_log_add(struct event_log *event_log, char *text, size_t length, enum event_worth worth, uint64_t source);

/* Lines were added: wakes the thread. Once for many of them, or they are written one by one. Thread: any. */
void event_log_ring(struct event_log *event_log);

/* Whether event_log_add takes lines: otherwise none need be made. Thread: any. */
bool event_log_is_wanted(const struct event_log *event_log);

/* Opens the file again (log rotation), or another one: `path` as above. */
void event_log_reopen(struct event_log *event_log, const char *path);

/* Up to which number every line was written or given up. Thread: any. */
uint64_t event_log_settled(const struct event_log *event_log);
bool event_log_is_settled(const struct event_log *event_log); /* all that came */

void event_log_count(struct event_log *event_log, struct event_log_counts *out);

/* Each second: puts lost results into the log, says there what was lost and what hangs, and replaces a thread that
 * hangs when the configuration was read again since. */
void event_log_look(struct event_log *event_log);

/* No more lines come: the thread writes what waits, closes the file and ends. */
void event_log_end(struct event_log *event_log);
bool event_log_has_ended(struct event_log *event_log); /* it has */

/*
 * Ends the thread if it has not ended, and puts the lines that it could not write into the log, those of most worth
 * first. Waits EVENT_LOG_GIVE_UP_MS at most.
 *
 * Returns whether each line since event_log_open was written.
 */
bool event_log_give_up(struct event_log *event_log);

/* Frees all, after event_log_give_up. The loop must run until its handle is closed. False: a thread hangs in a file
 * call, and what it uses stays: `results` must not be freed, and the program can only end by _Exit. */
bool event_log_close(struct event_log *event_log);

#endif
