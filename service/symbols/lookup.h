/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup: finds symbols for the sessions of any number of loops: first in the configuration's table (`rva:`), then in
 * symbol files and servers (`symbols:`), which are searched on threads of their own while the machine waits at most
 * read_deadline.
 *
 * One lookup serves all loops; each asking loop has an asker, which is called on its loop when there is news. Facts
 * from symbol files are kept in STATE_DIRECTORY/symbols.cache when the service manager gives a folder.
 */
#ifndef SERVICE_LOOKUP_H
#define SERVICE_LOOKUP_H

#include "config/config.h"
#include "kdnet/session.h"

#include <stdbool.h>
#include <uv.h>

#define LOOKUP_IMAGES 256U /* kernels recognised without identity reads; 250 bytes each */

struct lookup;
struct lookup_asker;

/* Without places yet. Look-ups are started and end on `loop`. NULL: out of memory. */
struct lookup *lookup_new(uv_loop_t *loop);

/*
 * Replaces the places by a configuration's, and notifies all askers; copies the needed parts. Facts that symbol files
 * proved stay known, pending look-ups stay pending. Touches no disk: an unusable place is logged when it was tried.
 * Thread: the loop of lookup_new, as for lookup_close.
 *
 * Returns false, with a line in the log, when out of memory.
 */
bool lookup_configure(struct lookup *lookup, const struct kdnetd_config *config);

/* After the last asker has left. The loop has to run until look-ups under way have ended. NULL is fine. */
void lookup_close(struct lookup *lookup);

/*
 * Makes an asker for `loop`; `came` is called there after look-ups have ended: PENDING symbols may be known. NULL: out
 * of memory. Thread: the loop's, as for lookup_leave.
 */
struct lookup_asker *lookup_join(struct lookup *lookup, uv_loop_t *loop, void (*came)(void *user), void *user);

/* The loop has to run once more. NULL is fine. */
void lookup_leave(struct lookup_asker *asker);

/* As struct kdnet_session_shared has them; the loop's thread. Cost: a lock and a hash table; nothing waits. */
enum kdnet_rva_answer lookup_find(struct lookup_asker *asker, const struct kdnet_pdb *pdb, const char *symbol,
                                  uint32_t *rva, enum kdnet_source *source);
void lookup_want(struct lookup_asker *asker, const struct kdnet_pdb *pdb, const char *const *symbols, size_t count);

/* Finds the public symbol at or before an address of an image, as far as known. False: not known now; the symbol
 * files on this computer are then searched. */
bool lookup_name(struct lookup_asker *asker, const struct kdnet_pdb *pdb, uint32_t rva, char *name, size_t size,
                 uint32_t *offset);

/* Announces the machine that the following questions on the asker's loop are for, by its key, which is not kept. */
void lookup_asking(struct lookup_asker *asker, const struct kdnet_key *key);

/*
 * Recalls the identity of a kernel with this fingerprint. True only when certain: this machine has reported it before,
 * or two machines with different keys have reported it and none another; and the identity's symbol file has the
 * fingerprint's five symbols at its RVAs. So a machine that lies about itself spoils at most a saving of three round
 * trips for others.
 */
bool lookup_recall(struct lookup_asker *asker, const struct kdnet_fingerprint *fingerprint, struct kdnet_pdb *pdb);

/* Remembers the identity that a machine's own image stated. A fingerprint with two reported identities is no longer
 * believed. Memory: LOOKUP_IMAGES of them; those that a single machine reported go first. */
void lookup_remember(struct lookup_asker *asker, const struct kdnet_fingerprint *fingerprint,
                     const struct kdnet_pdb *pdb);

/* Returns the look-ups that ended since the start, without recalled answers. Thread: any. */
uint64_t lookup_count(struct lookup *lookup);

/* Writes the places tried for a symbol with their answers, one line of printable ASCII, truncated to `size`. */
void lookup_explain(struct lookup_asker *asker, const struct kdnet_pdb *pdb, const char *symbol, char *out,
                    size_t size);

#endif
