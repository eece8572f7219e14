/* SPDX-License-Identifier: Apache-2.0 */
/* main: kdnetd's command line; see options.h, server.h. */
#include "service/runtime/json_memory.h"
#include "service/runtime/log.h"
#include "service/server/options.h"
#include "service/platform/inherited.h"
#include "service/platform/platform.h"
#include "service/platform/program.h"
#include "service/platform/service.h"
#include "service/platform/successor.h"
#include "service/server/server.h"
#include "service/server/surroundings.h"
#include "service/symbols/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXIT_USAGE 2

static void say_advice(const struct kdnetd_config *config, bool is_log)
{
    struct config_report advice;
    struct log_line line;
    config_report_init(&advice);
    config_advise(config, &advice);
    if (!is_log)
        config_report_print(&advice, stderr);
    for (size_t i = 0; is_log && config_report_line(&advice, i); ++i) {
        log_begin(&line, CONFIG_LOG_WARNING, "the configuration is right, and perhaps not what was meant");
        log_text(&line, "advice", config_report_line(&advice, i));
        log_end(&line);
    }
    config_report_clear(&advice);
}

static int check(const struct options *options)
{
    struct kdnetd_config config;
    struct config_report report;
    config_report_init(&report);
    bool right = options_load(options, NULL, &config, &report);
    if (right && !options->check_for_reload) {
        right = surroundings_check(&config, &report);
        right = symbols_check_folders(&config, &report) && right; /* both, because each reports its own mistakes */
    }
    config_report_print(&report, stderr);
    if (right && !options->check_for_reload)
        surroundings_warn(&config, stderr);
    if (right)
        say_advice(&config, false);
    if (right)
        (void)fprintf(stderr, "%s is right: %zu targets, %zu listeners\n",
                      options->config_path ? options->config_path : "the command line", config.target_count,
                      config.listen_count);
    if (right)
        symbols_check_warn(&config, stderr);
    config_report_clear(&report);
    config_clear(&config);
    return right ? EXIT_SUCCESS : EXIT_USAGE;
}

/* A Windows service has no standard error: its mistakes go to its log. */
static void say_mistakes(const struct config_report *report)
{
    struct log_line line;
    if (platform_log_is_stderr()) {
        config_report_print(report, stderr);
        return;
    }
    for (size_t i = 0; config_report_line(report, i); ++i) {
        log_begin(&line, CONFIG_LOG_ERROR, "configuration");
        log_text(&line, "mistake", config_report_line(report, i));
        log_end(&line);
    }
}

static int serve(const struct options *options)
{
    struct kdnetd_config config;
    struct config_report report;
    config_report_init(&report);
    bool right = options_load(options, NULL, &config, &report);
    say_mistakes(&report);
    config_report_clear(&report);
    int status = EXIT_USAGE;
    if (right)
        say_advice(&config, true);
    json_memory_watch();
    if (right)
        status = server_run(options, &config) ? EXIT_SUCCESS : EXIT_FAILURE;
    config_clear(&config);
    return status;
}

static int run(const struct options *options)
{
    switch (options->task) {
    case OPTIONS_CHECK:
        return check(options);
    case OPTIONS_HELP:
        options_help(stdout);
        return EXIT_SUCCESS;
    case OPTIONS_VERSION:
        (void)puts("kdnetd " KDNETD_VERSION);
        return EXIT_SUCCESS;
    case OPTIONS_SERVE:
    default:
        return serve(options);
    }
}

static int parse_and_run(int argc, char **argv)
{
    struct options options;
    platform_prepare();
    successor_take(argc, argv);
    inherited_take();
    bool parsed = options_parse(&options, argc, argv);
    if (!options.core_dumps)
        platform_hide_memory();
    int status = parsed ? run(&options) : EXIT_USAGE;
    options_clear(&options);
    return status;
}

int main(int argc, char **argv)
{
    program_start(&argc, &argv);
    if (argc > 1 && strcmp(argv[1], "service") == 0)
        return service_command(argc - 1, argv + 1, parse_and_run);
    return parse_and_run(argc, argv);
}
