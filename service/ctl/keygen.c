/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl keygen: a fresh key for a machine, and what to do with it on both sides. */
#include "config/config.h"
#include "kdnet/crypto.h"
#include "kdnet/key.h"
#include "service/ctl/command.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <getopt.h>
#include <openssl/rand.h>

#define PORT_LEAST       49152 /* Microsoft's documentation of bcdedit /dbgsettings: 49152 to 65535 */
#define PORT_RECOMMENDED "50000-50039"

static const char help_text[] =
    "Usage: kdnetctl keygen NAME --host-ip ADDRESS [--port PORT]\n\n"
    "Makes a fresh random key for the machine NAME and prints the lines for kdnetd's configuration and the commands "
    "to\n"
    "run on the machine. Nothing is changed or kept: the key is in this output alone.\n\n"
    "  --host-ip ADDRESS   kdnetd's address as the machine reaches it, IPv4 or IPv6\n"
    "  --port PORT         kdnetd's UDP port (50000); Windows takes 49152-65535, Microsoft recommends 50000-50039\n\n"
    "Exit status: 0 success, 1 no random bytes to be had, 2 wrong usage.\n";

struct keygen {
    const char *name;
    const char *host_ip;
    const char *port_text;
    bool ipv6;
    unsigned port;
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

static bool read_address(struct keygen *keygen)
{
    uint8_t ip[16];
    static const uint8_t any[16];
    if (inet_pton(AF_INET, keygen->host_ip, ip) == 1)
        return memcmp(ip, any, 4) != 0 && ip[0] < 224; /* no multicast, no broadcast */
    keygen->ipv6 = true;
    return inet_pton(AF_INET6, keygen->host_ip, ip) == 1 && memcmp(ip, any, sizeof any) != 0 && ip[0] != 0xff;
}

static bool read_port(struct keygen *keygen)
{
    char *end;
    size_t length = strlen(keygen->port_text);
    if (length == 0 || length > 5 || strspn(keygen->port_text, "0123456789") != length)
        return false;
    keygen->port = (unsigned)strtoul(keygen->port_text, &end, 10);
    return keygen->port >= 1 && keygen->port <= 65535;
}

/* The rules for names and keys are the configuration's. */
static bool fits_configuration(const struct keygen *keygen, char error[static CONFIG_ERROR_SIZE])
{
    struct kdnetd_config config;
    char text[CONFIG_NAME_SIZE + KDNET_KEY_TEXT_SIZE + 1];
    if (strlen(keygen->name) >= CONFIG_NAME_SIZE) {
        (void)snprintf(error, CONFIG_ERROR_SIZE, "is too long; write 1 to %d characters", CONFIG_NAME_SIZE - 1);
        return false;
    }
    if (strchr(keygen->name, '=') != NULL) {
        (void)snprintf(error, CONFIG_ERROR_SIZE, "has a character that a name cannot have; write A-Z a-z 0-9 . _ -");
        return false;
    }
    (void)snprintf(text, sizeof text, "%s=%s", keygen->name, keygen->key);
    config_init(&config);
    bool good = config_add_target(&config, text, error);
    config_clear(&config);
    kdnet_crypto_wipe(text, sizeof text);
    return good;
}

static void print_configuration(const struct keygen *keygen)
{
    (void)printf("# A key for %s. Keep it secret: who has it can read and change the machine's memory.\n\n",
                 keygen->name);
    (void)printf("# 1. For kdnetd, in its configuration (in a file that others cannot read):\n\n");
    (void)printf("targets:\n  - name: %s\n    key: %s\n\n", keygen->name, keygen->key);
    (void)printf("#    or as a line of its targets file:\n\n%s %s\n\n", keygen->name, keygen->key);
    (void)printf("#    then let kdnetd listen on UDP port %u and reload it.\n\n", keygen->port);
}

static void print_machine(const struct keygen *keygen)
{
    (void)printf("# 2. On %s, in a command prompt that runs as Administrator:\n\n", keygen->name);
    (void)printf("bcdedit /debug on\n");
    (void)printf("bcdedit /dbgsettings net %s:%s port:%u key:%s\n\n", keygen->ipv6 ? "hostipv6" : "hostip",
                 keygen->host_ip, keygen->port, keygen->key);
    (void)printf(
        "# Before: BitLocker on? Suspend it, or the next start asks for the recovery key:\n"
        "#   manage-bde -protectors -disable C:\n"
        "# Before: Secure Boot on? Switch it off in the firmware, or bcdedit refuses (\"protected by Secure Boot\n"
        "#   policy\").\n"
        "# After: reboot the machine; only then does it poke, every 3 seconds. `bcdedit /dbgsettings` shows what is\n"
        "#   set. Its network card must be one that KDNET supports, and UDP port %u to %s open on the way.\n",
        keygen->port, keygen->host_ip);
}

static int generate(struct keygen *keygen)
{
    char error[CONFIG_ERROR_SIZE] = "";
    if (!read_address(keygen))
        return command_misuse(&command_keygen,
                              "--host-ip is not an address of one host (IPv4 or IPv6):", keygen->host_ip);
    if (!read_port(keygen))
        return command_misuse(&command_keygen, "--port is not a number from 1 to 65535:", keygen->port_text);
    if (!make_key(keygen->key)) {
        (void)fputs("kdnetctl keygen: OpenSSL has no random bytes; no key was made\n", stderr);
        return COMMAND_FAILED;
    }
    if (!fits_configuration(keygen, error)) {
        command_say(&command_keygen, "NAME %s", error);
        return COMMAND_USAGE;
    }
    if (keygen->port < PORT_LEAST)
        (void)fprintf(
            stderr,
            "kdnetctl keygen: Windows may refuse port %u: it takes %d-65535, and Microsoft recommends " PORT_RECOMMENDED
            "\n",
            keygen->port, PORT_LEAST);
    print_configuration(keygen);
    print_machine(keygen);
    return fflush(stdout) == 0 ? COMMAND_OK : COMMAND_FAILED;
}

static int run_keygen(int count, char **arguments)
{
    static const struct option options[] = {{"host-ip", required_argument, NULL, 'i'},
                                            {"port", required_argument, NULL, 'p'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct keygen keygen = {.port_text = "50000"};
    int option;
    command_options_start();
    while ((option = command_next_option(&command_keygen, count, arguments, options)) != -1) {
        if (option == 'h') {
            (void)fputs(help_text, stdout);
            return COMMAND_OK;
        }
        if (option == '?')
            return COMMAND_USAGE;
        *(option == 'i' ? &keygen.host_ip : &keygen.port_text) = optarg;
    }
    if (optind >= count)
        return command_misuse(&command_keygen, "which machine? Give it a NAME", NULL);
    if (optind + 1 < count)
        return command_misuse(&command_keygen, "one machine at a time; one too many is", arguments[optind + 1]);
    if (!keygen.host_ip)
        return command_misuse(&command_keygen, "--host-ip is missing: kdnetd's address as the machine reaches it",
                              NULL);
    keygen.name = arguments[optind];
    int status = generate(&keygen);
    kdnet_crypto_wipe(keygen.key, sizeof keygen.key);
    return status;
}

const struct command command_keygen = {"keygen", "make a key for a machine, and say what to run there", help_text,
                                       run_keygen};
