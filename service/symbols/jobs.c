/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Schedules look-ups. Folders come first, each on threads of its own; a folder that does not answer soon is not waited
 * for, and a folder with a given-up look-up is not asked until that look-up returns. Servers come after, one file and
 * one machine at a time, so that neither a slow server nor a machine that invents kernels takes all threads. Halted
 * machines come first, then the others; machines take turns.
 */
#include "service/symbols/symbols_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOCAL_AT_ONCE  2U
#define REMOTE_AT_ONCE 4U   /* fetches from one server */
#define PATIENCE_MS    250U /* a machine waits two seconds in all */

/* --- jobs --------------------------------------------------------------------------------------------------------- */

static bool same_image(const struct kdnet_pdb *a, const struct kdnet_pdb *b)
{
    return a->age == b->age && memcmp(a->guid, b->guid, sizeof a->guid) == 0 && strcmp(a->name, b->name) == 0;
}

/* Whether an equal folder precedes this one and was asked. */
static bool is_repeated(const struct places *places, size_t source)
{
    for (size_t i = 0; i < source; ++i)
        if (strcmp(places_label(places, i, false), places_label(places, source, false)) == 0)
            return true;
    return false;
}

enum step {
    STEP_STARTED, /* asked, on a thread */
    STEP_PASSED,  /* not asked at all, and the trail says why */
    STEP_BUSY,    /* others are there, and get on */
    STEP_STUCK,   /* others are there, and seem to hang */
};

static uint64_t patience_of(const struct symbols *symbols)
{
    return symbols->options.patience_ms ? symbols->options.patience_ms : PATIENCE_MS;
}

static bool is_old(const struct symbols *symbols, const struct attempt *attempt)
{
    return uv_now(symbols->loop) - attempt->since_ms >= patience_of(symbols);
}

/* Whether all attempts in a folder take longer than a folder should. */
static bool is_stuck(const struct symbols *symbols, const struct places *places, size_t source)
{
    for (const struct attempt *attempt = symbols->attempts; attempt; attempt = attempt->next)
        if (attempt->places == places && attempt->source == source && !attempt->remote && !is_old(symbols, attempt))
            return false;
    return true;
}

static enum step ask_local(struct symbols *symbols, struct job *job, size_t source)
{
    const char *label = places_label(job->places, source, false);
    bool repeated = is_repeated(job->places, source), hung_before = !repeated && attempt_hangs(label);
    if (!repeated && !hung_before && job->places->local[source] >= LOCAL_AT_ONCE)
        return is_stuck(symbols, job->places, source) ? STEP_STUCK : STEP_BUSY;
    job->local_asked |= UINT64_C(1) << source;
    if (!repeated && !hung_before && attempt_start(symbols, job, source, false))
        return STEP_STARTED;
    if (!repeated)
        symbol_trail_add(&job->result.trail, label,
                         hung_before ? "not asked: an earlier look-up hangs in it"
                                     : "not asked: too many look-ups hang, or no memory");
    return STEP_PASSED;
}

/* False: a fetch of this image, or another for the same machine, from that server is in progress. */
static bool is_its_turn(const struct symbols *symbols, const struct job *job, size_t source)
{
    for (const struct attempt *other = symbols->attempts; other; other = other->next) {
        if (!other->remote || other->source != source || other->places != job->places || !other->job)
            continue;
        bool same_machine = !job->shared && !other->job->shared && job->machine != 0 &&
                            other->job->machine == job->machine;
        if (same_machine || same_image(&other->wanted, &job->wanted))
            return false;
    }
    return true;
}

static enum step ask_remote(struct symbols *symbols, struct job *job, size_t source)
{
    const char *label = places_label(job->places, source, true);
    bool hung_before = attempt_hangs(label);
    if (!hung_before && (job->places->remote[source] >= REMOTE_AT_ONCE || !is_its_turn(symbols, job, source)))
        return STEP_BUSY;
    if (!hung_before && attempt_start(symbols, job, source, true)) {
        job->remote_asked |= UINT64_C(1) << source;
        return STEP_STARTED;
    }
    if (!hung_before && symbols->attempts)
        return STEP_BUSY; /* a thread becomes free */
    job->remote_asked |= UINT64_C(1) << source;
    symbol_trail_add(&job->result.trail, label,
                     hung_before ? "not asked: an earlier look-up hangs in it"
                                 : "not asked: too many look-ups hang, or no memory");
    return STEP_PASSED;
}

/* --- the order of jobs -------------------------------------------------------------------------------------------- */

/* Attempts of a job whose answer nobody waits for any more. */
static void detach(struct symbols *symbols, struct job *job)
{
    for (struct attempt *attempt = symbols->attempts; attempt; attempt = attempt->next)
        if (attempt->job == job)
            attempt->job = NULL;
    job->under_way = 0;
}

