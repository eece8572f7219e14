/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hints: where each machine was last, and in which boot and crash, as seen by this collector or another one.
 *
 * A collector that starts, or takes over from another, asks the machines there to poke: an answer proves itself by the
 * target's key. A hint proves nothing; a wrong one costs one datagram a minute.
 *
 * A changed hint is due to be kept and published at once, but at most once in HINTS_EVERY_S for a target, then at the
 * end of that time; changes of a crash HINTS_CRASH_MORE times more. Hints never contain keys.
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
#define HINTS_EVERY_S     60U  /* interval of keeping and publishing a target's hint, and of asking its machine */
#define HINTS_CRASH_MORE  4U   /* extra times in that interval when a crash begins or proceeds */
#define HINTS_ADDRESS_S   3U   /* interval of asking one address, whichever machine is expected there */
#define HINTS_TEXT_SIZE   320U /* of hint_format */
#define HINTS_TARGETS_MAX 4000000U

struct hint {
    struct address machine; /* without `via` */
    struct address local;   /* our address that the machine sends to */
    uint8_t version;        /* of KDNET */
    bool boot_known, crash_known;
    uint8_t boot[HINTS_ID_LENGTH], crash[HINTS_ID_LENGTH];
    uint8_t crash_boot[HINTS_ID_LENGTH]; /* boot in which the crash got its id */
    uint64_t released_us; /* release from the crash's first break, since 1970; 0: not released, or unknown */
    uint64_t time_us;     /* since 1970: of this hint */
};

/* Where a hint's row is. */
struct hint_place {
    uint32_t row; /* HINTS_NO_ROW: not known */
    unsigned worker;
};
#define HINTS_NO_ROW UINT32_MAX

/* A machine to ask. */
struct hint_question {
    char name[CONFIG_NAME_SIZE];
    struct hint_place place;
    struct hint hint;
};

/* Actions that are due: keep the hint on disk, publish it to other collectors. */
enum hints_due { HINTS_TO_KEEP, HINTS_TO_PUBLISH, HINTS_DUES };

struct hints;

struct hints *hints_new(uint64_t seed); /* NULL: out of memory */
void hints_free(struct hints *hints);

/* Whether a machine can be there at all: no port 0, no multicast, no broadcast, no wildcard. */
bool hint_is_sane(const struct hint *hint);

/* Formats one line, without line end: "MACHINE LOCAL VERSION BOOT CRASH CRASH_BOOT RELEASED TIME", "-" for unknown
 * fields. */
size_t hint_format(const struct hint *hint, char out[static HINTS_TEXT_SIZE]);
bool hint_parse(const char *text, size_t length, struct hint *out); /* false: no hint, or an implausible one */

/* Says where a target's row is; a target without a hint is remembered, too. */
void hints_place(struct hints *hints, const char *name, struct hint_place place);
/* The target's row is gone: so is the target, unless it gets another row, as one with a new key does. */
void hints_leave(struct hints *hints, const char *name);
/* The target is renamed: its hint goes with the new name. */
void hints_rename(struct hints *hints, const char *name, const char *to);
void hints_remove(struct hints *hints, const char *name);
/* Removes entries without a row: all targets of a configuration have their rows now. */
void hints_remove_left(struct hints *hints);
/* Gets the next removed target when hints are published: other collectors no longer need its hint. */
bool hints_next_removed(struct hints *hints, char name[static CONFIG_NAME_SIZE]);
size_t hints_removed(struct hints *hints); /* how often any was, ever */
/* Whether there are targets that were not there at the last call. */
bool hints_has_new(struct hints *hints);

/* Takes another collector's or process's hint, once, unless this collector has noted the target since. */
bool hints_take_others(struct hints *hints, const char *name, struct hint *out);

/* Notes authentic data that this collector has seen; sets `time_us`. Returns whether it was news. */
bool hints_note(struct hints *hints, const char *name, const struct hint *hint, uint64_t wall_us);

/* Offers a hint from a file or another collector: accepted when newer and of a known target. `keep`: an accepted
 * hint is due to be kept. Returns whether it was accepted. */
bool hints_offer(struct hints *hints, const char *name, const struct hint *hint, bool keep);

/* Like hints_offer, with the number of the collector, from 1. */
bool hints_offer_of(struct hints *hints, const char *name, const struct hint *hint, uint8_t collector);

bool hints_find(struct hints *hints, const char *name, struct hint *out);

/* Finds the newest target whose machine was last at an address. `out`: its name and place. */
bool hints_at(struct hints *hints, const struct address *machine, uint16_t local_port, struct hint_question *out);

/* Waits until something has changed since the last wait, at most `for_ns`; true: something has. Thread: one for
 * each. */
bool hints_wait(struct hints *hints, enum hints_due due, uint64_t for_ns);
void hints_wake(struct hints *hints, enum hints_due due); /* ends the wait */

/* Gets the next hint due at `now_s`, on any clock in seconds that does not go back; false: none. Call hints_want
 * before the first call. */
void hints_want(struct hints *hints, enum hints_due due);
bool hints_next_due(struct hints *hints, enum hints_due due, uint64_t now_s, char name[static CONFIG_NAME_SIZE],
                    struct hint *out);

/* Which machines are to be asked. */
struct hints_round {
    bool crashed;      /* ask machines in a crash; false: the others */
    uint8_t collector; /* only machines that this collector had last; 0: of any collector */
    uint64_t now_s;
    bool (*may_ask)(void *user,
                    const struct hint *hint); /* whether the machine can be asked at all; must not call hints */
    void *user;
    uint32_t at; /* where to continue: 0 at first, HINTS_NO_ROW at the end */
};

/* Gets the next machine to ask, skipping those asked within HINTS_EVERY_S and HINTS_ADDRESS_S. False: none found in
 * this slice; call again until the end. */
bool hints_next_question(struct hints *hints, struct hints_round *round, struct hint_question *out);

/* All hints, by and by, to write them anew. *at: 0 at first. */
bool hints_each(struct hints *hints, uint32_t *at, char name[static CONFIG_NAME_SIZE], struct hint *out);
size_t hints_count(struct hints *hints);   /* hints that name a place */
size_t hints_targets(struct hints *hints); /* all targets, with or without a place */

#endif
