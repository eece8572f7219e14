/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnet-target/options.h"
#include "service/kdnet-target/options_help.h"
#include "config/value.h"
#include "kdnet/error.h"
#include "kdnet/base/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS 86400000U

enum option_id {
    OPT_HOST = 256,
    OPT_KEY,
    OPT_BIND,
    OPT_COUNT,
    OPT_SCENARIO,
    OPT_STATUS,
    OPT_BUGCHECK,
    OPT_CAUSE,
    OPT_PROTOCOL,
    OPT_VERSION,
    OPT_SEED,
    OPT_MACHINE,
    OPT_GUIDAGE,
    OPT_DUMP_MS,
    OPT_REBOOT_MS,
    OPT_DELAY_MS,
    OPT_SPREAD_MS,
    OPT_DURATION_MS,
    OPT_REPLAY,
    OPT_REPLAY_KEY,
    OPT_REPLAY_GAP_MS,
    OPT_THINK,
    OPT_THINK_PROFILE,
    OPT_ACK,
    OPT_ALERT,
    OPT_LOSS,
    OPT_PATH_MS,
    OPT_PATH_THEN_MS,
    OPT_PATH_AT_MS,
    OPT_RATE,
    OPT_TIMES,
    OPT_NO_REBOOT,
    OPT_NO_DUMP,
    OPT_DUMP_LOG,
    OPT_IMAGES,
    OPT_NEW_PORT,
    OPT_LENIENT,
    OPT_ONE_KEY,
    OPT_PRINT_TARGETS,
    OPT_EXIT,
    OPT_JSON,
    OPT_HELP,
};

static const struct option long_options[] = {
    {"host", required_argument, NULL, OPT_HOST},
    {"key", required_argument, NULL, OPT_KEY},
    {"bind", required_argument, NULL, OPT_BIND},
    {"count", required_argument, NULL, OPT_COUNT},
    {"scenario", required_argument, NULL, OPT_SCENARIO},
    {"status", required_argument, NULL, OPT_STATUS},
    {"bugcheck", required_argument, NULL, OPT_BUGCHECK},
    {"cause", required_argument, NULL, OPT_CAUSE},
    {"protocol", required_argument, NULL, OPT_PROTOCOL},
    {"version", optional_argument, NULL, OPT_VERSION},
    {"seed", required_argument, NULL, OPT_SEED},
    {"machine", required_argument, NULL, OPT_MACHINE},
    {"guidage", required_argument, NULL, OPT_GUIDAGE},
    {"dump-ms", required_argument, NULL, OPT_DUMP_MS},
    {"reboot-ms", required_argument, NULL, OPT_REBOOT_MS},
    {"delay-ms", required_argument, NULL, OPT_DELAY_MS},
    {"spread-ms", required_argument, NULL, OPT_SPREAD_MS},
    {"duration-ms", required_argument, NULL, OPT_DURATION_MS},
    {"replay", required_argument, NULL, OPT_REPLAY},
    {"replay-key", required_argument, NULL, OPT_REPLAY_KEY},
    {"replay-gap-ms", required_argument, NULL, OPT_REPLAY_GAP_MS},
    {"think", required_argument, NULL, OPT_THINK},
    {"think-profile", required_argument, NULL, OPT_THINK_PROFILE},
    {"ack", required_argument, NULL, OPT_ACK},
    {"alert", no_argument, NULL, OPT_ALERT},
    {"loss", required_argument, NULL, OPT_LOSS},
    {"path-ms", required_argument, NULL, OPT_PATH_MS},
    {"path-then-ms", required_argument, NULL, OPT_PATH_THEN_MS},
    {"path-at-ms", required_argument, NULL, OPT_PATH_AT_MS},
    {"rate", required_argument, NULL, OPT_RATE},
    {"times", required_argument, NULL, OPT_TIMES},
    {"no-reboot", no_argument, NULL, OPT_NO_REBOOT},
    {"no-dump", no_argument, NULL, OPT_NO_DUMP},
    {"dump-log", no_argument, NULL, OPT_DUMP_LOG},
    {"images", required_argument, NULL, OPT_IMAGES},
    {"new-port", no_argument, NULL, OPT_NEW_PORT},
    {"lenient", no_argument, NULL, OPT_LENIENT},
    {"one-key", no_argument, NULL, OPT_ONE_KEY},
    {"print-targets", no_argument, NULL, OPT_PRINT_TARGETS},
    {"exit", no_argument, NULL, OPT_EXIT},
    {"json", no_argument, NULL, OPT_JSON},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static bool wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));

static bool wrong(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)fputs("kdnet-target: ", stderr);
    (void)vfprintf(stderr, format, arguments);
    (void)fputs("\nTry: kdnet-target --help\n", stderr);
    va_end(arguments);
    return false;
}

