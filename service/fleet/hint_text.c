/* SPDX-License-Identifier: Apache-2.0 */
/* A hint as a line of text: in the file on disk, and between collectors. */
#include "service/fleet/hints.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS      8U
#define FIELD_SIZE  ADDRESS_TEXT_SIZE
#define VERSION_MAX 255U

static const uint8_t ipv4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_one_machine(const struct address *address)
{
    bool ipv4 = memcmp(address->ip, ipv4_prefix, sizeof ipv4_prefix) == 0;
    unsigned first = ipv4 ? address->ip[12] : address->ip[0];
    if (address->port == 0 || address_is_any(address))
        return false;
    return ipv4 ? first > 0 && first < 224 : first != 0xff;
}

bool hint_is_sane(const struct hint *hint)
{
    return is_one_machine(&hint->machine) && is_one_machine(&hint->local);
}

static const char *id_text(bool known, const uint8_t id[static HINTS_ID_LENGTH], char out[static FIELD_SIZE])
{
    if (!known)
        return "-";
    for (size_t i = 0; i < HINTS_ID_LENGTH; ++i)
        (void)snprintf(out + 2 * i, 3, "%02x", id[i]);
    return out;
}

size_t hint_format(const struct hint *hint, char out[static HINTS_TEXT_SIZE])
{
    char machine[ADDRESS_TEXT_SIZE], local[ADDRESS_TEXT_SIZE], boot[FIELD_SIZE], crash[FIELD_SIZE], in[FIELD_SIZE];
    address_format(&hint->machine, machine);
    address_format(&hint->local, local);
    int length = snprintf(out, HINTS_TEXT_SIZE, "%s %s %u %s %s %s %" PRIu64 " %" PRIu64, machine, local,
                          (unsigned)hint->version, id_text(hint->boot_known, hint->boot, boot),
                          id_text(hint->crash_known, hint->crash, crash),
                          id_text(hint->crash_known, hint->crash_boot, in), hint->released_us, hint->time_us);
    return length > 0 && (size_t)length < HINTS_TEXT_SIZE ? (size_t)length : 0;
}

static bool parse_number(const char *text, uint64_t most, uint64_t *out)
{
    uint64_t number = 0;
    for (const char *at = text; *at != '\0'; ++at) {
        unsigned digit = (unsigned char)*at - (unsigned)'0';
        if (digit > 9 || number > (most - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *out = number;
    return text[0] != '\0';
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_id(const char *text, bool *known, uint8_t out[static HINTS_ID_LENGTH])
{
    *known = strcmp(text, "-") != 0;
    if (!*known)
        return true;
    if (strlen(text) != 2 * (size_t)HINTS_ID_LENGTH)
        return false;
    for (size_t i = 0; i < HINTS_ID_LENGTH; ++i) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* Splits a line at its spaces. False: another number of fields, or a field that is too long. */
static bool split(const char *text, size_t length, char fields[static FIELDS][FIELD_SIZE])
{
    size_t field = 0, used = 0;
    for (size_t i = 0; i < length; ++i) {
        if (text[i] == ' ') {
            fields[field][used] = '\0';
            used = 0;
            if (++field == FIELDS)
                return false;
            continue;
        }
        if (text[i] == '\0' || used + 1 == FIELD_SIZE)
            return false;
        fields[field][used++] = text[i];
    }
    fields[field][used] = '\0';
    return field + 1 == FIELDS;
}

bool hint_parse(const char *text, size_t length, struct hint *out)
{
    char fields[FIELDS][FIELD_SIZE];
    struct hint hint = {.version = 0};
    bool named_in = false;
    uint64_t version = 0;
    if (length >= HINTS_TEXT_SIZE || !split(text, length, fields) || !address_parse(fields[0], &hint.machine) ||
        !address_parse(fields[1], &hint.local) || !parse_number(fields[2], VERSION_MAX, &version) ||
        !parse_id(fields[3], &hint.boot_known, hint.boot) || !parse_id(fields[4], &hint.crash_known, hint.crash) ||
        !parse_id(fields[5], &named_in, hint.crash_boot) || !parse_number(fields[6], INT64_MAX, &hint.released_us) ||
        !parse_number(fields[7], INT64_MAX, &hint.time_us))
        return false;
    hint.version = (uint8_t)version;
    hint.crash_known = hint.crash_known && named_in;
    if (!hint_is_sane(&hint))
        return false;
    *out = hint;
    return true;
}
