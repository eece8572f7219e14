/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup: where symbols are, for the sessions of any number of loops: first what the configuration says (`rva:`), then
 * symbol files and servers (`symbols:`), which are looked into on threads of their own while the machine waits no
 * longer than read_deadline.
 *
 * Uses config, rva, symbols and log; nothing of the server. One lookup serves all; each loop that asks has an asker,
 * which is called on that loop when there is news. What symbol files said is kept in STATE_DIRECTORY/symbols.cache when
 * the service manager gives a folder.
 */
#ifndef SERVICE_LOOKUP_H
#define SERVICE_LOOKUP_H

#include "config/config.h"
#include "kdnet/session.h"

#include <stdbool.h>
#include <uv.h>

#define LOOKUP_IMAGES 256U /* kernels that are known again without identity reads; 250 bytes each */

struct lookup;
struct lookup_asker;

/* Without places yet. Look-ups are started and end on `loop`. NULL: out of memory. */
struct lookup *lookup_new(uv_loop_t *loop);

/*
 * Takes the places that a configuration names, in the place of those before, and tells all askers; copies what it needs
 * of it. What symbol files have proved stays known, and what is being looked up stays pending. Touches no disk: a place
 * that cannot be used is told in the log when it has been looked at. Thread: that of the loop of lookup_new, as for
 * lookup_close.
 *
 * Returns false, with a line in the log, when memory is out.
 */
bool lookup_configure(struct lookup *lookup, const struct kdnetd_config *config);

/* After the last asker has left. The loop has to run until look-ups under way have ended. NULL is fine. */
void lookup_close(struct lookup *lookup);

/*
 * Begins to ask from `loop`; `came` is called there after look-ups have ended: what was PENDING may be known. NULL: out
 * of memory. Thread: the loop's, as for lookup_leave.
 */
struct lookup_asker *lookup_join(struct lookup *lookup, uv_loop_t *loop, void (*came)(void *user), void *user);

/* The loop has to run once more. NULL is fine. */
void lookup_leave(struct lookup_asker *asker);

/* As struct kdnet_session_shared has them; the loop's thread. Cost: a lock and a hash table; nothing waits. */
enum kdnet_rva_answer lookup_find(struct lookup_asker *asker, const struct kdnet_pdb *pdb, const char *symbol,
                                  uint32_t *rva, enum kdnet_source *source);
void lookup_want(struct lookup_asker *asker, const struct kdnet_pdb *pdb, const char *const *symbols, size_t count);

/* Which public symbol of the image's an address lies at or behind, as far as it is known. False: not now; then it is
 * looked up in the symbol files that are on this computer. */
bool lookup_name(struct lookup_asker *asker, const struct kdnet_pdb *pdb, uint32_t rva, char *name, size_t size,
                 uint32_t *offset);

/* The questions that follow on the asker's loop are for the machine with this key; the key is not kept. */
void lookup_asking(struct lookup_asker *asker, const struct kdnet_key *key);

/*
 * What a kernel with this print was found to be. True only when it is certain: this machine has told it itself before,
 * or two machines with different keys have told the same and none another; and the symbol file of that identity has
 * been looked into, and has the five symbols of the print where this machine has them. So a machine that lies about
 * itself can spoil nothing for others but a saving of three round trips.
 */
bool lookup_recall(struct lookup_asker *asker, const struct kdnet_image_print *print, struct kdnet_pdb *pdb);

/* The identity that a machine's own image told. A print of which two identities were told is not believed any more.
 * Memory: LOOKUP_IMAGES of them; those that one machine alone has told go first. */
void lookup_remember(struct lookup_asker *asker, const struct kdnet_image_print *print, const struct kdnet_pdb *pdb);

/* Look-ups that have ended since the start; what was remembered is none. Thread: any. */
uint64_t lookup_count(struct lookup *lookup);

/* What was tried for a symbol and what each place answered, one line of printable ASCII, cut to `size`. */
void lookup_explain(struct lookup_asker *asker, const struct kdnet_pdb *pdb, const char *symbol, char *out,
                    size_t size);

#endif