static bool parse_number(const char *name, const char *text, uint64_t least, uint64_t most, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 0);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < least || value > most)
        return wrong("--%s '%s': is not a number from %llu to %llu", name, text, (unsigned long long)least,
                     (unsigned long long)most);
    *out = value;
    return true;
}

static bool parse_u32(const char *name, const char *text, uint32_t least, uint32_t most, uint32_t *out)
{
    uint64_t value = 0;
    if (!parse_number(name, text, least, most, &value))
        return false;
    *out = (uint32_t)value;
    return true;
}

static bool parse_key(const char *name, const char *text, struct kdnet_key *out, bool *has)
{
    enum kdnet_key_fault fault;
    int part;
    if (kdnet_key_parse(text, strlen(text), out, &fault, &part) != KDNET_OK)
        return wrong("--%s: part %d %s; a key is four base-36 parts, w.x.y.z, each of at most 64 bits", name, part,
                     kdnet_key_fault_text(fault));
    *has = true;
    return true;
}

static bool parse_address(const char *name, const char *text, uint16_t least_port, struct sockaddr_storage *out)
{
    char ip[INET6_ADDRSTRLEN + 2];
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    uint64_t port = 0;
    if (length == 0 || length >= sizeof ip)
        return wrong("--%s '%s': is not ADDR:PORT, such as 192.0.2.1:50000 or [2001:db8::1]:50000", name, text);
    if (!parse_number(name, colon + 1, least_port, UINT16_MAX, &port))
        return false;
    memset(out, 0, sizeof *out);
    memcpy(ip, text, length);
    ip[length] = '\0';
    if (ip[0] == '[' && ip[length - 1] == ']') {
        ip[length - 1] = '\0';
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        if (inet_pton(AF_INET6, ip + 1, &v6->sin6_addr) == 1)
            return true;
    } else {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        if (inet_pton(AF_INET, ip, &v4->sin_addr) == 1)
            return true;
    }
    return wrong("--%s '%s': '%s' is no IPv4 address, nor an IPv6 address in brackets", name, text, ip);
}

#define OPTIONS_MAX   64
#define SCENARIOS_MAX 64

/* Reports an unknown option, or one in a wrong form; MinGW's getopt_long has ':' also for a value too many. */
static bool wrong_option(int problem, const char *written)
{
    const char *names[OPTIONS_MAX];
    char name[64];
    size_t count = 0, dashes = strspn(written, "-");
    bool known = false;
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(written + dashes, "="), written + dashes);
    for (; count < OPTIONS_MAX && long_options[count].name; ++count) {
        names[count] = long_options[count].name;
        known = known || strcmp(name, names[count]) == 0;
    }
    const char *likely = config_suggest(name, names, count);
    if (problem == ':' && !strchr(written, '='))
        return wrong("--%s wants a value behind it", name);
    if (known)
        return wrong("--%s takes no value", name);
    if (likely)
        return wrong("unknown option \"%.*s%s\"; did you mean --%s?", (int)dashes, written, name, likely);
    return wrong("unknown option \"%.*s%s\"", (int)dashes, written, name);
}

static bool parse_scenario(const char *text, const char **out)
{
    const char *names[SCENARIOS_MAX];
    size_t count = 0;
    for (size_t i = 0; machine_scenario_name(i); ++i)
        if (strcmp(machine_scenario_name(i), text) == 0) {
            *out = text;
            return true;
        }
    (void)fprintf(stderr, "kdnet-target: --scenario '%s': there is no such scenario; there are:", text);
    for (; count < SCENARIOS_MAX && machine_scenario_name(count); ++count) {
        names[count] = machine_scenario_name(count);
        (void)fprintf(stderr, " %s", names[count]);
    }
    const char *likely = config_suggest(text, names, count);
    if (likely)
        (void)fprintf(stderr, "; did you mean %s?", likely);
    (void)fputc('\n', stderr);
    return false;
}

static bool parse_machine(const char *text, enum kdnet_machine *out)
{
    static const enum kdnet_machine machines[] = {KDNET_MACHINE_X64, KDNET_MACHINE_X86, KDNET_MACHINE_ARM64};
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; ++i)
        if (strcmp(kdnet_machine_name(machines[i]), text) == 0) {
            *out = machines[i];
            return true;
        }
    return wrong("--machine '%s': is not x64, x86 or arm64", text);
}

