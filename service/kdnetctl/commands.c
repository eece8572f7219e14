/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnetctl/commands.h"

#include <string.h>

const struct command *const command_all[] = {&command_status,    &command_health,
                                             &command_targets,   &command_show,
                                             &command_crashes,   &command_ack,
                                             &command_buckets,   &command_events,
                                             &command_watch,     &command_release,
                                             &command_reboot,    &command_read,
                                             &command_doctor,    &command_unknown,
                                             &command_reload,    &command_drain,
                                             &command_token,     &command_backup,
                                             &command_republish, &command_fleet,
                                             &command_keygen,    &command_import,
                                             &command_check,     &command_decode,
                                             &command_symbols,   NULL};

const struct command *command_find(const char *name)
{
    for (const struct command *const *command = command_all; *command; ++command)
        if (strcmp((*command)->name, name) == 0)
            return *command;
    return NULL;
}
