/* SPDX-License-Identifier: Apache-2.0 */
#include "service/server/options.h"
#include "service/symbols/check.h"
#include "config/value.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* What getopt_long returns for options without a letter; those with a value are VALUE. */
enum { VALUE = 1000, CONFIG, CHECK, CORE_DUMPS, HELP, VERSION };

static const struct option long_options[] = {
    {"config", required_argument, NULL, CONFIG},
    {"listen", required_argument, NULL, VALUE},
    {"freebind", optional_argument, NULL, VALUE},
    {"target", required_argument, NULL, VALUE},
    {"symbols", required_argument, NULL, VALUE},
    {"rva", required_argument, NULL, VALUE},
    {"read", required_argument, NULL, VALUE},
    {"default-reads", optional_argument, NULL, VALUE},
    {"symbols-ca-file", required_argument, NULL, VALUE},
    {"events", required_argument, NULL, VALUE},
    {"http", required_argument, NULL, VALUE},
    {"policy", required_argument, NULL, VALUE},
    {"read-deadline", required_argument, NULL, VALUE},
    {"lost-after", required_argument, NULL, VALUE},
    {"dump-for", required_argument, NULL, VALUE},
    {"hold-for", required_argument, NULL, VALUE},
    {"prints", optional_argument, NULL, VALUE},
    {"workers", required_argument, NULL, VALUE},
    {"collector", required_argument, NULL, VALUE},
    {"log-level", required_argument, NULL, VALUE},
    {"check", optional_argument, NULL, CHECK},
    {"core-dumps", no_argument, NULL, CORE_DUMPS},
    {"help", no_argument, NULL, HELP},
    {"version", no_argument, NULL, VERSION},
    {NULL, 0, NULL, 0},
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
        "  --config FILE                   configuration, YAML\n"
        "  --listen ADDR:PORT              where machines reach kdnetd, UDP; may be given several times\n"
        "                                  (default 0.0.0.0:50000 and [::]:50000)\n"
        "  --freebind[=true|false]         listen on an address that is not here yet, too (false)\n"
        "  --target NAME=@FILE             a machine: its name, and a file with its key [ADDR] [key_old=KEY] "
        "[strict=true]\n"
        "                                  [LABEL=VALUE]...\n"
        "  --target NAME=w.x.y.z[@ADDR]    the same with the key in sight of every user of this computer\n"
        "  --rva GUIDAGE:SYMBOL=0xRVA      where a symbol is in a kernel that you know\n"
        "  --symbols PLACE                 where kernels' symbols are: DIR, srv*DIR or srv*DIR*URL, as for WinDbg;\n"
        "                                  without any, _NT_SYMBOL_PATH\n"
        "  --symbols-ca-file FILE          certificates that symbol servers are checked by (the system's)\n"
        "  --read NAME=MODULE!SYMBOL[+OFFSET][*][:KIND]\n"
        "                                  a further value to read at a crash, told as evidence; * follows a pointer;\n"
        "                                  KIND: 1, 2, 4 (bytes), 8, pointer, string, unicode\n"
        "  --default-reads[=true|false]    read the usual dozen besides (true)\n"
        "  --events FILE|-                 where results go, a JSON object a line; - is standard output\n"
        "  --http ADDR:PORT                interface for kdnetctl (not in this version: a warning)\n"
        "  --policy BREAK=ACTION           BREAK: bugcheck_first, bugcheck_second, shutdown, break, exception,\n"
        "                                  load_symbols, prompt; ACTION: continue, hold, reboot\n"
        "  --read-deadline TIME            a halted machine goes on after this at the latest (2s)\n"
        "  --lost-after TIME               silence after which a machine is lost (30s)\n"
        "  --dump-for TIME                 the same while it writes its dump (30m)\n"
        "  --hold-for TIME|none            how long `hold` holds (none: until it is released)\n"
        "  --prints[=true|false]           make results of what machines print, too\n"
        "  --workers N                     threads that serve machines (one for each core)\n"
        "  --collector NAME                this kdnetd among others, in each result (the computer's name)\n"
        "  --log-level LEVEL               error, warning, notice, info, debug; the log is on standard error\n"
        "  --core-dumps                    for developers: core files and debuggers are allowed, and show keys\n"
        "  --help, --version\n"
        "\n"
        "TIME is a number with ms, s, m or h. Signals: HUP reads the configuration again and opens the result file\n"
        "again, USR1 logs a summary, TERM and INT end it. Exit status: 0, 1 run-time failure, 2 usage or "
        "configuration.\n";
    (void)fputs(text, out);
}

