/* SPDX-License-Identifier: Apache-2.0 */
#include "service/output/results.h"
#include "service/runtime/log.h"
#include "service/output/results_internal.h"

#include <stdlib.h>
#include <string.h>

#define TELL_MS    60000U
#define GIVE_UP_MS 300U  /* for the thread to end, when it is told to */
#define LOG_MS     1000U /* for the log to take what could not be written */
#define MS_NS      1000000U

uint64_t results_now_ms(void)
{
    return uv_hrtime() / MS_NS;
}

/* Lists. */

void results_list_add(struct results_list *list, struct results_line *line)
{
    line->next = NULL;
    *(list->last ? &list->last->next : &list->first) = line;
    list->last = line;
    ++list->lines;
    list->bytes += line->length;
}

struct results_line *results_list_take(struct results_list *list)
{
    struct results_line *line = list->first;
    if (!line)
        return NULL;
    list->first = line->next;
    if (!list->first)
        list->last = NULL;
    --list->lines;
    list->bytes -= line->length;
    line->next = NULL;
    return line;
}

void results_list_join(struct results_list *list, struct results_list *behind)
{
    struct results_line *line = NULL;
    while ((line = results_list_take(behind)))
        results_list_add(list, line);
}

void results_list_free(struct results_list *list)
{
    struct results_line *line = NULL;
    while ((line = results_list_take(list)))
        free(line);
}

/* What is lost, and what is settled. The lock is held. */

/* Results of crashes go into the log: not here, where workers and the writer are. */
void results_lose(struct results *results, struct results_line *line)
{
    ++results->counts.dropped;
    ++results->counts.lost[line->worth];
    if (line->worth < RESULTS_STATUS || results->log_bytes + line->length > RESULTS_LOG_BYTES) {
        free(line);
        return;
    }
    line->next = NULL;
    *(results->log_last ? &results->log_last->next : &results->log_first) = line;
    results->log_last = line;
    results->log_bytes += line->length;
}

static struct results_line *take_for_log(struct results *results)
{
    struct results_line *line = results->log_first;
    if (!line)
        return NULL;
    results->log_first = line->next;
    if (!results->log_first)
        results->log_last = NULL;
    results->log_bytes -= line->length;
    return line;
}

void results_note_settled(struct results *results, uint64_t number)
{
    const struct results_writer *writer = results->writer;
    if (!results->queue.first && (!writer || !writer->taken.first))
        number = atomic_load(&results->added);
    if (number <= atomic_load(&results->settled))
        return;
    atomic_store(&results->settled, number);
    (void)uv_async_send(&results->bell);
}

/* The start. */

static void on_bell(uv_async_t *bell)
{
    struct results *results = bell->data;
    if (results->on_settled)
        results->on_settled(results->user);
}

/* The bell does not keep the loop from ending. */
static int make_ready(struct results *results)
{
    int error = uv_mutex_init(&results->lock);
    if (error != 0)
        return error;
    error = uv_cond_init(&results->changed);
    if (error == 0) {
        error = uv_async_init(results->loop, &results->bell, on_bell);
        if (error == 0) {
            uv_unref((uv_handle_t *)&results->bell);
            results->bell.data = results;
            results->ready = true;
            return 0;
        }
        uv_cond_destroy(&results->changed);
    }
    uv_mutex_destroy(&results->lock);
    return error;
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
    if (path) { /* else what waits is still written to where it was to go */
        free(results->path);
        results->path = copy;
        results->gone = false;
    }
    results->wanted_at_all = path != NULL;
    atomic_store(&results->wanted, results->wanted_at_all);
    ++results->generation;
    return true;
}

/* Only when results are wanted, and again when there was no thread to be had. */
static void start_writer(struct results *results)
{
    struct results_list none = {.first = NULL};
    if (!results->writer && results->wanted_at_all && !results->ending)
        results->writer = results_writer_start(results, &none);
}

int results_open(struct results *results, uv_loop_t *loop, const char *path)
{
    memset(results, 0, sizeof *results);
    results->loop = loop;
    results->told_ms = results_now_ms();
    results_queue_init(&results->queue, RESULTS_QUEUE_BYTES, RESULTS_MACHINE_BYTES);
    int error = make_ready(results);
    if (error != 0)
        return error;
    uv_mutex_lock(&results->lock);
    if (!set_path(results, path))
        error = UV_ENOMEM;
    start_writer(results);
    uv_mutex_unlock(&results->lock);
    return error;
}

