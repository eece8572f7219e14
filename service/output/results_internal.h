/* SPDX-License-Identifier: Apache-2.0 */
/* results_internal: what results.c and its thread, results_writer.c, share. Not for others. */
#ifndef SERVICE_RESULTS_INTERNAL_H
#define SERVICE_RESULTS_INTERNAL_H

#include "service/output/results.h"
#include "service/output/results_file.h"

/* Lines, the oldest first. */
struct results_list {
    struct results_line *first, *last;
    size_t lines, bytes;
};

/* A thread, and what it has in hand. Lists are of the lock, also while it is in a file call. */
struct results_writer {
    struct results_writer *next; /* that were replaced before */
    struct results *results;
    uv_thread_t thread;
    bool started;

    struct results_list taken;  /* being written */
    size_t begun;               /* bytes of the first of them that are written */
    struct results_list recent; /* written since the file was last seen in its place */
    bool abandoned;             /* it ends as soon as it can, and touches nothing any more */
    bool ended;
    uint64_t generation; /* of results->path, that it has opened or tried to */

    struct results_file file; /* the thread's own, down to here */
    char *path;
    bool open_due;
    uint64_t open_ms, look_ms, write_ms; /* not before */
    char *buffer;                        /* RESULTS_BATCH_BYTES */
    size_t length;                       /* of what is in it */
    int open_error, write_error;         /* told, and not over */
    bool told_deleted;

    _Atomic(const char *) doing; /* the file call that is under way; NULL: none */
    atomic_uint_fast64_t since_ms;
};

void results_list_add(struct results_list *list, struct results_line *line);
struct results_line *results_list_take(struct results_list *list);
void results_list_join(struct results_list *list, struct results_list *behind); /* `behind` is empty then */
void results_list_free(struct results_list *list);

uint64_t results_now_ms(void);

/* With the lock held. */
void results_lose(struct results *results, struct results_line *line); /* counts it, and keeps it for the log */
void results_note_settled(struct results *results, uint64_t number);   /* written up to it, in order */

/* Starts a thread that goes on with `taken`, which is empty then. NULL: no memory, or no thread. With the lock held. */
struct results_writer *results_writer_start(struct results *results, struct results_list *taken);

/* When it has ended. */
void results_writer_free(struct results_writer *writer);

#endif
