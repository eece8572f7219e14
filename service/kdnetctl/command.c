/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnetctl/command.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <getopt.h>

#define NAME_MAX_LENGTH 31
#define OPTIONS_MAX     16

void command_print_argument(FILE *stream, const char *argument)
{
    for (; *argument; ++argument) {
        unsigned char c = (unsigned char)*argument;
        if (c < 0x20 || c == 0x7f)
            (void)fprintf(stream, "\\x%02x", c);
        else
            (void)fputc(c, stream);
    }
}

void command_say(const struct command *command, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fprintf(stderr, "kdnetctl %s: ", command->name);
    (void)vfprintf(stderr, format, arguments);
    (void)fputc('\n', stderr);
    va_end(arguments);
}

int command_misuse(const struct command *command, const char *what, const char *argument)
{
    (void)fprintf(stderr, "kdnetctl %s: %s", command->name, what);
    if (argument) {
        (void)fputs(" '", stderr);
        command_print_argument(stderr, argument);
        (void)fputc('\'', stderr);
    }
    (void)fprintf(stderr, "\nTry: kdnetctl %s --help\n", command->name);
    return COMMAND_USAGE;
}

/* Edit distance; both words are at most NAME_MAX_LENGTH long. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NAME_MAX_LENGTH + 1];
    size_t width = strlen(b);
    for (size_t j = 0; j <= width; ++j)
        row[j] = j;
    for (size_t i = 0; a[i]; ++i) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < width; ++j) {
            size_t change = diagonal + (a[i] != b[j]);
            size_t insert = (row[j] < row[j + 1] ? row[j] : row[j + 1]) + 1;
            diagonal = row[j + 1];
            row[j + 1] = change < insert ? change : insert;
        }
    }
    return row[width];
}

const char *command_nearest(const char *typed, const char *const *names)
{
    const char *nearest = NULL;
    size_t least = 3; /* two slips at most */
    if (strlen(typed) > NAME_MAX_LENGTH)
        return NULL;
    for (; *names; ++names) {
        size_t far = distance(typed, *names);
        if (far < least && far < strlen(*names)) {
            least = far;
            nearest = *names;
        }
    }
    return nearest;
}

void command_options_start(void)
{
    optind = 0; /* GNU: start anew, whatever was parsed before */
    opterr = 0;
}

static void complain_of_option(const struct command *command, const char *argument, const struct option *options)
{
    const char *names[OPTIONS_MAX + 1] = {NULL};
    char typed[NAME_MAX_LENGTH + 1] = "";
    for (size_t i = 0; i < OPTIONS_MAX && options[i].name; ++i)
        names[i] = options[i].name;
    const char *start = argument + strspn(argument, "-");
    size_t length = strcspn(start, "=");
    if (length < sizeof typed)
        memcpy(typed, start, length);
    const char *nearest = command_nearest(typed, names);
    (void)fprintf(stderr, "kdnetctl %s: unknown option '", command->name);
    command_print_argument(stderr, argument);
    if (nearest)
        (void)fprintf(stderr, "'; did you mean --%s?", nearest);
    else
        (void)fputc('\'', stderr);
    (void)fprintf(stderr, "\nTry: kdnetctl %s --help\n", command->name);
}

int command_next_option(const struct command *command, int count, char **arguments, const struct option *options)
{
    int value = getopt_long(count, arguments, ":h", options, NULL);
    const char *argument = optind > 0 && optind <= count ? arguments[optind - 1] : "";
    if (value == ':') {
        command_misuse(command, "this option needs a value:", argument);
        return '?';
    }
    if (value == '?') {
        bool known = optopt != 0 && strncmp(argument, "--", 2) == 0; /* known, but given a value it does not take */
        if (known)
            command_misuse(command, "this option takes no value:", argument);
        else
            complain_of_option(command, argument, options);
    }
    return value;
}
