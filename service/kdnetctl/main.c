/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl: the operator's tool. Finds the command and runs it. */
#include "service/kdnetctl/command.h"
#include "service/platform/program.h"

#include <stdio.h>
#include <string.h>

static const struct command *const commands[] = {&command_decode, &command_check, &command_keygen, &command_symbols};

#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; ++i)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static void print_help(FILE *stream)
{
    (void)fputs("Usage: kdnetctl COMMAND [ARGUMENT...]\n\n"
                "The operator's tool of kdnetd, which tells whether crashed Windows servers wrote their dumps.\n\n",
                stream);
    for (size_t i = 0; i < COMMAND_COUNT; ++i)
        (void)fprintf(stream, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    (void)fputs("\n  help COMMAND, COMMAND --help   all about one command\n"
                "  --help, --version\n\n"
                "Exit status: 0 success, 1 failure, 2 wrong usage or a mistake in a configuration.\n",
                stream);
}

static int unknown(const char *name)
{
    const char *names[COMMAND_COUNT + 2] = {"help"};
    for (size_t i = 0; i < COMMAND_COUNT; ++i)
        names[i + 1] = commands[i]->name;
    const char *nearest = command_nearest(name, names);
    (void)fprintf(stderr, "kdnetctl: unknown %s '", name[0] == '-' ? "option" : "command");
    command_print_argument(stderr, name);
    if (nearest)
        (void)fprintf(stderr, "'; did you mean %s?", nearest);
    else
        (void)fputc('\'', stderr);
    (void)fputs("\nTry: kdnetctl --help\n", stderr);
    return COMMAND_USAGE;
}

static int help(const char *name)
{
    if (!name) {
        print_help(stdout);
        return COMMAND_OK;
    }
    const struct command *command = find(name);
    if (!command)
        return unknown(name);
    (void)fputs(command->help, stdout);
    return COMMAND_OK;
}

int main(int argc, char **argv)
{
    program_start(&argc, &argv);
    if (argc < 2) {
        print_help(stderr);
        return COMMAND_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0) {
        puts("kdnetctl " KDNETD_VERSION);
        return COMMAND_OK;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    const struct command *command = find(name);
    return command ? command->run(argc - 1, argv + 1) : unknown(name);
}
