/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of the results. The lock is held but in the file calls: lines are the lock's, the file is the thread's. */
#include "service/runtime/log.h"
#include "service/output/results_internal.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_MS     1000
#define LOOK_MS      1000
#define PIPE_WAIT_MS 50                /* between two looks at whether we are to end */
#define RECENT_BYTES ((size_t)1 << 20) /* written lines that are kept until the file is seen in its place */
#define MS_NS        1000000U

static bool has_lines(const struct results_writer *writer)
{
    return writer->taken.first || writer->results->queue.first;
}

static void begin_call(struct results_writer *writer, const char *what)
{
    atomic_store(&writer->since_ms, results_now_ms());
    atomic_store(&writer->doing, what);
    uv_mutex_unlock(&writer->results->lock);
}

static void end_call(struct results_writer *writer)
{
    atomic_store(&writer->doing, NULL);
    uv_mutex_lock(&writer->results->lock);
}

/* What the log says. */

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

static void tell_error(struct results_writer *writer, const char *message, int error)
{
    struct log_line line;
    log_begin(&line, CONFIG_LOG_ERROR, message);
    log_text(&line, "file", writer->path ? writer->path : "-");
    log_text(&line, "error", uv_strerror(error));
    log_text(&line, "hint", hint_of(error));
    log_number(&line, "waiting", writer->results->queue.lines + writer->taken.lines);
    log_end(&line);
}

static void tell_file(const struct results_writer *writer, enum config_log_level level, const char *message,
                      size_t lines)
{
    struct log_line line;
    log_begin(&line, level, message);
    log_text(&line, "file", writer->path ? writer->path : "-");
    log_number(&line, "lines", lines);
    log_end(&line);
}

static void tell_recovery(struct results_writer *writer, int *error, const char *message)
{
    if (*error != 0)
        tell_file(writer, CONFIG_LOG_NOTICE, message, writer->results->queue.lines + writer->taken.lines);
    *error = 0;
}

/* Opening. */

static void close_file(struct results_writer *writer, struct results_file *file)
{
    if (!file->open)
        return;
    begin_call(writer, "closing");
    int error = results_file_close(file);
    end_call(writer);
    if (error == 0)
        return;
    ++writer->results->counts.errors;
    tell_error(writer, "result file was closed with an error: what was written to it last may not be in it", error);
}

static void open_failed(struct results_writer *writer, int error)
{
    ++writer->results->counts.errors;
    writer->open_ms = results_now_ms() + RETRY_MS;
    if (error == writer->open_error)
        return;
    writer->open_error = error;
    tell_error(writer,
               writer->file.open
                   ? "result file cannot be opened again; the one open until now is kept, and opening is tried again "
                     "each second"
                   : "result file cannot be opened; machines are served, their results wait in memory, those that find "
                     "no room there are told in this log; opening is tried again each second",
               error);
}

/* What was written since the last look may have been deleted; then it is written again. */
static void write_again(struct results_writer *writer)
{
    struct results_list list = writer->recent;
    writer->results->counts.written -= list.lines;
    writer->begun = 0;
    results_list_join(&list, &writer->taken);
    writer->taken = list;
    writer->recent = (struct results_list){.first = NULL};
}

static void free_recent(struct results_writer *writer)
{
    struct results_list list = writer->recent;
    writer->recent = (struct results_list){.first = NULL};
    uv_mutex_unlock(&writer->results->lock);
    results_list_free(&list);
    uv_mutex_lock(&writer->results->lock);
}

