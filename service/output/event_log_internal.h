/* SPDX-License-Identifier: Apache-2.0 */
/* event_log_internal: shared by event_log.c, its thread (event_log_writer.c) and the report of lost lines
 * (event_log_losses.c). */
#ifndef SERVICE_EVENT_LOG_INTERNAL_H
#define SERVICE_EVENT_LOG_INTERNAL_H

#include "service/output/event_log.h"
#include "service/output/result_file.h"

/* Lines, the oldest first. */
struct event_list {
    struct event_line *first, *last;
    size_t lines, bytes;
};

/* A thread and its current lines. The lock protects the lists, also during a file call. */
struct event_log_writer {
    struct event_log_writer *next; /* next of the replaced threads */
    struct event_log *event_log;
    uv_thread_t thread;
    bool started;

    struct event_list taken;  /* being written */
    size_t begun;             /* bytes written of the first line */
    struct event_list recent; /* lines written since the path last named the file */
    bool abandoned;           /* the thread must end as soon as it can, without touching shared state */
    bool ended;
    uint64_t generation; /* generation of results->path that the thread has opened or tried to */

    struct result_file file; /* the thread's own, down to here */
    char *path;
    bool open_due;
    uint64_t open_ms, look_ms, write_ms; /* not before */
    char *buffer;                        /* EVENT_LOG_BATCH_BYTES */
    size_t length;                       /* bytes in use */
    int open_error, write_error;         /* told, and not over */
    bool logged_deleted;

    _Atomic(const char *) doing; /* the file call in progress; NULL: none */
    atomic_uint_fast64_t since_ms;
};

void event_list_add(struct event_list *list, struct event_line *line);
struct event_line *event_list_take(struct event_list *list);
void event_list_join(struct event_list *list, struct event_list *behind); /* `behind` is empty then */
void event_list_free(struct event_list *list);

uint64_t event_log_now_ms(void);

/* With the lock held. */
void event_log_note_settled(struct event_log *event_log,
                            uint64_t number); /* all lines up to `number` were written, in order */

/* Ends the thread and waits for it a moment, until then at most. The caller holds the lock. */
void event_log_abandon(struct event_log *event_log, uint64_t until_ms);

/* Counts a lost line. A crash's result is kept for the log, which is written on the loop; the caller may be a worker
 * or the writer. The caller holds the lock. */
void event_log_lose(struct event_log *event_log, struct event_line *line);

/* Returns the next line that waits for its place in the log; NULL: none. The caller holds the lock. */
struct event_line *event_log_take_lost(struct event_log *event_log);

/* Logs up to `most` lost lines. Returns how many the log took. */
size_t event_log_tell_lost(struct event_log *event_log, size_t most);

/* Logs the number of lost lines: the first loss at once, further ones once a minute, like lasting failures. */
void event_log_tell_losses(struct event_log *event_log, bool now_due);

/* Ends the thread and logs the lines that it left; waits until then at most, for both. */
void event_log_tell_left(struct event_log *event_log, uint64_t until_ms);

/* Starts a thread that continues with the lines in `taken`, which becomes empty. NULL: no memory, or no thread. The
 * caller holds the lock. */
struct event_log_writer *event_log_writer_start(struct event_log *event_log, struct event_list *taken);

/* Frees a writer whose thread has ended. */
void event_log_writer_free(struct event_log_writer *writer);

#endif
