/* SPDX-License-Identifier: Apache-2.0 */
#include "service/output/event_log_internal.h"
#include "service/runtime/log.h"

#include <stdlib.h>

#define TELL_MS 60000U

void event_log_lose(struct event_log *event_log, struct event_line *line)
{
    ++event_log->counts.dropped;
    ++event_log->counts.lost[line->worth];
    if (line->worth < EVENT_WORTH_STATUS || event_log->log_bytes + line->length > EVENT_LOG_LOG_BYTES) {
        free(line);
        return;
    }
    line->next = NULL;
    *(event_log->log_last ? &event_log->log_last->next : &event_log->log_first) = line;
    event_log->log_last = line;
    event_log->log_bytes += line->length;
}

struct event_line *event_log_take_lost(struct event_log *event_log)
{
    struct event_line *line = event_log->log_first;
    if (!line)
        return NULL;
    event_log->log_first = line->next;
    if (!event_log->log_first)
        event_log->log_last = NULL;
    event_log->log_bytes -= line->length;
    return line;
}

size_t event_log_tell_lost(struct event_log *event_log, size_t most)
{
    size_t taken = 0;
    while (most-- > 0) {
        uv_mutex_lock(&event_log->lock);
        struct event_line *line = event_log_take_lost(event_log);
        uv_mutex_unlock(&event_log->lock);
        if (!line)
            break;
        taken += log_whole(CONFIG_LOG_ERROR, "result that could not be written", "result", line->text, line->length - 1,
                           0);
        free(line);
    }
    return taken;
}

static void add_worths(struct log_line *line, const uint64_t now[static EVENT_WORTHS],
                       const uint64_t logged[static EVENT_WORTHS])
{
    for (unsigned i = EVENT_WORTHS; i > 0; --i)
        if (now[i - 1] != logged[i - 1])
            log_number(line, event_worth_name(i - 1), now[i - 1] - logged[i - 1]);
}

static void log_lost_lines(struct event_log *event_log, const struct event_log_counts *now)
{
    struct log_line line;
    if (now->dropped == event_log->logged.dropped)
        return;
    log_begin(&line, CONFIG_LOG_ERROR,
              "results were lost: their reader is gone, or too slow for the memory that is kept for them; those of "
              "crashes are in this log");
    log_number(&line, "lines", now->dropped - event_log->logged.dropped);
    add_worths(&line, now->lost, event_log->logged.lost);
    log_number(&line, "waiting_bytes", now->waiting_bytes);
    log_end(&line);
}

static void log_errors(struct event_log *event_log, const struct event_log_counts *now)
{
    struct log_line line;
    if (now->errors == event_log->logged.errors || now->waiting_lines == 0)
        return;
    log_begin(&line, CONFIG_LOG_ERROR, "results still wait in memory, because they cannot be written");
    log_number(&line, "failures", now->errors - event_log->logged.errors);
    log_number(&line, "waiting", now->waiting_lines);
    log_number(&line, "waiting_bytes", now->waiting_bytes);
    log_end(&line);
}

void event_log_tell_losses(struct event_log *event_log, bool now_due)
{
    struct event_log_counts now;
    uint64_t now_ms = event_log_now_ms();
    bool minute = now_ms - event_log->logged_ms >= TELL_MS;
    event_log_count(event_log, &now);
    if (!minute && !now_due && (event_log->logged.dropped > 0 || now.dropped == 0))
        return;
    log_lost_lines(event_log, &now);
    if (minute)
        log_errors(event_log, &now);
    event_log->logged = now;
    event_log->logged_ms = now_ms;
}

/* Collects the lines that the thread could not write, by worth. The caller holds the lock. */
static size_t collect(struct event_log *event_log, struct event_list by_worth[static EVENT_WORTHS])
{
    struct event_list none = {.first = NULL}, *taken = event_log->writer ? &event_log->writer->taken : &none;
    struct event_line *line = NULL;
    size_t count = 0;
    while ((line = event_list_take(taken)) || (line = event_queue_pop(&event_log->queue))) {
        ++event_log->counts.dropped;
        ++event_log->counts.lost[line->worth];
        event_list_add(&by_worth[line->worth], line);
        ++count;
    }
    return count;
}

static void log_left(const struct event_list by_worth[static EVENT_WORTHS], size_t count, bool hangs)
{
    struct log_line line;
    log_begin(&line, CONFIG_LOG_ERROR,
              hangs ? "results were lost: their file or reader did not take them before the end, and does not answer "
                      "(it may have some of them); they follow"
                    : "results were lost: their file or reader did not take them before the end; they follow");
    log_number(&line, "lines", count);
    for (unsigned i = EVENT_WORTHS; i > 0; --i)
        if (by_worth[i - 1].lines > 0)
            log_number(&line, event_worth_name(i - 1), by_worth[i - 1].lines);
    log_end(&line);
}

/* Logs the lines, most important first. */
static size_t log_lines(struct event_list by_worth[static EVENT_WORTHS], uint64_t until_ms)
{
    size_t taken = 0;
    for (unsigned i = EVENT_WORTHS; i > 0; --i) {
        struct event_line *line = NULL;
        while ((line = event_list_take(&by_worth[i - 1]))) {
            uint64_t now_ms = event_log_now_ms();
            taken += log_whole(CONFIG_LOG_ERROR, "result that could not be written", "result", line->text,
                               line->length - 1, now_ms < until_ms ? (unsigned)(until_ms - now_ms) : 0);
            free(line);
        }
    }
    return taken;
}

void event_log_tell_left(struct event_log *event_log, uint64_t until_ms)
{
    struct event_list by_worth[EVENT_WORTHS] = {{.first = NULL}};
    struct log_line line;
    uv_mutex_lock(&event_log->lock);
    event_log_abandon(event_log, until_ms);
    size_t count = collect(event_log, by_worth);
    bool hangs = event_log->writer && !event_log->writer->ended;
    uv_mutex_unlock(&event_log->lock);
    if (count == 0)
        return;
    log_left(by_worth, count, hangs);
    size_t taken = log_lines(by_worth, until_ms);
    log_begin(&line, CONFIG_LOG_ERROR, "results that could not be written are in this log, those of most worth first");
    log_number(&line, "lines", taken);
    log_number(&line, "not_even_here", count - taken);
    log_end(&line);
    event_log_count(event_log, &event_log->logged);
}
