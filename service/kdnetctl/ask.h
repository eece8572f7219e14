/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask: shared by the commands that ask kdnetd: options, words, the client, pages of a list, tables.
 *
 * A command calls ask_begin, does its work when that returns true, and ends with ask_end.
 */
#ifndef SERVICE_CTL_ASK_H
#define SERVICE_CTL_ASK_H

#include "service/kdnetctl/client.h"
#include "service/kdnetctl/table.h"
#include "service/kdnetctl/times.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define ASK_OPTIONS_MAX 64
#define ASK_PATH_SIZE   4096

struct ask {
    const struct command *command;
    struct client_options options;
    struct {
        int option;
        const char *value;
    } given[ASK_OPTIONS_MAX];
    size_t given_count;
    char **words; /* arguments that are no options */
    size_t word_count;
    struct client *client;
    struct screen screen; /* of standard output */
    bool done;            /* help was printed, or the usage is wrong: `status` is the exit status */
    int status;
};

/* Reads the arguments; words: how many may be there. False: ask->status is the exit status. Nothing is sent. */
bool ask_parse(struct ask *ask, const struct command *command, int count, char **arguments, size_t least, size_t most);

/* Parses the arguments like ask_begin_alone, and connects to kdnetd. */
bool ask_begin(struct ask *ask, const struct command *command, int count, char **arguments, size_t least, size_t most);

/* Closes the client. Returns `status`, or COMMAND_FAILED when standard output could not be written. */
int ask_end(struct ask *ask, int status);

bool ask_given(const struct ask *ask, int option);
const char *ask_value(const struct ask *ask, int option); /* the last value; NULL: not given, or without a value */

/* Returns whether the option was not given, or was given with `value`. */
bool ask_wants(const struct ask *ask, int option, const char *value);

/* Returns whether each value of the option is a verdict. False after a complaint. */
bool ask_verdicts(const struct ask *ask, int option);

/* Appends each value of an option as a query parameter. */
bool ask_query(const struct ask *ask, char *path, int option, const char *name);

/* Reads a numeric option from 1 to `most`; *out is unchanged when the option is absent. False after a complaint. */
bool ask_number(const struct ask *ask, int option, const char *name, unsigned long most, unsigned long *out);

/* Reads an option that is a time, or a duration back from now; *since_us is unchanged without it. False after a
 * complaint. */
bool ask_since(const struct ask *ask, int option, int64_t *since_us);

/* Starts a path below /api/v1, "/targets/NAME" with NAME escaped. Complains when the name is too long. */
bool ask_path(const struct ask *ask, char *path, const char *before, const char *name, const char *after);

/*
 * Asks for a list page by page, at most `most` of its members (0: all), and passes each to `each`, which returns false
 * to stop. *total, if not NULL, is the list's own total.
 */
typedef bool ask_each(void *user, const json_t *item);
int ask_pages(struct ask *ask, const char *path, const char *member, unsigned long most, ask_each *each, void *user,
              json_int_t *total);

/* Adds the row of an item. False: out of memory. */
typedef bool ask_row(const struct ask *ask, const json_t *item, struct table *table);

/* Prints a list of an answer as a table with `title` (or NULL) above it; nothing when the list is empty. */
void ask_print_list(const struct ask *ask, const char *title, const json_t *list, const struct table_column *columns,
                    size_t count, ask_row *row);

/* A list asked for page by page, printed as JSON lines or as a table; `empty` is printed when nothing matches. */
struct ask_list {
    const char *path, *member;
    unsigned long most;
    const struct table_column *columns;
    size_t column_count;
    ask_row *row;
    const char *empty;
};
int ask_list(struct ask *ask, const struct ask_list *list);

/* Prints a list that is complete in one answer. */
int ask_print_answer(struct ask *ask, const struct ask_list *list, const json_t *answer);

/* A member of an answer as a time for this operator. */
const char *ask_time(const struct ask *ask, const json_t *object, const char *path, char out[static TIMES_SIZE]);

/* The colours of verdicts and states. */
enum colour ask_colour(const char *word);

/* A line "name: value" of a description; a value of "-" is left out. */
void ask_print_field(const struct ask *ask, const char *name, const char *value);

/* Prints a whole sentence, wrapped at the width of the screen. */
void ask_print_text(const struct ask *ask, const char *name, const char *text);

#endif
