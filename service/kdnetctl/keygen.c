/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl keygen: a fresh key for a machine, and what to do with it on both sides. */
#include "config/config.h"
#include "kdnet/crypto/crypto.h"
#include "kdnet/crypto/key.h"
#include "service/kdnetctl/commands.h"
#include "service/kdnetctl/machine_setup.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <getopt.h>
#include <openssl/rand.h>

#define PORT_LEAST       49152 /* Microsoft's documentation of bcdedit /dbgsettings: 49152 to 65535 */
#define PORT_RECOMMENDED "50000-50039"

static const struct command_option options[] = {
    {"host-ip", "ADDRESS", 'i', "kdnetd's address as the machine reaches it, IPv4 or IPv6"},
    {"port", "PORT", 'p', "kdnetd's UDP port (50000); Windows takes 49152-65535, Microsoft recommends 50000-50039"},
    {"busparams", "B.D.F", 'b',
     "the network card that KDNET takes, when there are several: bus, device, function, decimal"},
    {"nodhcp", NULL, 'd', "no DHCP on the machine's network: KDNET does not wait for it"},
    {"noumex", NULL, 'u', "exceptions of programs do not stop the machine"},
    {"ps1", NULL, 's',
     "prints a PowerShell script that checks, applies and undoes it on the machine; the lines for\n"
     "kdnetd's configuration go to standard error"},
    {0}};

struct keygen {
    const char *port_text;
    bool ps1;
    struct machine_setup setup;
    char ip[INET_ADDRSTRLEN]; /* of an IPv4 address that was written as IPv6 */
    char key[KDNET_KEY_TEXT_SIZE];
};

static bool make_key(char out[static KDNET_KEY_TEXT_SIZE])
{
    struct kdnet_key key;
    if (RAND_bytes(key.bytes, sizeof key.bytes) != 1)
        return false;
    kdnet_key_format(&key, out);
    kdnet_crypto_wipe(&key, sizeof key);
    return true;
}

static bool is_of_one_host(const uint8_t *ipv4)
{
    static const uint8_t any[4];
    return memcmp(ipv4, any, sizeof any) != 0 && ipv4[0] < 224; /* no multicast, no broadcast */
}

/* An IPv4 address in IPv6's form, ::ffff:192.0.2.1, is an IPv4 address: Windows has to be told it as one. */
static bool read_address(struct keygen *keygen)
{
    uint8_t ip[16];
    static const uint8_t any[16], mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct machine_setup *setup = &keygen->setup;
    if (inet_pton(AF_INET, setup->host_ip, ip) == 1)
        return is_of_one_host(ip);
    if (inet_pton(AF_INET6, setup->host_ip, ip) != 1)
        return false;
    if (memcmp(ip, mapped, sizeof mapped) == 0) {
        setup->host_ip = inet_ntop(AF_INET, ip + sizeof mapped, keygen->ip, sizeof keygen->ip);
        return is_of_one_host(ip + sizeof mapped);
    }
    setup->ipv6 = true;
    return memcmp(ip, any, sizeof any) != 0 && ip[0] != 0xff;
}

/* Digits alone, at most five of them, no more than `most`. */
static bool read_number(const char *text, size_t length, unsigned most, unsigned *out)
{
    if (length == 0 || length > 5 || strspn(text, "0123456789") < length)
        return false;
    *out = (unsigned)strtoul(text, NULL, 10);
    return *out <= most;
}

static bool read_port(struct keygen *keygen)
{
    return read_number(keygen->port_text, strlen(keygen->port_text), 65535, &keygen->setup.port) &&
           keygen->setup.port > 0;
}

/* Bus, device and function of PCI. */
static bool read_busparams(const char *text)
{
    static const unsigned most[3] = {255, 31, 7};
    for (size_t i = 0; i < 3; ++i) {
        unsigned number;
        size_t length = strcspn(text, ".");
        if (!read_number(text, length, most[i], &number) || (text[length] == '\0') != (i == 2))
            return false;
        text += length + 1;
    }
    return true;
}

/* The rules for names and keys are the configuration's. */
static bool fits_configuration(const struct keygen *keygen, char error[static CONFIG_ERROR_SIZE])
{
    struct kdnetd_config config;
    char text[CONFIG_NAME_SIZE + KDNET_KEY_TEXT_SIZE + 1];
    const char *name = keygen->setup.name;
    if (strlen(name) >= CONFIG_NAME_SIZE) {
        (void)snprintf(error, CONFIG_ERROR_SIZE, "is too long; write 1 to %d characters", CONFIG_NAME_SIZE - 1);
        return false;
    }
    if (strchr(name, '=') != NULL) {
        (void)snprintf(error, CONFIG_ERROR_SIZE, "has a character that a name cannot have; write A-Z a-z 0-9 . _ -");
        return false;
    }
    (void)snprintf(text, sizeof text, "%s=%s", name, keygen->key);
    config_init(&config);
    bool good = config_add_target(&config, text, error);
    config_clear(&config);
    kdnet_crypto_wipe(text, sizeof text);
    return good;
}

