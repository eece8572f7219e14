/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command: the commands of kdnetctl, and what they share.
 *
 * A command gets its arguments with its own name first, writes results to standard output and complaints to standard
 * error, and returns the exit status.
 */
#ifndef SERVICE_CTL_COMMAND_H
#define SERVICE_CTL_COMMAND_H

#include <stddef.h>
#include <stdio.h>

struct option; /* getopt.h */

enum command_exit {
    COMMAND_OK = 0,
    COMMAND_FAILED = 1,
    COMMAND_USAGE = 2, /* or a mistake in a configuration */
};

struct command {
    const char *name;
    const char *summary; /* one line */
    const char *help;    /* the whole of it; ends with a line end */
    int (*run)(int count, char **arguments);
};

extern const struct command command_decode;
extern const struct command command_check;
extern const struct command command_keygen;
extern const struct command command_symbols;

/* Tells the user something: "kdnetctl NAME: " and a line on standard error. format and the rest as for printf, without
 * a line end. */
void command_say(const struct command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Complains about the use of a command, with a pointer to its help. Returns COMMAND_USAGE. What is printed of the
 * arguments is escaped.
 */
int command_misuse(const struct command *command, const char *what, const char *argument);

/* getopt_long with messages of ours: returns its value, or '?' after a complaint. Resets getopt before the first. */
void command_options_start(void);
int command_next_option(const struct command *command, int count, char **arguments, const struct option *options);

/* The one of `names` that is nearest to a mistyped one, or NULL when none is near. `names` ends with NULL. */
const char *command_nearest(const char *typed, const char *const *names);

/* Prints a text to a stream as one line's part: what cannot be printed is escaped. */
void command_print_argument(FILE *stream, const char *argument);

#endif
