/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command: a command of kdnetctl, and the functions that all commands share. commands.h lists them.
 *
 * A command is a row: name, arguments, options, texts, and the function that runs it. The help, the parsing of options,
 * the shells' completions, and the test of the manual page are made from these rows. A command gets its arguments with
 * its own name first, writes results to standard output and complaints to standard error, and returns the exit status.
 */
#ifndef SERVICE_CTL_COMMAND_H
#define SERVICE_CTL_COMMAND_H

#include "config/verdicts.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum command_exit {
    COMMAND_OK = 0,
    COMMAND_FAILED = 1,
    COMMAND_USAGE = 2,       /* or a mistake in a configuration */
    COMMAND_UNREACHABLE = 3, /* kdnetd does not answer */
    COMMAND_NO_TARGET = 4,   /* no target or crash has this name */
};

struct command_option {
    const char *name;     /* without its dashes; NULL ends the list */
    const char *argument; /* name of its value; NULL: takes none; in []: the value is optional */
    int value;            /* returned by command_next_option; unique in its command */
    const char *help;     /* lines, the last one without a line end */
};

struct command {
    const char *name;
    const char *summary;                  /* one line */
    const char *arguments;                /* of the usage line, without common options; "" for none */
    const char *text;                     /* paragraphs, each with a line end; may be "" */
    const struct command_option *options; /* NULL: none of its own */
    const char *more;                     /* paragraphs behind the options, or NULL */
    const char *exits;                    /* NULL: those of a command that asks kdnetd */
    bool asks;                            /* asks kdnetd: takes the common options of client_options.h */
    int (*run)(int count, char **arguments);
};

/* Of an option --since TIME. */
#define COMMAND_SINCE_HELP   "from then on: a duration back from now (24h), or as 2026-11-26T08:14:03Z"
#define COMMAND_VERDICT_HELP VERDICTS_WORDS "; may be given again"
#define COMMAND_TARGET_HELP  "of this machine; may be given again"

/* The options of every command that asks kdnetd. Ends with a NULL name. */
extern const struct command_option command_common[];

void command_print_help(const struct command *command, FILE *stream);

/* Tells the user something: "kdnetctl NAME: " and a line on standard error. format and the rest as for printf, without
 * a line end. */
void command_say(const struct command *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Complains about the use of a command, with a pointer to its help. Returns COMMAND_USAGE. Escapes the printed
 * arguments.
 */
int command_misuse(const struct command *command, const char *what, const char *argument);

/*
 * Returns the next option of a command's arguments: its value in the command's row or among the common ones,
 * COMMAND_HELP after the help was printed, '?' after a complaint, -1 at the end (arguments start at optind). The
 * option's own value is in optarg, NULL when left out. Call command_options_start before the first.
 */
#define COMMAND_HELP 'h'
void command_options_start(void);
int command_next_option(const struct command *command, int count, char **arguments);

/*
 * Memory: what a command prints is whole, or ask_end says that it is not, and the command fails.
 * command_short_of_memory notes it; command_is_short_of_memory says whether that was noted since command_memory_start,
 * from which on jansson's allocations are noted, too.
 */
void command_memory_start(void);
void command_short_of_memory(void);
bool command_is_short_of_memory(void);

/* Returns the name nearest to a mistyped one, or NULL when none is near. `names` ends with NULL. */
const char *command_nearest(const char *typed, const char *const *names);

/* Prints a text as a part of one line: unprintable characters are escaped. */
void command_print_argument(FILE *stream, const char *argument);

#endif
