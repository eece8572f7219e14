/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of the results. The lock is held but in the file calls: lines are the lock's, the file is the thread's. */
#include "service/runtime/log.h"
#include "service/output/event_log_internal.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_MS     1000
#define LOOK_MS      1000
#define PIPE_WAIT_MS 50                /* between two looks at whether we are to end */
#define RECENT_BYTES ((size_t)1 << 20) /* written lines kept until the path is seen to name the file */
#define MS_NS        1000000U

static bool has_lines(const struct event_log_writer *writer)
{
    return writer->taken.first || writer->event_log->queue.first;
}

static void begin_call(struct event_log_writer *writer, const char *what)
{
    atomic_store(&writer->since_ms, event_log_now_ms());
    atomic_store(&writer->doing, what);
    uv_mutex_unlock(&writer->event_log->lock);
}

static void end_call(struct event_log_writer *writer)
{
    atomic_store(&writer->doing, NULL);
    uv_mutex_lock(&writer->event_log->lock);
}

/* Remedies for the log. */

static const char *hint_of(int error)
{
    switch (error) {
    case UV_ENOENT:
    case UV_ENOTDIR:
        return "make its folder";
    case UV_EACCES:
    case UV_EPERM:
        return "let the service's user write there";
    case UV_EROFS:
        return "the file system is read-only, or the service's unit makes it so: ReadWritePaths=, LogsDirectory=";
    case UV_ENXIO:
        return "it is a FIFO that nobody reads: start its reader";
    case UV_EISDIR:
        return "it is a folder: name a file in it";
    case UV_ENOSPC:
        return "the disk is full: make room";
    case UV_EPIPE:
        return "its reader went away: start it again";
    default:
        return "look at the disk, its space and the file's permissions";
    }
}

static void log_error(struct event_log_writer *writer, const char *message, int error)
{
    struct log_line line;
    log_begin(&line, CONFIG_LOG_ERROR, message);
    log_text(&line, "file", writer->path ? writer->path : "-");
    log_text(&line, "error", uv_strerror(error));
    log_text(&line, "hint", hint_of(error));
    log_number(&line, "waiting", writer->event_log->queue.lines + writer->taken.lines);
    log_end(&line);
}

static void log_file(const struct event_log_writer *writer, enum config_log_level level, const char *message,
                     size_t lines)
{
    struct log_line line;
    log_begin(&line, level, message);
    log_text(&line, "file", writer->path ? writer->path : "-");
    log_number(&line, "lines", lines);
    log_end(&line);
}

static void log_recovery(struct event_log_writer *writer, int *error, const char *message)
{
    if (*error != 0)
        log_file(writer, CONFIG_LOG_NOTICE, message, writer->event_log->queue.lines + writer->taken.lines);
    *error = 0;
}

/* Opening. */

static void close_file(struct event_log_writer *writer, struct result_file *file)
{
    if (!file->open)
        return;
    begin_call(writer, "closing");
    int error = result_file_close(file);
    end_call(writer);
    if (error == 0)
        return;
    ++writer->event_log->counts.errors;
    log_error(writer, "result file was closed with an error: what was written to it last may not be in it", error);
}

static void open_failed(struct event_log_writer *writer, int error)
{
    ++writer->event_log->counts.errors;
    writer->open_ms = event_log_now_ms() + RETRY_MS;
    if (error == writer->open_error)
        return;
    writer->open_error = error;
    log_error(writer,
              writer->file.open
                  ? "result file cannot be opened again; the one open until now is kept, and opening is tried again "
                    "each second"
                  : "result file cannot be opened; machines are served, their results wait in memory, those that find "
                    "no room there are told in this log; opening is tried again each second",
              error);
}

/* Writes lines again that were written since the last check, because the file may have been deleted. */
static void write_again(struct event_log_writer *writer)
{
    struct event_list list = writer->recent;
    writer->event_log->counts.written -= list.lines;
    writer->begun = 0;
    event_list_join(&list, &writer->taken);
    writer->taken = list;
    writer->recent = (struct event_list){.first = NULL};
}

