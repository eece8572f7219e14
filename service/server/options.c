/* SPDX-License-Identifier: Apache-2.0 */
#include "config/value.h"
#include "service/server/options.h"
#include "service/symbols/check.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define MOST_OPTIONS 96
#define LONGEST_NAME 40

/* Return values of getopt_long for options without a letter; those with a value start at VALUE. */
enum { VALUE = 1000, CONFIG, CHECK, CORE_DUMPS, HELP, VERSION };

/* Options that are not the configuration's; the latter follow them (options_parse). */
static const struct option own_options[] = {
    {"config", required_argument, NULL, CONFIG},   {"check", optional_argument, NULL, CHECK},
    {"core-dumps", no_argument, NULL, CORE_DUMPS}, {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
};

void options_help(FILE *out)
{
    static const char text[] =
        "kdnetd serves Windows machines that debug over the network (KDNET): when one crashes, it asks it whether its\n"
        "crash dump was written, says so, and lets it go on.\n"
        "\n"
        "  kdnetd [--config FILE] [option]...\n"
        "  kdnetd --check [FILE] [option]...        names every mistake of a configuration, and does nothing else\n"
        "  kdnetd --check=reload [FILE] [option]... only those for which a reload would refuse it, and not what this\n"
        "                                           computer lacks (addresses, folders)\n"
        "\n"
        "  --config FILE                   configuration, YAML\n";
    static const char end[] =
        "  --core-dumps                    for developers: core files and debuggers are allowed, and show keys\n"
        "  --help, --version\n"
        "\n"
        "TIME is a number with ms, s, m or h. Signals: HUP reads the configuration again and opens the result file\n"
        "again, USR1 logs a summary, TERM and INT end it. Exit status: 0, 1 run-time failure, 2 usage or "
        "configuration.\n";
    (void)fputs(text, out);
    config_write_help(out);
    (void)fputs(end, out);
}

static bool add_value(struct options *options, const char *name, const char *text)
{
    struct options_value *values = realloc(options->values, (options->value_count + 1) * sizeof *values);
    if (!values) {
        (void)fputs("kdnetd: out of memory\n", stderr);
        return false;
    }
    options->values = values;
    values[options->value_count++] = (struct options_value){.text = text ? text : "true"};
    (void)snprintf(values[options->value_count - 1].name, sizeof values->name, "%s", name);
    return true;
}

static bool take_check(struct options *options, const char *scope)
{
    options->task = OPTIONS_CHECK;
    options->check_for_reload = scope != NULL;
    if (!scope || strcmp(scope, "reload") == 0)
        return true;
    (void)fprintf(stderr, "kdnetd: --check=%s is not known; write --check or --check=reload\n", scope);
    return false;
}

static bool take(struct options *options, int option, const char *name)
{
    switch (option) {
    case VALUE:
        return add_value(options, name, optarg);
    case CONFIG:
        options->config_path = optarg;
        return true;
    case CHECK:
        return take_check(options, optarg);
    case CORE_DUMPS:
        options->core_dumps = true;
        return true;
    case HELP:
        options->task = OPTIONS_HELP;
        return true;
    case VERSION:
        options->task = OPTIONS_VERSION;
        return true;
    default:
        return false; /* complain has printed the fault */
    }
}

/* Prints the fault of an option that getopt_long refuses, as written; `option` is getopt_long's result. A ':' also
 * stands for a value too many, in MinGW's. */
static void complain(int option, const char *written, const struct option *list)
{
    bool lacks_value = option == ':' && !strchr(written, '=');
    const char *names[MOST_OPTIONS];
    char name[LONGEST_NAME + 1] = "";
    size_t count = 0, length = strcspn(written + strspn(written, "-"), "=");
    bool known = false;
    if (length < sizeof name)
        memcpy(name, written + strspn(written, "-"), length);
    for (; list[count].name; ++count) {
        names[count] = list[count].name;
        known = known || strcmp(name, list[count].name) == 0;
    }
    const char *likely = config_suggest(name, names, count);
    if (lacks_value)
        (void)fprintf(stderr, "kdnetd: --%s wants a value behind it", name);
    else if (known)
        (void)fprintf(stderr, "kdnetd: --%s takes no value", name);
    else if (length >= sizeof name)
        (void)fprintf(stderr, "kdnetd: unknown option");
    else
        (void)fprintf(stderr, "kdnetd: unknown option \"%.*s%s\"", (int)strspn(written, "-"), written, name);
    if (!known && likely)
        (void)fprintf(stderr, "; did you mean --%s?", likely);
    (void)fputs("\nTry: kdnetd --help\n", stderr);
}

/* All of them for getopt_long, their names in `commands`. */
static void list_options(struct option list[static MOST_OPTIONS + 1],
                         struct config_command commands[static MOST_OPTIONS])
{
    size_t count = sizeof own_options / sizeof own_options[0];
    memcpy(list, own_options, sizeof own_options);
    for (size_t i = 0; count < MOST_OPTIONS && config_command(i, &commands[i]); ++i)
        list[count++] = (struct option){commands[i].name, commands[i].is_switch ? optional_argument : required_argument,
                                        NULL, VALUE};
    list[count] = (struct option){NULL, 0, NULL, 0};
}

bool options_parse(struct options *options, int argc, char **argv)
{
    struct option list[MOST_OPTIONS + 1];
    struct config_command commands[MOST_OPTIONS];
    *options = (struct options){.task = OPTIONS_SERVE};
    int index = 0;
    list_options(list, commands);
    opterr = 0; /* complain prints the fault */
    for (int option = getopt_long(argc, argv, ":", list, &index); option != -1;
         option = getopt_long(argc, argv, ":", list, &index)) { // NOLINT(concurrency-mt-unsafe)
        const char letter[3] = {'-', (char)optopt};
        bool is_letter = optopt > 0 && optopt < VALUE;
        if (option == '?' || option == ':')
            complain(option, is_letter ? letter : argv[optind - 1], list);
        if (option == '?' || option == ':' || !take(options, option, list[index].name))
            return false;
    }
    if (options->task == OPTIONS_CHECK && !options->config_path && optind < argc)
        options->config_path = argv[optind++];
    if (optind < argc) {
        (void)fprintf(stderr, "kdnetd: \"%s\" is no option; a configuration file is given with --config FILE\n",
                      argv[optind]);
        return false;
    }
    return true;
}

void options_clear(struct options *options)
{
    free(options->values);
    *options = (struct options){.task = OPTIONS_SERVE};
}

/* Defaults the collector's name to the computer's name, with - for characters that a collector's name cannot have. */
static void name_collector(struct kdnetd_config *config)
{
    char name[UV_MAXHOSTNAMESIZE] = "";
    size_t size = sizeof name, length = 0;
    if (config->collector[0] != '\0')
        return;
    if (uv_os_gethostname(name, &size) != 0 || name[0] == '\0')
        (void)snprintf(name, sizeof name, "kdnetd");
    for (; name[length] != '\0' && length < sizeof config->collector - 1; ++length) {
        bool kept = (name[length] >= 'A' && name[length] <= 'Z') || (name[length] >= 'a' && name[length] <= 'z') ||
                    (name[length] >= '0' && name[length] <= '9') || strchr("._-", name[length]);
        config->collector[length] = '-';
        if (kept)
            config->collector[length] = name[length];
    }
    config->collector[length] = '\0';
}

bool options_load(const struct options *options, const struct config_access *access, struct kdnetd_config *config,
                  struct config_report *report)
{
    config_init(config);
    if (access)
        config->access = *access;
    if (options->config_path)
        (void)config_load(options->config_path, config, report);
    for (size_t i = 0; i < options->value_count; ++i) {
        char error[CONFIG_ERROR_SIZE] = "is wrong", field[CONFIG_NAME_SIZE + 2];
        (void)snprintf(field, sizeof field, "--%s", options->values[i].name);
        struct config_spot spot = {.file = "command line", .source = CONFIG_SOURCE_OPTIONS, .field = field};
        if (!config_add(config, options->values[i].name, options->values[i].text, error))
            config_report_add(report, &spot, "%s", error);
    }
    const char *path = getenv("_NT_SYMBOL_PATH"); // NOLINT(concurrency-mt-unsafe)
    if (config->symbols.count == 0 && path && path[0] != '\0') {
        char error[CONFIG_ERROR_SIZE] = "is wrong";
        struct config_spot spot = {.file = "environment", .source = CONFIG_SOURCE_OPTIONS, .field = "_NT_SYMBOL_PATH"};
        if (!config_add(config, "symbols", path, error))
            config_report_add(report, &spot, "%s", error);
    }
    name_collector(config);
    symbols_check(config, report);
    (void)config_check(config, report);
    return config_report_count(report) == 0;
}
