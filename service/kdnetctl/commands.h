/* SPDX-License-Identifier: Apache-2.0 */
/* commands: the rows of all commands, and their list. A file with a command needs only its own row. */
#ifndef SERVICE_CTL_COMMANDS_H
#define SERVICE_CTL_COMMANDS_H

#include "service/kdnetctl/command.h"

extern const struct command command_ack;
extern const struct command command_backup;
extern const struct command command_buckets;
extern const struct command command_check;
extern const struct command command_crashes;
extern const struct command command_decode;
extern const struct command command_doctor;
extern const struct command command_drain;
extern const struct command command_events;
extern const struct command command_fleet;
extern const struct command command_health;
extern const struct command command_import;
extern const struct command command_keygen;
extern const struct command command_read;
extern const struct command command_reboot;
extern const struct command command_release;
extern const struct command command_reload;
extern const struct command command_republish;
extern const struct command command_show;
extern const struct command command_status;
extern const struct command command_symbols;
extern const struct command command_targets;
extern const struct command command_token;
extern const struct command command_unknown;
extern const struct command command_watch;

/* All commands, in the order of the help. Ends with NULL. */
extern const struct command *const command_all[];

/* Returns the command of that name, or NULL. */
const struct command *command_find(const char *name);

/* Prints the completions of a shell; false: unknown shell. */
bool command_print_completions(const char *shell, FILE *out);

#endif
