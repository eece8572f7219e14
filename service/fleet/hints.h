/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hints: where each machine was last, and in which boot and crash, as this collector or another one has seen it.
 *
 * Uses address. A collector that starts, or that takes over from another, asks the machines there to poke: what comes
 * back proves itself by the target's key. A hint proves nothing; one that is wrong costs one datagram a minute.
 *
 * A hint that has changed is due to be kept and to be published at once, but each at most once in HINTS_EVERY_S for a
 * target: then at the end of that time; what it says of a crash, HINTS_CRASH_MORE times more. Keys are never in a hint.
 *
 * Cost: some 260 bytes a target; a lock and two hashes a call.
 *
 * Thread: any, unless a function says otherwise.
 */
#ifndef SERVICE_HINTS_H
#define SERVICE_HINTS_H

#include "service/net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HINTS_ID_LENGTH   8    /* of a boot, a crash */
#define HINTS_EVERY_S     60U  /* between two times that a target's hint is kept, published, or its machine asked */
#define HINTS_CRASH_MORE  4U   /* times more in that time that a crash begins or goes on */
#define HINTS_ADDRESS_S   3U   /* between two times that an address is asked, whoever may be there */
#define HINTS_TEXT_SIZE   320U /* of hint_format */
#define HINTS_TARGETS_MAX 4000000U

struct hint {
    struct address machine; /* without `via` */
    struct address local;   /* of ours, that it sends to */
    uint8_t version;        /* of KDNET */
    bool boot_known, crash_known;
    uint8_t boot[HINTS_ID_LENGTH], crash[HINTS_ID_LENGTH];
    uint8_t crash_boot[HINTS_ID_LENGTH]; /* in which the crash got its name */
    uint64_t released_us;                /* since 1970: its first break was let go on then; 0: not, or not known */
    uint64_t time_us;                    /* since 1970: of this hint */
};

/* Where a hint's row is. */
struct hint_place {
    uint32_t row; /* HINTS_NO_ROW: not known */
    unsigned worker;
};
#define HINTS_NO_ROW UINT32_MAX

/* A machine that is to be asked. */
struct hint_question {
    char name[CONFIG_NAME_SIZE];
    struct hint_place place;
    struct hint hint;
};

/* What is due: to be kept on disk, or to be published to other collectors. */
enum hints_due { HINTS_TO_KEEP, HINTS_TO_PUBLISH, HINTS_DUES };

struct hints;

struct hints *hints_new(uint64_t seed); /* NULL: out of memory */
void hints_free(struct hints *hints);

/* Whether a machine can be there at all: no port 0, no multicast, no broadcast, no wildcard. */
bool hint_is_sane(const struct hint *hint);

/* One line, without a line end: "MACHINE LOCAL VERSION BOOT CRASH CRASH_BOOT RELEASED TIME", "-" for what is not known.
 */
size_t hint_format(const struct hint *hint, char out[static HINTS_TEXT_SIZE]);
bool hint_parse(const char *text, size_t length, struct hint *out); /* false: it is none, or is not sane */

/* Says where a target's row is; a target without a hint is remembered, too. */
void hints_place(struct hints *hints, const char *name, struct hint_place place);
/* Its row is gone: the target is, unless it gets another, as one with a new key does. */
void hints_leave(struct hints *hints, const char *name);
/* The target gets another name, and what is known of it goes with it. */
void hints_rename(struct hints *hints, const char *name, const char *to);
void hints_remove(struct hints *hints, const char *name);
/* Removes those without a row: all targets of a configuration have theirs now. */
void hints_remove_left(struct hints *hints);
/* The next of those that were removed, when what is published is wanted: no other collector needs it. */
bool hints_next_removed(struct hints *hints, char name[static CONFIG_NAME_SIZE]);
size_t hints_removed(struct hints *hints); /* how often any was, ever */
/* Whether there are targets that were not there at the last call. */
bool hints_has_new(struct hints *hints);

/* What another collector, or an earlier process, said, when nothing was noted here since; once. */
bool hints_take_others(struct hints *hints, const char *name, struct hint *out);

/* What this collector has seen, by authentic data; `time_us` is set here. Returns whether it was new. */
bool hints_note(struct hints *hints, const char *name, const struct hint *hint, uint64_t wall_us);

/* What a file or another collector says: counts when it is newer, and not at all when there is no such target. A change
 * is kept when `keep`. Returns whether it counts. */
bool hints_offer(struct hints *hints, const char *name, const struct hint *hint, bool keep);

/* The same of a collector, by a number from 1. */
bool hints_offer_of(struct hints *hints, const char *name, const struct hint *hint, uint8_t collector);

bool hints_find(struct hints *hints, const char *name, struct hint *out);

/* The newest target whose machine was there last. `out`: its name and place. */
bool hints_at(struct hints *hints, const struct address *machine, uint16_t local_port, struct hint_question *out);

/* Waits until something has changed since the last wait, or for so long; true: something has. Thread: one for each. */
bool hints_wait(struct hints *hints, enum hints_due due, uint64_t for_ns);
void hints_wake(struct hints *hints, enum hints_due due); /* who waits goes on */

/* The next of what is due at `now_s`, of any clock in seconds that does not go back; false: nothing is. Before anybody
 * asks so for the first time, hints_want says that it is asked for. */
void hints_want(struct hints *hints, enum hints_due due);
bool hints_next_due(struct hints *hints, enum hints_due due, uint64_t now_s, char name[static CONFIG_NAME_SIZE],
                    struct hint *out);

/* Which machines are to be asked. */
struct hints_round {
    bool crashed;      /* those in a crash; else the others */
    uint8_t collector; /* only those that this one had last; 0: whoever had them */
    uint64_t now_s;
    bool (*may_ask)(void *user, const struct hint *hint); /* can it be asked at all? Must not call hints */
    void *user;
    uint32_t at; /* where it goes on: 0 at first, HINTS_NO_ROW at the end */
};

/* The next machine to be asked. Who was asked is passed over, as HINTS_EVERY_S and HINTS_ADDRESS_S say. False: none was
 * found by now; when that is not the end, ask again. */
bool hints_next_question(struct hints *hints, struct hints_round *round, struct hint_question *out);

/* All hints, by and by, to write them anew. *at: 0 at first. */
bool hints_each(struct hints *hints, uint32_t *at, char name[static CONFIG_NAME_SIZE], struct hint *out);
size_t hints_count(struct hints *hints);   /* those that say where */
size_t hints_targets(struct hints *hints); /* and those that do not */

#endif
