/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnetctl/command.h"
#include "service/kdnetctl/printable.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <getopt.h>
#include <jansson.h>

#define NAME_MAX_LENGTH 31
#define OPTIONS_MAX     24
#define SAY_SIZE        8192 /* a path, and more */

/* kdnetctl has one thread. */
static bool short_of_memory;

static void *allocate_json(size_t size)
{
    void *memory = malloc(size);
    if (!memory)
        command_short_of_memory();
    return memory;
}

void command_memory_start(void)
{
    short_of_memory = false;
    json_set_alloc_funcs(allocate_json, free);
}

void command_short_of_memory(void)
{
    short_of_memory = true;
}

bool command_is_short_of_memory(void)
{
    return short_of_memory;
}

void command_print_argument(FILE *stream, const char *argument)
{
    printable_print(stream, argument, strlen(argument));
}

/* The message may contain a path, or another program's text: it is escaped like an argument. */
void command_say(const struct command *command, const char *format, ...)
{
    char text[SAY_SIZE];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, "kdnetctl %s: ", command->name);
    command_print_argument(stderr, text);
    (void)fputc('\n', stderr);
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

/* Fills getopt's table from a command's row. Returns how many options there are. */
static size_t list_options(const struct command *command, struct option list[static OPTIONS_MAX + 1])
{
    const struct command_option *const tables[] = {command->options, command->asks ? command_common : NULL};
    size_t count = 0;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; ++i)
        for (const struct command_option *from = tables[i]; from && from->name && count + 1 < OPTIONS_MAX; ++from) {
            int has = !from->argument ? no_argument : from->argument[0] == '[' ? optional_argument : required_argument;
            list[count++] = (struct option){from->name, has, NULL, from->value};
        }
    list[count++] = (struct option){"help", no_argument, NULL, COMMAND_HELP};
    list[count] = (struct option){0};
    return count;
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

static const char *short_options(const struct command *command)
{
    for (const struct command_option *option = command->options; option && option->name; ++option)
        if (option->name[1] == '\0')
            return ":hq:"; /* -q TEXT is the only option of one letter */
    return ":h";
}

int command_next_option(const struct command *command, int count, char **arguments)
{
    struct option options[OPTIONS_MAX + 1];
    (void)list_options(command, options);
    int value = getopt_long(count, arguments, short_options(command), options, NULL);
    const char *argument = optind > 0 && optind <= count ? arguments[optind - 1] : "";
    if (value == COMMAND_HELP)
        command_print_help(command, stdout);
    if (value != '?' && value != ':')
        return value;
    bool is_long = strncmp(argument, "--", 2) == 0;
    if (is_long && strchr(argument, '=') && (value == ':' || optopt != 0)) /* ':' in MinGW's getopt_long */
        command_misuse(command, "this option takes no value:", argument);
    else if (value == ':')
        command_misuse(command, "this option needs a value:", argument);
    else
        complain_of_option(command, argument, options);
    return '?';
}

static int length_of(const struct command_option *option)
{
    size_t length = strlen(option->name);
    if (option->argument)
        length += strlen(option->argument) + (option->argument[0] == '[' ? 0 : 1);
    return (int)length + (option->name[1] == '\0' ? 1 : 2);
}

static void print_option(const struct command_option *option, int width, FILE *stream)
{
    const char *dashes = option->name[1] == '\0' ? "-" : "--";
    const char *argument = option->argument ? option->argument : "";
    const char *space = argument[0] != '\0' && argument[0] != '[' ? " " : "";
    (void)fprintf(stream, "  %s%s%s%s%*s   ", dashes, option->name, space, argument, width - length_of(option), "");
    for (const char *line = option->help; line;) {
        const char *end = strchr(line, '\n');
        (void)fprintf(stream, "%.*s\n", end ? (int)(end - line) : (int)strlen(line), line);
        line = end ? end + 1 : NULL;
        if (line)
            (void)fprintf(stream, "%*s", width + 5, "");
    }
}

static void print_options(const struct command_option *options, FILE *stream)
{
    int width = 0;
    for (const struct command_option *option = options; option->name; ++option)
        width = length_of(option) > width ? length_of(option) : width;
    (void)fputc('\n', stream);
    for (const struct command_option *option = options; option->name; ++option)
        print_option(option, width, stream);
}

void command_print_help(const struct command *command, FILE *stream)
{
    (void)fprintf(stream, "Usage: kdnetctl %s%s%s%s\n\n%s", command->name, command->asks ? " [COMMON OPTION...]" : "",
                  command->arguments[0] != '\0' ? " " : "", command->arguments, command->text);
    if (command->options)
        print_options(command->options, stream);
    if (command->asks) {
        (void)fputs("\nCommon options:\n", stream);
        print_options(command_common, stream);
    }
    if (command->more)
        (void)fprintf(stream, "\n%s", command->more);
    (void)fprintf(stream, "\nExit status: %s\n",
                  command->exits ? command->exits
                                 : "0 success, 1 failed, 2 wrong usage, 3 kdnetd cannot be reached, 4 no such target.");
}