static void print_configuration(const struct keygen *keygen, FILE *out)
{
    const char *name = keygen->setup.name;
    (void)fprintf(out, "# A key for %s. Keep it secret: who has it can read and change the machine's memory.\n\n",
                  name);
    (void)fprintf(out, "# 1. For kdnetd, in its configuration (in a file that others cannot read):\n\n");
    (void)fprintf(out, "targets:\n  - name: %s\n    key: %s\n\n", name, keygen->key);
    (void)fprintf(out, "#    or as a line of its targets file:\n\n%s %s\n\n", name, keygen->key);
    (void)fprintf(out, "#    then let kdnetd listen on UDP port %u and reload it.\n\n", keygen->setup.port);
}

static void print(const struct keygen *keygen)
{
    print_configuration(keygen, keygen->ps1 ? stderr : stdout);
    (keygen->ps1 ? machine_setup_ps1 : machine_setup_text)(&keygen->setup, stdout);
}

static int check_arguments(struct keygen *keygen)
{
    struct machine_setup *setup = &keygen->setup;
    if (!setup->host_ip)
        return command_misuse(&command_keygen, "--host-ip is missing: kdnetd's address as the machine reaches it",
                              NULL);
    if (!read_address(keygen))
        return command_misuse(&command_keygen,
                              "--host-ip is not an address of one host (IPv4 or IPv6):", setup->host_ip);
    if (!read_port(keygen))
        return command_misuse(&command_keygen, "--port is not a number from 1 to 65535:", keygen->port_text);
    if (setup->busparams && !read_busparams(setup->busparams))
        return command_misuse(&command_keygen,
                              "--busparams is not BUS.DEVICE.FUNCTION, 0-255.0-31.0-7 in decimal:", setup->busparams);
    return COMMAND_OK;
}

static int generate(struct keygen *keygen)
{
    char error[CONFIG_ERROR_SIZE] = "";
    int status = check_arguments(keygen);
    if (status != COMMAND_OK)
        return status;
    if (!make_key(keygen->key)) {
        (void)fputs("kdnetctl keygen: OpenSSL has no random bytes; no key was made\n", stderr);
        return COMMAND_FAILED;
    }
    if (!fits_configuration(keygen, error)) {
        command_say(&command_keygen, "NAME %s", error);
        return COMMAND_USAGE;
    }
    if (keygen->setup.port < PORT_LEAST)
        (void)fprintf(
            stderr,
            "kdnetctl keygen: Windows may refuse port %u: it takes %d-65535, and Microsoft recommends " PORT_RECOMMENDED
            "\n",
            keygen->setup.port, PORT_LEAST);
    print(keygen);
    return fflush(stdout) == 0 ? COMMAND_OK : COMMAND_FAILED;
}

static void take_option(struct keygen *keygen, int option)
{
    struct machine_setup *setup = &keygen->setup;
    switch (option) {
    case 'i':
        setup->host_ip = optarg;
        break;
    case 'p':
        keygen->port_text = optarg;
        break;
    case 'b':
        setup->busparams = optarg;
        break;
    case 'd':
        setup->nodhcp = true;
        break;
    case 'u':
        setup->noumex = true;
        break;
    default:
        keygen->ps1 = true;
        break;
    }
}

static int run_keygen(int count, char **arguments)
{
    struct keygen keygen = {.port_text = "50000"};
    int option;
    command_options_start();
    while ((option = command_next_option(&command_keygen, count, arguments)) != -1) {
        if (option == COMMAND_HELP)
            return COMMAND_OK;
        if (option == '?')
            return COMMAND_USAGE;
        take_option(&keygen, option);
    }
    if (optind >= count)
        return command_misuse(&command_keygen, "which machine? Give it a NAME", NULL);
    if (optind + 1 < count)
        return command_misuse(&command_keygen, "one machine at a time; one too many is", arguments[optind + 1]);
    keygen.setup.name = arguments[optind];
    keygen.setup.key = keygen.key;
    int status = generate(&keygen);
    kdnet_crypto_wipe(keygen.key, sizeof keygen.key);
    return status;
}

const struct command command_keygen = {
    .name = "keygen",
    .summary = "make a key for a machine, and say what to run there",
    .arguments = "NAME --host-ip ADDRESS [--port PORT] [--busparams B.D.F] [--nodhcp] [--noumex] [--ps1]",
    .text = "Makes a fresh random key for the machine NAME and prints the lines for kdnetd's configuration and the\n"
            "commands to run on the machine. Nothing is changed or kept: the key is in this output alone.\n",
    .options = options,
    .exits = "0 success, 1 no random bytes to be had, 2 wrong usage.",
    .run = run_keygen};
