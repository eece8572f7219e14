/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/windows/manager.h"
#include "service/platform/windows/selftest.h"
#include "service/platform/windows/service_state.h"
#include "service/platform/service.h"

#include <stdio.h>
#include <string.h>

struct verb {
    const char *name, *help;
    int (*run)(int argc, char **argv);
};

static const struct verb verbs[] = {
    {"install", "[--config FILE] [--firewall]  make the service, its folders, its account and its event source",
     manager_install},
    {"uninstall", "stop and remove the service; configuration, results and logs stay", manager_uninstall},
    {"start", "start it, and wait until it serves", manager_start},
    {"stop", "stop it, and wait until it has stopped", manager_stop},
    {"reload", "read the configuration again; live sessions are not touched", manager_reload},
    {"status", "say what it does; exit status 0: it serves", manager_status},
    {"selftest", "check what only this computer can show: account, restart actions, event source, firewall",
     selftest_run},
};

static int help(FILE *out)
{
    (void)fputs("Usage: kdnetd service VERB\n\n", out);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; ++i)
        (void)fprintf(out, "  %-10s %s\n", verbs[i].name, verbs[i].help);
    (void)fputs("\nExit status: 0 done, 1 failed, 2 wrong command line, 3 the service is not installed. All but status "
                "and\nselftest want a prompt that was opened as administrator.\n",
                out);
    return out == stdout ? MANAGER_DONE : MANAGER_USAGE;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

int service_command(int argc, char **argv, int (*run)(int argc, char **argv))
{
    const char *name = argc > 1 ? argv[1] : "";
    if (strcmp(name, "run") == 0) {
        argv[1] = argv[0];
        return service_state_run(argc - 1, argv + 1, run);
    }
    if (is_help(name) || strcmp(name, "help") == 0)
        return help(stdout);
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; ++i)
        if (strcmp(name, verbs[i].name) == 0)
            return argc == 3 && is_help(argv[2]) ? help(stdout) : verbs[i].run(argc - 1, argv + 1);
    if (name[0])
        (void)fprintf(stderr, "kdnetd: service: no verb '%s'\n", name);
    return help(stderr);
}
