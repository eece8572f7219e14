/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl: the operator's tool. Finds the command and runs it. */
#include "service/kdnetctl/commands.h"
#include "service/platform/program.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NAMES_MAX 64
#define NAME_SIZE 40

static void print_help(FILE *stream)
{
    (void)fputs("Usage: kdnetctl COMMAND [ARGUMENT...]\n\n"
                "The operator's tool of kdnetd, which tells whether crashed Windows servers wrote their dumps.\n\n",
                stream);
    for (const struct command *const *command = command_all; *command; ++command)
        (void)fprintf(stream, "  %-9s %s\n", (*command)->name, (*command)->summary);
    (void)fputs("\n  help COMMAND, COMMAND --help   all about one command\n"
                "  completion bash|zsh|fish       completions of a shell, on standard output\n"
                "  --help, --version\n\n"
                "Exit status: 0 success, 1 failure, 2 wrong usage or a mistake in a configuration, 3 kdnetd cannot be\n"
                "reached, 4 no such target.\n",
                stream);
}

static int unknown(const char *name)
{
    const char *names[NAMES_MAX] = {"help", "completion"};
    for (size_t i = 0; command_all[i] && i + 3 < NAMES_MAX; ++i)
        names[i + 2] = command_all[i]->name;
    const char *nearest = command_nearest(name, names);
    (void)fputs("kdnetctl: unknown command '", stderr);
    command_print_argument(stderr, name);
    if (nearest)
        (void)fprintf(stderr, "'; did you mean %s?", nearest);
    else
        (void)fputc('\'', stderr);
    (void)fputs("\nTry: kdnetctl --help\n", stderr);
    return COMMAND_USAGE;
}

/* An option where a command should be. */
static int no_command(const char *option)
{
    const char *names[NAMES_MAX] = {"help", "version"};
    char typed[NAME_SIZE] = "";
    size_t start = strspn(option, "-"), length = strcspn(option + start, "=");
    for (size_t i = 0; command_common[i].name && i + 3 < NAMES_MAX; ++i)
        names[i + 2] = command_common[i].name;
    if (length < sizeof typed)
        memcpy(typed, option + start, length);
    const char *nearest = command_nearest(typed, names);
    if (nearest && strcmp(nearest, typed) == 0) {
        (void)fprintf(stderr, "kdnetctl: --%s goes with a command, and none is named\nTry: kdnetctl --help\n", typed);
        return COMMAND_USAGE;
    }
    (void)fputs("kdnetctl: unknown option '", stderr);
    command_print_argument(stderr, option);
    (void)fputc('\'', stderr);
    if (nearest)
        (void)fprintf(stderr, "; did you mean --%s?", nearest);
    (void)fputs("\nOptions of a command stand behind it. Try: kdnetctl --help\n", stderr);
    return COMMAND_USAGE;
}

static int help(const char *name)
{
    if (!name) {
        print_help(stdout);
        return COMMAND_OK;
    }
    const struct command *command = command_find(name);
    if (!command)
        return unknown(name);
    command_print_help(command, stdout);
    return COMMAND_OK;
}

static int complete(const char *shell)
{
    if (shell && command_print_completions(shell, stdout))
        return fflush(stdout) == 0 ? COMMAND_OK : COMMAND_FAILED;
    (void)fputs("kdnetctl completion: name a shell: bash, zsh or fish\n", stderr);
    return COMMAND_USAGE;
}

/* Whether a word is a common option whose value is the next word. */
static bool takes_next(const char *word)
{
    for (const struct command_option *option = command_common; option->name; ++option)
        if (option->argument && strncmp(word, "--", 2) == 0 && strcmp(word + 2, option->name) == 0)
            return true;
    return false;
}

static bool is_common(const char *word)
{
    size_t length = strncmp(word, "--", 2) == 0 ? strcspn(word + 2, "=") : 0;
    for (const struct command_option *option = command_common; option->name && length > 0; ++option)
        if (strlen(option->name) == length && strncmp(word + 2, option->name, length) == 0)
            return true;
    return false;
}

/* Common options may come before the command: the command is put before them. */
static void put_command_first(int argc, char **argv)
{
    int at = 1;
    while (at < argc && is_common(argv[at]))
        at += takes_next(argv[at]) ? 2 : 1;
    if (at <= 1 || at >= argc)
        return;
    char *command = argv[at];
    memmove(argv + 2, argv + 1, (size_t)(at - 1) * sizeof *argv);
    argv[1] = command;
}

int main(int argc, char **argv)
{
    program_start(&argc, &argv);
    if (argc < 2) {
        print_help(stderr);
        return COMMAND_USAGE;
    }
    put_command_first(argc, argv);
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0) {
        puts("kdnetctl " KDNETD_VERSION);
        return COMMAND_OK;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
        return help(argc > 2 ? argv[2] : NULL);
    if (strcmp(name, "completion") == 0)
        return complete(argc > 2 ? argv[2] : NULL);
    const struct command *command = command_find(name);
    if (command)
        return command->run(argc - 1, argv + 1);
    return name[0] == '-' ? no_command(name) : unknown(name);
}
