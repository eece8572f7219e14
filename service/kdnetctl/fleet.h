/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet: events of several collectors, read from a stream of NATS. Private to kdnetctl/: fleet.c with libnats,
 * fleet_none.c without.
 */
#ifndef SERVICE_CTL_FLEET_H
#define SERVICE_CTL_FLEET_H

#include "config/config.h"
#include "service/kdnetctl/command.h"
#include "service/kdnetctl/fleet_view.h"

struct fleet_source;

/* Connects. Returns COMMAND_OK, or another status after a complaint; *out is closed in both cases. since_us: start of
 * the events to read; 0: all. Borrows `nats`. Each call here has a time limit: when libnats hangs, this process ends.
 */
int fleet_source_open(struct fleet_source **out, const struct command *command, const struct config_nats *nats,
                      uint64_t since_us);

/* Passes present messages, and further ones that come within `wait_ms`, to the view. */
int fleet_source_read(struct fleet_source *source, struct fleet_view *view, unsigned wait_ms);

/* What comes after this call has a limit, too: then this process ends with `status`. Print everything before. */
void fleet_source_close(struct fleet_source *source, int status);

#endif
