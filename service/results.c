/* SPDX-License-Identifier: Apache-2.0 */
#include "service/results.h"
#include "service/log.h"
#include "service/platform/platform.h"

#include <stdlib.h>
#include <string.h>

#define RETRY_MS       1000
#define RETRY_AGAIN_MS 5 /* a pipe that is full */
#define FILE_MODE      0640
#define STDOUT         1

struct results_line {
    struct results_line *previous, *next; /* all lines, oldest first */
    struct results_line *next_print;      /* the print lines among them */
    char *text;
    size_t length;
    uint64_t number;
    bool is_print;
};

static void start_write(struct results *results);

static void note_wanted(struct results *results)
{
    atomic_store(&results->wanted, (results->open || results->gone) && !results->unwanted);
}

/* Says to all threads how far it is. When nothing waits, lines that were dropped are settled, too. */
static void note_settled(struct results *results)
{
    bool empty = !results->writing && !results->first && results->batch_length == 0;
    atomic_store(&results->settled, empty ? results->taken : results->written);
}

static int open_file(struct results *results)
{
    uv_fs_t request;
    if (!results->path) {
        results->file = STDOUT;
    } else {
        int opened = uv_fs_open(NULL, &request, results->path, platform_append_flags(), FILE_MODE, NULL);
        uv_fs_req_cleanup(&request);
        if (opened < 0)
            return opened;
        results->file = opened;
    }
    results->open = true;
    results->gone = false;
    results->unwanted = false;
    note_wanted(results);
    return 0;
}

static void close_file(struct results *results)
{
    uv_fs_t request;
    if (results->open && results->file != STDOUT) {
        (void)uv_fs_close(NULL, &request, results->file, NULL);
        uv_fs_req_cleanup(&request);
    }
    results->open = false;
    note_wanted(results);
}

/* Takes over the path; false: out of memory. */
static bool set_path(struct results *results, const char *path)
{
    char *copy = NULL;
    if (path && strcmp(path, "-") != 0) {
        copy = strdup(path);
        if (!copy)
            return false;
    }
    free(results->path);
    results->path = copy;
    return true;
}

static void on_bell(uv_async_t *bell)
{
    results_flush(bell->data);
}

/* The bell does not keep the loop from ending. */
static int make_bell(struct results *results)
{
    int error = uv_mutex_init(&results->lock);
    if (error != 0)
        return error;
    error = uv_async_init(results->loop, &results->bell, on_bell);
    if (error != 0) {
        uv_mutex_destroy(&results->lock);
        return error;
    }
    uv_unref((uv_handle_t *)&results->bell);
    results->bell.data = results;
    results->ready = true;
    return 0;
}

int results_open(struct results *results, uv_loop_t *loop, const char *path)
{
    memset(results, 0, sizeof *results);
    results->loop = loop;
    results->queue_bytes = RESULTS_QUEUE_BYTES;
    (void)uv_timer_init(loop, &results->retry);
    int error = make_bell(results);
    if (error != 0)
        return error;
    results->retry.data = results;
    results->write.data = results;
    if (!path)
        return 0;
    if (!set_path(results, path))
        return UV_ENOMEM;
    return open_file(results);
}

static void unlink_line(struct results *results, struct results_line *line)
{
    if (line->previous)
        line->previous->next = line->next;
    else
        results->first = line->next;
    if (line->next)
        line->next->previous = line->previous;
    else
        results->last = line->previous;
    if (line->is_print) { /* always the oldest print: lines leave in order, among all and among the prints */
        results->first_print = line->next_print;
        if (!results->first_print)
            results->last_print = NULL;
    }
    results->waiting_bytes -= line->length;
    --results->waiting_lines;
}

static void free_line(struct results_line *line)
{
    free(line->text);
    free(line);
}

static void link_line(struct results *results, struct results_line *line)
{
    line->previous = results->last;
    if (results->last)
        results->last->next = line;
    else
        results->first = line;
    results->last = line;
    if (line->is_print) {
        if (results->last_print)
            results->last_print->next_print = line;
        else
            results->first_print = line;
        results->last_print = line;
    }
    results->waiting_bytes += line->length;
    ++results->waiting_lines;
}

static void make_room(struct results *results)
{
    while (results->waiting_bytes > results->queue_bytes) {
        struct results_line *line = results->first_print ? results->first_print : results->first;
        unlink_line(results, line);
        free_line(line);
        ++results->counts.dropped;
    }
}

