/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/symbols.h"

#include "service/symbols/cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_DELAY_MS 1000U /* results that come soon after each other are written together */

struct job {
    uv_work_t work;
    struct symbols *symbols;
    struct job *next;
    uint32_t entry;
    struct kdnet_pdb pdb;
    char symbol[REMEMBERED_NAME_SIZE];
    struct symbol_result result;
};

struct explanation {
    struct remembered_key key;
    bool known;
    char text[SYMBOL_TRAIL_SIZE];
};

struct symbols {
    uv_loop_t *loop;
    struct symbol_path path;
    struct symbols_options options;
    struct remembered remembered;
    struct job *first, **last; /* waiting */
    size_t waiting, running;
    uint64_t lookups, turned_away;
    struct explanation *explanations;
    uint32_t next_explanation;
    char *cache_file; /* NULL: none */
    uv_timer_t timer;
    uv_work_t write;
    struct cache_image image;
    size_t cache_ignored;
    int cache_error;
    bool dirty, writing, closing;
};

static void start_waiting(struct symbols *symbols);

static uint32_t now_s(const struct symbols *symbols)
{
    return (uint32_t)(uv_now(symbols->loop) / 1000);
}

/* ---------------------------------------------------------------------------------------------- end of life */

static void free_symbols(struct symbols *symbols)
{
    symbol_path_clear(&symbols->path);
    remembered_clear(&symbols->remembered);
    cache_image_clear(&symbols->image);
    free(symbols->explanations);
    free(symbols->cache_file);
    free(symbols);
}

static void start_write(struct symbols *symbols);

static void on_timer_closed(uv_handle_t *handle)
{
    free_symbols(handle->data);
}

/* Ends when nothing of ours is on a thread; what is new goes to the cache file first. */
static void go_on_closing(struct symbols *symbols)
{
    if (!symbols->closing || symbols->running > 0 || symbols->writing)
        return;
    if (symbols->dirty)
        start_write(symbols);
    if (!symbols->writing && !uv_is_closing((uv_handle_t *)&symbols->timer))
        uv_close((uv_handle_t *)&symbols->timer, on_timer_closed);
}

/* ----------------------------------------------------------------------------------------------- cache file */

static void write_cache(uv_work_t *work)
{
    struct symbols *symbols = work->data;
    symbols->cache_error = cache_write(symbols->cache_file, &symbols->image);
}

static void on_cache_written(uv_work_t *work, int status)
{
    struct symbols *symbols = work->data;
    (void)status;
    cache_image_clear(&symbols->image);
    symbols->writing = false;
    go_on_closing(symbols);
}

static void start_write(struct symbols *symbols)
{
    symbols->dirty = false;
    if (!cache_image_take(&symbols->image, &symbols->remembered)) {
        symbols->cache_error = UV_ENOMEM;
        return;
    }
    symbols->write.data = symbols;
    int outcome = uv_queue_work(symbols->loop, &symbols->write, write_cache, on_cache_written);
    symbols->writing = outcome == 0;
    if (outcome != 0) {
        symbols->cache_error = outcome;
        cache_image_clear(&symbols->image);
    }
}

static void on_cache_timer(uv_timer_t *timer)
{
    struct symbols *symbols = timer->data;
    if (symbols->writing)
        (void)uv_timer_start(timer, on_cache_timer, CACHE_DELAY_MS, 0);
    else if (symbols->dirty)
        start_write(symbols);
}

static void plan_write(struct symbols *symbols)
{
    if (!symbols->cache_file)
        return;
    symbols->dirty = true;
    if (!symbols->closing && !uv_is_active((uv_handle_t *)&symbols->timer))
        (void)uv_timer_start(&symbols->timer, on_cache_timer, CACHE_DELAY_MS, 0);
}

/* ------------------------------------------------------------------------------------------------- look-ups */

static void run_job(uv_work_t *work)
{
    struct job *job = work->data;
    symbol_path_find(&job->symbols->path, &job->pdb, job->symbol, &job->result);
}

static void keep_explanation(struct symbols *symbols, const struct job *job)
{
    if (!symbols->explanations)
        symbols->explanations = calloc(SYMBOLS_EXPLAINED, sizeof *symbols->explanations);
    if (!symbols->explanations)
        return;
    uint32_t symbol = remembered_name(&symbols->remembered, job->symbol);
    struct remembered_key key = remembered_key(&symbols->remembered, &job->pdb, symbol, false);
    struct explanation *slot = &symbols->explanations[symbols->next_explanation++ % SYMBOLS_EXPLAINED];
    slot->key = key;
    slot->known = true;
    memcpy(slot->text, job->result.trail.text, sizeof slot->text);
}

