/* SPDX-License-Identifier: Apache-2.0 */
#include "config/characters.h"
#include "config/value.h"
#include "kdnet/error.h"

#include <arpa/inet.h>

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_ADDRESS 64

static const char hex_digits[] = "0123456789ABCDEF";

/* The bounds of an option stand in options.def, and have the form of its values. */
static void expect_bounds(bool good)
{
    assert(good);
    (void)good;
}

__attribute__((format(printf, 2, 3))) static bool wrong(char *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error, CONFIG_ERROR_SIZE, format, arguments);
    characters_mend(error);
    va_end(arguments);
    return false;
}

/* Digits only, no sign, no space; false when there is something else or the value is over `most`. */
static bool parse_decimal(const char *text, size_t length, uint64_t most, uint64_t *out)
{
    uint64_t value = 0;
    for (size_t i = 0; i < length; ++i) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (value > (most - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return length > 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool config_parse_port(const char *text, uint16_t *out, char *error)
{
    uint64_t value = 0;
    size_t length = strlen(text);
    if (length == 0 || strspn(text, "0123456789") != length)
        return wrong(error, "port \"%.*s\" is not a number; write one from 1 to 65535", CHARACTERS(text, 40));
    if (!parse_decimal(text, length, UINT16_MAX, &value) || value == 0)
        return wrong(error, "port %.*s is out of range; write one from 1 to 65535", CHARACTERS(text, 40));
    *out = (uint16_t)value;
    return true;
}

static bool parse_ip(const char *text, uint8_t ip[static 16])
{
    uint8_t v4[4];
    if (inet_pton(AF_INET6, text, ip) == 1)
        return true;
    if (inet_pton(AF_INET, text, v4) != 1)
        return false;
    memset(ip, 0, 10);
    memset(ip + 10, 0xff, 2);
    memcpy(ip + 12, v4, sizeof v4);
    return true;
}

/*
 * Cuts `text` in two at the port's colon. A bare IPv6 address has colons of its own, so only an address in brackets may
 * have a port. *port is NULL when there is none.
 */
static bool split_port(char *text, char **host, char **port, char *error)
{
    char *last = strrchr(text, ':');
    *host = text;
    *port = NULL;
    if (text[0] == '[') {
        char *end = strchr(text, ']');
        if (!end || (end[1] != '\0' && end[1] != ':'))
            return wrong(error, "\"%.*s\" has no address between brackets; write [ADDRESS]:PORT", CHARACTERS(text, 60));
        *host = text + 1;
        *port = end[1] == ':' ? end + 2 : NULL;
        *end = '\0';
    } else if (last && strchr(text, ':') == last) {
        *port = last + 1;
        *last = '\0';
    }
    return true;
}

bool config_parse_address(const char *text, enum config_port_rule rule, struct config_address *out, char *error)
{
    char copy[LONGEST_ADDRESS], *host = NULL, *port = NULL;
    struct config_address address = {.port = 0};
    size_t length = strlen(text);
    if (length == 0 || length >= sizeof copy)
        return wrong(error, "\"%.*s\" is not an IP address; write one, as 192.0.2.7 or [2001:db8::7]",
                     CHARACTERS(text, 60));
    memcpy(copy, text, length + 1);
    if (!split_port(copy, &host, &port, error))
        return false;
    if (strchr(host, '%'))
        return wrong(error, "\"%.*s\" has a zone (%%…), which cannot be used; write an address without one",
                     CHARACTERS(text, 60));
    if (!parse_ip(host, address.ip))
        return wrong(error, "\"%.*s\" is not an IP address and host names are not looked up; write the IP address",
                     CHARACTERS(host, 60));
    if (!port && rule == CONFIG_PORT_NEEDED)
        return wrong(error, "\"%.*s\" has no port; write ADDRESS:PORT, an IPv6 address in brackets",
                     CHARACTERS(text, 60));
    if (port && !config_parse_port(port, &address.port, error))
        return false;
    *out = address;
    return true;
}

static bool is_any_address(const struct config_address *address)
{
    static const uint8_t any[16];
    static const uint8_t any_v4[16] = {[10] = 0xff, [11] = 0xff};
    return memcmp(address->ip, any, 16) == 0 || memcmp(address->ip, any_v4, 16) == 0;
}

bool config_parse_machine(const char *text, struct config_address *out, char *error)
{
    struct config_address address;
    if (!config_parse_address(text, CONFIG_PORT_OPTIONAL, &address, error))
        return false;
    if (is_any_address(&address))
        return wrong(error, "\"%.*s\" is no machine's address; leave it out and it is learnt from the machine",
                     CHARACTERS(text, 60));
    *out = address;
    return true;
}

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* strchr would find the NUL too, and names have a length. */
static bool is_one_of(char c, const char *characters)
{
    return c != '\0' && strchr(characters, c) != NULL;
}

bool config_parse_name(const char *text, size_t length, char out[static CONFIG_NAME_SIZE], char *error)
{
    if (length == 0)
        return wrong(error, "is empty; write 1 to 64 of A-Z a-z 0-9 . _ -");
    if (length >= CONFIG_NAME_SIZE)
        return wrong(error, "\"%.*s…\" has %zu characters; write 1 to 64", CHARACTERS(text, 40), length);
    for (size_t i = 0; i < length; ++i)
        if (!is_letter_or_digit(text[i]) && !is_one_of(text[i], "._-"))
            return wrong(error, "\"%.*s\" has a character that a name cannot have; write 1 to 64 of A-Z a-z 0-9 . _ -",
                         (int)length, text);
    memcpy(out, text, length);
    out[length] = '\0';
    return true;
}

bool config_parse_key(const char *text, size_t length, struct kdnet_key *out, char *error)
{
    enum kdnet_key_fault fault = KDNET_KEY_FAULT_NONE;
    int part = 0;
    if (kdnet_key_parse(text, length, out, &fault, &part) == KDNET_OK)
        return true;
    return wrong(error, "%s, at part %d; write the key that bcdedit /dbgsettings shows on the machine",
                 kdnet_key_fault_text(fault), part);
}

static bool parse_milliseconds(const char *text, uint64_t *ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {"", 1000}};
    size_t digits = strspn(text, "0123456789");
    for (size_t i = 0; i < sizeof units / sizeof units[0]; ++i) {
        if (strcmp(text + digits, units[i].unit) != 0)
            continue;
        uint64_t count = 0;
        if (!parse_decimal(text, digits, UINT32_MAX, &count))
            return false;
        *ms = count * units[i].ms;
        return true;
    }
    return false;
}

bool config_parse_duration(const char *text, const char *least, const char *most, uint64_t *ms, char *error)
{
    uint64_t low = 0, high = 0, value = 0;
    expect_bounds(parse_milliseconds(least, &low) && parse_milliseconds(most, &high));
    if (!parse_milliseconds(text, &value))
        return wrong(error, "\"%.*s\" is not a duration; write a number and ms, s, m, h or d, as %s",
                     CHARACTERS(text, 40), least);
    if (value < low || value > high)
        return wrong(error, "%.*s is out of range; write %s to %s", CHARACTERS(text, 40), least, most);
    *ms = value;
    return true;
}

bool config_parse_hold_for(const char *text, const char *least, const char *most, uint64_t *ms, char *error)
{
    if (strcmp(text, "none") == 0) {
        *ms = CONFIG_HOLD_FOR_EVER;
        return true;
    }
    return config_parse_duration(text, least, most, ms, error);
}

bool config_parse_bool(const char *text, bool *out, char *error)
{
    bool is_true = strcmp(text, "true") == 0;
    if (!is_true && strcmp(text, "false") != 0)
        return wrong(error, "\"%.*s\" is neither; write true or false", CHARACTERS(text, 40));
    *out = is_true;
    return true;
}

bool config_parse_number(const char *text, const char *least, const char *most, const char *unsaid, unsigned *out,
                         char *error)
{
    uint64_t low = 0, high = 0, value = 0;
    const char *or_out = unsaid ? ", or leave it out: " : "";
    size_t length = strlen(text);
    expect_bounds(parse_decimal(least, strlen(least), UINT32_MAX, &low) &&
                  parse_decimal(most, strlen(most), UINT32_MAX, &high));
    if (length == 0 || strspn(text, "0123456789") != length)
        return wrong(error, "\"%.*s\" is not a number; write one from %s to %s%s%s", CHARACTERS(text, 40), least, most,
                     or_out, unsaid ? unsaid : "");
    if (!parse_decimal(text, length, high, &value) || value < low)
        return wrong(error, "%.*s is out of range; write one from %s to %s%s%s", CHARACTERS(text, 40), least, most,
                     or_out, unsaid ? unsaid : "");
    *out = (unsigned)value;
    return true;
}

static bool parse_bytes(const char *text, uint64_t *bytes)
{
    static const struct {
        const char *unit;
        unsigned shift;
    } units[] = {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}};
    size_t digits = strspn(text, "0123456789");
    uint64_t count = 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; ++i)
        if (strcmp(text + digits, units[i].unit) == 0 &&
            parse_decimal(text, digits, UINT64_MAX >> units[i].shift, &count)) {
            *bytes = count << units[i].shift;
            return true;
        }
    return false;
}

