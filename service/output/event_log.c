/* SPDX-License-Identifier: Apache-2.0 */
#include "service/output/event_log.h"
#include "service/runtime/log.h"
#include "service/output/event_log_internal.h"

#include <stdlib.h>
#include <string.h>

#define GIVE_UP_MS 600U /* wait for the thread to end */
#define MS_NS      1000000U

uint64_t event_log_now_ms(void)
{
    return uv_hrtime() / MS_NS;
}

/* Lists. */

void event_list_add(struct event_list *list, struct event_line *line)
{
    line->next = NULL;
    *(list->last ? &list->last->next : &list->first) = line;
    list->last = line;
    ++list->lines;
    list->bytes += line->length;
}

struct event_line *event_list_take(struct event_list *list)
{
    struct event_line *line = list->first;
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

void event_list_join(struct event_list *list, struct event_list *behind)
{
    struct event_line *line = NULL;
    while ((line = event_list_take(behind)))
        event_list_add(list, line);
}

void event_list_free(struct event_list *list)
{
    struct event_line *line = NULL;
    while ((line = event_list_take(list)))
        free(line);
}

void event_log_note_settled(struct event_log *event_log, uint64_t number)
{
    const struct event_log_writer *writer = event_log->writer;
    if (!event_log->queue.first && (!writer || !writer->taken.first))
        number = atomic_load(&event_log->added);
    if (number <= atomic_load(&event_log->settled))
        return;
    atomic_store(&event_log->settled, number);
    (void)uv_async_send(&event_log->wakeup);
}

/* The start. */

static void on_wakeup(uv_async_t *wakeup)
{
    struct event_log *event_log = wakeup->data;
    if (event_log->on_settled)
        event_log->on_settled(event_log->user);
}

/* The wakeup does not keep the loop from ending. */
static int make_ready(struct event_log *event_log)
{
    int error = uv_mutex_init(&event_log->lock);
    if (error != 0)
        return error;
    error = uv_cond_init(&event_log->changed);
    if (error == 0) {
        error = uv_async_init(event_log->loop, &event_log->wakeup, on_wakeup);
        if (error == 0) {
            uv_unref((uv_handle_t *)&event_log->wakeup);
            event_log->wakeup.data = event_log;
            event_log->ready = true;
            return 0;
        }
        uv_cond_destroy(&event_log->changed);
    }
    uv_mutex_destroy(&event_log->lock);
    return error;
}

/* Takes over the path; false: out of memory. */
static bool set_path(struct event_log *event_log, const char *path)
{
    char *copy = NULL;
    if (path && strcmp(path, "-") != 0) {
        copy = strdup(path);
        if (!copy)
            return false;
    }
    if (path) { /* without another path, waiting lines still go to the old one */
        free(event_log->path);
        event_log->path = copy;
        event_log->gone = false;
    }
    event_log->wanted_at_all = path != NULL;
    atomic_store(&event_log->wanted, event_log->wanted_at_all);
    ++event_log->generation;
    return true;
}

/* Only when results are wanted, and again when there was no thread to be had. */
static void start_writer(struct event_log *event_log)
{
    struct event_list none = {.first = NULL};
    if (!event_log->writer && event_log->wanted_at_all && !event_log->ending)
        event_log->writer = event_log_writer_start(event_log, &none);
}

int event_log_open(struct event_log *event_log, uv_loop_t *loop, const char *path)
{
    memset(event_log, 0, sizeof *event_log);
    event_log->loop = loop;
    event_log->logged_ms = event_log_now_ms();
    event_queue_init(&event_log->queue, EVENT_LOG_QUEUE_BYTES, EVENT_LOG_MACHINE_BYTES);
    int error = make_ready(event_log);
    if (error != 0)
        return error;
    uv_mutex_lock(&event_log->lock);
    if (!set_path(event_log, path))
        error = UV_ENOMEM;
    start_writer(event_log);
    uv_mutex_unlock(&event_log->lock);
    return error;
}

/* Lines, from any thread. */

/* Queues a line; sheds lines beyond the bound. */
static void queue_line(struct event_log *event_log, struct event_line *line, uint64_t source)
{
    if (event_log->gone || !event_queue_push(&event_log->queue, line, source))
        event_log_lose(event_log, line);
    struct event_line *shed = NULL;
    while ((shed = event_queue_shed(&event_log->queue)))
        event_log_lose(event_log, shed);
}

uint64_t event_log_add(struct event_log *event_log, char *text, size_t length, enum event_worth worth, uint64_t source)
{
    bool wanted = event_log_is_wanted(event_log);
    struct event_line *line = wanted && text ? event_line_new(text, length, worth, 0) : NULL;
    uint64_t number = 0;
    free(text);
    if (!wanted)
        return 0;
    uv_mutex_lock(&event_log->lock);
    if (!line || event_log->ending) {
        ++event_log->counts.dropped;
        ++event_log->counts.lost[worth];
    } else {
        number = line->number = atomic_fetch_add(&event_log->added, 1) + 1;
        queue_line(event_log, line, source);
        line = NULL;
        if (event_log->gone)
            atomic_store(&event_log->settled, number);
    }
    uv_mutex_unlock(&event_log->lock);
    free(line);
    return number;
}

void event_log_ring(struct event_log *event_log)
{
    uv_cond_signal(&event_log->changed);
}

bool event_log_is_wanted(const struct event_log *event_log)
{
    return atomic_load(&event_log->wanted);
}

uint64_t event_log_settled(const struct event_log *event_log)
{
    return atomic_load(&event_log->settled);
}

bool event_log_is_settled(const struct event_log *event_log)
{
    return atomic_load(&event_log->settled) >= atomic_load(&event_log->added);
}

void event_log_count(struct event_log *event_log, struct event_log_counts *out)
{
    uv_mutex_lock(&event_log->lock);
    *out = event_log->counts;
    out->waiting_lines = event_log->queue.lines + (event_log->writer ? event_log->writer->taken.lines : 0);
    out->waiting_bytes = event_log->queue.bytes + (event_log->writer ? event_log->writer->taken.bytes : 0);
    uv_mutex_unlock(&event_log->lock);
}

/* The loop's. */

void event_log_reopen(struct event_log *event_log, const char *path)
{
    uv_mutex_lock(&event_log->lock);
    if (!set_path(event_log, path))
        log_plain(CONFIG_LOG_ERROR, "out of memory: the result file is not opened again");
    start_writer(event_log);
    uv_cond_broadcast(&event_log->changed);
    uv_mutex_unlock(&event_log->lock);
}

/* --- a thread that hangs ------------------------------------------------------------------------------------------ */

/* For how long a file call is under way. The lock is held. */
static uint64_t hangs_ms(const struct event_log *event_log)
{
    const struct event_log_writer *writer = event_log->writer;
    if (!writer || !atomic_load(&writer->doing))
        return 0;
    uint64_t since_ms = atomic_load(&writer->since_ms), now_ms = event_log_now_ms();
    return now_ms > since_ms ? now_ms - since_ms : 0;
}

static void log_hang(struct event_log *event_log, uint64_t since_ms)
{
    const struct event_log_writer *writer = event_log->writer;
    const char *doing = writer ? atomic_load(&writer->doing) : NULL;
    struct log_line line;
    if (!doing && event_log->logged_hang)
        log_plain(CONFIG_LOG_NOTICE, "result file answers again");
    event_log->logged_hang = doing && (event_log->logged_hang || since_ms >= EVENT_LOG_HANGS_MS);
    if (!doing || since_ms < EVENT_LOG_HANGS_MS)
        return;
    log_begin(&line, CONFIG_LOG_ERROR,
              "result file does not answer: machines are served, their results wait in memory; look at the share or "
              "disk, or name another file with events: and reload");
    log_text(&line, "file", event_log->path ? event_log->path : "-");
    log_text(&line, "doing", doing);
    log_milliseconds(&line, "since_ms", since_ms * 1000);
    log_end(&line);
}

static unsigned count_hung(const struct event_log *event_log)
{
    unsigned count = 0;
    for (const struct event_log_writer *one = event_log->hung; one; one = one->next)
        ++count;
    return count;
}

/* Frees replaced threads that have returned. */
static void free_hung(struct event_log *event_log)
{
    for (struct event_log_writer **at = &event_log->hung; *at;) {
        struct event_log_writer *one = *at;
        if (!one->ended) {
            at = &one->next;
            continue;
        }
        *at = one->next;
        uv_mutex_unlock(&event_log->lock);
        event_log_writer_free(one);
        uv_mutex_lock(&event_log->lock);
    }
}

/* The thread's current line may be written twice, if its file call succeeds after all. */
static void replace_writer(struct event_log *event_log)
{
    struct event_log_writer *old = event_log->writer;
    event_log->replaced_generation = event_log->generation;
    if (count_hung(event_log) == EVENT_LOG_HUNG_MAX) {
        log_plain(CONFIG_LOG_ERROR, "result file does not answer, and too many were given up already: results wait in "
                                    "memory; end those shares' calls (umount -f), or restart kdnetd");
        return;
    }
    struct event_log_writer *fresh = event_log_writer_start(event_log, &old->taken);
    if (!fresh)
        return;
    event_log->writer = fresh;
    event_log->logged_hang = false;
    old->abandoned = true;
    old->next = event_log->hung;
    event_log->hung = old;
    log_plain(CONFIG_LOG_WARNING, "result file that does not answer is given up, as the configuration was read again; "
                                  "what was being written to it may be there, too");
}

void event_log_look(struct event_log *event_log)
{
    if (!event_log->ready)
        return;
    uv_mutex_lock(&event_log->lock);
    start_writer(event_log);
    free_hung(event_log);
    uint64_t since_ms = hangs_ms(event_log);
    bool logged = event_log->logged_hang;
    if (since_ms < EVENT_LOG_HANGS_MS || !logged)
        log_hang(event_log, since_ms);
    if (event_log->writer && since_ms >= EVENT_LOG_HANGS_MS && event_log->writer->generation != event_log->generation &&
        event_log->replaced_generation != event_log->generation)
        replace_writer(event_log);
    uv_mutex_unlock(&event_log->lock);
    (void)event_log_tell_lost(event_log, EVENT_LOG_LOG_EACH);
    event_log_tell_losses(event_log, false);
}

/* The end. */

void event_log_end(struct event_log *event_log)
{
    if (!event_log->ready)
        return;
    uv_mutex_lock(&event_log->lock);
    event_log->ending = true;
    atomic_store(&event_log->wanted, false);
    uv_cond_broadcast(&event_log->changed);
    uv_mutex_unlock(&event_log->lock);
}

bool event_log_has_ended(struct event_log *event_log)
{
    if (!event_log->ready)
        return true;
    uv_mutex_lock(&event_log->lock);
    bool ended = !event_log->writer || event_log->writer->ended;
    uv_mutex_unlock(&event_log->lock);
    return ended;
}

void event_log_abandon(struct event_log *event_log, uint64_t until_ms)
{
    struct event_log_writer *writer = event_log->writer;
    uint64_t now_ms = event_log_now_ms();
    if (until_ms > now_ms + GIVE_UP_MS)
        until_ms = now_ms + GIVE_UP_MS;
    if (!writer)
        return;
    writer->abandoned = true;
    uv_cond_broadcast(&event_log->changed);
    while (!writer->ended && (now_ms = event_log_now_ms()) < until_ms)
        (void)uv_cond_timedwait(&event_log->changed, &event_log->lock, (until_ms - now_ms) * MS_NS);
}

bool event_log_give_up(struct event_log *event_log, unsigned wait_ms)
{
    uint64_t until_ms = event_log_now_ms() + wait_ms;
    if (!event_log->ready)
        return true;
    event_log_end(event_log);
    (void)event_log_tell_lost(event_log, SIZE_MAX);
    event_log_tell_losses(event_log, true);
    event_log_tell_left(event_log, until_ms);
    struct event_log_counts counts;
    event_log_count(event_log, &counts);
    return counts.dropped == 0;
}

static void free_all(struct event_log *event_log)
{
    struct event_line *line = NULL;
    uv_mutex_unlock(&event_log->lock);
    if (event_log->writer)
        event_log_writer_free(event_log->writer);
    while ((line = event_log_take_lost(event_log)))
        free(line);
    event_queue_clear(&event_log->queue);
    uv_cond_destroy(&event_log->changed);
    uv_mutex_destroy(&event_log->lock);
    free(event_log->path);
    uv_close((uv_handle_t *)&event_log->wakeup, NULL);
}

bool event_log_close(struct event_log *event_log)
{
    if (event_log->closed || !event_log->ready)
        return true;
    uv_mutex_lock(&event_log->lock);
    event_log->ending = true;
    event_log_abandon(event_log, 0);
    free_hung(event_log);
    if (event_log->hung || (event_log->writer && !event_log->writer->ended)) {
        uv_mutex_unlock(&event_log->lock);
        return false;
    }
    event_log->closed = true;
    free_all(event_log);
    return true;
}
