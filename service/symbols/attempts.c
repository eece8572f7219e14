/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attempts: a question to one source, on a thread. An attempt that does not return in time is given up: its thread
 * stays, and the source is not asked until the thread returns.
 */
#include "service/symbols/server.h"
#include "service/symbols/symbols_internal.h"

#include <stdlib.h>
#include <string.h>

#define LOCAL_LIMIT_MS  10000U
#define MARGIN_MS       30000U /* added to the fetch's own time limit */
#define REMOTE_LIMIT_MS (SYMBOL_SERVER_TOTAL_TIMEOUT_MS + MARGIN_MS)

/* --- places ------------------------------------------------------------------------------------------------------- */

struct places *places_new(struct symbol_path *path)
{
    struct places *places = calloc(1, sizeof *places);
    if (!places)
        return NULL;
    atomic_store(&places->users, 1);
    places->path = *path;
    symbol_path_init(path);
    return places;
}

void places_leave(struct places *places)
{
    if (!places || atomic_fetch_sub(&places->users, 1) != 1)
        return;
    symbol_path_clear(&places->path);
    free(places);
}

/* --- given-up attempts, of the process: a reload must not ask a hanging folder again ------------------------------ */

static uv_once_t hung_once = UV_ONCE_INIT;
static uv_mutex_t hung_lock;
static struct attempt *hung;

static void make_hung_lock(void)
{
    if (uv_mutex_init(&hung_lock) != 0)
        abort();
}

const char *places_label(const struct places *places, size_t source, bool remote)
{
    const struct symbol_source *one = &places->path.sources[source];
    return remote ? one->label : symbol_source_folder(one);
}

bool attempt_hangs(const char *label)
{
    bool found = false;
    uv_once(&hung_once, make_hung_lock);
    uv_mutex_lock(&hung_lock);
    for (const struct attempt *attempt = hung; attempt && !found; attempt = attempt->next_hung)
        found = strcmp(places_label(attempt->places, attempt->source, attempt->remote), label) == 0;
    uv_mutex_unlock(&hung_lock);
    return found;
}

static void note_hung(struct attempt *attempt)
{
    uv_once(&hung_once, make_hung_lock);
    uv_mutex_lock(&hung_lock);
    attempt->next_hung = hung;
    hung = attempt;
    uv_mutex_unlock(&hung_lock);
}

static void free_attempt(struct attempt *attempt)
{
    places_leave(attempt->places);
    free(attempt);
}

/* A given-up attempt has returned. */
static void drop_attempt(struct task *task)
{
    struct attempt *attempt = (struct attempt *)task;
    uv_once(&hung_once, make_hung_lock);
    uv_mutex_lock(&hung_lock);
    struct attempt **at = &hung;
    while (*at && *at != attempt)
        at = &(*at)->next_hung;
    if (*at)
        *at = attempt->next_hung;
    uv_mutex_unlock(&hung_lock);
    free_attempt(attempt);
}

/* --- attempts ----------------------------------------------------------------------------------------------------- */

static void run_attempt(struct task *task)
{
    struct attempt *attempt = (struct attempt *)task;
    const struct symbol_path *path = &attempt->places->path;
    if (attempt->prepare)
        attempt->usable = symbol_path_prepare(path, attempt->source, attempt->reason);
    else
        symbol_path_ask(path, attempt->source, attempt->remote, &attempt->wanted, attempt->first, &attempt->result);
}

/* FOUND goes before ABSENT before NONE. */
static void merge(struct job *job, const struct attempt *attempt)
{
    const struct symbol_result *said = &attempt->result;
    if (said->answer < job->result.answer) {
        job->result.answer = said->answer;
        job->result.rva = said->rva;
        job->result.source = said->source;
    }
    for (size_t i = 0; i + 1 < job->count; ++i) {
        if (attempt->extras[i].answer >= job->extras[i].answer)
            continue;
        job->extras[i].answer = attempt->extras[i].answer;
        job->extras[i].rva = attempt->extras[i].rva;
        job->extras[i].source = attempt->extras[i].source;
    }
    symbol_trail_join(&job->result.trail, &said->trail);
}