bool config_parse_size(const char *text, const char *least, const char *most, uint64_t *bytes, char *error)
{
    uint64_t low = 0, high = 0, value = 0;
    expect_bounds(parse_bytes(least, &low) && parse_bytes(most, &high));
    if (!parse_bytes(text, &value))
        return wrong(error, "\"%.*s\" is not a size; write a number and KiB, MiB, GiB or TiB, as %s",
                     CHARACTERS(text, 40), least);
    if (value < low || value > high)
        return wrong(error, "%.*s is out of range; write %s to %s", CHARACTERS(text, 40), least, most);
    *bytes = value;
    return true;
}

static const char *const break_names[CONFIG_BREAKS] = {
    "bugcheck_first", "bugcheck_second", "shutdown", "break", "exception", "load_symbols", "prompt",
};
static const char *const action_names[] = {"unset", "continue", "hold", "reboot"};
static const char *const level_names[] = {"error", "warning", "notice", "info", "debug"};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

bool config_parse_break(const char *text, enum config_break *out, char *error)
{
    int found = config_find_word(text, "a kind of break", break_names, COUNT(break_names), error);
    if (found < 0)
        return false;
    *out = (enum config_break)found;
    return true;
}

bool config_parse_action(const char *text, enum config_break kind, enum config_action *out, char *error)
{
    int found = config_find_word(text, "an action", action_names + 1, COUNT(action_names) - 1, error);
    if (found < 0)
        return false;
    enum config_action action = (enum config_action)(found + 1);
    if (kind == CONFIG_BREAK_PROMPT && action == CONFIG_ACTION_REBOOT)
        return wrong(error,
                     "a machine that asks cannot be told to reboot before it is answered; write continue or hold");
    *out = action;
    return true;
}

