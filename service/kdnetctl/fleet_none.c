/* SPDX-License-Identifier: Apache-2.0 */
/* A build without libnats. */
#include "service/kdnetctl/fleet.h"

int fleet_source_open(struct fleet_source **out, const struct command *command, const struct config_nats *nats,
                      uint64_t since_us)
{
    (void)nats;
    (void)since_us;
    *out = NULL;
    command_say(command, "this kdnetctl was built without libnats; build it with libnats-dev");
    return COMMAND_FAILED;
}

int fleet_source_read(struct fleet_source *source, struct fleet_view *view, unsigned wait_ms)
{
    (void)source;
    (void)view;
    (void)wait_ms;
    return COMMAND_FAILED;
}

void fleet_source_close(struct fleet_source *source, int status)
{
    (void)source;
    (void)status;
}