static void end_job(struct symbols *symbols, struct job *job)
{
    detach(symbols, job);
    symbols->jobs[job->slot] = NULL;
    --symbols->job_count;
    job->next = symbols->over;
    symbols->over = job;
}

void jobs_forget(struct symbols *symbols, struct job *job)
{
    detach(symbols, job);
    jobs_free(symbols, job);
}

static void begin_job(struct symbols *symbols, struct job *job)
{
    job->begun = true;
    job->places = symbols->places;
    job->local_asked = job->remote_asked = 0;
    job->result.extras = job->extras;
    job->result.extra_count = job->count - 1;
    symbol_result_init(&job->result);
    atomic_fetch_add(&job->places->users, 1);
    if (symbols->turn < job->turn)
        symbols->turn = job->turn;
    if (!symbol_path_wanted(&job->pdb, &job->wanted)) {
        symbol_trail_add(&job->result.trail, "symbols", "the image names a PDB that is not a file's name");
        job->local_asked = job->remote_asked = UINT64_MAX;
    } else if (job->places->path.count == 0) {
        symbol_trail_add(&job->result.trail, "symbols", "none are configured");
    }
}

/* The state of a job's own attempts. */
struct own {
    bool young; /* asked in a folder that may still answer soon */
    bool remote;
};

static struct own own_attempts(const struct symbols *symbols, const struct job *job)
{
    struct own own = {false, false};
    for (const struct attempt *attempt = symbols->attempts; attempt; attempt = attempt->next) {
        if (attempt->job != job)
            continue;
        own.remote |= attempt->remote;
        own.young |= !attempt->remote && !is_old(symbols, attempt);
    }
    return own;
}

/* Asks the folders that were not asked yet. Returns whether the servers' turn has come; `stuck`: some folders are
 * skipped for now. */
static bool ask_folders(struct symbols *symbols, struct job *job, bool *stuck)
{
    for (size_t i = 0; i < job->places->path.count; ++i) {
        if (job->local_asked >> i & 1)
            continue;
        enum step step = ask_local(symbols, job, i);
        if (step == STEP_STARTED || step == STEP_BUSY)
            return false;
        *stuck |= step == STEP_STUCK;
    }
    return true;
}

/* Asks the next server. Returns whether there is none left. */
static bool ask_servers(struct symbols *symbols, struct job *job)
{
    const struct symbol_path *path = &job->places->path;
    for (size_t i = 0; i < path->count; ++i) {
        if (!path->sources[i].fetch || (job->remote_asked >> i & 1))
            continue;
        if (ask_remote(symbols, job, i) != STEP_PASSED)
            return false;
    }
    return true;
}

/* Asks on until something has to be waited for. Folders are asked even after an absence, servers are not. */
static void advance(struct symbols *symbols, struct job *job)
{
    bool stuck = false;
    if (!job->begun)
        begin_job(symbols, job);
    struct own own = own_attempts(symbols, job);
    if (job->result.answer != SYMBOL_FOUND) {
        if (own.young || !ask_folders(symbols, job, &stuck))
            return;
        bool servers = job->result.answer == SYMBOL_NONE && !job->known;
        if (servers && (own.remote || !ask_servers(symbols, job)))
            return;
        if ((job->under_way > 0 || stuck) && !job->known)
            return;
    }
    end_job(symbols, job);
}

static int compare(const void *left, const void *right)
{
    const struct job *a = *(struct job *const *)left, *b = *(struct job *const *)right;
    if (a->waited_for != b->waited_for)
        return a->waited_for ? -1 : 1;
    return a->turn != b->turn ? (a->turn < b->turn ? -1 : 1) : (a->slot > b->slot) - (a->slot < b->slot);
}

static void on_patience(uv_timer_t *timer)
{
    struct symbols *symbols = timer->data;
    uv_mutex_lock(&symbols->lock);
    jobs_schedule(symbols);
    uv_mutex_unlock(&symbols->lock);
    symbols_tell(symbols);
}

/* While a folder is being asked, somebody may lose patience. */
static void arm_patience(struct symbols *symbols)
{
    bool needed = false;
    for (const struct attempt *attempt = symbols->attempts; attempt; attempt = attempt->next)
        needed |= !attempt->remote && attempt->job && !is_old(symbols, attempt);
    if (needed && !uv_is_active((uv_handle_t *)&symbols->patience))
        (void)uv_timer_start(&symbols->patience, on_patience, patience_of(symbols), 0);
}

void jobs_prepare(struct symbols *symbols)
{
    for (size_t i = 0; symbols->places && i < symbols->places->path.count; ++i)
        if (!symbol_path_makes(&symbols->places->path, i) && !attempt_hangs(places_label(symbols->places, i, false)))
            (void)attempt_start(symbols, NULL, i, false);
}