const char *config_break_name(enum config_break kind)
{
    return (size_t)kind < COUNT(break_names) ? break_names[kind] : "unknown";
}

const char *config_action_name(enum config_action action)
{
    return (size_t)action < COUNT(action_names) ? action_names[action] : "unknown";
}

const char *config_log_level_name(enum config_log_level level)
{
    return (size_t)level < COUNT(level_names) ? level_names[level] : "unknown";
}

bool config_parse_guidage(const char *text, char out[static CONFIG_GUIDAGE_SIZE], char *error)
{
    size_t length = strlen(text), written = 32;
    if (length < 33 || length >= CONFIG_GUIDAGE_SIZE)
        return wrong(error,
                     "\"%.*s\" has %zu characters; write the GUID's 32 hex digits without dashes, then 1 to 8 of age",
                     CHARACTERS(text, 60), length);
    for (size_t i = 0; i < length; ++i)
        if (hex_value(text[i]) < 0)
            return wrong(error, "\"%.*s\" has a character that is no hex digit; write 32 of GUID, then 1 to 8 of age",
                         CHARACTERS(text, 60));
    for (size_t i = 0; i < 32; ++i)
        out[i] = hex_digits[hex_value(text[i])];
    for (size_t i = 32; i < length; ++i)
        if (text[i] != '0' || written > 32 || i == length - 1)
            out[written++] = hex_digits[hex_value(text[i])];
    out[written] = '\0';
    return true;
}

bool config_parse_symbol(const char *text, char out[static CONFIG_SYMBOL_SIZE], char *error)
{
    const char *name = strncmp(text, "nt!", 3) == 0 ? text + 3 : text;
    size_t length = strlen(name);
    if (length == 0 || length >= CONFIG_SYMBOL_SIZE)
        return wrong(error, "\"%.*s\" has no name of 1 to 127 characters; write one, as IopFinalCrashDumpStatus",
                     CHARACTERS(text, 40));
    for (size_t i = 0; i < length; ++i)
        if (!is_letter_or_digit(name[i]) && !is_one_of(name[i], "_?@$"))
            return wrong(error, "\"%.*s\" is no symbol of the kernel; write one, as IopFinalCrashDumpStatus",
                         CHARACTERS(text, 60));
    memcpy(out, name, length + 1);
    return true;
}

bool config_parse_rva(const char *text, uint32_t *out, char *error)
{
    bool is_hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    size_t length = strlen(text);
    uint64_t value = 0;
    bool good = is_hex ? length > 2 : parse_decimal(text, length, UINT32_MAX, &value);
    for (size_t i = 2; is_hex && good && i < length; ++i) {
        good = hex_value(text[i]) >= 0 && value <= UINT32_MAX >> 4;
        value = value << 4 | (uint64_t)(hex_value(text[i]) & 15);
    }
    if (!good)
        return wrong(error, "\"%.*s\" is no RVA; write the distance from the kernel's base, as 0xC35DE0, below 2^32",
                     CHARACTERS(text, 40));
    *out = (uint32_t)value;
    return true;
}