static void free_recent(struct event_log_writer *writer)
{
    struct event_list list = writer->recent;
    writer->recent = (struct event_list){.first = NULL};
    uv_mutex_unlock(&writer->event_log->lock);
    event_list_free(&list);
    uv_mutex_lock(&writer->event_log->lock);
}

/* A partly written line continues in the same file, and is written whole into another file. */
static void put_file(struct event_log_writer *writer, const struct result_file *fresh)
{
    struct result_file old = writer->file;
    bool same = old.is_regular && old.device == fresh->device && old.inode == fresh->inode;
    writer->file = *fresh;
    if (same && writer->begun > 0) {
        writer->file.newline_due = false;
        writer->file.begun = old.begun;
        writer->file.begun_end = old.begun_end;
    } else {
        writer->begun = 0;
    }
    close_file(writer, &old);
}

static void open_file(struct event_log_writer *writer)
{
    struct result_file fresh;
    enum result_file_place place = RESULT_FILE_IN_PLACE;
    begin_call(writer, "opening");
    int error = result_file_open(&fresh, writer->path);
    if (error == 0 && writer->file.open && writer->recent.first)
        place = result_file_look(&writer->file, writer->path);
    end_call(writer);
    if (writer->abandoned) {
        if (error == 0)
            close_file(writer, &fresh);
        return;
    }
    if (error != 0) {
        open_failed(writer, error);
        return;
    }
    if (place == RESULT_FILE_DELETED)
        write_again(writer);
    else if (place == RESULT_FILE_MOVED)
        free_recent(writer);
    put_file(writer, &fresh);
    writer->open_due = false;
    writer->look_ms = event_log_now_ms() + LOOK_MS;
    writer->write_ms = 0;
    log_recovery(writer, &writer->open_error, "result file is open; results that waited are written");
}

/* The path or the wish of a new configuration, or of HUP. */
static void take_orders(struct event_log_writer *writer)
{
    struct event_log *event_log = writer->event_log;
    if (writer->generation == event_log->generation)
        return;
    writer->generation = event_log->generation;
    if (!event_log->wanted_at_all && (writer->file.open || !has_lines(writer))) {
        writer->open_due = false;
        return;
    }
    char *path = event_log->path ? strdup(event_log->path) : NULL;
    if (event_log->path && !path) {
        log_plain(CONFIG_LOG_ERROR, "out of memory: the result file is not opened again");
        return;
    }
    free(writer->path);
    writer->path = path;
    writer->open_due = true;
    writer->open_ms = 0;
    writer->open_error = 0;
}

/* Looking. */

/* Standard output cannot be opened again: counts the recent lines as lost. */
static void lose_recent(struct event_log_writer *writer)
{
    struct event_line *line = NULL;
    if (!writer->logged_deleted)
        log_file(writer, CONFIG_LOG_ERROR,
                 "the file that standard output goes to was deleted: machines are served on, results of crashes are "
                 "told in this log, the others are lost; start kdnetd again with --events FILE",
                 writer->recent.lines);
    writer->logged_deleted = true;
    while ((line = event_list_take(&writer->recent))) {
        --writer->event_log->counts.written;
        event_log_lose(writer->event_log, line);
    }
}

static void was_deleted(struct event_log_writer *writer)
{
    if (writer->file.is_stdout) {
        lose_recent(writer);
        return;
    }
    log_file(writer, CONFIG_LOG_WARNING,
             "result file was deleted, with what it held; it is made again, and what was written since it was last "
             "seen is written again",
             writer->recent.lines);
    write_again(writer);
    close_file(writer, &writer->file);
    writer->open_due = true;
    writer->open_ms = 0;
}

static void was_moved(struct event_log_writer *writer)
{
    log_file(writer, CONFIG_LOG_NOTICE,
             "result file was moved or replaced; what was written until now is in the one that was moved, the next "
             "results are in a new one",
             writer->recent.lines);
    free_recent(writer);
    writer->open_due = true;
    writer->open_ms = 0;
}

