/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet: simulated machines on a libuv loop: a socket and a timer each.
 *
 * Thread: all on the loop's.
 */
#ifndef SERVICE_TARGET_FLEET_H
#define SERVICE_TARGET_FLEET_H

#include "service/kdnet-target/options.h"

#include <stdio.h>
#include <uv.h>

struct fleet;

#define FLEET_NAME_SIZE 16

/*
 * Makes the machines and binds their sockets; the machines run as soon as the loop does.
 *
 * options, replay  borrowed for the fleet's life. replay may be NULL.
 * Returns NULL after a message on standard error: too few descriptors, an unusable address, out of memory.
 */
struct fleet *fleet_new(uv_loop_t *loop, const struct options *options, const struct machine_replay *replay);

/* Closes the handles; run the loop once more, then fleet_free. */
void fleet_close(struct fleet *fleet);
void fleet_free(struct fleet *fleet);

/* "target-0001" for index 0. */
void fleet_name(uint32_t index, char out[static FLEET_NAME_SIZE]);

/* Whether all scripts have ended. */
bool fleet_is_ended(const struct fleet *fleet);

/* Whether all scripts have ended and no machine was released wrongly. */
bool fleet_is_well(const struct fleet *fleet);

/* Prints one line a machine: JSON, or a table. */
void fleet_print(const struct fleet *fleet, FILE *out, bool json);

#endif
