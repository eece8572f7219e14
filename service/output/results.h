/* SPDX-License-Identifier: Apache-2.0 */
/*
 * results: where the result lines go: a file, a FIFO or standard output, never waited for by the wire or the server.
 *
 * Uses results_queue, results_file, log. A thread of its own opens, looks at, writes and closes the file: a disk that
 * is full, a share that hangs, a folder that is missing or a reader that is slow costs memory up to
 * RESULTS_QUEUE_BYTES. Beyond it lines are shed as results_queue.h says. What fails is told once, when it begins and
 * when it ends, and is tried again each second, from where it stopped. Each second the thread looks whether the file
 * is still the one that its path names: it is opened again when it was moved or deleted, and what was written since the
 * last look into one that was deleted is written again.
 *
 * No line is lost without a word: each one that is shed, or that nobody can read any more, is counted by its worth;
 * results of crashes go into the log instead, as many as RESULTS_LOG_EACH a second.
 *
 * A thread that hangs in a file call (RESULTS_HANGS_MS) is told of; when the configuration is read again, another
 * thread takes over what it has not written.
 *
 * Thread: lines are added, and what became of them is asked, from any; all else on the loop's.
 */
#ifndef SERVICE_RESULTS_H
#define SERVICE_RESULTS_H

#include "service/output/results_queue.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define RESULTS_QUEUE_BYTES   ((size_t)64 << 20)
#define RESULTS_MACHINE_BYTES (RESULTS_QUEUE_BYTES / 1024) /* a crash with all that is told of it needs less */
#define RESULTS_BATCH_BYTES   ((size_t)64 << 10)
#define RESULTS_LOG_BYTES     ((size_t)1 << 20) /* lost results that wait for their place in the log */
#define RESULTS_LOG_EACH      100U              /* of them a second */
#define RESULTS_HANGS_MS      5000U
#define RESULTS_HUNG_MAX      4U /* threads that hang and were replaced */

struct results_writer;

struct results_counts {
    uint64_t written; /* lines */
    uint64_t dropped; /* lines: all of `lost` */
    uint64_t errors;  /* file calls that failed */
    uint64_t lost[RESULTS_WORTHS];
    size_t waiting_lines, waiting_bytes;
};

struct results {
    uv_loop_t *loop;
    uv_async_t bell; /* the thread has written lines that somebody may wait for */
    bool ready;      /* the lock, the condition and the bell are there */
    bool closed;
    void (*on_settled)(void *user); /* on the loop, after lines were written; NULL: nobody */
    void *user;

    uv_mutex_t lock; /* of what follows */
    uv_cond_t changed;
    struct results_queue queue;
    struct results_writer *writer;             /* NULL: there is no thread yet */
    struct results_writer *hung;               /* threads that were replaced */
    char *path;                                /* where results go: NULL and `wanted`: standard output */
    bool wanted_at_all;                        /* otherwise what waits is written, and then the file is closed */
    uint64_t generation;                       /* of the two above: grows when the file is to be opened again */
    bool ending;                               /* no more lines come */
    bool gone;                                 /* the reader of standard output went away */
    struct results_line *log_first, *log_last; /* lost, and not in the log yet */
    size_t log_bytes;
    struct results_counts counts;

    atomic_bool wanted;                  /* lines are taken; or counted, when their reader is gone */
    atomic_uint_fast64_t added, settled; /* lines: numbered as they came; written or given up */

    struct results_counts told; /* the loop's own: what the log has said, and when */
    uint64_t told_ms;
    bool told_hangs, told_thread;
    uint64_t replaced_generation; /* for which a thread that hangs was replaced */
};

/*
 * Starts the thread, which opens the file: nothing waits for it.
 *
 * path  a file, appended to; "-" is standard output; NULL: results are not wanted.
 * Returns 0 or a UV_ code, for want of memory or handles; results_close must be called all the same.
 */
int results_open(struct results *results, uv_loop_t *loop, const char *path);

/*
 * Takes a line (malloc'd, with its line end), whatever comes of it; NULL: there was no memory for it, which is counted.
 * Its write starts after results_ring.
 *
 * source  which machine caused it: any number that is its own; 0: none.
 * Returns its number; 0: it is not taken. Thread: any. Cost: a lock, an allocation and a copy.
 */
uint64_t results_add(struct results *results, char *text, size_t length, enum results_worth worth, uint64_t source);

/* Lines were added: wakes the thread. Once for many of them, or they are written one by one. Thread: any. */
void results_ring(struct results *results);

/* Whether results_add takes lines: otherwise none need be made. Thread: any. */
bool results_are_wanted(const struct results *results);

/* Opens the file again (log rotation), or another one: `path` as above. */
void results_reopen(struct results *results, const char *path);

/* Up to which number every line was written or given up. Thread: any. */
uint64_t results_settled(const struct results *results);
bool results_are_settled(const struct results *results); /* all that came */

void results_count(struct results *results, struct results_counts *out);

/* Each second: puts lost results into the log, says there what was lost and what hangs, and replaces a thread that
 * hangs when the configuration was read again since. */
void results_look(struct results *results);

/* No more lines come: the thread writes what waits, closes the file and ends. */
void results_end(struct results *results);
bool results_have_ended(struct results *results); /* it has */

/*
 * Ends the thread if it has not ended, and puts the lines that it could not write into the log, those of most worth
 * first. Waits RESULTS_GIVE_UP_MS at most.
 *
 * Returns whether each line since results_open was written.
 */
bool results_give_up(struct results *results);

/* Frees all, after results_give_up. The loop must run until its handle is closed. False: a thread hangs in a file call,
 * and what it uses stays: `results` must not be freed, and the program can only end by _Exit. */
bool results_close(struct results *results);

#endif
