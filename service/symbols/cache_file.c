/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/symbols_internal.h"

#include <stdlib.h>
#include <string.h>

#define CACHE_DELAY_MS 1000U  /* results within this time are written together */
#define READ_LIMIT_MS  2000U  /* of the cache file */
#define WRITE_LIMIT_MS 30000U /* no second write starts before the first has returned */

/* The file is read or written on a thread, which owns all data that it touches. */
struct cache_task {
    struct task task;
    struct symbols *symbols; /* not the thread's */
    bool writes;
    char *path;
    struct cache_lock lock;
    struct remembered remembered; /* read */
    struct cache_counts counts;
    struct cache_image image; /* to be written */
    int error, lock_error;
};

static void free_cache_task(struct cache_task *work)
{
    remembered_clear(&work->remembered);
    cache_image_clear(&work->image);
    free(work->path);
    free(work);
}

static void run_cache_task(struct task *task)
{
    struct cache_task *work = (struct cache_task *)task;
    work->lock_error = cache_lock(work->path, &work->lock);
    if (!work->writes)
        work->error = cache_read(work->path, &work->remembered, &work->counts);
    else if (work->lock_error == 0)
        work->error = cache_write(work->path, &work->image);
    else
        work->error = work->lock_error;
}

static void drop_cache_task(struct task *task)
{
    struct cache_task *work = (struct cache_task *)task;
    cache_unlock(&work->lock);
    free_cache_task(work);
}

/* Merges the file's entries into the known ones. */
static void take_read(struct symbols *symbols, const struct remembered *read)
{
    struct remembered *remembered = &symbols->remembered;
    for (uint32_t i = 0; i < read->count; ++i) {
        const struct remembered_entry *entry = &read->entries[i];
        struct remembered_key key = entry->key;
        key.symbol = remembered_name(remembered, read->names[entry->key.symbol]);
        if (key.symbol == REMEMBERED_NONE || remembered_find(remembered, &key) != REMEMBERED_NONE)
            continue;
        uint32_t at = remembered_insert(remembered, &key);
        if (at == REMEMBERED_NONE)
            return;
        struct remembered_entry *mine = &remembered->entries[at];
        mine->state = entry->state;
        mine->source = entry->source;
        mine->rva = entry->rva;
        mine->unchecked = true;
    }
}

static void end_opening(struct symbols *symbols, const struct cache_task *work)
{
    if (work) {
        take_read(symbols, &work->remembered);
        symbols->cache_ignored = work->counts.unknown;
        symbols->cache_damaged = work->counts.damaged;
        symbols->dirty |= work->counts.damaged > 0 || work->counts.unknown > 0;
    }
    symbols->opening = false;
    symbols->news = true;
    jobs_schedule(symbols);
}

static void on_cache_done(struct task *task, bool in_time)
{
    struct cache_task *work = (struct cache_task *)task;
    struct symbols *symbols = work->symbols;
    symbols->cache_task = NULL;
    symbols->cache_hangs = !in_time;
    symbols->cache_error = in_time ? work->error : UV_ETIMEDOUT;
    if (in_time) {
        symbols->cache_lock = work->lock;
        work->lock.descriptor = -1;
    }
    if (in_time && !work->writes && work->lock_error != 0)
        symbols->cache_error = work->lock_error;
    uv_mutex_lock(&symbols->lock);
    if (symbols->opening && !work->writes)
        end_opening(symbols, in_time ? work : NULL);
    uv_mutex_unlock(&symbols->lock);
    bool told = !work->writes || symbols->cache_error != 0;
    if (in_time)
        free_cache_task(work);
    if (symbols->dirty)
        cache_file_plan_write(symbols);
    if (told && symbols->options.cache && !symbols->closing)
        symbols->options.cache(symbols->options.user);
    symbols_tell(symbols);
    symbols_go_on_closing(symbols);
}

bool cache_file_start(struct symbols *symbols, bool writes)
{
    struct cache_task *work = calloc(1, sizeof *work);
    if (!work)
        return false;
    work->symbols = symbols;
    work->writes = writes;
    work->lock = symbols->cache_lock;
    work->path = strdup(symbols->cache_file);
    remembered_init(&work->remembered, symbols->remembered.capacity, symbols->remembered.seed);
    work->task.run = run_cache_task;
    work->task.done = on_cache_done;
    work->task.drop = drop_cache_task;
    uv_mutex_lock(&symbols->lock);
    bool good = work->path && (!writes || cache_image_take(&work->image, &symbols->remembered));
    uv_mutex_unlock(&symbols->lock);
    uint64_t limit = symbols->closing ? CLOSE_LIMIT_MS : writes ? WRITE_LIMIT_MS : READ_LIMIT_MS;
    if (good && task_start(symbols->tasks, &work->task, false, limit)) {
        symbols->cache_task = work;
        symbols->cache_lock.descriptor = -1; /* the task owns the lock now */
        return true;
    }
    free_cache_task(work);
    return false;
}

void cache_file_write(struct symbols *symbols)
{
    symbols->dirty = false;
    if (symbols->cache_hangs || !symbols->cache_file)
        return; /* an earlier thread may still be writing */
    if (!cache_file_start(symbols, true))
        symbols->cache_error = UV_ENOMEM;
}

static void on_cache_timer(uv_timer_t *timer)
{
    struct symbols *symbols = timer->data;
    if (symbols->cache_task)
        (void)uv_timer_start(timer, on_cache_timer, CACHE_DELAY_MS, 0);
    else if (symbols->dirty)
        cache_file_write(symbols);
}

void cache_file_plan_write(struct symbols *symbols)
{
    if (!symbols->cache_file)
        return;
    symbols->dirty = true;
    if (!symbols->closing && !uv_is_active((uv_handle_t *)&symbols->timer))
        (void)uv_timer_start(&symbols->timer, on_cache_timer, CACHE_DELAY_MS, 0);
}