/* Parses 32 hex digits of GUID in symbol stores' form, then the age in hex. */
static bool parse_guidage(const char *text, struct kdnet_pdb *out)
{
    uint8_t bytes[16];
    char pair[3] = {0}, *end;
    size_t digits = strspn(text, "0123456789abcdefABCDEF");
    if (digits < 33 || digits > 40 || text[digits] != '\0')
        return wrong("--guidage '%s': is not 32 hex digits of GUID and then the age", text);
    for (size_t i = 0; i < sizeof bytes; ++i) {
        memcpy(pair, text + 2 * i, 2);
        bytes[i] = (uint8_t)strtoul(pair, &end, 16);
    }
    kdnet_put_le32(out->guid, (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3]);
    kdnet_put_le16(out->guid + 4, kdnet_get_be16(bytes + 4));
    kdnet_put_le16(out->guid + 6, kdnet_get_be16(bytes + 6));
    memcpy(out->guid + 8, bytes + 8, 8);
    out->age = (uint32_t)strtoul(text + 32, &end, 16);
    return true;
}

static bool parse_flag(struct options *o, int id)
{
    switch (id) {
    case OPT_NO_REBOOT:
        o->no_reboot = true;
        return true;
    case OPT_DUMP_LOG:
        o->dump_log = true;
        return true;
    case OPT_NO_DUMP:
        o->no_dump = true;
        return true;
    case OPT_ALERT:
        o->think.alert = true;
        return true;
    case OPT_NEW_PORT:
        o->new_port = true;
        return true;
    case OPT_LENIENT:
        o->lenient = true;
        return true;
    case OPT_ONE_KEY:
        o->one_key = true;
        return true;
    case OPT_PRINT_TARGETS:
        o->print_targets = true;
        return true;
    case OPT_EXIT:
        o->exit_when_ended = true;
        return true;
    case OPT_JSON:
        o->json = true;
        return true;
    default:
        return false;
    }
}

static bool parse_profile(const char *text, enum machine_think_change *out)
{
    for (size_t i = 0; machine_think_name(i); ++i)
        if (strcmp(machine_think_name(i), text) == 0) {
            *out = (enum machine_think_change)i;
            return true;
        }
    return wrong("--think-profile '%s': is not constant, crash, growing, shrinking or random", text);
}

static bool parse_ack(const char *text, bool *late)
{
    *late = strcmp(text, "late") == 0;
    return *late || strcmp(text, "early") == 0 || wrong("--ack '%s': is not early or late", text);
}

static bool parse_pace(struct options *o, int id, const char *name)
{
    switch (id) {
    case OPT_THINK:
        return parse_u32(name, optarg, 0, DAY_MS, &o->think.ms);
    case OPT_THINK_PROFILE:
        return parse_profile(optarg, &o->think.change);
    case OPT_ACK:
        return parse_ack(optarg, &o->think.late_ack);
    case OPT_LOSS:
        return parse_u32(name, optarg, 0, OPTIONS_LOSS_MAX, &o->loss);
    case OPT_PATH_MS:
        return parse_u32(name, optarg, 0, DAY_MS, &o->path_ms);
    case OPT_PATH_THEN_MS:
        return parse_u32(name, optarg, 0, DAY_MS, &o->path_then_ms);
    case OPT_PATH_AT_MS:
        return parse_u32(name, optarg, 1, DAY_MS, &o->path_at_ms);
    case OPT_RATE:
        return parse_u32(name, optarg, 1, OPTIONS_RATE_MAX, &o->rate);
    case OPT_TIMES:
        return parse_u32(name, optarg, 1, UINT32_MAX, &o->times);
    default:
        return parse_flag(o, id);
    }
}

static bool parse_time(struct options *o, int id, const char *name)
{
    switch (id) {
    case OPT_DUMP_MS:
        return parse_u32(name, optarg, 1, DAY_MS, &o->dump_ms);
    case OPT_REBOOT_MS:
        return parse_u32(name, optarg, 1, DAY_MS, &o->reboot_ms);
    case OPT_DELAY_MS:
        return parse_u32(name, optarg, 0, DAY_MS, &o->delay_ms);
    case OPT_SPREAD_MS:
        return parse_u32(name, optarg, 0, DAY_MS, &o->spread_ms);
    case OPT_DURATION_MS:
        return parse_u32(name, optarg, 1, DAY_MS, &o->duration_ms);
    case OPT_REPLAY_GAP_MS:
        return parse_u32(name, optarg, 0, DAY_MS, &o->replay_gap_ms);
    default:
        return parse_pace(o, id, name);
    }
}

