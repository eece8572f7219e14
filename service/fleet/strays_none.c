/* SPDX-License-Identifier: Apache-2.0 */
/* A build without libnats. */
#include "service/fleet/strays.h"

struct strays *strays_open(const struct kdnetd_config *config, strays_came *came, void *user)
{
    (void)config;
    (void)came;
    (void)user;
    return NULL;
}

void strays_show(struct strays *strays, const struct stray *stray)
{
    (void)strays;
    (void)stray;
}

bool strays_close(struct strays *strays, unsigned wait_ms)
{
    (void)strays;
    (void)wait_ms;
    return true;
}
