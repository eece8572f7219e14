/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookup: where symbols of kernels are, for the sessions: first what the configuration says (`rva:`), then symbol files
 * and servers
 * (`symbols:`), which are looked into on the thread pool while the machine waits no longer than read_deadline.
 *
 * Uses rva, symbols, dispatch. What symbol files said is kept in STATE_DIRECTORY/symbols.cache when the service manager
 * gives a folder.
 */
#ifndef SERVICE_LOOKUP_H
#define SERVICE_LOOKUP_H

#include "kdnet/session.h"

#include <stdbool.h>

struct server;

/* Opens the places that the configuration in force names, in the place of those before. False, with a line in the log:
 * out of memory. */
bool lookup_open(struct server *server);

/* Ends look-ups; the loop has to run until they have. */
void lookup_close(struct server *server);

/* For struct kdnet_session_shared; user is the server. */
enum kdnet_rva_answer lookup_find(void *user, const struct kdnet_pdb *pdb, const char *symbol, uint32_t *rva,
                                  enum kdnet_source *source);

#endif
