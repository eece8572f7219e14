/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: keeps events, crashes, the targets' last state and the sinks' cursors in a SQLite file.
 *
 * A writer thread owns the file. It takes event lines from a bounded queue and commits them in groups (STORE_COMMIT_MS
 * or STORE_COMMIT_ROWS, whichever comes first), with synchronous=FULL: whatever a reader or on_committed has shown
 * survives a power cut. Nothing waits for the store: results go to the result file in any case.
 *
 * Trouble: a full or read-only disk, a damaged, replaced or deleted file. The store is then `degraded`: one log line
 * says so, another says when the trouble is over, and the writer retries each second. A damaged file is renamed to
 * PATH.damaged-TIME. Lines that find no room in the queue meanwhile are later read from the result file, as at the
 * start: its newest STORE_CATCH_UP_BYTES, and FILE.1, by id.
 *
 * Two processes may write one file, as a predecessor and its successor do: sequence numbers are counted anew when the
 * other one has written.
 *
 * Order: each stored event has a sequence number (`seq`), which grows and is never reused. A second event with the same
 * id is neither stored nor reported.
 *
 * Thread: store_add, store_acknowledge, store_sink_ack and store_status from any. A reader belongs to one thread at a
 * time; open one for each reading thread (store_read.h). The rest on the thread that opened the store.
 */
#ifndef SERVICE_STORE_H
#define SERVICE_STORE_H

#include "service/store/rows.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_COMMIT_MS      100U
#define STORE_COMMIT_ROWS    1000U
#define STORE_QUEUE_BYTES    ((size_t)64 << 20) /* bytes of lines that wait to be committed */
#define STORE_CATCH_UP_BYTES ((uint64_t)64 << 20)
#define STORE_RETRY_MS       1000U
#define STORE_HELD_MS        10000U
#define STORE_NOTE_MAX       1000U /* bytes of an acknowledgement's note */
#define STORE_RETAIN_DAYS    90U
#define STORE_RETAIN_BYTES   ((uint64_t)10 << 30)

struct store;

enum store_state { STORE_OFF, STORE_OK, STORE_DEGRADED };

struct store_status {
    enum store_state state;
    char path[4096];              /* empty: none is configured */
    uint64_t events;              /* rows */
    uint64_t bytes;               /* of the file and its log */
    uint64_t errors;              /* file or SQL calls that failed since the start */
    uint64_t waiting;             /* lines not committed yet */
    uint64_t overrun;             /* rows that `retain` removed since the start before a sink had acknowledged them */
    uint64_t since_us;            /* when the store became degraded, since 1970; 0: it is not */
    char error[STORE_ERROR_SIZE]; /* the fault in words; empty: none */
};

struct store_options {
    const char *path;         /* NULL: no file. Lines are handed to on_committed and forgotten */
    unsigned retain_days;     /* 0: STORE_RETAIN_DAYS */
    uint64_t retain_bytes;    /* 0: STORE_RETAIN_BYTES */
    const char *results;      /* the result file to catch up from; NULL or "-": none */
    const char *const *sinks; /* names of the configured sinks: others lose their cursor */
    size_t sink_count;
    bool
        held; /* another process still writes the file: wait with opening it for store_release, STORE_HELD_MS at most */
};

/* All are called on the writer thread, must not wait, and may be NULL. */
struct store_callbacks {
    void *user;
    /* A group was committed: its events in order. Without a file: each group that came. */
    void (*on_committed)(void *user, const struct store_event *events, size_t count);
    /* At the start, once the file is open: each target's last state. */
    void (*on_target)(void *user, const struct store_target *target);
    /* Targets whose state changed since the last call, to be stored beside the next group: calls put for each, at most
     * `most` times, and returns how many. Once a second. */
    size_t (*changed_targets)(void *user, void (*put)(void *put_user, const struct store_target *target),
                              void *put_user, size_t most);
    /* `retain` removed events that this sink had not acknowledged. */
    void (*on_overrun)(void *user, const char *sink, uint64_t count);
};

/*
 * Starts the writer, which opens the file; nothing waits for the file. Copies `options` and `callbacks`. NULL: out of
 * memory or threads.
 */
struct store *store_open(const struct store_options *options, const struct store_callbacks *callbacks);

/* The other process has ended: opens the file, or, if that was done meanwhile, reads the result file again for what the
 * other process wrote there late. */
void store_release(struct store *store);

/* Applies the options of a reload; `held` is for store_open. Another path closes the file and opens the new one. False:
 * out of memory; unchanged. */
bool store_configure(struct store *store, const struct store_options *options);

/*
 * Commits waiting lines for at most `wait_ms`, and frees everything. No reader may be open. False: the writer hangs in
 * a file call and still uses its data, so the program can only end by platform_end.
 */
bool store_close(struct store *store, unsigned wait_ms);

/* Commits waiting lines, and moves committed data into the file, for at most `wait_ms`: a following store_close then
 * takes little time. */
void store_settle(struct store *store, unsigned wait_ms);

/* Starts the end without waiting for it: no more lines are taken. For callers that have to wait elsewhere first. */
void store_end(struct store *store);

/*
 * Takes an event, a JSON object on a line as in the result file (`length` without the line end), and what the line says
 * first, if the caller knows it (NULL: no); most lines are then never parsed. Copies both. False: no room; the event is
 * later read from the result file. Cost: a lock, an allocation and a copy; never waits for the disk.
 */
bool store_add(struct store *store, const char *line, size_t length, const struct store_facts *facts);

/*
 * Notes who has seen a crash, for good; a later note replaces the former. `done` is called once, on the writer thread,
 * with the result: STORE_DONE, STORE_MISSING (no such crash), STORE_UNAVAILABLE. False: not taken; `done` is not
 * called.
 */
enum store_result { STORE_DONE, STORE_MISSING, STORE_GONE, STORE_UNAVAILABLE };
bool store_acknowledge(struct store *store, const char *crash, const char *by, const char *note,
                       void (*done)(void *user, enum store_result result), void *user);

/* A sink has delivered everything up to `seq`: its cursor is committed with the next group. */
bool store_sink_ack(struct store *store, const char *sink, uint64_t seq);

/* Moves a sink's cursor back to `seq`, to deliver later events again; ordered after all earlier store_sink_ack. */
bool store_sink_back(struct store *store, const char *sink, uint64_t seq);

void store_status(struct store *store, struct store_status *out);

/* A reader found the file damaged: the writer checks it. Any thread. */
void store_suspect(struct store *store);

#endif