static void tell_place(struct symbols *symbols, const struct attempt *attempt, bool in_time)
{
    const char *label = places_label(attempt->places, attempt->source, attempt->remote);
    if (!symbols->options.place || symbols->closing || attempt->places != symbols->places)
        return;
    if (!in_time)
        symbols->options.place(symbols->options.user, label, "it does not answer; it is not asked until it does");
    else if (attempt->prepare && !attempt->usable)
        symbols->options.place(symbols->options.user, attempt->places->path.sources[attempt->source].label,
                               attempt->reason);
}

/* Removes an attempt from the lists; nobody owns it then. */
static void leave_attempt(struct symbols *symbols, struct attempt *attempt)
{
    struct attempt **at = &symbols->attempts;
    while (*at != attempt)
        at = &(*at)->next;
    *at = attempt->next;
    --(attempt->remote ? attempt->places->remote : attempt->places->local)[attempt->source];
    if (attempt->job)
        --attempt->job->under_way;
}

static void on_attempt_done(struct task *task, bool in_time)
{
    struct attempt *attempt = (struct attempt *)task;
    struct symbols *symbols = attempt->symbols;
    struct job *job = attempt->job;
    if (!in_time)
        note_hung(attempt);
    uv_mutex_lock(&symbols->lock);
    leave_attempt(symbols, attempt);
    if (job && in_time)
        merge(job, attempt);
    else if (job)
        symbol_trail_add(&job->result.trail, places_label(attempt->places, attempt->source, attempt->remote),
                         "no answer in time; given up");
    jobs_schedule(symbols);
    uv_mutex_unlock(&symbols->lock);
    tell_place(symbols, attempt, in_time);
    if (in_time)
        free_attempt(attempt);
    symbols_tell(symbols);
    symbols_go_on_closing(symbols);
}

static struct attempt *new_attempt(struct symbols *symbols, const struct job *job, size_t source, bool remote)
{
    size_t length = 0;
    for (size_t i = 0; job && i < job->count; ++i)
        length += strlen(job->names[i]) + 1;
    struct attempt *attempt = malloc(sizeof *attempt + length);
    if (!attempt)
        return NULL;
    *attempt =
        (struct attempt){.symbols = symbols, .source = source, .remote = remote, .since_ms = uv_now(symbols->loop)};
    attempt->task.run = run_attempt;
    attempt->task.done = on_attempt_done;
    attempt->task.drop = drop_attempt;
    char *name = attempt->names;
    for (size_t i = 0; job && i < job->count; ++i) {
        size_t size = strlen(job->names[i]) + 1;
        memcpy(name, job->names[i], size);
        if (i > 0)
            attempt->extras[i - 1].symbol = name;
        name += size;
    }
    attempt->first = attempt->names;
    attempt->result.extras = attempt->extras;
    attempt->result.extra_count = job && job->count > 0 ? job->count - 1 : 0;
    symbol_result_init(&attempt->result);
    return attempt;
}

bool attempt_start(struct symbols *symbols, struct job *job, size_t source, bool remote)
{
    struct places *places = job ? job->places : symbols->places;
    struct attempt *attempt = new_attempt(symbols, job, source, remote);
    if (!attempt)
        return false;
    attempt->places = places;
    atomic_fetch_add(&places->users, 1);
    attempt->job = job;
    attempt->prepare = !job;
    if (job)
        attempt->wanted = job->wanted;
    attempt->next = symbols->attempts;
    symbols->attempts = attempt;
    ++(remote ? places->remote : places->local)[source];
    if (job)
        ++job->under_way;
    uint64_t limit = remote                            ? REMOTE_LIMIT_MS
                     : symbols->options.local_limit_ms ? symbols->options.local_limit_ms
                                                       : LOCAL_LIMIT_MS;
    if (task_start(symbols->tasks, &attempt->task, remote, limit))
        return true;
    leave_attempt(symbols, attempt);
    free_attempt(attempt);
    return false;
}
