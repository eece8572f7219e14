/* SPDX-License-Identifier: Apache-2.0 */
/*
 * symbols_internal: what the files of symbols share. symbols.c has questions and answers, explain.c what is said of
 * them, cache_file.c the cache file, jobs.c the look-ups (which source is asked when), attempts.c the questions to one
 * source.
 */
#ifndef SERVICE_SYMBOLS_SYMBOLS_INTERNAL_H
#define SERVICE_SYMBOLS_SYMBOLS_INTERNAL_H

#include "service/symbols/cache.h"
#include "service/symbols/symbols.h"
#include "service/symbols/task.h"

#include <stdatomic.h>

/* The places that are asked, and all who ask them: an attempt that was given up may outlive a reload. */
struct places {
    atomic_uint users;
    struct symbol_path path;
    unsigned local[SYMBOL_SOURCES_MAX], remote[SYMBOL_SOURCES_MAX]; /* attempts under way; the loop's alone */
};

/* A question to one source: the names of a job, or whether it can be used. */
struct attempt {
    struct task task;
    struct symbols *symbols; /* not to be touched by its thread */
    struct job *job;         /* NULL: nobody waits for it any more, or `prepare` */
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
    struct kdnet_pdb pdb, wanted; /* as the machine says, and as it is looked for */
    size_t count;
    uint32_t slot; /* in `jobs` */
    uint32_t entries[SYMBOL_NAMES_MAX];
    const char *names[SYMBOL_NAMES_MAX]; /* of `remembered`, which keeps them */
    struct symbol_extra extras[SYMBOL_NAMES_MAX - 1];
    struct symbol_result result;
    uint64_t machine; /* that asked first */
    uint64_t turn;    /* fair: machines take turns */
    bool waited_for;  /* a machine stands still until it ends */
    bool shared;      /* several machines asked */
    bool known;       /* all names have an answer of an earlier life, to be checked against what is on this computer */
    bool begun;
    bool corrected;                     /* an answer of an earlier life was wrong */
    struct places *places;              /* while it has begun */
    uint64_t local_asked, remote_asked; /* a bit for each source */
    size_t under_way;                   /* attempts */
    struct job *next;                   /* of those that are over */
};

struct explanation {
    struct remembered_key key;
    bool known;
    char text[SYMBOL_TRAIL_SIZE];
};

struct cache_task;
struct names;

struct symbols {
    uv_mutex_t lock; /* of all below that questions touch: what is remembered, jobs, explanations, counts */
    uv_async_t wake; /* jobs are new, or waited for */
    uv_loop_t *loop;
    struct symbols_options options;
    struct places *places;
    struct remembered remembered;
    struct job *jobs[SYMBOLS_WAITING_MAX];
    size_t job_count;
    struct job *over; /* to be told */
    uint64_t turn;    /* of the job that was begun last */
    bool news;        /* answers that were pending have changed without a look-up */
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

/* Starts what can be started; looks at all jobs. */
void jobs_schedule(struct symbols *symbols);

/* A copy for new places: what is under way starts anew. */
void jobs_restart(struct symbols *symbols);

/* Asks each source of the places whether it can be used. */
void jobs_prepare(struct symbols *symbols);

/* --- jobs.c; with the lock held, any thread --- */

/* A new job of one image; NULL: too many wait. */
struct job *jobs_new(struct symbols *symbols, const struct kdnet_pdb *pdb, uint64_t machine);
void jobs_free(struct symbols *symbols, struct job *job);

/* Ends a job without a word; its attempts go on for nobody. On the loop. */
void jobs_forget(struct symbols *symbols, struct job *job);

/* What a job that is not over does, for people; false: nothing worth telling. */
bool jobs_say(const struct symbols *symbols, const struct job *job, char *out, size_t size);
/* The server that a job's file is being fetched from; NULL: none. */
const char *jobs_server(const struct symbols *symbols, const struct job *job);

/* --- attempts.c --- */

struct places *places_new(struct symbol_path *path);
void places_leave(struct places *places);

/* The name of a source in logs and explanations: its folder's, or its server's. */
const char *places_label(const struct places *places, size_t source, bool remote);

/* Whether an attempt in that source was given up and has not returned. Of the process: a reload must not ask the same
 * folder again and again. */
bool attempt_hangs(const char *label);

/* Asks one source for the names of `job`; without a job: whether it can be used. False: no thread, or no memory. With
 * the lock held, on the loop. */
bool attempt_start(struct symbols *symbols, struct job *job, size_t source, bool remote);

/* --- cache_file.c; on the loop --- */

#define CLOSE_LIMIT_MS 3000U /* for fetches that were asked to end, and the last writing */

/* Reads or writes the file on a thread. False: no memory, or no thread. */
bool cache_file_start(struct symbols *symbols, bool writes);

/* Writes it in a while, or now. */
void cache_file_plan_write(struct symbols *symbols);
void cache_file_write(struct symbols *symbols);

/* --- names.c; with the lock held, on the loop --- */

/* Starts to look up names that are wanted, when none are being looked up. */
void names_schedule(struct symbols *symbols);

/* Whether some are. */
bool names_are_asked(const struct symbols *symbols);

/* That there are none was said of the places before. */
void names_forget(struct symbols *symbols);

/* --- explain.c; with the lock held --- */

/* Keeps what a job that is over has tried. */
void explain_keep(struct symbols *symbols, const struct job *job);

/* --- symbols.c --- */

/* A symbol's name without "nt!". */
const char *symbols_bare(const char *symbol);

/* Remembers what a job has found. With the lock held. */
enum symbols_answer symbols_remember(struct symbols *symbols, struct job *job);

/* Tells of the jobs that are over, and frees them. Without the lock. */
void symbols_tell(struct symbols *symbols);

/* Whether all is over: goes on closing. */
void symbols_go_on_closing(struct symbols *symbols);

#endif
