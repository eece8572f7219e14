/* SPDX-License-Identifier: Apache-2.0 */
/* store_internal: what the parts of the writer share. Not for others. */
#ifndef SERVICE_STORE_INTERNAL_H
#define SERVICE_STORE_INTERNAL_H

#include "service/store/database.h"
#include "service/store/queue.h"
#include "service/store/store.h"

#include <stdatomic.h>
#include <uv.h>

/* An acknowledgement of a crash, or of what a sink has delivered, that waits for the writer. */
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

/* Options of its own. */
struct store_settings {
    char *path, *results; /* NULL: none */
    unsigned retain_days;
    uint64_t retain_bytes;
    char **sinks;
    size_t sink_count;
};

/* What is committed together: lines that came, or those of the result file. */
struct store_group {
    struct store_line *lines;   /* STORE_COMMIT_ROWS */
    struct store_event *events; /* the same, of those that were stored */
    size_t count;
};

struct store {
    struct store_callbacks callbacks;
    uv_thread_t thread;

    uv_mutex_t lock; /* of what follows */
    uv_cond_t changed;
    struct store_queue queue;
    struct store_note *note_first, *note_last;
    struct store_settings *wanted; /* other settings; NULL: as they are */
    bool lacking;                  /* a line found no room: the result file has it */
    bool ending, ended;
    bool settle, settled; /* it will end soon */
    struct store_status status;

    atomic_uint generation; /* another file was opened: readers open theirs again */
    atomic_bool suspect;    /* a reader has found damage */

    /* The writer's own. */
    struct store_settings settings;
    struct database *database; /* NULL: it is not open */
    struct store_group group;
    struct store_queued *lines; /* taken from the queue, not committed yet */
    size_t line_count;
    struct store_note *notes; /* the same */
    bool catch_up_due, sinks_due, targets_told;
    uint64_t opened_us;           /* wall clock when the store was opened: this run's events are of then or later */
    uint64_t age_us, aged_ms;     /* the time by which events are old, and when it was looked at last; 0: not yet */
    bool age_told;                /* that it is far behind the clock */
    uint64_t retry_ms, second_ms; /* when the file is tried again; when once-a-second work was done last */
    uint64_t newest;              /* seq; also of files that were replaced, and of events without a file */
    bool told;                    /* the log was told that it is degraded */
};

/* settings.c */
bool store_settings_copy(struct store_settings *to, const struct store_options *from);
void store_settings_clear(struct store_settings *settings);

/* writer.c: the thread. */
void store_write(void *store);
bool store_is_ending(struct store *store);
/* Ends a transaction whose parts went well (`code` 0). Returns whether it is on the disk, in the file that the path
 * names. */
bool store_commit(struct store *store, int code);

/* upkeep.c */
void store_begin_age(struct store *store); /* of a file that was opened; before anything is added */
void store_put_targets(struct store *store);
void store_retain(struct store *store);

/* group.c: what is committed together. Functions that return an int return 0 or an SQLite code. */
bool store_group_init(struct store_group *group);
void store_group_clear(struct store_group *group); /* keeps its room */
void store_group_free(struct store_group *group);
/* Puts a line; one that is no event, or is there already, is passed over. `text` must live until the group is told of.
 */
int store_group_add(struct store_group *group, struct database *database, const char *text, size_t length,
                    bool caught_up);
/* The same without a file: `seq` is its number. */
void store_group_pass(struct store_group *group, const char *text, size_t length, uint64_t seq);

/* trouble.c: degraded, and not any more. */
void store_fail(struct store *store, const char *error);
void store_recover(struct store *store);
uint64_t store_clock_ms(void);
uint64_t store_wall_us(void);

#endif
