/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl check: the mistakes of a configuration, as kdnetd --check names them. */
#include "config/config.h"
#include "service/kdnetctl/commands.h"
#include "service/symbols/check.h"

#include <stdio.h>

#include <getopt.h>

static int check_file(const char *path)
{
    struct kdnetd_config config;
    struct config_report report;
    config_init(&config);
    config_report_init(&report);
    config_load(path, &config, &report);
    symbols_check(&config, &report);
    config_check(&config, &report);
    size_t mistakes = config_report_count(&report);
    config_report_print(&report, stderr);
    symbols_check_warn(&config, stderr);
    if (mistakes == 0)
        (void)printf("%s: good, with %zu target%s and %zu listener%s\n", path, config.target_count,
                     config.target_count == 1 ? "" : "s", config.listen_count, config.listen_count == 1 ? "" : "s");
    config_report_clear(&report);
    config_clear(&config);
    return mistakes == 0 ? COMMAND_OK : COMMAND_USAGE;
}

static int run_check(int count, char **arguments)
{
    int option;
    command_options_start();
    if ((option = command_next_option(&command_check, count, arguments)) != -1)
        return option == COMMAND_HELP ? COMMAND_OK : COMMAND_USAGE;
    if (optind >= count)
        return command_misuse(&command_check, "which file? Name a configuration of kdnetd", NULL);
    if (optind + 1 < count)
        return command_misuse(&command_check, "one file at a time; one too many is", arguments[optind + 1]);
    return check_file(arguments[optind]);
}

const struct command command_check = {
    .name = "check",
    .summary = "name every mistake of a configuration",
    .arguments = "FILE",
    .text =
        "Reads a configuration of kdnetd with all that it includes, and names every mistake with file, line, field\n"
        "and remedy, as kdnetd --check FILE does. Nothing is started.\n",
    .exits = "0 it is good, 2 it has mistakes or cannot be read.",
    .run = run_check};
