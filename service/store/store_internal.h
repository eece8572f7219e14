/* SPDX-License-Identifier: Apache-2.0 */
/* store_internal: shared by the parts of the writer. Private to store/. */
#ifndef SERVICE_STORE_INTERNAL_H
#define SERVICE_STORE_INTERNAL_H

#include "service/store/database.h"
#include "service/store/queue.h"
#include "service/store/store.h"

#include <stdatomic.h>
#include <uv.h>

/* An acknowledgement of a crash, or a sink's progress, that waits for the writer. */
struct store_note {
    struct store_note *next;
    bool is_sink, goes_back;
    char crash[STORE_TEXT_SIZE]; /* or the sink's name */
    char by[STORE_TEXT_SIZE];
    char note[STORE_NOTE_MAX + 1];
    uint64_t time_us, seq;
    void (*done)(void *user, enum store_result result);
    void *user;
    enum store_result result;
};

/* The store's copy of its options. */
struct store_settings {
    char *path, *results; /* NULL: none */
    unsigned retain_days;
    uint64_t retain_bytes;
    char **sinks;
    size_t sink_count;
};

/* Lines that are committed together, from the queue or from the result file. */
struct store_group {
    struct store_line *lines;   /* STORE_COMMIT_ROWS */
    struct store_event *events; /* STORE_COMMIT_ROWS; of the lines that were stored */
    size_t count;
};

struct store {
    struct store_callbacks callbacks;
    uv_thread_t thread;

    uv_mutex_t lock; /* protects the members below */
    uv_cond_t changed;
    struct store_queue queue;
    struct store_note *note_first, *note_last;
    struct store_settings *wanted; /* other settings; NULL: as they are */
    bool lacking;                  /* the result file has lines that never came here, or found no room */
    bool held;                     /* another process still writes the file */
    bool ending, ended;
    bool settle, settled; /* the store will end soon */
    struct store_status status;

    atomic_uint generation; /* another file was opened: readers open theirs again */
    atomic_bool suspect;    /* a reader has found damage */

    /* The writer's own. */
    struct store_settings settings;
    struct database *database; /* NULL: not open */
    struct store_group group;
    struct store_queued *lines; /* taken from the queue, not committed yet */
    size_t line_count;
    struct store_note *notes; /* notes of the current group */
    bool catch_up_due, sinks_due, targets_told;
    uint64_t opened_us;           /* wall clock when the store was opened: this run's events are of then or later */
    uint64_t age_us, aged_ms;     /* the time that decides which events are old, and the last check; 0: none yet */
    bool age_told;                /* the log was told that age_us is far behind the clock */
    uint64_t retry_ms, second_ms; /* when the file is tried again; when once-a-second work was done last */
    uint64_t newest;              /* seq; counts on over replaced files, and over events without a file */
    bool told;                    /* the log was told that the store is degraded */
};

/* settings.c */
bool store_settings_copy(struct store_settings *to, const struct store_options *from);
void store_settings_clear(struct store_settings *settings);

/* writer.c: the thread. */
void store_write(void *store);
bool store_is_ending(struct store *store);
/* Ends a transaction whose parts succeeded (`code` 0). Returns whether it is on the disk, in the file that the path
 * names. */
bool store_commit(struct store *store, int code);

/* writer_file.c */
void store_look_at_file(struct store *store);        /* opens it, or the one that is at its path now */
void store_fail_code(struct store *store, int code); /* applies an SQLite code to the open file */
void store_close_file(struct store *store);

/* upkeep.c */
void store_begin_age(struct store *store); /* for a file just opened, before anything is added */
void store_put_targets(struct store *store);
void store_retain(struct store *store);

/* group.c: lines that are committed together. Functions that return an int return 0 or an SQLite code. */
bool store_group_init(struct store_group *group);
void store_group_clear(struct store_group *group); /* keeps the allocated room */
void store_group_free(struct store_group *group);
/* Adds a line; skips one that is no event, or exists already. The line must live until the group was reported. */
int store_group_add(struct store_group *group, struct database *database, const struct store_queued *queued,
                    bool caught_up);
/* Adds a line without a file: `seq` is its number. */
void store_group_pass(struct store_group *group, const struct store_queued *queued, uint64_t seq);

/* trouble.c: degraded, and not any more. */
void store_fail(struct store *store, const char *error);
void store_recover(struct store *store);
uint64_t store_clock_ms(void);
uint64_t store_wall_us(void);

#endif