static void look(struct event_log_writer *writer)
{
    size_t seen = writer->recent.lines;
    begin_call(writer, "looking at");
    enum result_file_place place = result_file_look(&writer->file, writer->path);
    end_call(writer);
    writer->look_ms = event_log_now_ms() + LOOK_MS;
    if (writer->abandoned || writer->open_due)
        return;
    if (place == RESULT_FILE_DELETED)
        was_deleted(writer);
    else if (place == RESULT_FILE_MOVED)
        was_moved(writer);
    else if (seen > 0)
        free_recent(writer);
}

/* Writing. */

/* Whole lines, as many as the buffer has room for; a longer line in parts. */
static void fill(struct event_log_writer *writer)
{
    size_t room = writer->file.is_pipe ? EVENT_LOG_PIPE_BYTES : EVENT_LOG_BATCH_BYTES, begun = writer->begun;
    struct event_log *event_log = writer->event_log;
    for (size_t bytes = writer->taken.bytes; bytes < room && event_log->queue.first;) {
        struct event_line *line = event_queue_pop(&event_log->queue);
        bytes += line->length;
        event_list_add(&writer->taken, line);
    }
    writer->length = 0;
    for (const struct event_line *line = writer->taken.first; line; line = line->next) {
        size_t left = line->length - begun, count = left < room - writer->length ? left : room - writer->length;
        if (count < left && writer->length > 0)
            return;
        memcpy(writer->buffer + writer->length, line->text + begun, count);
        writer->length += count;
        begun = 0;
        if (count < left)
            return;
    }
}

static void note_written(struct event_log_writer *writer, size_t bytes)
{
    struct event_log *event_log = writer->event_log;
    uint64_t number = 0;
    writer->begun += bytes;
    while (writer->taken.first && writer->begun >= writer->taken.first->length) {
        struct event_line *line = event_list_take(&writer->taken);
        writer->begun -= line->length;
        number = line->number;
        ++event_log->counts.written;
        if (writer->file.is_regular)
            event_list_add(&writer->recent, line);
        else
            free(line);
    }
    if (number > 0)
        event_log_note_settled(event_log, number);
    if (writer->recent.bytes >= RECENT_BYTES)
        writer->look_ms = 0;
}

static void reader_gone(struct event_log_writer *writer)
{
    struct event_log *event_log = writer->event_log;
    struct event_line *line = NULL;
    event_log->gone = true;
    while ((line = event_list_take(&writer->taken)) || (line = event_queue_pop(&event_log->queue)))
        event_log_lose(event_log, line);
    writer->begun = 0;
    event_log_note_settled(event_log, atomic_load(&event_log->added));
    log_plain(CONFIG_LOG_ERROR, "nobody reads the results any more (the other end of standard output is closed); "
                                "machines are served on, results of crashes are told in this log, the others are lost; "
                                "start kdnetd again with a reader, or with --events FILE");
}

static void write_failed(struct event_log_writer *writer, int error)
{
    if (error == UV_EPIPE && !writer->path) {
        reader_gone(writer);
        return;
    }
    ++writer->event_log->counts.errors;
    writer->write_ms = event_log_now_ms() + RETRY_MS;
    if (error == writer->write_error)
        return;
    writer->write_error = error;
    log_error(writer,
              "results cannot be written; they wait in memory, those that find no room there are told in this log, "
              "and writing is tried again each second",
              error);
}