uint64_t results_add(struct results *results, char *text, size_t length, bool is_print)
{
    bool wanted = results_are_wanted(results);
    struct results_line *line = text && wanted ? calloc(1, sizeof *line) : NULL;
    if (!line) {
        atomic_fetch_add(&results->no_memory, wanted);
        free(text);
        return 0;
    }
    line->text = text;
    line->length = length;
    line->is_print = is_print;
    uv_mutex_lock(&results->lock);
    uint64_t number = line->number = atomic_fetch_add(&results->added, 1) + 1;
    if (results->new_last)
        results->new_last->next = line;
    else
        results->new_first = line;
    results->new_last = line;
    uv_mutex_unlock(&results->lock);
    return number;
}

void results_ring(struct results *results)
{
    (void)uv_async_send(&results->bell);
}

bool results_are_wanted(const struct results *results)
{
    return atomic_load(&results->wanted);
}

/* Queues what came; without a reader it is lost. */
static void take_new(struct results *results)
{
    uv_mutex_lock(&results->lock);
    struct results_line *line = results->new_first;
    results->new_first = results->new_last = NULL;
    uv_mutex_unlock(&results->lock);
    while (line) {
        struct results_line *next = line->next;
        line->next = NULL;
        results->taken = line->number;
        if (results->open && !results->unwanted) {
            link_line(results, line);
        } else {
            results->counts.dropped += results->gone;
            free_line(line);
        }
        line = next;
    }
    results->counts.dropped += atomic_exchange(&results->no_memory, 0);
    make_room(results);
}

/* Makes sure that the batch holds `size` bytes. */
static bool reserve_batch(struct results *results, size_t size)
{
    if (results->batch_size >= size)
        return true;
    size_t wanted = size > RESULTS_BATCH_BYTES ? size : RESULTS_BATCH_BYTES;
    char *batch = realloc(results->batch, wanted);
    if (!batch)
        return false;
    results->batch = batch;
    results->batch_size = wanted;
    return true;
}

static void fill_batch(struct results *results)
{
    results->batch_length = results->batch_done = results->batch_lines = 0;
    if (!results->first || !reserve_batch(results, results->first->length))
        return;
    while (results->first && results->batch_size - results->batch_length >= results->first->length) {
        struct results_line *line = results->first;
        memcpy(results->batch + results->batch_length, line->text, line->length);
        results->batch_length += line->length;
        ++results->batch_lines;
        results->batch_taken = line->number;
        unlink_line(results, line);
        free_line(line);
    }
}

/* A line that was begun in the old file is written whole into the new one. */
static void back_to_line_start(struct results *results)
{
    while (results->batch_done > 0 && results->batch[results->batch_done - 1] != '\n')
        --results->batch_done;
}

static void do_reopen(struct results *results)
{
    struct results old = *results;
    results->reopen = false;
    int error = open_file(results);
    if (error != 0) {
        struct log_line line;
        log_begin(&line, CONFIG_LOG_ERROR, "result file cannot be opened again; the one open until now is kept");
        log_text(&line, "file", results->path);
        log_text(&line, "error", uv_strerror(error));
        log_end(&line);
        return;
    }
    if (old.open && old.file != STDOUT) {
        uv_fs_t request;
        (void)uv_fs_close(NULL, &request, old.file, NULL);
        uv_fs_req_cleanup(&request);
    }
    back_to_line_start(results);
}

static void on_retry(uv_timer_t *timer)
{
    start_write(timer->data);
}

static void reader_gone(struct results *results)
{
    results->counts.dropped += results->batch_lines + results->waiting_lines;
    results->batch_length = results->batch_done = results->batch_lines = 0;
    while (results->first) {
        struct results_line *line = results->first;
        unlink_line(results, line);
        free_line(line);
    }
    results->open = false;
    results->gone = true;
    note_wanted(results);
    log_plain(CONFIG_LOG_ERROR, "nobody reads the results any more (the other end of standard output is closed); "
                                "machines are served on, their results are lost; start kdnetd again with a reader, or "
                                "with --events FILE");
}

static void free_batch(struct results *results)
{
    close_file(results);
    free(results->batch);
    free(results->path);
    results->batch = NULL;
    results->path = NULL;
}

