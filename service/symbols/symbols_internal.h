/* SPDX-License-Identifier: Apache-2.0 */
/*
 * symbols_internal: shared by the files of symbols. symbols.c has questions and answers, explain.c the explanations,
 * cache_file.c the cache file, jobs.c the look-ups (which source is asked when), attempts.c the questions to one
 * source.
 */
#ifndef SERVICE_SYMBOLS_SYMBOLS_INTERNAL_H
#define SERVICE_SYMBOLS_SYMBOLS_INTERNAL_H

#include "service/symbols/cache.h"
#include "service/symbols/symbols.h"
#include "service/symbols/task.h"

#include <stdatomic.h>

/* Places and their users: a given-up attempt may outlive a reload. */
struct places {
    atomic_uint users;
    struct symbol_path path;
    unsigned local[SYMBOL_SOURCES_MAX], remote[SYMBOL_SOURCES_MAX]; /* attempts under way; the loop's alone */
};

/* A question to one source: the names of a job, or whether the source can be used. */
struct attempt {
    struct task task;
    struct symbols *symbols; /* not to be used by the attempt's thread */
    struct job *job;         /* NULL: nobody waits any more, or `prepare` */
    struct places *places;
    struct attempt *next, *next_hung;
    size_t source;
    bool remote, prepare, usable;
    uint64_t since_ms;
    struct kdnet_pdb wanted;
    struct symbol_result result;
    struct symbol_extra extras[SYMBOL_NAMES_MAX - 1];
    char reason[SYMBOL_REASON_SIZE];
    const char *first; /* of `names` */
    char names[];
};

/* A look-up of some names of one image. */
struct job {
    struct kdnet_pdb pdb, wanted; /* as the machine states it, and as it is searched for */
    size_t count;
    uint32_t slot; /* in `jobs` */
    uint32_t entries[SYMBOL_NAMES_MAX];
    const char *names[SYMBOL_NAMES_MAX]; /* of `remembered`, which keeps them */
    struct symbol_extra extras[SYMBOL_NAMES_MAX - 1];
    struct symbol_result result;
    uint64_t machine; /* first asker */
    uint64_t turn;    /* fair: machines take turns */
    bool waited_for;  /* a halted machine waits for the job */
    bool shared;      /* several machines asked */
    bool known;       /* all names have an answer of an earlier process, to be checked against this computer's files */
    bool begun;
    bool corrected;                     /* an answer of an earlier life was wrong */
    struct places *places;              /* set while the job runs */
    uint64_t local_asked, remote_asked; /* a bit for each source */
    size_t under_way;                   /* attempts */
    struct job *next;                   /* next of the ended jobs */
};

struct explanation {
    struct remembered_key key;
    bool known;
    char text[SYMBOL_TRAIL_SIZE];
};

struct cache_task;
struct names;

struct symbols {
    uv_mutex_t lock; /* protects everything that questions use: answers, jobs, explanations, counts */
    uv_async_t wake; /* jobs are new, or waited for */
    uv_loop_t *loop;
    struct symbols_options options;
    struct places *places;
    struct remembered remembered;
    struct job *jobs[SYMBOLS_WAITING_MAX];
    size_t job_count;
    struct job *over; /* to be told */
    uint64_t turn;    /* turn of the job that was begun last */
    bool news;        /* pending answers have changed without a look-up */
    bool opening, closing, write_due;
    uint64_t lookups, turned_away;
    struct names *names; /* NULL: nobody has asked for any */
    struct explanation *explanations;
    uint32_t next_explanation;

    struct tasks *tasks; /* the loop's, as all below */
    struct attempt *attempts;
    uv_timer_t patience;
    uv_timer_t timer; /* of the cache file */
    char *cache_file; /* NULL: none */
    struct cache_lock cache_lock;
    size_t cache_ignored, cache_damaged;
    int cache_error;
    struct cache_task *cache_task; /* under way */
    bool dirty, cache_hangs;
};

/* --- jobs.c; with the lock held, on the loop --- */

/* Starts what can be started; examines all jobs. */
void jobs_schedule(struct symbols *symbols);

/* Restarts running jobs after the places were replaced. */
void jobs_restart(struct symbols *symbols);

/* Asks each source whether it can be used. */
void jobs_prepare(struct symbols *symbols);

/* --- jobs.c; with the lock held, any thread --- */

/* Makes a job for one image; NULL: too many wait. */
struct job *jobs_new(struct symbols *symbols, const struct kdnet_pdb *pdb, uint64_t machine);
void jobs_free(struct symbols *symbols, struct job *job);

/* Ends a job silently; its attempts run on without an owner. On the loop. */
void jobs_forget(struct symbols *symbols, struct job *job);

/* Describes a running job for people; false: nothing worth saying. */
bool jobs_say(const struct symbols *symbols, const struct job *job, char *out, size_t size);
/* Returns the server that a job's file is being fetched from; NULL: none. */
const char *jobs_server(const struct symbols *symbols, const struct job *job);

/* --- attempts.c --- */

struct places *places_new(struct symbol_path *path);
void places_leave(struct places *places);

/* Returns the name of a source in logs and explanations: its folder's, or its server's. */
const char *places_label(const struct places *places, size_t source, bool remote);

/* Whether a given-up attempt in that source has not returned. Process-wide: a reload must not ask a hanging folder
 * again. */
bool attempt_hangs(const char *label);

/* Asks one source for the names of `job`; without a job: whether it can be used. False: no thread, or out of memory.
 * Needs the lock, on the loop. */
bool attempt_start(struct symbols *symbols, struct job *job, size_t source, bool remote);

/* --- cache_file.c; on the loop --- */

#define CLOSE_LIMIT_MS 3000U /* time for fetches to end, and for the last write */

/* Reads or writes the file on a thread. False: no memory, or no thread. */
bool cache_file_start(struct symbols *symbols, bool writes);

/* Writes the cache file after a delay; now. */
void cache_file_plan_write(struct symbols *symbols);
void cache_file_write(struct symbols *symbols);

/* --- names.c; with the lock held, on the loop --- */

/* Starts to look up wanted names, unless a look-up is running. */
void names_schedule(struct symbols *symbols);

/* Whether some are. */
bool names_are_asked(const struct symbols *symbols);

/* Forgets "no name" answers, which were about the previous places. */
void names_forget(struct symbols *symbols);

/* --- explain.c; with the lock held --- */

/* Keeps an ended job's trail. */
void explain_keep(struct symbols *symbols, const struct job *job);

/* --- symbols.c --- */

/* A symbol's name without "nt!". */
const char *symbols_bare(const char *symbol);

/* Remembers a job's findings. Needs the lock. */
enum symbols_answer symbols_remember(struct symbols *symbols, struct job *job);

/* Reports ended jobs and frees them. Without the lock. */
void symbols_tell(struct symbols *symbols);

/* Whether all is over: goes on closing. */
void symbols_go_on_closing(struct symbols *symbols);

#endif
