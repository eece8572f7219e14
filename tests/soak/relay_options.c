/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/soak/relay_options.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define US_PER_MS 1000U

static bool parse_place(const char *text, struct sockaddr_in *out)
{
    char ip[INET_ADDRSTRLEN];
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : strlen(text);
    if (length >= sizeof ip)
        return false;
    memcpy(ip, text, length);
    ip[length] = 0;
    *out = (struct sockaddr_in){.sin_family = AF_INET};
    out->sin_port = htons(colon ? (uint16_t)strtoul(colon + 1, NULL, 10) : 0);
    return inet_pton(AF_INET, ip, &out->sin_addr) == 1;
}

static void usage(void)
{
    (void)fputs(
        "relay --listen ADDR:PORT --host ADDR:PORT --from ADDR [--seed N] [--loss %] [--duplicate %] [--corrupt %]\n"
        "      [--late %] [--late-ms N] [--delay-ms N] [--jitter-ms N] [--cut-after COUNT] [--cut-ms N]\n"
        "      [--longest BYTES] [--stop-first N] [--stop-step N] [--keep] [--pcap FILE]\n"
        "Machine i, from 0, is stopped after its (first + i * step)th datagram.\n",
        stderr);
    exit(2);
}

static void set_number(struct relay_settings *settings, const char *name, const char *text)
{
    const struct {
        const char *name;
        uint64_t *value;
        uint64_t unit;
    } numbers[] = {
        {"seed", &settings->seed, 1},
        {"late-ms", &settings->late_us, US_PER_MS},
        {"delay-ms", &settings->delay_us, US_PER_MS},
        {"jitter-ms", &settings->jitter_us, US_PER_MS},
        {"cut-after", &settings->cut_after, 1},
        {"cut-ms", &settings->cut_us, US_PER_MS},
        {"stop-first", &settings->stop_first, 1},
        {"stop-step", &settings->stop_step, 1},
    };
    static const char *const chances[RELAY_CHANCES] = {"loss", "duplicate", "corrupt", "late"};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; ++i)
        if (strcmp(name, numbers[i].name) == 0)
            *numbers[i].value = strtoull(text, NULL, 0) * numbers[i].unit;
    for (size_t i = 0; i < RELAY_CHANCES; ++i)
        if (strcmp(name, chances[i]) == 0)
            settings->chance[i] = (uint32_t)(strtod(text, NULL) * RELAY_WHOLE / 100);
    if (strcmp(name, "longest") == 0)
        settings->longest = (size_t)strtoull(text, NULL, 0);
}

static void set_option(struct relay_settings *settings, const char *name, const char *text)
{
    bool good = true;
    if (strcmp(name, "listen") == 0)
        good = parse_place(text, &settings->near);
    else if (strcmp(name, "host") == 0)
        good = parse_place(text, &settings->host);
    else if (strcmp(name, "from") == 0)
        good = parse_place(text, &settings->from);
    else if (strcmp(name, "pcap") == 0)
        settings->pcap = text;
    else if (strcmp(name, "keep") == 0)
        settings->keep = true;
    else
        set_number(settings, name, text);
    if (!good)
        usage();
}

void relay_parse(int argc, char **argv, struct relay_settings *settings)
{
    static const char *const names[] = {"listen",  "host",    "from",    "seed",       "loss",      "duplicate",
                                        "corrupt", "late",    "late-ms", "delay-ms",   "jitter-ms", "cut-after",
                                        "cut-ms",  "longest", "pcap",    "stop-first", "stop-step", "keep"};
    struct option options[sizeof names / sizeof names[0] + 1] = {0};
    int which = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i)
        options[i] = (struct option){names[i], strcmp(names[i], "keep") == 0 ? no_argument : required_argument, NULL,
                                     0};
    for (int got = 0; (got = getopt_long(argc, argv, "", options, &which)) != -1;) {
        if (got != 0)
            usage();
        set_option(settings, names[which], optarg);
    }
    if (optind < argc || settings->near.sin_family == 0 || settings->host.sin_family == 0 ||
        settings->from.sin_family == 0)
        usage();
}
