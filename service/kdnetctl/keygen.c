/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl keygen: a new key for a machine, and the steps on both sides. */
#include "config/config.h"
#include "kdnet/crypto/crypto.h"
#include "kdnet/key.h"
#include "service/kdnetctl/commands.h"
#include "service/kdnetctl/keygen.h"
#include "service/kdnetctl/machine_setup.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    {"from", "FILE.csv", 'f',
     "for each machine of the file: its columns are name, and as wanted address (the machine's),\n"
     "host_ip, port, busparams, nodhcp, noumex (true, false) in the place of the options; every\n"
     "other column is a label"},
    {"out", "FOLDER", 'o', "with --from: a new folder for a targets file and a NAME.ps1 for each machine"},
    {0}};

struct keygen {
    const char *port_text, *from, *folder;
    bool ps1;
    struct machine_setup setup;
    char ip[MACHINE_SETUP_IP_SIZE];
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
    bool good = config_add(&config, "target", text, error);
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
    if (!machine_setup_address(setup, keygen->ip))
        return command_misuse(&command_keygen,
                              "--host-ip is not an address of one host (IPv4 or IPv6):", setup->host_ip);
    if (!machine_setup_port(keygen->port_text, &setup->port))
        return command_misuse(&command_keygen, "--port is not a number from 1 to 65535:", keygen->port_text);
    if (setup->busparams && !machine_setup_busparams(setup->busparams))
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

static int generate_many(struct keygen *keygen, const char *name)
{
    if (name)
        return command_misuse(&command_keygen, "--from names the machines; leave out", name);
    if (!keygen->from || !keygen->folder)
        return command_misuse(&command_keygen, "--from FILE.csv and --out FOLDER go together", NULL);
    if (keygen->ps1)
        return command_misuse(&command_keygen, "--from makes scripts in any case; leave out --ps1", NULL);
    int status = keygen->setup.host_ip ? check_arguments(keygen) : COMMAND_OK;
    if (status == COMMAND_OK && !machine_setup_port(keygen->port_text, &keygen->setup.port))
        return command_misuse(&command_keygen, "--port is not a number from 1 to 65535:", keygen->port_text);
    return status == COMMAND_OK ? keygen_from(keygen->from, keygen->folder, &keygen->setup) : status;
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
    case 'f':
        keygen->from = optarg;
        break;
    case 'o':
        keygen->folder = optarg;
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
    if (keygen.from || keygen.folder)
        return generate_many(&keygen, optind < count ? arguments[optind] : NULL);
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
    .arguments = "NAME --host-ip ADDRESS [--port PORT] [--busparams B.D.F] [--nodhcp] [--noumex] [--ps1]\n"
                 "       kdnetctl keygen --from FILE.csv --out FOLDER [--host-ip ADDRESS] [OPTION...]",
    .text = "Makes a fresh random key for the machine NAME and prints the lines for kdnetd's configuration and the\n"
            "commands to run on the machine. Nothing is changed or kept: the key is in this output alone.\n"
            "With --from, for many machines at once, in a new folder.\n",
    .options = options,
    .exits =
        "0 success, 1 no random bytes to be had, or the folder cannot be made, 2 wrong usage or a mistake in FILE.",
    .run = run_keygen};