static void write_lines(struct event_log_writer *writer)
{
    bool within = writer->begun > 0, whole = true, waits = false;
    fill(writer);
    begin_call(writer, "writing to");
    if (within && writer->write_error != 0 && !result_file_can_go_on(&writer->file, writer->path))
        whole = false; /* written from its beginning in the next round */
    int64_t written = whole ? result_file_write(&writer->file, writer->buffer, writer->length) : 0;
    if (written == UV_EAGAIN && writer->file.is_pipe) {
        atomic_store(&writer->doing, NULL); /* waiting for a reader is no hang */
        result_file_wait(&writer->file, PIPE_WAIT_MS);
        waits = true;
    }
    end_call(writer);
    if (writer->abandoned)
        return; /* the lines are another's */
    if (!whole)
        writer->begun = 0;
    else if (written > 0)
        note_written(writer, (size_t)written);
    else if (!waits)
        write_failed(writer, written < 0 ? (int)written : UV_EIO);
    if (written > 0)
        log_recovery(writer, &writer->write_error, "results are written again; those that waited come first");
}

/* Closes a file that is no longer wanted. */

static void close_unwanted(struct event_log_writer *writer)
{
    free_recent(writer);
    close_file(writer, &writer->file);
}

/* Does one step. Returns when the next step is due; 0: at once; UINT64_MAX: when something changes. */
static uint64_t step(struct event_log_writer *writer)
{
    uint64_t now_ms = event_log_now_ms(), next_ms = UINT64_MAX;
    take_orders(writer);
    if (writer->open_due && now_ms >= writer->open_ms)
        return open_file(writer), 0;
    if (writer->open_due)
        next_ms = writer->open_ms;
    if (!writer->file.open || writer->event_log->gone)
        return next_ms;
    if (now_ms >= writer->look_ms)
        return look(writer), 0;
    if (has_lines(writer) && now_ms >= writer->write_ms)
        return write_lines(writer), 0;
    if (!has_lines(writer) && !writer->event_log->wanted_at_all)
        return close_unwanted(writer), 0;
    if (has_lines(writer) && writer->write_ms < next_ms)
        next_ms = writer->write_ms;
    return writer->look_ms < next_ms ? writer->look_ms : next_ms;
}

static bool is_done(const struct event_log_writer *writer)
{
    const struct event_log *event_log = writer->event_log;
    if (writer->abandoned)
        return true;
    return event_log->ending && !has_lines(writer) && (!writer->recent.first || !writer->file.open);
}

/* Before the end, too, the file is looked at once more. */
static void wait(struct event_log_writer *writer, uint64_t until_ms)
{
    struct event_log *event_log = writer->event_log;
    uint64_t now_ms = event_log_now_ms();
    if (until_ms == UINT64_MAX)
        uv_cond_wait(&event_log->changed, &event_log->lock);
    else if (until_ms > now_ms)
        (void)uv_cond_timedwait(&event_log->changed, &event_log->lock, (until_ms - now_ms) * MS_NS);
}

static void run(void *argument)
{
    struct event_log_writer *writer = argument;
    struct event_log *event_log = writer->event_log;
    uv_mutex_lock(&event_log->lock);
    while (!is_done(writer)) {
        if (event_log->ending && !has_lines(writer))
            writer->look_ms = 0;
        uint64_t next_ms = step(writer);
        if (next_ms > 0 && !is_done(writer))
            wait(writer, next_ms);
    }
    close_file(writer, &writer->file);
    writer->ended = true;
    uv_cond_broadcast(&event_log->changed);
    uv_mutex_unlock(&event_log->lock);
}

struct event_log_writer *event_log_writer_start(struct event_log *event_log, struct event_list *taken)
{
    struct event_log_writer *writer = calloc(1, sizeof *writer);
    char *buffer = malloc(EVENT_LOG_BATCH_BYTES);
    if (writer && buffer) {
        writer->event_log = event_log;
        writer->buffer = buffer;
        writer->taken = *taken;
        if (uv_thread_create(&writer->thread, run, writer) == 0) { /* the new thread waits for the lock */
            *taken = (struct event_list){.first = NULL};
            return writer;
        }
    }
    free(writer);
    free(buffer);
    return NULL;
}

void event_log_writer_free(struct event_log_writer *writer)
{
    (void)uv_thread_join(&writer->thread);
    event_list_free(&writer->taken);
    event_list_free(&writer->recent);
    free(writer->path);
    free(writer->buffer);
    free(writer);
}
