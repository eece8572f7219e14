/* SPDX-License-Identifier: Apache-2.0 */
/* Completions of bash, zsh and fish, made from the rows of the commands. */
#include "service/kdnetctl/commands.h"

#include <string.h>

typedef void each_option(const struct command *command, const struct command_option *option, FILE *out);

static void for_each_option(const struct command *command, each_option *each, FILE *out)
{
    static const struct command_option help = {"help", NULL, COMMAND_HELP, "all about the command"};
    const struct command_option *const tables[] = {command->options, command->asks ? command_common : NULL};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; ++i)
        for (const struct command_option *option = tables[i]; option && option->name; ++option)
            each(command, option, out);
    each(command, &help, out);
}

static const char *dashes(const struct command_option *option)
{
    return option->name[1] == '\0' ? "-" : "--";
}

/* The first line of an option's help. */
static int line_length(const char *text)
{
    return (int)strcspn(text, "\n");
}

/* ------------------------------------------------------------------------------------------------------ bash */

static void bash_option(const struct command *command, const struct command_option *option, FILE *out)
{
    (void)command;
    (void)fprintf(out, " %s%s", dashes(option), option->name);
}

static void print_bash(FILE *out)
{
    (void)fputs("# SPDX-License-Identifier: Apache-2.0\n"
                "# Made by `kdnetctl completion bash`.\n"
                "_kdnetctl() {\n"
                "    local word=${COMP_WORDS[COMP_CWORD]} options=\n"
                "    COMPREPLY=()\n"
                "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                "        options='help",
                out);
    for (const struct command *const *command = command_all; *command; ++command)
        (void)fprintf(out, " %s", (*command)->name);
    (void)fputs("'\n"
                "    else\n"
                "        case ${COMP_WORDS[1]} in\n",
                out);
    for (const struct command *const *command = command_all; *command; ++command) {
        (void)fprintf(out, "        %s) options='", (*command)->name);
        for_each_option(*command, bash_option, out);
        (void)fputs("' ;;\n", out);
    }
    (void)fputs("        esac\n"
                "    fi\n"
                "    if [ \"$COMP_CWORD\" -eq 1 ] || [ \"${word#-}\" != \"$word\" ]; then\n"
                "        while IFS= read -r word; do COMPREPLY+=(\"$word\"); done \\\n"
                "            < <(compgen -W \"$options\" -- \"$word\")\n"
                "    fi\n"
                "}\n"
                "complete -o default -F _kdnetctl kdnetctl\n",
                out);
}

/* ------------------------------------------------------------------------------------------------------- zsh */

/* A text inside '...[...]' of _arguments. */
static void zsh_text(const char *text, int length, FILE *out)
{
    for (int i = 0; i < length; ++i) {
        if (text[i] == '\'')
            (void)fputs("'\\''", out);
        else if (strchr("[]:\\", text[i]))
            (void)fprintf(out, "\\%c", text[i]);
        else
            (void)fputc(text[i], out);
    }
}

static void zsh_option(const struct command *command, const struct command_option *option, FILE *out)
{
    (void)command;
    const char *argument = option->argument;
    bool optional = argument && argument[0] == '[';
    (void)fprintf(out, " \\\n            '*%s%s%s[", dashes(option), option->name, optional ? "=-" : "");
    zsh_text(option->help, line_length(option->help), out);
    (void)fputc(']', out);
    if (argument) {
        bool file = strstr(argument, "FILE") || strcmp(argument, "PATH") == 0;
        (void)fputs(optional ? "::" : ":", out);
        zsh_text(argument, (int)strlen(argument), out);
        (void)fputs(file ? ":_files" : ": ", out);
    }
    (void)fputc('\'', out);
}

static void print_zsh(FILE *out)
{
    (void)fputs("#compdef kdnetctl\n"
                "# SPDX-License-Identifier: Apache-2.0\n"
                "# Made by `kdnetctl completion zsh`.\n"
                "_kdnetctl() {\n"
                "    local -a commands=(\n"
                "        'help:all about one command'\n",
                out);
    for (const struct command *const *command = command_all; *command; ++command) {
        (void)fprintf(out, "        '%s:", (*command)->name);
        zsh_text((*command)->summary, (int)strlen((*command)->summary), out);
        (void)fputs("'\n", out);
    }
    (void)fputs("    )\n"
                "    if ((CURRENT == 2)); then\n"
                "        _describe command commands\n"
                "        return\n"
                "    fi\n"
                "    local command=${words[2]}\n"
                "    shift words\n"
                "    ((CURRENT -= 1))\n"
                "    case $command in\n",
                out);
    for (const struct command *const *command = command_all; *command; ++command) {
        (void)fprintf(out, "    %s)\n        _arguments", (*command)->name);
        for_each_option(*command, zsh_option, out);
        (void)fputs(" \\\n            '*: :_files'\n        ;;\n", out);
    }
    (void)fputs("    esac\n"
                "}\n"
                "_kdnetctl \"$@\"\n",
                out);
}

/* ------------------------------------------------------------------------------------------------------ fish */

static void fish_text(const char *text, int length, FILE *out)
{
    (void)fputc('\'', out);
    for (int i = 0; i < length; ++i)
        (void)fprintf(out, text[i] == '\'' || text[i] == '\\' ? "\\%c" : "%c", text[i]);
    (void)fputc('\'', out);
}

static void fish_option(const struct command *command, const struct command_option *option, FILE *out)
{
    (void)fprintf(out, "complete -c kdnetctl -n '__fish_seen_subcommand_from %s' %s %s -d ", command->name,
                  option->name[1] == '\0' ? "-s" : "-l", option->name);
    fish_text(option->help, line_length(option->help), out);
    (void)fputs(option->argument && option->argument[0] != '[' ? " -r\n" : "\n", out);
}

static void print_fish(FILE *out)
{
    (void)fputs("# SPDX-License-Identifier: Apache-2.0\n"
                "# Made by `kdnetctl completion fish`.\n"
                "complete -c kdnetctl -n __fish_use_subcommand -f -a help -d 'all about one command'\n",
                out);
    for (const struct command *const *command = command_all; *command; ++command) {
        (void)fprintf(out, "complete -c kdnetctl -n __fish_use_subcommand -f -a %s -d ", (*command)->name);
        fish_text((*command)->summary, (int)strlen((*command)->summary), out);
        (void)fputc('\n', out);
    }
    for (const struct command *const *command = command_all; *command; ++command)
        for_each_option(*command, fish_option, out);
}

bool command_print_completions(const char *shell, FILE *out)
{
    static const struct {
        const char *name;
        void (*print)(FILE *out);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; ++i)
        if (strcmp(shells[i].name, shell) == 0) {
            shells[i].print(out);
            return true;
        }
    return false;
}
