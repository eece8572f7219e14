/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/key.h"
#include "kdnet/error.h"
#include "kdnet/base/wire.h"

#include <string.h>

static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'Z')
        return c - 'A' + 10;
    return -1;
}

static int fail(enum kdnet_key_fault what, int where, enum kdnet_key_fault *fault, int *part)
{
    if (fault)
        *fault = what;
    if (part)
        *part = where;
    return KDNET_ERR_KEY;
}

/* Parses one part, up to a dot or the end; returns the fault and advances `position` behind the part. */
static enum kdnet_key_fault parse_part(const char *text, size_t length, size_t *position, uint64_t *value)
{
    size_t start = *position;
    *value = 0;
    for (; *position < length && text[*position] != '.'; ++*position) {
        int digit = digit_value(text[*position]);
        if (digit < 0)
            return KDNET_KEY_FAULT_DIGIT;
        if (*value > (UINT64_MAX - (uint64_t)digit) / 36)
            return KDNET_KEY_FAULT_RANGE;
        *value = *value * 36 + (uint64_t)digit;
    }
    return *position == start ? KDNET_KEY_FAULT_PARTS : KDNET_KEY_FAULT_NONE;
}

int kdnet_key_parse(const char *text, size_t length, struct kdnet_key *out, enum kdnet_key_fault *fault, int *part)
{
    struct kdnet_key key;
    size_t position = 0;
    length = text ? length : 0;
    for (int i = 0; i < KDNET_KEY_PARTS; ++i) {
        uint64_t value = 0;
        enum kdnet_key_fault wrong = parse_part(text, length, &position, &value);
        if (wrong != KDNET_KEY_FAULT_NONE)
            return fail(wrong, i + 1, fault, part);
        for (int b = 0; b < 8; ++b)
            key.bytes[i * 8 + b] = (uint8_t)(value >> (8 * b));
        if (i < KDNET_KEY_PARTS - 1 && position++ >= length)
            return fail(KDNET_KEY_FAULT_PARTS, i + 2, fault, part);
    }
    if (position != length)
        return fail(KDNET_KEY_FAULT_PARTS, KDNET_KEY_PARTS, fault, part);
    *out = key;
    if (fault)
        *fault = KDNET_KEY_FAULT_NONE;
    return KDNET_OK;
}

static size_t format_part(uint64_t value, char *out)
{
    char reversed[KDNET_KEY_PART_CHARS];
    size_t n = 0;
    do
        reversed[n++] = digits[value % 36];
    while ((value /= 36) != 0);
    for (size_t i = 0; i < n; ++i)
        out[i] = reversed[n - 1 - i];
    return n;
}

void kdnet_key_format(const struct kdnet_key *key, char out[static KDNET_KEY_TEXT_SIZE])
{
    size_t n = 0;
    for (int i = 0; i < KDNET_KEY_PARTS; ++i) {
        uint64_t value = 0;
        for (int b = 7; b >= 0; --b)
            value = value << 8 | key->bytes[i * 8 + b];
        if (i > 0)
            out[n++] = '.';
        n += format_part(value, out + n);
    }
    out[n] = '\0';
}

static uint64_t part_of(const struct kdnet_key *key, size_t i)
{
    return kdnet_get_le64(key->bytes + 8 * i);
}

static bool is_published(const struct kdnet_key *key)
{
    static const uint64_t published[][KDNET_KEY_PARTS] = {
        /* 2steg4fzbj2sz.23418vzkd4ko3.1g34ou07z4pev.1sp3yo9yz874p, Microsoft's example for bcdedit */
        {UINT64_C(0xb8275332b8cedbf3), UINT64_C(0x8933795f5b9a2ea3), UINT64_C(0x5f24998f2da258a7),
         UINT64_C(0x762d78fefb3c3119)},
        /* 29p34y6n3wd25.2q4f5zr37e3p3.12z8iq9y7jzb6.2cn6z43dvyrkt, ours, in README and example configuration */
        {UINT64_C(0x953a9dd8f087891d), UINT64_C(0xb33b9fabdd37cd37), UINT64_C(0x47330a31f3f77882),
         UINT64_C(0x9a9cdd8f6ceec31d)},
    };
    for (size_t i = 0; i < sizeof published / sizeof published[0]; ++i)
        if (part_of(key, 0) == published[i][0] && part_of(key, 1) == published[i][1] &&
            part_of(key, 2) == published[i][2] && part_of(key, 3) == published[i][3])
            return true;
    return false;
}

bool kdnet_key_is_guessable(const struct kdnet_key *key)
{
    size_t bytes = 0;
    bool equal = false;
    for (size_t i = 0; i < KDNET_KEY_PARTS; ++i) {
        for (uint64_t part = part_of(key, i); part != 0; part >>= 8)
            ++bytes;
        for (size_t j = 0; j < i; ++j)
            equal = equal || part_of(key, i) == part_of(key, j);
    }
    return bytes < KDNET_KEY_BYTES_LEAST || equal || is_published(key);
}

const char *kdnet_key_fault_text(enum kdnet_key_fault fault)
{
    switch (fault) {
    case KDNET_KEY_FAULT_NONE:
        return "is good";
    case KDNET_KEY_FAULT_PARTS:
        return "is not four parts with dots between them (w.x.y.z)";
    case KDNET_KEY_FAULT_DIGIT:
        return "has a character that is not 0-9 or a-z";
    case KDNET_KEY_FAULT_RANGE:
        return "has a part over 64 bits (the largest is 3w5e11264sgsf)";
    }
    return "is not a key";
}
