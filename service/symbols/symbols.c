/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/symbols_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Any thread may ask; the loop's cached time is the loop's alone. */
static uint32_t now_s(void)
{
    return (uint32_t)(uv_hrtime() / 1000000000);
}

/* ---------------------------------------------------------------------------------------------- end of life */

static void free_symbols(void *user)
{
    struct symbols *symbols = user;
    while (symbols->over) {
        struct job *job = symbols->over;
        symbols->over = job->next;
        jobs_free(symbols, job);
    }
    places_leave(symbols->places);
    remembered_clear(&symbols->remembered);
    free(symbols->explanations);
    free(symbols->names);
    free(symbols->cache_file);
    uv_mutex_destroy(&symbols->lock);
    free(symbols);
}

static void on_patience_closed(uv_handle_t *handle)
{
    struct symbols *symbols = handle->data;
    tasks_close(symbols->tasks, free_symbols, symbols);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct symbols *symbols = handle->data;
    uv_close((uv_handle_t *)&symbols->patience, on_patience_closed);
}

static void on_wake_closed(uv_handle_t *handle)
{
    struct symbols *symbols = handle->data;
    uv_close((uv_handle_t *)&symbols->timer, on_timer_closed);
}

/* Frees everything once no thread works for us; new facts are written to the cache file first. */
void symbols_go_on_closing(struct symbols *symbols)
{
    if (!symbols->closing || symbols->attempts || symbols->cache_task || names_are_asked(symbols) ||
        uv_is_closing((uv_handle_t *)&symbols->wake))
        return;
    if (symbols->dirty)
        cache_file_write(symbols);
    if (symbols->cache_task)
        return;
    cache_unlock(&symbols->cache_lock);
    uv_close((uv_handle_t *)&symbols->wake, on_wake_closed);
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

/* Returns an unchecked answer of an earlier process; NULL: none. */
static struct remembered_entry *unchecked_entry(struct symbols *symbols, const struct kdnet_pdb *pdb, uint32_t symbol)
{
    struct remembered_key key = remembered_key(&symbols->remembered, pdb, symbol, true);
    uint32_t at = remembered_find(&symbols->remembered, &key);
    return at != REMEMBERED_NONE && symbols->remembered.entries[at].unchecked ? &symbols->remembered.entries[at] : NULL;
}

/* Remembers that no file has an answer: an earlier process's answer holds; else there are no symbols, for this name
 * of the PDB and for a while. */
static enum symbols_answer remember_none(struct symbols *symbols, const struct job *job, uint32_t at)
{
    struct remembered *remembered = &symbols->remembered;
    struct remembered_entry *before = unchecked_entry(symbols, &job->pdb, remembered->entries[at].key.symbol);
    if (before) {
        before->unchecked = false;
        remembered_remove(remembered, at);
        return before->state == REMEMBERED_FOUND ? SYMBOLS_FOUND : SYMBOLS_ABSENT;
    }
    uint32_t retry = symbols->options.retry_s != 0 ? symbols->options.retry_s : SYMBOLS_RETRY_S;
    remembered_none(remembered, at, now_s() + retry);
    return SYMBOLS_NO_SYMBOLS;
}

/* Remembers a fact that a file proved; it holds for any name of the PDB. */
static enum symbols_answer remember(struct symbols *symbols, struct job *job, size_t i, const struct symbol_extra *said)
{
    struct remembered *remembered = &symbols->remembered;
    uint32_t at = job->entries[i];
    if (said->answer == SYMBOL_NONE)
        return remember_none(symbols, job, at);
    struct remembered_key key = remembered_key(remembered, &job->pdb, remembered->entries[at].key.symbol, true);
    bool found = said->answer == SYMBOL_FOUND;
    uint8_t state = found ? REMEMBERED_FOUND : REMEMBERED_ABSENT;
    remembered_remove(remembered, at);
    uint32_t proved = remembered_insert(remembered, &key); /* cannot fail: an entry has just become free */
    struct remembered_entry *entry = &remembered->entries[proved];
    bool same = entry->unchecked && entry->state == state && (!found || entry->rva == said->rva);
    job->corrected |= entry->unchecked && !same;
    entry->state = state;
    entry->source = (uint8_t)said->source;
    entry->rva = said->rva;
    entry->unchecked = false;
    if (!same)
        symbols->write_due = true;
    return found ? SYMBOLS_FOUND : SYMBOLS_ABSENT;
}

enum symbols_answer symbols_remember(struct symbols *symbols, struct job *job)
{
    const struct symbol_extra first = {
        .answer = job->result.answer, .rva = job->result.rva, .source = job->result.source};
    ++symbols->lookups;
    explain_keep(symbols, job);
    for (size_t i = 1; i < job->count; ++i)
        (void)remember(symbols, job, i, &job->extras[i - 1]);
    return remember(symbols, job, 0, &first);
}

static void tell_job(struct symbols *symbols, const struct job *job, enum symbols_answer answer)
{
    const struct symbols_options *options = &symbols->options;
    if (symbols->closing)
        return;
    if (job->corrected && options->corrected)
        options->corrected(options->user, &job->pdb, job->names[0]);
    if (options->ended)
        options->ended(options->user, &job->pdb, job->names[0], answer, job->result.trail.text);
}

void symbols_tell(struct symbols *symbols)
{
    for (;;) {
        enum symbols_answer answer = SYMBOLS_NO_SYMBOLS;
        uv_mutex_lock(&symbols->lock);
        struct job *job = symbols->over;
        bool news = symbols->news, write_due;
        symbols->news = false;
        if (job) {
            symbols->over = job->next;
            answer = symbols_remember(symbols, job);
        }
        write_due = symbols->write_due;
        symbols->write_due = false;
        uv_mutex_unlock(&symbols->lock);
        if (write_due)
            cache_file_plan_write(symbols);
        if (news && symbols->options.news && !symbols->closing)
            symbols->options.news(symbols->options.user);
        if (!job)
            return;
        tell_job(symbols, job, answer);
        uv_mutex_lock(&symbols->lock);
        jobs_free(symbols, job);
        uv_mutex_unlock(&symbols->lock);
    }
}

static void on_wake(uv_async_t *wake)
{
    struct symbols *symbols = wake->data;
    uv_mutex_lock(&symbols->lock);
    jobs_schedule(symbols);
    names_schedule(symbols);
    uv_mutex_unlock(&symbols->lock);
    symbols_tell(symbols);
}

/* ------------------------------------------------------------------------------------------------ questions */

const char *symbols_bare(const char *symbol)
{
    return strncmp(symbol, "nt!", 3) == 0 ? symbol + 3 : symbol;
}

/* Adds a name to a job; false: no room for its answer. */
static bool add_name(struct symbols *symbols, struct job *job, uint32_t name, const struct remembered_key *key)
{
    uint32_t entry = job->count < SYMBOL_NAMES_MAX ? remembered_insert(&symbols->remembered, key) : REMEMBERED_NONE;
    if (entry == REMEMBERED_NONE)
        return false;
    remembered_pending(&symbols->remembered, entry, job->slot);
    job->known = job->known && unchecked_entry(symbols, &job->pdb, name) != NULL;
    job->entries[job->count] = entry;
    job->names[job->count++] = symbols->remembered.names[name];
    return true;
}

/* Queues a job; frees one without names. */
static bool queue_job(struct symbols *symbols, struct job *job, bool waited_for)
{
    if (!job)
        return false;
    if (job->count == 0) {
        jobs_free(symbols, job);
        return false;
    }
    for (size_t i = 1; i < job->count; ++i)
        job->extras[i - 1].symbol = job->names[i];
    job->waited_for = waited_for;
    (void)uv_async_send(&symbols->wake);
    return true;
}

/* Recalls a name's answer; *entry is its entry, NULL: none. False: the name has to be looked up. */
static bool recall(struct symbols *symbols, const struct kdnet_pdb *pdb, uint32_t name, enum symbols_answer *answer,
                   const struct remembered_entry **entry)
{
    struct remembered *remembered = &symbols->remembered;
    struct remembered_key proved = remembered_key(remembered, pdb, name, true);
    struct remembered_key asked = remembered_key(remembered, pdb, name, false);
    uint32_t at = remembered_find(remembered, &proved);
    if (at == REMEMBERED_NONE || remembered->entries[at].unchecked)
        at = remembered_find(remembered, &asked); /* to be checked, or under way */
    *entry = at != REMEMBERED_NONE ? &remembered->entries[at] : NULL;
    *answer = SYMBOLS_NO_SYMBOLS;
    if (*entry && (*entry)->state == REMEMBERED_FOUND)
        *answer = SYMBOLS_FOUND;
    else if (*entry && (*entry)->state == REMEMBERED_ABSENT)
        *answer = SYMBOLS_ABSENT;
    else if (*entry && (*entry)->state == REMEMBERED_PENDING)
        *answer = SYMBOLS_PENDING;
    else
        return *entry && (*entry)->expires_s > now_s();
    return true;
}

/* A machine waits for a look-up that was only announced, or asked for by another machine. */
static void wait_for(struct symbols *symbols, const struct remembered_entry *entry, uint64_t machine)
{
    struct job *job = entry->rva < SYMBOLS_WAITING_MAX ? symbols->jobs[entry->rva] : NULL;
    if (!job)
        return;
    bool news = !job->waited_for || (!job->shared && job->machine != machine);
    job->waited_for = true;
    job->shared |= job->machine != machine;
    if (news)
        (void)uv_async_send(&symbols->wake);
}

/* Needs the lock, as all functions below. */
static enum symbols_answer find(struct symbols *symbols, uint64_t machine, const struct kdnet_pdb *pdb,
                                const char *symbol, uint32_t *rva, enum kdnet_source *source)
{
    enum symbols_answer answer = SYMBOLS_NO_SYMBOLS;
    const struct remembered_entry *entry = NULL;
    uint32_t name = remembered_name(&symbols->remembered, symbols_bare(symbol));
    if (name == REMEMBERED_NONE || symbols->closing || !symbols->places) /* no memory was there for the places */
        return SYMBOLS_NO_SYMBOLS;
    if (symbols->opening)
        return SYMBOLS_PENDING;
    if (recall(symbols, pdb, name, &answer, &entry)) {
        if (answer == SYMBOLS_FOUND) {
            *rva = entry->rva;
            *source = (enum kdnet_source)entry->source;
        } else if (answer == SYMBOLS_PENDING) {
            wait_for(symbols, entry, machine);
        }
        return answer;
    }
    struct job *job = jobs_new(symbols, pdb, machine);
    struct remembered_key key = remembered_key(&symbols->remembered, pdb, name, false);
    if (job && !add_name(symbols, job, name, &key))
        ++symbols->turned_away;
    return queue_job(symbols, job, true) ? SYMBOLS_PENDING : SYMBOLS_NO_SYMBOLS;
}

enum symbols_answer symbols_find(struct symbols *symbols, uint64_t machine, const struct kdnet_pdb *pdb,
                                 const char *symbol, uint32_t *rva, enum kdnet_source *source)
{
    uv_mutex_lock(&symbols->lock);
    enum symbols_answer answer = find(symbols, machine, pdb, symbol, rva, source);
    uv_mutex_unlock(&symbols->lock);
    return answer;
}

/* Makes one job for all names that have to be looked up; NULL: none. */
static struct job *job_of_unknown(struct symbols *symbols, uint64_t machine, const struct kdnet_pdb *pdb,
                                  const char *const *names, size_t count)
{
    struct job *job = NULL;
    for (size_t i = 0; i < count && !symbols->closing && !symbols->opening && symbols->places; ++i) {
        enum symbols_answer answer = SYMBOLS_NO_SYMBOLS;
        const struct remembered_entry *entry = NULL;
        uint32_t name = remembered_name(&symbols->remembered, symbols_bare(names[i]));
        if (name == REMEMBERED_NONE || recall(symbols, pdb, name, &answer, &entry))
            continue;
        if (!job)
            job = jobs_new(symbols, pdb, machine);
        struct remembered_key key = remembered_key(&symbols->remembered, pdb, name, false);
        if (!job || !add_name(symbols, job, name, &key))
            break;
    }
    return job;
}

void symbols_want(struct symbols *symbols, uint64_t machine, const struct kdnet_pdb *pdb, const char *const *names,
                  size_t count)
{
    uv_mutex_lock(&symbols->lock);
    (void)queue_job(symbols, job_of_unknown(symbols, machine, pdb, names, count), false);
    uv_mutex_unlock(&symbols->lock);
}

void symbols_stats(struct symbols *symbols, struct symbols_stats *out)
{
    uv_mutex_lock(&symbols->lock);
    *out = (struct symbols_stats){.lookups = symbols->lookups,
                                  .turned_away = symbols->turned_away,
                                  .hung = tasks_hung(),
                                  .opening = symbols->opening,
                                  .cache_ignored = symbols->cache_ignored,
                                  .cache_damaged = symbols->cache_damaged,
                                  .cache_error = symbols->cache_error};
    for (uint32_t i = 0; i < symbols->remembered.count; ++i)
        out->remembered += symbols->remembered.entries[i].state != REMEMBERED_FREE;
    for (size_t i = 0; i < SYMBOLS_WAITING_MAX; ++i)
        if (symbols->jobs[i])
            ++*(symbols->jobs[i]->begun ? &out->running : &out->waiting);
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

/* Memory and handles; false: there are none. */
static bool make_parts(struct symbols *symbols, uv_loop_t *loop, const struct symbols_options *options)
{
    if (options->cache_file && !(symbols->cache_file = strdup(options->cache_file)))
        return false;
    symbols->tasks = tasks_new(loop);
    if (!symbols->tasks || uv_mutex_init(&symbols->lock) != 0)
        return false;
    if (uv_async_init(loop, &symbols->wake, on_wake) == 0)
        return true;
    uv_mutex_destroy(&symbols->lock);
    return false;
}

static void nothing_closed(void *user)
{
    (void)user;
}

int symbols_open(struct symbols **out, uv_loop_t *loop, const struct symbols_options *options)
{
    struct symbols *symbols = calloc(1, sizeof *symbols);
    if (!symbols || !make_parts(symbols, loop, options)) {
        if (symbols && symbols->tasks)
            tasks_close(symbols->tasks, nothing_closed, NULL);
        if (symbols)
            free(symbols->cache_file);
        free(symbols);
        return UV_ENOMEM;
    }
    (void)uv_timer_init(loop, &symbols->timer); /* cannot fail */
    (void)uv_timer_init(loop, &symbols->patience);
    symbols->loop = loop;
    symbols->options = *options;
    symbols->options.cache_file = NULL; /* the caller's */
    symbols->timer.data = symbols->wake.data = symbols->patience.data = symbols;
    symbols->cache_lock.descriptor = -1;
    remembered_init(&symbols->remembered, options->capacity != 0 ? options->capacity : SYMBOLS_CAPACITY,
                    make_seed(symbols));
    symbols->opening = symbols->cache_file && cache_file_start(symbols, false);
    *out = symbols;
    return 0;
}

/* Forgets "no symbols" answers, which were about the previous places. */
static void forget_none(struct symbols *symbols)
{
    struct remembered *remembered = &symbols->remembered;
    for (uint32_t i = 0; i < remembered->count; ++i)
        if (remembered->entries[i].state == REMEMBERED_NO_SYMBOLS)
            remembered_remove(remembered, i);
}

int symbols_set_places(struct symbols *symbols, struct symbol_path *path)
{
    struct places *places = places_new(path);
    if (!places) {
        symbol_path_clear(path);
        return UV_ENOMEM;
    }
    uv_mutex_lock(&symbols->lock);
    struct places *before = symbols->places;
    symbols->places = places;
    forget_none(symbols);
    names_forget(symbols);
    if (before)
        symbol_path_stop(&before->path);
    jobs_restart(symbols);
    jobs_prepare(symbols);
    jobs_schedule(symbols);
    uv_mutex_unlock(&symbols->lock);
    places_leave(before);
    symbols_tell(symbols);
    return 0;
}

static void on_close_limit(uv_timer_t *timer)
{
    struct symbols *symbols = timer->data;
    tasks_give_up(symbols->tasks);
}

void symbols_close(struct symbols *symbols)
{
    if (!symbols)
        return;
    uv_mutex_lock(&symbols->lock);
    symbols->closing = true;
    for (size_t i = 0; i < SYMBOLS_WAITING_MAX; ++i)
        if (symbols->jobs[i])
            jobs_forget(symbols, symbols->jobs[i]);
    if (symbols->places)
        symbol_path_stop(&symbols->places->path);
    uv_mutex_unlock(&symbols->lock);
    (void)uv_timer_stop(&symbols->patience);
    (void)uv_timer_start(&symbols->timer, on_close_limit, CLOSE_LIMIT_MS, 0);
    symbols_go_on_closing(symbols);
}