/* A line that was begun is gone on with in the same file, and written whole into another. */
static void put_file(struct results_writer *writer, const struct results_file *fresh)
{
    struct results_file old = writer->file;
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

static void open_file(struct results_writer *writer)
{
    struct results_file fresh;
    enum results_file_place place = RESULTS_FILE_IN_PLACE;
    begin_call(writer, "opening");
    int error = results_file_open(&fresh, writer->path);
    if (error == 0 && writer->file.open && writer->recent.first)
        place = results_file_look(&writer->file, writer->path);
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
    if (place == RESULTS_FILE_DELETED)
        write_again(writer);
    else if (place == RESULTS_FILE_MOVED)
        free_recent(writer);
    put_file(writer, &fresh);
    writer->open_due = false;
    writer->look_ms = results_now_ms() + LOOK_MS;
    writer->write_ms = 0;
    tell_recovery(writer, &writer->open_error, "result file is open; results that waited are written");
}

/* The path or the wish of a new configuration, or of HUP. */
static void take_orders(struct results_writer *writer)
{
    struct results *results = writer->results;
    if (writer->generation == results->generation)
        return;
    writer->generation = results->generation;
    if (!results->wanted_at_all && (writer->file.open || !has_lines(writer))) {
        writer->open_due = false;
        return;
    }
    char *path = results->path ? strdup(results->path) : NULL;
    if (results->path && !path) {
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

/* Standard output: nobody can open it again. */
static void lose_recent(struct results_writer *writer)
{
    struct results_line *line = NULL;
    if (!writer->told_deleted)
        tell_file(writer, CONFIG_LOG_ERROR,
                  "the file that standard output goes to was deleted: machines are served on, results of crashes are "
                  "told in this log, the others are lost; start kdnetd again with --events FILE",
                  writer->recent.lines);
    writer->told_deleted = true;
    while ((line = results_list_take(&writer->recent))) {
        --writer->results->counts.written;
        results_lose(writer->results, line);
    }
}

static void was_deleted(struct results_writer *writer)
{
    if (writer->file.is_stdout) {
        lose_recent(writer);
        return;
    }
    tell_file(writer, CONFIG_LOG_WARNING,
              "result file was deleted, with what it held; it is made again, and what was written since it was last "
              "seen is written again",
              writer->recent.lines);
    write_again(writer);
    close_file(writer, &writer->file);
    writer->open_due = true;
    writer->open_ms = 0;
}

static void was_moved(struct results_writer *writer)
{
    tell_file(writer, CONFIG_LOG_NOTICE,
              "result file was moved or replaced; what was written until now is in the one that was moved, the next "
              "results are in a new one",
              writer->recent.lines);
    free_recent(writer);
    writer->open_due = true;
    writer->open_ms = 0;
}

static void look(struct results_writer *writer)
{
    size_t seen = writer->recent.lines;
    begin_call(writer, "looking at");
    enum results_file_place place = results_file_look(&writer->file, writer->path);
    end_call(writer);
    writer->look_ms = results_now_ms() + LOOK_MS;
    if (writer->abandoned || writer->open_due)
        return;
    if (place == RESULTS_FILE_DELETED)
        was_deleted(writer);
    else if (place == RESULTS_FILE_MOVED)
        was_moved(writer);
    else if (seen > 0)
        free_recent(writer);
}

/* Writing. */

/* Whole lines, as many as the buffer has room for; a longer line in parts. */
static void fill(struct results_writer *writer)
{
    size_t room = writer->file.is_pipe ? RESULTS_PIPE_BYTES : RESULTS_BATCH_BYTES, begun = writer->begun;
    struct results *results = writer->results;
    for (size_t bytes = writer->taken.bytes; bytes < room && results->queue.first;) {
        struct results_line *line = results_queue_pop(&results->queue);
        bytes += line->length;
        results_list_add(&writer->taken, line);
    }
    writer->length = 0;
    for (const struct results_line *line = writer->taken.first; line; line = line->next) {
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

static void note_written(struct results_writer *writer, size_t bytes)
{
    struct results *results = writer->results;
    uint64_t number = 0;
    writer->begun += bytes;
    while (writer->taken.first && writer->begun >= writer->taken.first->length) {
        struct results_line *line = results_list_take(&writer->taken);
        writer->begun -= line->length;
        number = line->number;
        ++results->counts.written;
        if (writer->file.is_regular)
            results_list_add(&writer->recent, line);
        else
            free(line);
    }
    if (number > 0)
        results_note_settled(results, number);
    if (writer->recent.bytes >= RECENT_BYTES)
        writer->look_ms = 0;
}

static void reader_gone(struct results_writer *writer)
{
    struct results *results = writer->results;
    struct results_line *line = NULL;
    results->gone = true;
    while ((line = results_list_take(&writer->taken)) || (line = results_queue_pop(&results->queue)))
        results_lose(results, line);
    writer->begun = 0;
    results_note_settled(results, atomic_load(&results->added));
    log_plain(CONFIG_LOG_ERROR, "nobody reads the results any more (the other end of standard output is closed); "
                                "machines are served on, results of crashes are told in this log, the others are lost; "
                                "start kdnetd again with a reader, or with --events FILE");
}

static void write_failed(struct results_writer *writer, int error)
{
    if (error == UV_EPIPE && !writer->path) {
        reader_gone(writer);
        return;
    }
    ++writer->results->counts.errors;
    writer->write_ms = results_now_ms() + RETRY_MS;
    if (error == writer->write_error)
        return;
    writer->write_error = error;
    tell_error(writer,
               "results cannot be written; they wait in memory, those that find no room there are told in this log, "
               "and writing is tried again each second",
               error);
}

static void write_lines(struct results_writer *writer)
{
    bool within = writer->begun > 0, whole = true, waits = false;
    fill(writer);
    begin_call(writer, "writing to");
    if (within && writer->write_error != 0 && !results_file_can_go_on(&writer->file, writer->path))
        whole = false; /* from its beginning, in the next round */
    int64_t written = whole ? results_file_write(&writer->file, writer->buffer, writer->length) : 0;
    if (written == UV_EAGAIN && writer->file.is_pipe) {
        atomic_store(&writer->doing, NULL); /* it waits for a reader: nothing hangs */
        results_file_wait(&writer->file, PIPE_WAIT_MS);
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
        tell_recovery(writer, &writer->write_error, "results are written again; those that waited come first");
}

/* What is next. */

static void close_unwanted(struct results_writer *writer)
{
    free_recent(writer);
    close_file(writer, &writer->file);
}

/* Does one step; returns when the next one is due, 0: at once; UINT64_MAX: when something changes. */
static uint64_t step(struct results_writer *writer)
{
    uint64_t now_ms = results_now_ms(), next_ms = UINT64_MAX;
    take_orders(writer);
    if (writer->open_due && now_ms >= writer->open_ms)
        return open_file(writer), 0;
    if (writer->open_due)
        next_ms = writer->open_ms;
    if (!writer->file.open || writer->results->gone)
        return next_ms;
    if (now_ms >= writer->look_ms)
        return look(writer), 0;
    if (has_lines(writer) && now_ms >= writer->write_ms)
        return write_lines(writer), 0;
    if (!has_lines(writer) && !writer->results->wanted_at_all)
        return close_unwanted(writer), 0;
    if (has_lines(writer) && writer->write_ms < next_ms)
        next_ms = writer->write_ms;
    return writer->look_ms < next_ms ? writer->look_ms : next_ms;
}

static bool is_done(const struct results_writer *writer)
{
    const struct results *results = writer->results;
    if (writer->abandoned)
        return true;
    return results->ending && !has_lines(writer) && (!writer->recent.first || !writer->file.open);
}

/* Before the end, too, the file is looked at once more. */
static void wait(struct results_writer *writer, uint64_t until_ms)
{
    struct results *results = writer->results;
    uint64_t now_ms = results_now_ms();
    if (until_ms == UINT64_MAX)
        uv_cond_wait(&results->changed, &results->lock);
    else if (until_ms > now_ms)
        (void)uv_cond_timedwait(&results->changed, &results->lock, (until_ms - now_ms) * MS_NS);
}

static void run(void *argument)
{
    struct results_writer *writer = argument;
    struct results *results = writer->results;
    uv_mutex_lock(&results->lock);
    while (!is_done(writer)) {
        if (results->ending && !has_lines(writer))
            writer->look_ms = 0;
        uint64_t next_ms = step(writer);
        if (next_ms > 0 && !is_done(writer))
            wait(writer, next_ms);
    }
    close_file(writer, &writer->file);
    writer->ended = true;
    uv_cond_broadcast(&results->changed);
    uv_mutex_unlock(&results->lock);
}

struct results_writer *results_writer_start(struct results *results, struct results_list *taken)
{
    struct results_writer *writer = calloc(1, sizeof *writer);
    char *buffer = malloc(RESULTS_BATCH_BYTES);
    if (writer && buffer) {
        writer->results = results;
        writer->buffer = buffer;
        writer->taken = *taken;
        if (uv_thread_create(&writer->thread, run, writer) == 0) { /* it waits for the lock */
            *taken = (struct results_list){.first = NULL};
            return writer;
        }
    }
    free(writer);
    free(buffer);
    return NULL;
}

void results_writer_free(struct results_writer *writer)
{
    (void)uv_thread_join(&writer->thread);
    results_list_free(&writer->taken);
    results_list_free(&writer->recent);
    free(writer->path);
    free(writer->buffer);
    free(writer);
}
