/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshots: the published state of each target, for threads that do not serve it: the API and the store.
 *
 * A worker publishes a changed target by writing 64 bytes into the target's slot, without a lock and without waiting; a
 * reader that overlaps reads again. Rare facts (a crash, the end of a hold, the kernel) lie beside, under a lock.
 *
 * A target has a slot from the creation of its row to its removal. A removed target's slot is reused only after
 * snapshots_collect, when no reader looks at it any more.
 *
 * Cost: 64 bytes a target, 24 for its name and labels, 10 in the indexes. A publication: some 50 ns, and a cache line.
 *
 * Thread: each function says. Readers: any thread.
 */
#ifndef SERVICE_SNAPSHOTS_H
#define SERVICE_SNAPSHOTS_H

#include "config/config.h"
#include "service/net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SNAPSHOTS_KERNELS_MAX 4096U /* different kernels that are remembered */
#define SNAPSHOTS_KERNEL_SIZE 512   /* bytes of one kernel, as JSON */
#define SNAPSHOTS_ID_LENGTH   8     /* of a boot, a session, a crash */

enum target_state {
    TARGET_NEVER_SEEN,
    TARGET_CONNECTED,
    TARGET_HALTED,
    TARGET_HELD,
    TARGET_HANDED_OVER,
    TARGET_DUMPING,
    TARGET_REBOOTING,
    TARGET_LOST,
    TARGET_STATES,
};

/* Times are microseconds since 1970; 0: not known. */
struct snapshot {
    enum target_state state;
    uint8_t version; /* of KDNET; 0: not known */
    uint8_t worker;
    bool stale;       /* from an earlier process: not heard since */
    bool has_address; /* the address below is known */
    bool has_boot, has_session;
    uint16_t kernel;        /* snapshots_kernel; 0: not known */
    uint16_t listener_port; /* 0: not known */
    uint64_t since_us, last_seen_us;
    uint8_t boot[SNAPSHOTS_ID_LENGTH], session[SNAPSHOTS_ID_LENGTH];
    struct address address; /* without scope and via */
};

/* Facts that few targets have. */
struct snapshot_more {
    uint64_t held_until_us;
    uint64_t held_since_us; /* of a hold in `held_boot` that an earlier process began; 0: none */
    uint8_t held_boot[SNAPSHOTS_ID_LENGTH];
    uint64_t crash_us; /* time of the crash's first break; 0: unknown */
    char crash[2 * SNAPSHOTS_ID_LENGTH + 1];
    char verdict[16]; /* the best so far */
    struct address other_host;
    uint64_t other_host_us; /* when another host's work on the target was last seen; 0: never. That host's address: port
                               0 when unknown */
};

struct snapshots;

struct snapshots *snapshots_new(void); /* NULL: out of memory */
void snapshots_free(struct snapshots *snapshots);

/* Makes room for so many targets more, ahead: so no worker has to. Thread: any. False: out of memory. */
bool snapshots_reserve(struct snapshots *snapshots, size_t targets);

/* The slot of a name, made when there is none, with these labels; 0: out of memory. Thread: any. Cost: a lock, a hash.
 */
uint32_t snapshots_slot(struct snapshots *snapshots, const char *name, const struct config_labels *labels);
/* Returns the slot of a name; 0: none. Thread: any. */
uint32_t snapshots_find(struct snapshots *snapshots, const char *name);
/* Sets labels, which are borrowed; the previous ones may be freed after snapshots_collect. Thread: any. */
void snapshots_set_labels(struct snapshots *snapshots, uint32_t slot, const struct config_labels *labels);
/* The target is gone. Thread: any. */
void snapshots_remove(struct snapshots *snapshots, uint32_t slot);

/* Waits until no reader is active, and frees the slots of removed targets. Thread: one that may wait for a
 * millisecond. */
void snapshots_collect(struct snapshots *snapshots);

/*
 * Publishes a target. Ignores the `since_us` of `snapshot`: it becomes `now_us` when the state changes. A stored state
 * is kept for a target that was never heard. Returns whether the state changed. Thread: the target's worker.
 */
bool snapshots_publish(struct snapshots *snapshots, uint32_t slot, const struct snapshot *snapshot, uint64_t now_us);

/* Returns the state that was published last. Thread: any. */
enum target_state snapshots_state(struct snapshots *snapshots, uint32_t slot);

/* Publishes only the time when the target was last heard. Thread: as above. */
void snapshots_heard(struct snapshots *snapshots, uint32_t slot, uint64_t last_seen_us);

/* Restores an earlier process's state, with its own `since_us`; ignored once a worker has published more than "never
 * seen". Thread: any. */
void snapshots_restore(struct snapshots *snapshots, uint32_t slot, const struct snapshot *snapshot);

/* Notes a phase of a crash: the first one sets the crash's time; a better or equal verdict replaces the old one.
 * Thread: any. */
void snapshots_note_crash(struct snapshots *snapshots, uint32_t slot, const char *crash, const char *verdict,
                          uint64_t time_us);
/* The same of an earlier process: what was noted meanwhile is newer, but its time is not. Thread: any. */
void snapshots_restore_crash(struct snapshots *snapshots, uint32_t slot, const char *crash, const char *verdict,
                             uint64_t time_us);
void snapshots_note_hold(struct snapshots *snapshots, uint32_t slot, uint64_t until_us);
/* A machine that is held in this boot has been so since then, whoever it was that served it; until it is let go on. */
void snapshots_restore_hold(struct snapshots *snapshots, uint32_t slot, const struct snapshot *stored);
void snapshots_note_release(struct snapshots *snapshots, uint32_t slot);
void snapshots_note_other_host(struct snapshots *snapshots, uint32_t slot, const struct address *host,
                               uint64_t time_us);
/* The number of a kernel, {"build_lab","machine","pdb"} as JSON; 0: too many are known. Thread: any. */
uint16_t snapshots_kernel(struct snapshots *snapshots, const char *json);
void snapshots_note_kernel(struct snapshots *snapshots, uint32_t slot, uint16_t kernel);
/* Borrowed for as long as the snapshots are there; NULL: 0. */
const char *snapshots_kernel_text(struct snapshots *snapshots, uint16_t kernel);

/* Reading. */

struct snapshot_view {
    const char *name;
    const struct config_labels *labels; /* NULL: none */
    struct snapshot snapshot;
    struct snapshot_more more;
};

/* Returns false to stop. The view is borrowed for the call. */
typedef bool snapshots_fn(void *user, const struct snapshot_view *view);

/* Reads one target; false: no target of this name. */
bool snapshots_look(struct snapshots *snapshots, const char *name, snapshots_fn *each, void *user);

/* Reads all targets, sorted by the bytes of their names, from the one behind `after` (NULL: the first). Cost: sorts
 * the names when they changed since the last time. */
void snapshots_each(struct snapshots *snapshots, const char *after, snapshots_fn *each, void *user);

/* How many are in each state. Cost: 64 bytes of memory a target. */
void snapshots_count(struct snapshots *snapshots, size_t counts[static TARGET_STATES]);

/* How many were heard since then. Cost: as above. */
size_t snapshots_heard_since(struct snapshots *snapshots, uint64_t since_us);

/* Reads up to `most` targets that were published since they were last read here, not counting mere hearing; returns
 * how many. Thread: one. */
size_t snapshots_changed(struct snapshots *snapshots, snapshots_fn *each, void *user, size_t most);

const char *target_state_name(enum target_state state); /* "never_seen" and so on */
bool target_state_parse(const char *name, enum target_state *state);

#endif
