/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by fleet.c and summary.c. */
#ifndef SERVICE_TARGET_FLEET_INTERNAL_H
#define SERVICE_TARGET_FLEET_INTERNAL_H

#include "service/kdnet-target/fleet.h"

struct unit {
    struct fleet *fleet;
    struct machine *machine;
    uv_udp_t *socket; /* on the heap: after a reboot a second one can exist while the old one closes */
    uv_timer_t timer;
    uint32_t index, boots;
    struct kdnet_address self;
};

struct fleet {
    uv_loop_t *loop;
    const struct options *options;
    struct kdnet_crypto *crypto;
    uint64_t run;      /* for the machines' `run` */
    uint64_t start_us; /* of the loop's clock; machines count from here */
    uint32_t count, made;
    struct unit *units;
    struct stranger *stranger; /* NULL: no stranger replays the machines' datagrams */
};

/*
 * A stranger on the path who has recorded the machines' pokes, and replays them from another address. NULL: nothing to
 * replay, or no socket. stranger_close frees it in a later round of the loop; NULL does nothing.
 */
struct stranger *stranger_new(struct fleet *fleet);
void stranger_close(struct stranger *stranger);

uint64_t fleet_now_us(const struct fleet *fleet);

#endif
