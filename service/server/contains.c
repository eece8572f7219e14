/* SPDX-License-Identifier: Apache-2.0 */
#include "service/server/contains.h"

#include <stddef.h>
#include <stdint.h>

/* A table of our own, of European alphabets: towlower() knows only ASCII without a locale of UTF-8, SQLite only ASCII,
 * and libunistring, which curl may bring along, is no library that the service itself may count on. */

/* Capital letters, each `step`th of the range, and how far behind them their small ones are. */
static const struct capitals {
    uint16_t first, last;
    uint8_t step, distance;
} capitals[] = {{0xC0, 0xD6, 1, 32},   {0xD8, 0xDE, 1, 32},   {0x100, 0x12E, 2, 1},  {0x132, 0x136, 2, 1},
                {0x139, 0x147, 2, 1},  {0x14A, 0x176, 2, 1},  {0x179, 0x17D, 2, 1},  {0x386, 0x386, 1, 38},
                {0x388, 0x38A, 1, 37}, {0x38C, 0x38C, 1, 64}, {0x38E, 0x38F, 1, 63}, {0x391, 0x3A9, 1, 32},
                {0x3C2, 0x3C2, 1, 1},  {0x400, 0x40F, 1, 80}, {0x410, 0x42F, 1, 32}, {0x460, 0x480, 2, 1},
                {0x48A, 0x4BE, 2, 1},  {0x4D0, 0x52E, 2, 1},  {0x531, 0x556, 1, 48}, {0x1E00, 0x1E94, 2, 1},
                {0x1EA0, 0x1EFE, 2, 1}};

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static uint32_t fold_letter(uint32_t letter)
{
    if (letter < 0x80)
        return (unsigned char)fold((char)letter);
    for (size_t i = 0; i < sizeof capitals / sizeof capitals[0]; ++i) {
        const struct capitals *one = &capitals[i];
        if (letter >= one->first && letter <= one->last && (letter - one->first) % one->step == 0)
            return letter + one->distance;
    }
    return letter;
}

/* The letter at `at`, of up to three bytes, and moves on; any other byte stands for itself. */
static uint32_t next_letter(const char **at)
{
    const unsigned char *bytes = (const unsigned char *)*at;
    unsigned more = bytes[0] >= 0xE0 && bytes[0] < 0xF0 ? 2 : bytes[0] >= 0xC2 && bytes[0] < 0xE0 ? 1 : 0;
    uint32_t letter = more == 2 ? bytes[0] & 0x0FU : more == 1 ? bytes[0] & 0x1FU : bytes[0];
    for (unsigned i = 1; i <= more; ++i) {
        if ((bytes[i] & 0xC0U) != 0x80)
            more = 0;
        letter = letter << 6 | (bytes[i] & 0x3FU);
    }
    *at += more + 1;
    return more > 0 ? letter : bytes[0];
}

static bool begins(const char *text, const char *part)
{
    while (*part != '\0')
        if (*text == '\0' || fold_letter(next_letter(&text)) != fold_letter(next_letter(&part)))
            return false;
    return true;
}

/* Each of a hundred thousand names is looked at while somebody types: most first characters differ. */
bool contains(const char *text, const char *part)
{
    const char first = fold(part[0]);
    const bool plain = (unsigned char)first < 0x80;
    for (; *text != '\0'; ++text)
        if ((plain ? fold(*text) == first : (unsigned char)*text >= 0xC0) && begins(text, part))
            return true;
    return first == '\0';
}
