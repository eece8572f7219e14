/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_read: queries of the store that do not wait for its writer: WAL lets readers read during a write.
 *
 * A reader has a connection of its own, opened on first use, and again when the file was replaced. Each query is one
 * short transaction: a long one would keep the log from being merged into the file. Texts in callbacks are borrowed for
 * the call. A callback that returns false ends the query.
 *
 * All queries return STORE_DONE, or STORE_UNAVAILABLE (no store, or unreadable now), or the result that they name.
 *
 * Thread: one at a time for each reader.
 */
#ifndef SERVICE_STORE_READ_H
#define SERVICE_STORE_READ_H

#include "service/store/store.h"

#define STORE_ID_SIZE 129 /* bytes of an id, with its NUL */

struct store_reader;

/* Makes a reader. NULL: out of memory. Close the reader before the store. */
struct store_reader *store_reader_open(struct store *store);
void store_reader_close(struct store_reader *reader);

/* A set of texts to match; count 0: any text. */
struct store_texts {
    const char *const *text;
    size_t count;
};

struct store_label {
    const char *key, *value;
};

struct store_event_query {
    uint64_t after_seq;          /* only events behind this seq; 0: from the oldest on */
    const char *after_id;        /* only events behind this id; NULL: unused. STORE_GONE: the id is not stored */
    uint64_t tail;               /* only so many, the newest; 0: not asked. Still told oldest first */
    uint64_t since_us, until_us; /* 0: not asked; since inclusive, until exclusive */
    struct store_texts types, targets;
    uint64_t limit; /* 0: none */
};

typedef bool store_event_fn(void *user, const struct store_event *event);
enum store_result store_events(struct store_reader *reader, const struct store_event_query *query, store_event_fn *each,
                               void *user);

/* Gets the seq of an id. STORE_GONE: not stored. */
enum store_result store_event_seq(struct store_reader *reader, const char *id, uint64_t *seq);

struct store_bounds {
    uint64_t oldest_seq, newest_seq; /* 0: there is none */
    uint64_t newest_us;
    char oldest[STORE_ID_SIZE], newest[STORE_ID_SIZE]; /* ids; empty: there is none */
};
enum store_result store_event_bounds(struct store_reader *reader, struct store_bounds *out);

/* A crash: `json` is the object of GET /api/v1/crashes, whole, with `acknowledged`. */
struct store_crash {
    const char *crash;
    uint64_t time_us; /* of the crash's first break */
    const char *target, *verdict;
    bool acknowledged;
    const char *json;
    size_t length;
};

struct store_crash_query {
    const char *crash;                           /* one crash; NULL: all */
    uint64_t since_us, until_us;                 /* 0: not asked */
    struct store_texts verdicts, targets, codes; /* codes as events have them: "0x000000D1" */
    const struct store_label *labels;            /* all of them */
    size_t label_count;
    /* Start behind this crash, the last one of the previous page; before_us 0: from the newest on. */
    uint64_t before_us;
    const char *before_crash;
    uint64_t limit; /* 0: none */
};

typedef bool store_crash_fn(void *user, const struct store_crash *crash);
/* Newest first, then by crash, descending. total: all matches, ignoring `before` and `limit`; may be NULL.
 * STORE_MISSING: query->crash is not stored. */
enum store_result store_crashes(struct store_reader *reader, const struct store_crash_query *query,
                                store_crash_fn *each, void *user, uint64_t *total);

/* A group of crashes since some time; the largest groups come first. */
struct store_bucket {
    const char *bucket;
    uint64_t count, machines, first_us, last_us;
    const char *verdicts; /* {"written":3,"failed":0,"not_started":0,"unknown":1} as JSON */
};
typedef bool store_bucket_fn(void *user, const struct store_bucket *bucket);
enum store_result store_buckets(struct store_reader *reader, uint64_t since_us, uint64_t limit, store_bucket_fn *each,
                                void *user);

/* A sink's progress, and its lag. */
struct store_sink {
    const char *name;
    uint64_t seq, behind_events;
    uint64_t oldest_us; /* time of the first event that is not delivered; 0: all are */
};
typedef bool store_sink_fn(void *user, const struct store_sink *sink);
enum store_result store_sinks(struct store_reader *reader, store_sink_fn *each, void *user);
/* STORE_MISSING: the sink has no cursor yet; it will begin behind the newest event. */
enum store_result store_sink_cursor(struct store_reader *reader, const char *sink, uint64_t *seq);

/*
 * Copies the store at `path` to `to`, while another process may write it: complete, and readable by the owner only.
 * Waits for the disk. An existing `to` is replaced once the copy is complete. False: the fault is in `error`.
 */
bool store_backup(const char *path, const char *to, char error[static STORE_ERROR_SIZE]);

#endif