/* Lines, from any thread. */

/* Queues it, or loses it; and what finds no room any more. */
static void queue_line(struct results *results, struct results_line *line, uint64_t source)
{
    if (results->gone || !results_queue_push(&results->queue, line, source))
        results_lose(results, line);
    struct results_line *shed = NULL;
    while ((shed = results_queue_shed(&results->queue)))
        results_lose(results, shed);
}

uint64_t results_add(struct results *results, char *text, size_t length, enum results_worth worth, uint64_t source)
{
    bool wanted = results_are_wanted(results);
    struct results_line *line = wanted && text ? results_line_new(text, length, worth, 0) : NULL;
    uint64_t number = 0;
    free(text);
    if (!wanted)
        return 0;
    uv_mutex_lock(&results->lock);
    if (!line || results->ending) {
        ++results->counts.dropped;
        ++results->counts.lost[worth];
    } else {
        number = line->number = atomic_fetch_add(&results->added, 1) + 1;
        queue_line(results, line, source);
        line = NULL;
        if (results->gone)
            atomic_store(&results->settled, number);
    }
    uv_mutex_unlock(&results->lock);
    free(line);
    return number;
}

void results_ring(struct results *results)
{
    uv_cond_signal(&results->changed);
}

bool results_are_wanted(const struct results *results)
{
    return atomic_load(&results->wanted);
}

uint64_t results_settled(const struct results *results)
{
    return atomic_load(&results->settled);
}

bool results_are_settled(const struct results *results)
{
    return atomic_load(&results->settled) >= atomic_load(&results->added);
}

void results_count(struct results *results, struct results_counts *out)
{
    uv_mutex_lock(&results->lock);
    *out = results->counts;
    out->waiting_lines = results->queue.lines + (results->writer ? results->writer->taken.lines : 0);
    out->waiting_bytes = results->queue.bytes + (results->writer ? results->writer->taken.bytes : 0);
    uv_mutex_unlock(&results->lock);
}

/* The loop's. */

void results_reopen(struct results *results, const char *path)
{
    uv_mutex_lock(&results->lock);
    if (!set_path(results, path))
        log_plain(CONFIG_LOG_ERROR, "out of memory: the result file is not opened again");
    start_writer(results);
    uv_cond_broadcast(&results->changed);
    uv_mutex_unlock(&results->lock);
}

/* What waits for its place in the log, `most` lines of it. Returns how many the log took. */
static size_t log_lost(struct results *results, size_t most)
{
    size_t taken = 0;
    while (most-- > 0) {
        uv_mutex_lock(&results->lock);
        struct results_line *line = take_for_log(results);
        uv_mutex_unlock(&results->lock);
        if (!line)
            break;
        taken += log_whole(CONFIG_LOG_ERROR, "result that could not be written", "result", line->text, line->length - 1,
                           0);
        free(line);
    }
    return taken;
}

static void add_worths(struct log_line *line, const uint64_t now[static RESULTS_WORTHS],
                       const uint64_t told[static RESULTS_WORTHS])
{
    for (unsigned i = RESULTS_WORTHS; i > 0; --i)
        if (now[i - 1] != told[i - 1])
            log_number(line, results_worth_name(i - 1), now[i - 1] - told[i - 1]);
}

static void tell_lost(struct results *results, const struct results_counts *now)
{
    struct log_line line;
    if (now->dropped == results->told.dropped)
        return;
    log_begin(&line, CONFIG_LOG_ERROR,
              "results were lost: their reader is gone, or too slow for the memory that is kept for them; those of "
              "crashes are in this log");
    log_number(&line, "lines", now->dropped - results->told.dropped);
    add_worths(&line, now->lost, results->told.lost);
    log_number(&line, "waiting_bytes", now->waiting_bytes);
    log_end(&line);
}

static void tell_errors(struct results *results, const struct results_counts *now)
{
    struct log_line line;
    if (now->errors == results->told.errors || now->waiting_lines == 0)
        return;
    log_begin(&line, CONFIG_LOG_ERROR, "results still wait in memory, because they cannot be written");
    log_number(&line, "failures", now->errors - results->told.errors);
    log_number(&line, "waiting", now->waiting_lines);
    log_number(&line, "waiting_bytes", now->waiting_bytes);
    log_end(&line);
}

