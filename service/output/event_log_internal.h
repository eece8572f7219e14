/* SPDX-License-Identifier: Apache-2.0 */
/* event_log_internal: what event_log.c, its thread (event_log_writer.c) and what it tells of lost lines
 * (event_log_losses.c) share. */
#ifndef SERVICE_EVENT_LOG_INTERNAL_H
#define SERVICE_EVENT_LOG_INTERNAL_H

#include "service/output/event_log.h"
#include "service/output/result_file.h"

/* Lines, the oldest first. */
struct event_list {
    struct event_line *first, *last;
    size_t lines, bytes;
};

/* A thread, and what it has in hand. Lists are of the lock, also while it is in a file call. */
struct event_log_writer {
    struct event_log_writer *next; /* that were replaced before */
    struct event_log *event_log;
    uv_thread_t thread;
    bool started;

    struct event_list taken;  /* being written */
    size_t begun;             /* bytes of the first of them that are written */
    struct event_list recent; /* written since the file was last seen in its place */
    bool abandoned;           /* it ends as soon as it can, and touches nothing any more */
    bool ended;
    uint64_t generation; /* of results->path, that it has opened or tried to */

    struct result_file file; /* the thread's own, down to here */
    char *path;
    bool open_due;
    uint64_t open_ms, look_ms, write_ms; /* not before */
    char *buffer;                        /* EVENT_LOG_BATCH_BYTES */
    size_t length;                       /* of what is in it */
    int open_error, write_error;         /* told, and not over */
    bool logged_deleted;

    _Atomic(const char *) doing; /* the file call that is under way; NULL: none */
    atomic_uint_fast64_t since_ms;
};

void event_list_add(struct event_list *list, struct event_line *line);
struct event_line *event_list_take(struct event_list *list);
void event_list_join(struct event_list *list, struct event_list *behind); /* `behind` is empty then */
void event_list_free(struct event_list *list);

uint64_t event_log_now_ms(void);

/* With the lock held. */
void event_log_note_settled(struct event_log *event_log, uint64_t number); /* written up to it, in order */

/* Ends the thread and waits for it a moment. With the lock held. */
void event_log_abandon(struct event_log *event_log);

/* Counts a line that was lost. A result of a crash is kept for the log, which is written on the loop: here may be a
 * worker or the writer. With the lock held. */
void event_log_lose(struct event_log *event_log, struct event_line *line);

/* The next line that waits for its place in the log; NULL: none. With the lock held. */
struct event_line *event_log_take_lost(struct event_log *event_log);

/* Writes up to `most` of those lines into the log. Returns how many the log took. */
size_t event_log_tell_lost(struct event_log *event_log, size_t most);

/* Says how many lines were lost: the first loss at once, further ones once a minute, as failures that last. */
void event_log_tell_losses(struct event_log *event_log, bool now_due);

/* Ends the thread and writes into the log what it left. */
void event_log_tell_left(struct event_log *event_log);

/* Starts a thread that goes on with `taken`, which is empty then. NULL: no memory, or no thread. With the lock held. */
struct event_log_writer *event_log_writer_start(struct event_log *event_log, struct event_list *taken);

/* When it has ended. */
void event_log_writer_free(struct event_log_writer *writer);

#endif