void jobs_schedule(struct symbols *symbols)
{
    struct job *order[SYMBOLS_WAITING_MAX];
    size_t count = 0;
    if (symbols->opening || symbols->closing || !symbols->places)
        return;
    uv_update_time(symbols->loop);
    for (size_t i = 0; i < SYMBOLS_WAITING_MAX && count < symbols->job_count; ++i)
        if (symbols->jobs[i])
            order[count++] = symbols->jobs[i];
    qsort(order, count, sizeof(struct job *), compare);
    for (size_t i = 0; i < count; ++i)
        advance(symbols, order[i]);
    arm_patience(symbols);
}

void jobs_restart(struct symbols *symbols)
{
    for (size_t i = 0; i < SYMBOLS_WAITING_MAX; ++i) {
        struct job *job = symbols->jobs[i];
        if (!job || !job->begun)
            continue;
        detach(symbols, job);
        places_leave(job->places);
        job->places = NULL;
        job->begun = false;
    }
}

/* --- jobs, of any thread ------------------------------------------------------------------------------------------ */

/* Returns a machine's turn: behind its earlier jobs, and behind the jobs in progress. */
static uint64_t turn_of(const struct symbols *symbols, uint64_t machine)
{
    uint64_t turn = symbols->turn;
    for (size_t i = 0; i < SYMBOLS_WAITING_MAX; ++i) {
        const struct job *job = symbols->jobs[i];
        if (job && job->machine == machine && job->turn >= turn)
            turn = job->turn + 1;
    }
    return turn;
}

/* Returns the last job that has not begun; NULL: none behind `turn`. */
static struct job *last_job(const struct symbols *symbols, uint64_t turn)
{
    struct job *last = NULL;
    for (size_t i = 0; i < SYMBOLS_WAITING_MAX; ++i) {
        struct job *job = symbols->jobs[i];
        if (job && !job->begun && job->turn > turn && (!last || compare(&job, &last) > 0))
            last = job;
    }
    return last;
}

/* Drops a job; its askers are told to ask again. */
static void turn_away(struct symbols *symbols, struct job *job)
{
    for (size_t i = 0; i < job->count; ++i)
        remembered_remove(&symbols->remembered, job->entries[i]);
    jobs_free(symbols, job);
    symbols->news = true;
    ++symbols->turned_away;
}

struct job *jobs_new(struct symbols *symbols, const struct kdnet_pdb *pdb, uint64_t machine)
{
    uint64_t turn = turn_of(symbols, machine);
    struct job *last = symbols->job_count == SYMBOLS_WAITING_MAX ? last_job(symbols, turn) : NULL;
    if (last)
        turn_away(symbols, last);
    struct job *job = symbols->job_count < SYMBOLS_WAITING_MAX ? malloc(sizeof *job) : NULL;
    if (!job) {
        ++symbols->turned_away;
        return NULL;
    }
    *job = (struct job){.pdb = *pdb, .machine = machine, .turn = turn, .known = true};
    while (symbols->jobs[job->slot])
        ++job->slot;
    symbols->jobs[job->slot] = job;
    ++symbols->job_count;
    return job;
}

void jobs_free(struct symbols *symbols, struct job *job)
{
    if (symbols->jobs[job->slot] == job) {
        symbols->jobs[job->slot] = NULL;
        --symbols->job_count;
    }
    places_leave(job->places);
    free(job);
}

static const struct attempt *fetch_of(const struct symbols *symbols, const struct job *job)
{
    for (const struct attempt *attempt = symbols->attempts; attempt; attempt = attempt->next)
        if (attempt->remote && attempt->places == job->places && attempt->job &&
            same_image(&attempt->wanted, &job->wanted))
            return attempt;
    return NULL;
}

/* Returns the first server that was not asked, when its turn has come; NULL: none. */
static const char *next_server(const struct job *job)
{
    const struct symbol_path *path = &job->places->path;
    for (size_t i = 0; i < path->count; ++i)
        if (!(job->local_asked >> i & 1))
            return NULL;
    for (size_t i = 0; i < path->count; ++i)
        if (path->sources[i].fetch && !(job->remote_asked >> i & 1))
            return path->sources[i].label;
    return NULL;
}

const char *jobs_server(const struct symbols *symbols, const struct job *job)
{
    if (!job->begun || job->known || job->result.answer != SYMBOL_NONE)
        return NULL;
    const struct attempt *fetch = fetch_of(symbols, job);
    if (fetch)
        return places_label(fetch->places, fetch->source, true);
    return job->under_way == 0 ? next_server(job) : NULL;
}

bool jobs_say(const struct symbols *symbols, const struct job *job, char *out, size_t size)
{
    const char *server = jobs_server(symbols, job);
    if (!server)
        return false;
    const char *before = job->result.trail.length > 0 ? "; " : "";
    (void)snprintf(out, size, "symbols are being fetched from %s%s%s", server, before, job->result.trail.text);
    return true;
}
