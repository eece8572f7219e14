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
    uint64_t number; /* results_added when it came */
    bool is_print;
};

static void start_write(struct results *results);

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

int results_open(struct results *results, uv_loop_t *loop, const char *path)
{
    memset(results, 0, sizeof *results);
    results->loop = loop;
    results->queue_bytes = RESULTS_QUEUE_BYTES;
    (void)uv_timer_init(loop, &results->retry);
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

void results_add(struct results *results, char *text, size_t length, bool is_print)
{
    struct results_line *line = NULL;
    if (results->open && !results->unwanted && text)
        line = calloc(1, sizeof *line);
    if (!line) {
        if (!results->unwanted && (results->open || results->gone))
            ++results->counts.dropped;
        free(text);
        return;
    }
    line->text = text;
    line->length = length;
    line->is_print = is_print;
    line->number = ++results->added;
    link_line(results, line);
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
        results->batch_added = line->number;
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
        results->settled = results->batch_added;
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
        if (results->unwanted && results_is_idle(results))
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
    if (results->first || results->batch_length > 0)
        start_write(results);
}

void results_reopen(struct results *results, const char *path)
{
    if (!path) {
        results->unwanted = true;
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

uint64_t results_added(const struct results *results)
{
    return results->added;
}

uint64_t results_settled(const struct results *results)
{
    return results_is_idle(results) ? results->added : results->settled; /* those that were dropped, too */
}

bool results_is_idle(const struct results *results)
{
    return !results->writing && !results->first && results->batch_length == 0;
}

void results_close(struct results *results)
{
    if (results->closed)
        return;
    results->closed = true;
    uv_close((uv_handle_t *)&results->retry, NULL);
    while (results->first) {
        struct results_line *line = results->first;
        unlink_line(results, line);
        free_line(line);
    }
    if (results->writing) /* the batch and the file belong to the pool until it is done */
        return;
    free_batch(results);
}