/* The first loss is told at once, further ones once a minute; failures that last, too. */
static void tell(struct results *results, bool now_due)
{
    struct results_counts now;
    uint64_t now_ms = results_now_ms();
    bool minute = now_ms - results->told_ms >= TELL_MS;
    results_count(results, &now);
    if (!minute && !now_due && (results->told.dropped > 0 || now.dropped == 0))
        return;
    tell_lost(results, &now);
    if (minute)
        tell_errors(results, &now);
    results->told = now;
    results->told_ms = now_ms;
}

/* A thread that hangs. */

/* For how long a file call is under way. The lock is held. */
static uint64_t hangs_ms(const struct results *results)
{
    const struct results_writer *writer = results->writer;
    if (!writer || !atomic_load(&writer->doing))
        return 0;
    uint64_t since_ms = atomic_load(&writer->since_ms), now_ms = results_now_ms();
    return now_ms > since_ms ? now_ms - since_ms : 0;
}

static void tell_hangs(struct results *results, uint64_t since_ms)
{
    const struct results_writer *writer = results->writer;
    const char *doing = writer ? atomic_load(&writer->doing) : NULL;
    struct log_line line;
    if (!doing && results->told_hangs)
        log_plain(CONFIG_LOG_NOTICE, "result file answers again");
    results->told_hangs = doing && (results->told_hangs || since_ms >= RESULTS_HANGS_MS);
    if (!doing || since_ms < RESULTS_HANGS_MS)
        return;
    log_begin(&line, CONFIG_LOG_ERROR,
              "result file does not answer: machines are served, their results wait in memory; look at the share or "
              "disk, or name another file with events: and reload");
    log_text(&line, "file", results->path ? results->path : "-");
    log_text(&line, "doing", doing);
    log_milliseconds(&line, "since_ms", since_ms * 1000);
    log_end(&line);
}

static unsigned count_hung(const struct results *results)
{
    unsigned count = 0;
    for (const struct results_writer *one = results->hung; one; one = one->next)
        ++count;
    return count;
}

/* Those that came back. */
static void free_hung(struct results *results)
{
    for (struct results_writer **at = &results->hung; *at;) {
        struct results_writer *one = *at;
        if (!one->ended) {
            at = &one->next;
            continue;
        }
        *at = one->next;
        uv_mutex_unlock(&results->lock);
        results_writer_free(one);
        uv_mutex_lock(&results->lock);
    }
}

/* What the thread has in hand may be written twice, when its call ends well after all. */
static void replace_writer(struct results *results)
{
    struct results_writer *old = results->writer;
    results->replaced_generation = results->generation;
    if (count_hung(results) == RESULTS_HUNG_MAX) {
        log_plain(CONFIG_LOG_ERROR, "result file does not answer, and too many were given up already: results wait in "
                                    "memory; end those shares' calls (umount -f), or restart kdnetd");
        return;
    }
    struct results_writer *fresh = results_writer_start(results, &old->taken);
    if (!fresh)
        return;
    results->writer = fresh;
    results->told_hangs = false;
    old->abandoned = true;
    old->next = results->hung;
    results->hung = old;
    log_plain(CONFIG_LOG_WARNING, "result file that does not answer is given up, as the configuration was read again; "
                                  "what was being written to it may be there, too");
}

void results_look(struct results *results)
{
    if (!results->ready)
        return;
    uv_mutex_lock(&results->lock);
    start_writer(results);
    free_hung(results);
    uint64_t since_ms = hangs_ms(results);
    bool told = results->told_hangs;
    if (since_ms < RESULTS_HANGS_MS || !told)
        tell_hangs(results, since_ms);
    if (results->writer && since_ms >= RESULTS_HANGS_MS && results->writer->generation != results->generation &&
        results->replaced_generation != results->generation)
        replace_writer(results);
    uv_mutex_unlock(&results->lock);
    (void)log_lost(results, RESULTS_LOG_EACH);
    tell(results, false);
}

/* The end. */

void results_end(struct results *results)
{
    if (!results->ready)
        return;
    uv_mutex_lock(&results->lock);
    results->ending = true;
    atomic_store(&results->wanted, false);
    uv_cond_broadcast(&results->changed);
    uv_mutex_unlock(&results->lock);
}

bool results_have_ended(struct results *results)
{
    if (!results->ready)
        return true;
    uv_mutex_lock(&results->lock);
    bool ended = !results->writer || results->writer->ended;
    uv_mutex_unlock(&results->lock);
    return ended;
}