static void write_failed(struct results *results, int error)
{
    if (error == UV_EPIPE && !results->path) {
        reader_gone(results);
        return;
    }
    if (error != UV_EAGAIN) {
        ++results->counts.errors;
        results->last_error = error;
        if (results->counts.errors == 1)
            results_tell(results);
    }
    (void)uv_timer_start(&results->retry, on_retry, error == UV_EAGAIN ? RETRY_AGAIN_MS : RETRY_MS, 0);
}

static void on_written(uv_fs_t *request)
{
    struct results *results = request->data;
    ssize_t outcome = request->result;
    uv_fs_req_cleanup(request);
    results->writing = false;
    if (outcome > 0)
        results->batch_done += (size_t)outcome;
    if (results->batch_done == results->batch_length) {
        results->counts.written += results->batch_lines;
        results->batch_length = results->batch_done = results->batch_lines = 0;
        results->written = results->batch_taken;
    }
    if (results->closed) {
        free_batch(results);
        return;
    }
    if (results->reopen)
        do_reopen(results);
    if (outcome < 0)
        write_failed(results, (int)outcome);
    else
        start_write(results);
    note_settled(results);
    if (results->on_settled)
        results->on_settled(results->user);
}

static void start_write(struct results *results)
{
    if (results->writing || !results->open || uv_is_active((uv_handle_t *)&results->retry))
        return;
    if (results->batch_length == 0)
        fill_batch(results);
    if (results->batch_length == 0) {
        if (results->unwanted && !results->first)
            close_file(results);
        return;
    }
    size_t left = results->batch_length - results->batch_done;
    uv_buf_t buffer = uv_buf_init(results->batch + results->batch_done, (unsigned)left);
    int error = uv_fs_write(results->loop, &results->write, results->file, &buffer, 1, -1, on_written);
    if (error == 0)
        results->writing = true;
    else
        write_failed(results, error);
}

void results_flush(struct results *results)
{
    take_new(results);
    if (results->first || results->batch_length > 0)
        start_write(results);
    note_settled(results);
}

void results_reopen(struct results *results, const char *path)
{
    if (!path) {
        results->unwanted = true;
        note_wanted(results);
        start_write(results);
        return;
    }
    if (!set_path(results, path))
        return;
    results->reopen = true;
    if (!results->writing)
        do_reopen(results);
}

void results_tell(struct results *results)
{
    struct log_line line;
    if (results->counts.errors != results->told_errors) {
        log_begin(&line, CONFIG_LOG_ERROR,
                  "results cannot be written; they wait in memory and writing is tried again "
                  "each second; look at the disk's space and the file's permissions");
        log_text(&line, "file", results->path ? results->path : "-");
        log_text(&line, "error", uv_strerror(results->last_error));
        log_number(&line, "failures", results->counts.errors - results->told_errors);
        log_number(&line, "waiting_bytes", results->waiting_bytes);
        log_end(&line);
        results->told_errors = results->counts.errors;
    }
    if (results->counts.dropped != results->told_dropped) {
        log_begin(&line, CONFIG_LOG_ERROR,
                  "results were lost: their reader is gone, or too slow for the memory that is "
                  "kept for them");
        log_number(&line, "lines", results->counts.dropped - results->told_dropped);
        log_number(&line, "waiting_bytes", results->waiting_bytes);
        log_end(&line);
        results->told_dropped = results->counts.dropped;
    }
}

uint64_t results_settled(const struct results *results)
{
    return atomic_load(&results->settled);
}

bool results_are_settled(const struct results *results)
{
    return atomic_load(&results->settled) >= atomic_load(&results->added);
}

bool results_is_idle(const struct results *results)
{
    return !results->writing && !results->first && results->batch_length == 0 && results_are_settled(results);
}

void results_close(struct results *results)
{
    if (results->closed)
        return;
    results->closed = true;
    uv_close((uv_handle_t *)&results->retry, NULL);
    if (results->ready) {
        take_new(results);
        uv_close((uv_handle_t *)&results->bell, NULL);
        uv_mutex_destroy(&results->lock);
    }
    while (results->first) {
        struct results_line *line = results->first;
        unlink_line(results, line);
        free_line(line);
    }
    if (results->writing) /* the batch and the file belong to the pool until it is done */
        return;
    free_batch(results);
}
