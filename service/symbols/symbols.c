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
    struct kdnet_pdb pdb;
    size_t count;
    uint32_t entries[SYMBOL_NAMES_MAX];
    const char *names[SYMBOL_NAMES_MAX]; /* of `remembered`, which keeps them */
    struct symbol_extra extras[SYMBOL_NAMES_MAX - 1];
    struct symbol_result result;
};

struct explanation {
    struct remembered_key key;
    bool known;
    char text[SYMBOL_TRAIL_SIZE];
};

struct symbols {
    uv_mutex_t lock; /* of all below that questions touch: what is remembered, what waits, explanations, counts */
    uv_async_t wake; /* look-ups wait to be started */
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

/* Any thread may ask; a loop's own time is that loop's alone. */
static uint32_t now_s(void)
{
    return (uint32_t)(uv_hrtime() / 1000000000);
}

/* ---------------------------------------------------------------------------------------------- end of life */

static void free_symbols(struct symbols *symbols)
{
    symbol_path_clear(&symbols->path);
    remembered_clear(&symbols->remembered);
    cache_image_clear(&symbols->image);
    free(symbols->explanations);
    free(symbols->cache_file);
    uv_mutex_destroy(&symbols->lock);
    free(symbols);
}

static void start_write(struct symbols *symbols);

static void on_timer_closed(uv_handle_t *handle)
{
    free_symbols(handle->data);
}

static void on_wake_closed(uv_handle_t *handle)
{
    struct symbols *symbols = handle->data;
    uv_close((uv_handle_t *)&symbols->timer, on_timer_closed);
}

/* Ends when nothing of ours is on a thread; what is new goes to the cache file first. */
static void go_on_closing(struct symbols *symbols)
{
    if (!symbols->closing || symbols->running > 0 || symbols->writing)
        return;
    if (symbols->dirty)
        start_write(symbols);
    if (!symbols->writing && !uv_is_closing((uv_handle_t *)&symbols->wake))
        uv_close((uv_handle_t *)&symbols->wake, on_wake_closed);
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
    uv_mutex_lock(&symbols->lock);
    bool taken = cache_image_take(&symbols->image, &symbols->remembered);
    uv_mutex_unlock(&symbols->lock);
    if (!taken) {
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
    symbol_path_find(&job->symbols->path, &job->pdb, job->names[0], &job->result);
}

static void keep_explanation(struct symbols *symbols, const struct job *job)
{
    if (!symbols->explanations)
        symbols->explanations = calloc(SYMBOLS_EXPLAINED, sizeof *symbols->explanations);
    if (!symbols->explanations)
        return;
    uint32_t symbol = remembered_name(&symbols->remembered, job->names[0]);
    struct remembered_key key = remembered_key(&symbols->remembered, &job->pdb, symbol, false);
    struct explanation *slot = &symbols->explanations[symbols->next_explanation++ % SYMBOLS_EXPLAINED];
    slot->key = key;
    slot->known = true;
    memcpy(slot->text, job->result.trail.text, sizeof slot->text);
}

/* What a file proved holds whatever the machine calls the PDB; that there is none holds for that name, for a while. */
static enum symbols_answer remember(struct symbols *symbols, const struct job *job, uint32_t at,
                                    const struct symbol_extra *said)
{
    struct remembered *remembered = &symbols->remembered;
    struct remembered_entry *entry = &remembered->entries[at];
    if (said->answer == SYMBOL_NONE) {
        uint32_t retry = symbols->options.retry_s != 0 ? symbols->options.retry_s : SYMBOLS_RETRY_S;
        entry->state = REMEMBERED_NO_SYMBOLS;
        entry->expires_s = now_s() + retry;
        return SYMBOLS_NO_SYMBOLS;
    }
    struct remembered_key key = remembered_key(remembered, &job->pdb, entry->key.symbol, true);
    remembered_remove(remembered, at);
    uint32_t proved = remembered_insert(remembered, &key); /* cannot fail: an entry has just become free */
    entry = &remembered->entries[proved];
    entry->state = said->answer == SYMBOL_FOUND ? REMEMBERED_FOUND : REMEMBERED_ABSENT;
    entry->source = (uint8_t)said->source;
    entry->rva = said->rva;
    plan_write(symbols);
    return said->answer == SYMBOL_FOUND ? SYMBOLS_FOUND : SYMBOLS_ABSENT;
}

static enum symbols_answer remember_all(struct symbols *symbols, const struct job *job)
{
    const struct symbol_extra first = {
        .answer = job->result.answer, .rva = job->result.rva, .source = job->result.source};
    ++symbols->lookups;
    keep_explanation(symbols, job);
    for (size_t i = 1; i < job->count; ++i)
        (void)remember(symbols, job, job->entries[i], &job->extras[i - 1]);
    return remember(symbols, job, job->entries[0], &first);
}

static void end_job(struct symbols *symbols, struct job *job)
{
    uv_mutex_lock(&symbols->lock);
    enum symbols_answer answer = remember_all(symbols, job);
    uv_mutex_unlock(&symbols->lock);
    if (symbols->options.ended && !symbols->closing)
        symbols->options.ended(symbols->options.user, &job->pdb, job->names[0], answer, job->result.trail.text);
    free(job);
}

static void on_job_done(uv_work_t *work, int status)
{
    struct job *job = work->data;
    struct symbols *symbols = job->symbols;
    (void)status; /* jobs are not cancelled */
    end_job(symbols, job);
    uv_mutex_lock(&symbols->lock);
    --symbols->running;
    uv_mutex_unlock(&symbols->lock);
    start_waiting(symbols);
    go_on_closing(symbols);
}

/* The job that waits longest, when a thread may take it; or NULL. */
static struct job *next_job(struct symbols *symbols)
{
    struct job *job = NULL;
    uv_mutex_lock(&symbols->lock);
    if (symbols->first && symbols->running < SYMBOLS_RUNNING_MAX) {
        job = symbols->first;
        symbols->first = job->next;
        if (!symbols->first)
            symbols->last = &symbols->first;
        --symbols->waiting;
        ++symbols->running;
    }
    uv_mutex_unlock(&symbols->lock);
    return job;
}

static void start_waiting(struct symbols *symbols)
{
    for (struct job *job; (job = next_job(symbols)) != NULL;) {
        job->work.data = job;
        if (uv_queue_work(symbols->loop, &job->work, run_job, on_job_done) != 0) /* only when run_job is NULL */
            abort();
    }
}

static void on_wake(uv_async_t *wake)
{
    start_waiting(wake->data);
}

/* Adds a name to a job; false: what is remembered has no room. */
static bool add_name(struct symbols *symbols, struct job *job, uint32_t name, const struct remembered_key *key)
{
    uint32_t entry = remembered_insert(&symbols->remembered, key);
    if (entry == REMEMBERED_NONE || job->count == SYMBOL_NAMES_MAX)
        return false;
    symbols->remembered.entries[entry].state = REMEMBERED_PENDING;
    job->entries[job->count] = entry;
    job->names[job->count++] = symbols->remembered.names[name];
    return true;
}

static struct job *new_job(struct symbols *symbols, const struct kdnet_pdb *pdb)
{
    struct job *job = symbols->waiting < SYMBOLS_WAITING_MAX ? malloc(sizeof *job) : NULL;
    if (job)
        *job = (struct job){.symbols = symbols, .pdb = *pdb};
    else
        ++symbols->turned_away;
    return job;
}

/* Puts a job behind those that wait; one without names is forgotten. */
static bool queue_job(struct symbols *symbols, struct job *job)
{
    if (!job || job->count == 0) {
        free(job);
        return false;
    }
    for (size_t i = 1; i < job->count; ++i)
        job->extras[i - 1].symbol = job->names[i];
    job->result.extras = job->extras;
    job->result.extra_count = job->count - 1;
    *symbols->last = job;
    symbols->last = &job->next;
    ++symbols->waiting;
    (void)uv_async_send(&symbols->wake);
    return true;
}

static const char *bare(const char *symbol)
{
    return strncmp(symbol, "nt!", 3) == 0 ? symbol + 3 : symbol;
}

/* What is known of a name without looking it up; *entry is its entry, NULL: none. False: it has to be looked up. */
static bool recall(struct symbols *symbols, const struct kdnet_pdb *pdb, uint32_t name, enum symbols_answer *answer,
                   const struct remembered_entry **entry)
{
    struct remembered *remembered = &symbols->remembered;
    struct remembered_key proved = remembered_key(remembered, pdb, name, true);
    struct remembered_key asked = remembered_key(remembered, pdb, name, false);
    uint32_t at = remembered_find(remembered, &proved);
    if (at == REMEMBERED_NONE)
        at = remembered_find(remembered, &asked);
    *entry = at != REMEMBERED_NONE ? &remembered->entries[at] : NULL;
    *answer = SYMBOLS_NO_SYMBOLS;
    if (*entry && (*entry)->state == REMEMBERED_FOUND)
        *answer = SYMBOLS_FOUND;
    else if (*entry && (*entry)->state == REMEMBERED_ABSENT)
        *answer = SYMBOLS_ABSENT;
    else if (*entry && (*entry)->state == REMEMBERED_PENDING)
        *answer = SYMBOLS_PENDING;
    else
        return symbols->path.count == 0 || (*entry && (*entry)->expires_s > now_s());
    return true;
}

/* With the lock held, as all that follows. */
static enum symbols_answer find(struct symbols *symbols, const struct kdnet_pdb *pdb, const char *symbol, uint32_t *rva,
                                enum kdnet_source *source)
{
    enum symbols_answer answer = SYMBOLS_NO_SYMBOLS;
    const struct remembered_entry *entry = NULL;
    uint32_t name = remembered_name(&symbols->remembered, bare(symbol));
    if (name == REMEMBERED_NONE || symbols->closing)
        return SYMBOLS_NO_SYMBOLS;
    if (recall(symbols, pdb, name, &answer, &entry)) {
        if (answer == SYMBOLS_FOUND) {
            *rva = entry->rva;
            *source = (enum kdnet_source)entry->source;
        }
        return answer;
    }
    struct job *job = new_job(symbols, pdb);
    struct remembered_key key = remembered_key(&symbols->remembered, pdb, name, false);
    if (job && !add_name(symbols, job, name, &key))
        ++symbols->turned_away;
    return queue_job(symbols, job) ? SYMBOLS_PENDING : SYMBOLS_NO_SYMBOLS;
}

enum symbols_answer symbols_find(struct symbols *symbols, const struct kdnet_pdb *pdb, const char *symbol,
                                 uint32_t *rva, enum kdnet_source *source)
{
    uv_mutex_lock(&symbols->lock);
    enum symbols_answer answer = find(symbols, pdb, symbol, rva, source);
    uv_mutex_unlock(&symbols->lock);
    return answer;
}

/* One job for all names that have to be looked up, or NULL. */
static struct job *job_of_unknown(struct symbols *symbols, const struct kdnet_pdb *pdb, const char *const *names,
                                  size_t count)
{
    struct job *job = NULL;
    for (size_t i = 0; i < count && !symbols->closing; ++i) {
        enum symbols_answer answer = SYMBOLS_NO_SYMBOLS;
        const struct remembered_entry *entry = NULL;
        uint32_t name = remembered_name(&symbols->remembered, bare(names[i]));
        if (name == REMEMBERED_NONE || recall(symbols, pdb, name, &answer, &entry))
            continue;
        if (!job)
            job = new_job(symbols, pdb);
        struct remembered_key key = remembered_key(&symbols->remembered, pdb, name, false);
        if (!job || !add_name(symbols, job, name, &key))
            break;
    }
    return job;
}

void symbols_want(struct symbols *symbols, const struct kdnet_pdb *pdb, const char *const *names, size_t count)
{
    uv_mutex_lock(&symbols->lock);
    (void)queue_job(symbols, job_of_unknown(symbols, pdb, names, count));
    uv_mutex_unlock(&symbols->lock);
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
    uv_mutex_lock(&symbols->lock);
    uint32_t name = remembered_name(&symbols->remembered, bare(symbol));
    if (size > 0)
        (void)snprintf(out, size, "%s",
                       name == REMEMBERED_NONE ? "no symbol has such a name" : explanation_of(symbols, pdb, name));
    uv_mutex_unlock(&symbols->lock);
}

void symbols_stats(struct symbols *symbols, struct symbols_stats *out)
{
    size_t remembered = 0;
    uv_mutex_lock(&symbols->lock);
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
    uv_mutex_unlock(&symbols->lock);
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
    bool good = symbols && (!options->cache_file || symbols->cache_file) && uv_mutex_init(&symbols->lock) == 0;
    if (good && uv_async_init(loop, &symbols->wake, on_wake) != 0) {
        uv_mutex_destroy(&symbols->lock);
        good = false;
    }
    if (!good) {
        symbol_path_clear(path);
        if (symbols)
            free(symbols->cache_file);
        free(symbols);
        return UV_ENOMEM;
    }
    (void)uv_timer_init(loop, &symbols->timer); /* cannot fail */
    symbols->loop = loop;
    symbols->path = *path;
    symbol_path_init(path);
    symbols->options = *options;
    symbols->options.cache_file = NULL; /* the caller's */
    symbols->last = &symbols->first;
    symbols->timer.data = symbols;
    symbols->wake.data = symbols;
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
    uv_mutex_lock(&symbols->lock);
    symbols->closing = true;
    while (symbols->first) {
        struct job *job = symbols->first;
        symbols->first = job->next;
        free(job);
    }
    symbols->waiting = 0;
    symbols->last = &symbols->first;
    uv_mutex_unlock(&symbols->lock);
    symbol_path_stop(&symbols->path);
    (void)uv_timer_stop(&symbols->timer);
    go_on_closing(symbols);
}
