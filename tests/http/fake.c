/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_fake: HTTP over a server and a store that are made up, for tests and for looking at the page.
 *
 *   http_fake [--address ADDR:PORT] [--socket PATH] [--tokens FILE] [--cert FILE --key FILE] [--read open|token]
 *             [--name NAME]... [--targets N] [--crashes N] [--request-ms N] [--idle-ms N] [--late-ms N]
 *             [--connections N] [--local N] [--streams N] [--retry-ms N] [--ping-ms N] [--no-store] [--scene NAME]
 *
 * Commands on standard input, a line each: `publish N` (events), `crash`, `configure` (read tokens and certificate
 * again), `stuck NAME`, `ready 0|1`, `quit`; each is answered by a line on standard output.
 */
#include "config/value.h"
#include "service/http/http.h"
#include "service/http/json_out.h"
#include "service/store/store_read.h"
#include "tests/http/fake_world.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct http_options http_options;
static const char *names[16];

static void take_address(const char *text)
{
    char error[CONFIG_ERROR_SIZE];
    if (!config_parse_address(text, CONFIG_PORT_NEEDED, &http_options.address, error)) {
        (void)fprintf(stderr, "--address %s\n", error);
        exit(2);
    }
    http_options.address_told = true;
}

static bool take_limit(const char *name, const char *value)
{
    struct http_limits *limits = &http_options.limits;
    const struct {
        const char *name;
        unsigned *to;
    } rows[] = {{"request-ms", &limits->request_ms},   {"idle-ms", &limits->idle_ms}, {"late-ms", &limits->late_ms},
                {"connections", &limits->connections}, {"local", &limits->local},     {"streams", &limits->streams},
                {"retry-ms", &limits->retry_ms},       {"ping-ms", &limits->ping_ms}, {"call-ms", &limits->call_ms},
                {"requests", &limits->requests},       {"accepts", &limits->accepts}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i)
        if (strcmp(name, rows[i].name) == 0) {
            *rows[i].to = (unsigned)strtoul(value, NULL, 10);
            return true;
        }
    return false;
}

static void take(const char *name, const char *value)
{
    const struct {
        const char *name, **to;
    } rows[] = {
        {"socket", &http_options.socket}, {"tokens", &http_options.tokens},       {"cert", &http_options.tls_cert},
        {"key", &http_options.tls_key},   {"client-ca", &http_options.client_ca}, {"group", &http_options.group},
        {"scene", &fake_world.scene}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i)
        if (strcmp(name, rows[i].name) == 0)
            *rows[i].to = value;
    if (strcmp(name, "address") == 0)
        take_address(value);
    else if (strcmp(name, "read") == 0)
        http_options.read_told = true, http_options.read_needs_token = strcmp(value, "token") == 0;
    else if (strcmp(name, "targets") == 0)
        fake_world.targets = strtoul(value, NULL, 10);
    else if (strcmp(name, "crashes") == 0)
        fake_world.crashes = strtoul(value, NULL, 10);
    else if (strcmp(name, "metrics-targets") == 0)
        http_options.metrics_targets = true;
    else if (strcmp(name, "name") == 0 && http_options.name_count < 16)
        names[http_options.name_count++] = value;
    else
        (void)take_limit(name, value);
}

static bool run(struct http *http, char *line)
{
    unsigned long number = strtoul(strchr(line, ' ') ? strchr(line, ' ') : "0", NULL, 10);
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "publish ", 8) == 0)
        fake_publish(http, number);
    else if (strcmp(line, "crash") == 0)
        fake_crash(http);
    else if (strcmp(line, "configure") == 0)
        (void)http_configure(http, &http_options);
    else if (strncmp(line, "stuck ", 6) == 0)
        fake_set_stuck(line + 6);
    else if (strncmp(line, "ready ", 6) == 0)
        fake_world.ready = number != 0;
    else if (strcmp(line, "quit") == 0)
        return false;
    (void)printf("done\n");
    (void)fflush(stdout);
    return true;
}

int main(int argc, char **argv)
{
    char line[256];
    (void)signal(SIGPIPE, SIG_IGN); /* as kdnetd does */
    for (int i = 1; i < argc; i += strcmp(argv[i], "--no-store") == 0 ? 1 : 2) {
        if (strcmp(argv[i], "--no-store") == 0)
            fake_world.no_store = true;
        else if (i + 1 < argc)
            take(argv[i] + 2, argv[i + 1]);
    }
    http_options.names = names;
    if (!http_options.socket)
        http_options.socket = "none";
    fake_make();
    struct http *http = http_open(&http_options, &fake_ops, fake_world.no_store ? NULL : fake_store);
    if (!http)
        return EXIT_FAILURE;
    (void)printf("open\n");
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin) && run(http, line))
        ;
    bool good = http_close(http);
    fake_clear();
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