/* What a file proved holds whatever the machine calls the PDB; that there is none holds for that name, for a while. */
static enum symbols_answer remember(struct symbols *symbols, const struct job *job)
{
    struct remembered *remembered = &symbols->remembered;
    struct remembered_entry *entry = &remembered->entries[job->entry];
    if (job->result.answer == SYMBOL_NONE) {
        uint32_t retry = symbols->options.retry_s != 0 ? symbols->options.retry_s : SYMBOLS_RETRY_S;
        entry->state = REMEMBERED_NO_SYMBOLS;
        entry->expires_s = now_s(symbols) + retry;
        return SYMBOLS_NO_SYMBOLS;
    }
    struct remembered_key key = remembered_key(remembered, &job->pdb, entry->key.symbol, true);
    remembered_remove(remembered, job->entry);
    uint32_t proved = remembered_insert(remembered, &key); /* cannot fail: an entry has just become free */
    entry = &remembered->entries[proved];
    entry->state = job->result.answer == SYMBOL_FOUND ? REMEMBERED_FOUND : REMEMBERED_ABSENT;
    entry->source = (uint8_t)job->result.source;
    entry->rva = job->result.rva;
    plan_write(symbols);
    return job->result.answer == SYMBOL_FOUND ? SYMBOLS_FOUND : SYMBOLS_ABSENT;
}

static void end_job(struct symbols *symbols, struct job *job)
{
    ++symbols->lookups;
    keep_explanation(symbols, job);
    enum symbols_answer answer = remember(symbols, job);
    if (symbols->options.ended && !symbols->closing)
        symbols->options.ended(symbols->options.user, &job->pdb, job->symbol, answer, job->result.trail.text);
    free(job);
}

static void on_job_done(uv_work_t *work, int status)
{
    struct job *job = work->data;
    struct symbols *symbols = job->symbols;
    (void)status; /* jobs are not cancelled */
    --symbols->running;
    end_job(symbols, job);
    start_waiting(symbols);
    go_on_closing(symbols);
}

static void start_waiting(struct symbols *symbols)
{
    while (symbols->first && symbols->running < SYMBOLS_RUNNING_MAX) {
        struct job *job = symbols->first;
        symbols->first = job->next;
        if (!symbols->first)
            symbols->last = &symbols->first;
        --symbols->waiting;
        ++symbols->running;
        job->work.data = job;
        if (uv_queue_work(symbols->loop, &job->work, run_job, on_job_done) != 0) /* only when run_job is NULL */
            abort();
    }
}

static enum symbols_answer start_job(struct symbols *symbols, const struct kdnet_pdb *pdb, const char *symbol,
                                     const struct remembered_key *key)
{
    struct job *job = symbols->waiting < SYMBOLS_WAITING_MAX ? malloc(sizeof *job) : NULL;
    uint32_t entry = job ? remembered_insert(&symbols->remembered, key) : REMEMBERED_NONE;
    if (entry == REMEMBERED_NONE) {
        free(job);
        ++symbols->turned_away;
        return SYMBOLS_NO_SYMBOLS;
    }
    symbols->remembered.entries[entry].state = REMEMBERED_PENDING;
    *job = (struct job){.symbols = symbols, .entry = entry, .pdb = *pdb};
    memcpy(job->symbol, symbol, strlen(symbol) + 1);
    *symbols->last = job;
    symbols->last = &job->next;
    ++symbols->waiting;
    start_waiting(symbols);
    return SYMBOLS_PENDING;
}

static const char *bare(const char *symbol)
{
    return strncmp(symbol, "nt!", 3) == 0 ? symbol + 3 : symbol;
}

enum symbols_answer symbols_find(struct symbols *symbols, const struct kdnet_pdb *pdb, const char *symbol,
                                 uint32_t *rva, enum kdnet_source *source)
{
    struct remembered *remembered = &symbols->remembered;
    symbol = bare(symbol);
    uint32_t name = remembered_name(remembered, symbol);
    if (name == REMEMBERED_NONE || symbols->closing)
        return SYMBOLS_NO_SYMBOLS;
    struct remembered_key proved = remembered_key(remembered, pdb, name, true);
    struct remembered_key asked = remembered_key(remembered, pdb, name, false);
    uint32_t at = remembered_find(remembered, &proved);
    if (at == REMEMBERED_NONE)
        at = remembered_find(remembered, &asked);
    const struct remembered_entry *entry = at != REMEMBERED_NONE ? &remembered->entries[at] : NULL;
    if (entry && entry->state == REMEMBERED_FOUND) {
        *rva = entry->rva;
        *source = (enum kdnet_source)entry->source;
        return SYMBOLS_FOUND;
    }
    if (entry && entry->state == REMEMBERED_ABSENT)
        return SYMBOLS_ABSENT;
    if (entry && entry->state == REMEMBERED_PENDING)
        return SYMBOLS_PENDING;
    if (symbols->path.count == 0 || (entry && entry->expires_s > now_s(symbols)))
        return SYMBOLS_NO_SYMBOLS;
    return start_job(symbols, pdb, symbol, &asked);
}