static bool parse_one(struct options *o, int id, const char *name)
{
    switch (id) {
    case OPT_HOST:
        return parse_address(name, optarg, 1, &o->host);
    case OPT_BIND:
        return parse_address(name, optarg, 0, &o->bind);
    case OPT_KEY:
        return parse_key(name, optarg, &o->key, &o->has_key);
    case OPT_REPLAY_KEY:
        return parse_key(name, optarg, &o->replay_key, &o->has_replay_key);
    case OPT_COUNT:
        return parse_u32(name, optarg, 1, OPTIONS_COUNT_MAX, &o->count);
    case OPT_SCENARIO:
        return parse_scenario(optarg, &o->scenario);
    case OPT_STATUS:
        o->has_status = true;
        return parse_u32(name, optarg, 0, UINT32_MAX, &o->status);
    case OPT_BUGCHECK:
        return parse_u32(name, optarg, 1, UINT32_MAX, &o->bugcheck);
    case OPT_IMAGES:
        return parse_u32(name, optarg, 0, 1000, &o->images);
    case OPT_CAUSE:
        return parse_u32(name, optarg, 0x1000, 0x1fff, &o->cause);
    case OPT_PROTOCOL:
    case OPT_VERSION:
        return parse_u32(name, optarg, 2, 5, &o->version);
    case OPT_SEED:
        o->has_seed = true;
        return parse_number(name, optarg, 0, UINT64_MAX, &o->seed);
    case OPT_MACHINE:
        return parse_machine(optarg, &o->machine);
    case OPT_GUIDAGE:
        return parse_guidage(optarg, &o->pdb);
    case OPT_REPLAY:
        o->replay = optarg;
        return true;
    default:
        return parse_time(o, id, name);
    }
}

static bool check(const struct options *o)
{
    uint64_t last = kdnet_get_le64(o->key.bytes + KDNET_KEY_LENGTH - 8);
    if (!o->has_key)
        return wrong("--key is missing: the machine's key, w.x.y.z, as kdnetd has it");
    if (!o->one_key && o->count - 1 > UINT64_MAX - last)
        return wrong("--key: its last part leaves no room for %u keys; take a smaller one, or --one-key", o->count);
    if (o->path_then_ms > 0 && o->path_at_ms == 0)
        return wrong("--path-then-ms needs --path-at-ms: when the path changes");
    if (o->print_targets)
        return true;
    if (o->host.ss_family == 0)
        return wrong("--host is missing: where kdnetd listens, ADDR:PORT");
    if (o->bind.ss_family != 0 && o->bind.ss_family != o->host.ss_family)
        return wrong("--bind and --host: one is IPv4, the other IPv6");
    if (o->replay && !o->has_replay_key)
        return wrong("--replay needs --replay-key: the key that the captured machine had");
    if (!o->replay && o->has_replay_key)
        return wrong("--replay-key is of no use without --replay CAPTURE");
    if (o->replay && strcmp(o->scenario, "idle") != 0)
        return wrong("--replay and --scenario: only one of them can say what happens");
    return true;
}

/* Whether --version asks for the program's version. `--version N` is the old name of --protocol and leaves N in
 * optarg. */
static bool asks_program_version(int argc, char **argv)
{
    const char *next = optind < argc ? argv[optind] : NULL;
    if (optarg || !next || (next[0] == '-' && (next[1] < '0' || next[1] > '9')))
        return !optarg;
    optarg = argv[optind++];
    return false;
}

enum options_result options_parse(struct options *options, int argc, char **argv)
{
    int id, at = 0;
    *options = (struct options){.count = 1, .scenario = "idle", .version = 0, .seed = 1, .replay_gap_ms = 10};
    options->machine = KDNET_MACHINE_X64;
    machine_default_pdb(&options->pdb);
    while ((id = getopt_long(argc, argv, ":", long_options, &at)) != -1) {
        if (id == '?' || id == ':') {
            (void)wrong_option(id, argv[optind - 1]);
            return OPTIONS_WRONG;
        }
        if (id == OPT_HELP) {
            options_print_help(OPTIONS_COUNT_MAX);
            return OPTIONS_HELP;
        }
        if (id == OPT_VERSION && asks_program_version(argc, argv)) {
            (void)puts("kdnet-target " KDNETD_VERSION);
            return OPTIONS_HELP;
        }
        if (!parse_one(options, id, long_options[at].name))
            return OPTIONS_WRONG;
    }
    if (optind < argc) {
        wrong("'%s': is no option", argv[optind]);
        return OPTIONS_WRONG;
    }
    return check(options) ? OPTIONS_RUN : OPTIONS_WRONG;
}

void options_key(const struct options *options, uint32_t index, struct kdnet_key *out)
{
    *out = options->key;
    uint8_t *last = out->bytes + KDNET_KEY_LENGTH - 8;
    if (!options->one_key)
        kdnet_put_le64(last, kdnet_get_le64(last) + index);
}

void options_address(const struct sockaddr_storage *in, struct kdnet_address *out)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)in;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)in;
    memset(out, 0, sizeof *out);
    if (in->ss_family == AF_INET6) {
        memcpy(out->ip, &v6->sin6_addr, sizeof out->ip);
        out->port = ntohs(v6->sin6_port);
    } else {
        out->ip[10] = out->ip[11] = 0xff;
        memcpy(out->ip + 12, &v4->sin_addr, 4);
        out->port = ntohs(v4->sin_port);
    }
}