static bool add_value(struct options *options, const char *name, const char *text)
{
    struct options_value *values = realloc(options->values, (options->value_count + 1) * sizeof *values);
    if (!values) {
        (void)fputs("kdnetd: out of memory\n", stderr);
        return false;
    }
    options->values = values;
    values[options->value_count++] = (struct options_value){.name = name, .text = text ? text : "true"};
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

static bool take(struct options *options, int option, int index)
{
    switch (option) {
    case VALUE:
        return add_value(options, long_options[index].name, optarg);
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
        (void)fputs("kdnetd: see kdnetd --help\n", stderr);
        return false;
    }
}

bool options_parse(struct options *options, int argc, char **argv)
{
    *options = (struct options){.task = OPTIONS_SERVE};
    int index = 0;
    for (int option = getopt_long(argc, argv, "", long_options, &index); option != -1;
         option = getopt_long(argc, argv, "", long_options, &index)) // NOLINT(concurrency-mt-unsafe)
        if (!take(options, option, index))
            return false;
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

/* Options that the configuration's config_add does not know. */
static bool set_duration(struct kdnetd_config *config, const char *name, const char *text, char *error)
{
    const struct {
        const char *name, *least, *most;
        uint64_t *value;
    } durations[] = {
        {"read-deadline", CONFIG_READ_DEADLINE_LIMITS, &config->read_deadline_ms},
        {"lost-after", CONFIG_LOST_AFTER_LIMITS, &config->lost_after_ms},
        {"dump-for", CONFIG_DUMP_FOR_LIMITS, &config->dump_for_ms},
    };
    if (strcmp(name, "hold-for") == 0)
        return config_parse_hold_for(text, &config->policy.hold_for_ms, error);
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; ++i)
        if (strcmp(name, durations[i].name) == 0)
            return config_parse_duration(text, durations[i].least, durations[i].most, durations[i].value, error);
    return config_add(config, name, text, error);
}

static bool set_text(const char *text, char **out, char *error)
{
    char *copy = text[0] != '\0' ? strdup(text) : NULL;
    if (!copy) {
        (void)snprintf(error, CONFIG_ERROR_SIZE, "%s",
                       text[0] == '\0' ? "is empty; write a file's path" : "out of memory");
        return false;
    }
    free(*out);
    *out = copy;
    return true;
}

static bool set(struct kdnetd_config *config, const struct options_value *value, char *error)
{
    if (strcmp(value->name, "prints") == 0)
        return config_parse_bool(value->text, &config->prints, error);
    if (strcmp(value->name, "default-reads") == 0)
        return config_parse_bool(value->text, &config->default_reads, error);
    if (strcmp(value->name, "freebind") == 0)
        return config_parse_bool(value->text, &config->freebind, error);
    if (strcmp(value->name, "symbols-ca-file") == 0)
        return set_text(value->text, &config->symbols_ca_file, error);
    if (strcmp(value->name, "workers") == 0)
        return config_parse_workers(value->text, &config->workers, error);
    if (strcmp(value->name, "log-level") == 0)
        return config_parse_log_level(value->text, &config->log_level, error);
    return set_duration(config, value->name, value->text, error);
}

/* Unless it was told: the computer's name, with - for what a collector's cannot have. */
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
        char error[CONFIG_ERROR_SIZE] = "is wrong", field[32];
        (void)snprintf(field, sizeof field, "--%s", options->values[i].name);
        struct config_spot spot = {.file = "command line", .source = CONFIG_SOURCE_OPTIONS, .field = field};
        if (!set(config, &options->values[i], error))
            config_report_add(report, &spot, "%s", error);
    }
    const char *path = getenv("_NT_SYMBOL_PATH"); // NOLINT(concurrency-mt-unsafe)
    if (config->symbol_count == 0 && path && path[0] != '\0') {
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