/* -------------------------------------------------------------------------------------------------- telling */

static bool same_key(const struct remembered_key *a, const struct remembered_key *b)
{
    return a->symbol == b->symbol && a->file == b->file && a->age == b->age &&
           memcmp(a->guid, b->guid, sizeof a->guid) == 0;
}

static const char *explanation_of(struct symbols *symbols, const struct kdnet_pdb *pdb, uint32_t name)
{
    struct remembered_key asked = remembered_key(&symbols->remembered, pdb, name, false);
    for (uint32_t i = 0; symbols->explanations && i < SYMBOLS_EXPLAINED; ++i) {
        uint32_t newest_first = (symbols->next_explanation - 1 - i) % SYMBOLS_EXPLAINED;
        const struct explanation *slot = &symbols->explanations[newest_first];
        if (slot->known && same_key(&slot->key, &asked))
            return slot->text;
    }
    struct remembered_key proved = remembered_key(&symbols->remembered, pdb, name, true);
    uint32_t at = remembered_find(&symbols->remembered, &proved);
    if (at != REMEMBERED_NONE)
        return "remembered from an earlier look-up";
    at = remembered_find(&symbols->remembered, &asked);
    if (at != REMEMBERED_NONE && symbols->remembered.entries[at].state == REMEMBERED_PENDING)
        return "a look-up is under way";
    return symbols->path.count == 0 ? "no places for symbols are configured" : "not looked up yet";
}

void symbols_explain(struct symbols *symbols, const struct kdnet_pdb *pdb, const char *symbol, char *out, size_t size)
{
    uint32_t name = remembered_name(&symbols->remembered, bare(symbol));
    if (size > 0)
        (void)snprintf(out, size, "%s",
                       name == REMEMBERED_NONE ? "no symbol has such a name" : explanation_of(symbols, pdb, name));
}

void symbols_stats(const struct symbols *symbols, struct symbols_stats *out)
{
    size_t remembered = 0;
    for (uint32_t i = 0; i < symbols->remembered.count; ++i)
        remembered += symbols->remembered.entries[i].state > REMEMBERED_PENDING;
    *out = (struct symbols_stats){
        .remembered = remembered,
        .waiting = symbols->waiting,
        .running = symbols->running,
        .lookups = symbols->lookups,
        .turned_away = symbols->turned_away,
        .cache_ignored = symbols->cache_ignored,
        .cache_error = symbols->writing ? 0 : symbols->cache_error,
    };
}

/* ----------------------------------------------------------------------------------------- begin and finish */

static uint64_t make_seed(const struct symbols *symbols)
{
    uint64_t seed = 0;
    if (uv_random(NULL, NULL, &seed, sizeof seed, 0, NULL) != 0)
        seed = uv_hrtime() ^ (uint64_t)(uintptr_t)symbols;
    return seed;
}

int symbols_open(struct symbols **out, uv_loop_t *loop, struct symbol_path *path, const struct symbols_options *options)
{
    struct symbols *symbols = calloc(1, sizeof *symbols);
    if (symbols && options->cache_file)
        symbols->cache_file = strdup(options->cache_file);
    if (!symbols || (options->cache_file && !symbols->cache_file) || uv_timer_init(loop, &symbols->timer) != 0) {
        symbol_path_clear(path);
        if (symbols)
            free(symbols->cache_file);
        free(symbols);
        return UV_ENOMEM;
    }
    symbols->loop = loop;
    symbols->path = *path;
    symbol_path_init(path);
    symbols->options = *options;
    symbols->options.cache_file = NULL; /* the caller's */
    symbols->last = &symbols->first;
    symbols->timer.data = symbols;
    remembered_init(&symbols->remembered, options->capacity != 0 ? options->capacity : SYMBOLS_CAPACITY,
                    make_seed(symbols));
    if (symbols->cache_file)
        symbols->cache_error = cache_read(symbols->cache_file, &symbols->remembered, &symbols->cache_ignored);
    *out = symbols;
    return 0;
}

void symbols_close(struct symbols *symbols)
{
    if (!symbols)
        return;
    symbols->closing = true;
    while (symbols->first) {
        struct job *job = symbols->first;
        symbols->first = job->next;
        free(job);
    }
    symbols->waiting = 0;
    symbols->last = &symbols->first;
    symbol_path_stop(&symbols->path);
    (void)uv_timer_stop(&symbols->timer);
    go_on_closing(symbols);
}