/* Ends the thread and waits for it a moment. The lock is held. */
static void abandon(struct results *results)
{
    struct results_writer *writer = results->writer;
    uint64_t until_ms = results_now_ms() + GIVE_UP_MS, now_ms = 0;
    if (!writer)
        return;
    writer->abandoned = true;
    uv_cond_broadcast(&results->changed);
    while (!writer->ended && (now_ms = results_now_ms()) < until_ms)
        (void)uv_cond_timedwait(&results->changed, &results->lock, (until_ms - now_ms) * MS_NS);
}

/* Lines that the thread could not write, by worth. The lock is held. */
static size_t collect(struct results *results, struct results_list by_worth[static RESULTS_WORTHS])
{
    struct results_list none = {.first = NULL}, *taken = results->writer ? &results->writer->taken : &none;
    struct results_line *line = NULL;
    size_t count = 0;
    while ((line = results_list_take(taken)) || (line = results_queue_pop(&results->queue))) {
        ++results->counts.dropped;
        ++results->counts.lost[line->worth];
        results_list_add(&by_worth[line->worth], line);
        ++count;
    }
    return count;
}

static void tell_left(const struct results_list by_worth[static RESULTS_WORTHS], size_t count, bool hangs)
{
    struct log_line line;
    log_begin(&line, CONFIG_LOG_ERROR,
              hangs ? "results were lost: their file or reader did not take them before the end, and does not answer "
                      "(it may have some of them); they follow"
                    : "results were lost: their file or reader did not take them before the end; they follow");
    log_number(&line, "lines", count);
    for (unsigned i = RESULTS_WORTHS; i > 0; --i)
        if (by_worth[i - 1].lines > 0)
            log_number(&line, results_worth_name(i - 1), by_worth[i - 1].lines);
    log_end(&line);
}

/* Those of most worth first. */
static size_t log_left(struct results_list by_worth[static RESULTS_WORTHS])
{
    uint64_t until_ms = results_now_ms() + LOG_MS;
    size_t taken = 0;
    for (unsigned i = RESULTS_WORTHS; i > 0; --i) {
        struct results_line *line = NULL;
        while ((line = results_list_take(&by_worth[i - 1]))) {
            uint64_t now_ms = results_now_ms();
            taken += log_whole(CONFIG_LOG_ERROR, "result that could not be written", "result", line->text,
                               line->length - 1, now_ms < until_ms ? (unsigned)(until_ms - now_ms) : 0);
            free(line);
        }
    }
    return taken;
}

static void give_up_left(struct results *results)
{
    struct results_list by_worth[RESULTS_WORTHS] = {{.first = NULL}};
    struct log_line line;
    uv_mutex_lock(&results->lock);
    abandon(results);
    size_t count = collect(results, by_worth);
    bool hangs = results->writer && !results->writer->ended;
    uv_mutex_unlock(&results->lock);
    if (count == 0)
        return;
    tell_left(by_worth, count, hangs);
    size_t taken = log_left(by_worth);
    log_begin(&line, CONFIG_LOG_ERROR, "results that could not be written are in this log, those of most worth first");
    log_number(&line, "lines", taken);
    log_number(&line, "not_even_here", count - taken);
    log_end(&line);
    results_count(results, &results->told);
}

bool results_give_up(struct results *results)
{
    if (!results->ready)
        return true;
    results_end(results);
    (void)log_lost(results, SIZE_MAX);
    tell(results, true);
    give_up_left(results);
    struct results_counts counts;
    results_count(results, &counts);
    return counts.dropped == 0;
}

static void free_all(struct results *results)
{
    struct results_line *line = NULL;
    uv_mutex_unlock(&results->lock);
    if (results->writer)
        results_writer_free(results->writer);
    while ((line = take_for_log(results)))
        free(line);
    results_queue_clear(&results->queue);
    uv_cond_destroy(&results->changed);
    uv_mutex_destroy(&results->lock);
    free(results->path);
    uv_close((uv_handle_t *)&results->bell, NULL);
}

bool results_close(struct results *results)
{
    if (results->closed || !results->ready)
        return true;
    uv_mutex_lock(&results->lock);
    results->ending = true;
    abandon(results);
    free_hung(results);
    if (results->hung || (results->writer && !results->writer->ended)) {
        uv_mutex_unlock(&results->lock);
        return false;
    }
    results->closed = true;
    free_all(results);
    return true;
}
