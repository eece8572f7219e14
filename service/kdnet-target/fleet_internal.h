/* SPDX-License-Identifier: Apache-2.0 */
/* What fleet.c and summary.c share. */
#ifndef SERVICE_TARGET_FLEET_INTERNAL_H
#define SERVICE_TARGET_FLEET_INTERNAL_H

#include "service/kdnet-target/fleet.h"

struct unit {
    struct fleet *fleet;
    struct machine *machine;
    uv_udp_t *socket; /* on the heap: after a reboot there can be another while the old one closes */
    uv_timer_t timer;
    uint32_t index, boots;
    struct kdnet_address self;
};

struct fleet {
    uv_loop_t *loop;
    const struct options *options;
    struct kdnet_crypto *crypto;
    uint64_t start_us; /* of the loop's clock; machines count from here */
    uint32_t count, made;
    struct unit *units;
    struct stranger *stranger; /* NULL: nobody repeats what machines said */
};

/*
 * Somebody on the way who has kept pokes of the machines, and sends them again from a place of his own. NULL without
 * anything to repeat, or when there is no socket to be had: then nobody does. stranger_close frees it in a later turn
 * of the loop; NULL is fine.
 */
struct stranger *stranger_new(struct fleet *fleet);
void stranger_close(struct stranger *stranger);

uint64_t fleet_now_us(const struct fleet *fleet);

#endif
