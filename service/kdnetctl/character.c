/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnetctl/character.h"

struct range {
    uint32_t first, last;
};

bool character_is_plain(uint32_t c)
{
    if (c < 0x20 || (c >= 0x7f && c < 0xa0))
        return false;
    if (c == 0xad || c == 0x061c || c == 0x180e || c == 0xfeff) /* invisible */
        return false;
    if (c >= 0x200b && c <= 0x200f) /* zero width, direction marks */
        return false;
    if (c >= 0x2028 && c <= 0x202e) /* line separators, direction embedding and override */
        return false;
    if (c >= 0x2060 && c <= 0x206f) /* invisible operators, isolates */
        return false;
    if ((c >= 0xd800 && c < 0xe000) || (c >= 0xfff0 && c < 0xfffc) || (c & 0xfffeU) == 0xfffeU)
        return false;
    return c < 0xe0000; /* tags, private use */
}

size_t character_take(const uint8_t *p, size_t length, uint32_t *code)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t count = p[0] < 0x80              ? 1
                   : (p[0] & 0xe0U) == 0xc0 ? 2
                   : (p[0] & 0xf0U) == 0xe0 ? 3
                   : (p[0] & 0xf8U) == 0xf0 ? 4
                                            : 0;
    if (count == 0 || count > length)
        return 0;
    uint32_t c = count == 1 ? p[0] : p[0] & (0x7fU >> count);
    for (size_t i = 1; i < count; ++i) {
        if ((p[i] & 0xc0U) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3fU);
    }
    if (c < least[count] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0;
    *code = c;
    return count;
}

size_t character_put(char out[static 4], uint32_t c)
{
    static const uint8_t first[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t count = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = count - 1; i > 0; --i) {
        out[i] = (char)(0x80 | (c & 0x3fU));
        c >>= 6;
    }
    out[0] = (char)(first[count] | c);
    return count;
}

static bool is_in(const struct range *ranges, size_t count, uint32_t c)
{
    for (size_t i = 0; i < count; ++i)
        if (c >= ranges[i].first && c <= ranges[i].last)
            return true;
    return false;
}

/* Whole blocks of combining marks, and of East Asian Width W and F (UAX 11). */
unsigned character_width(uint32_t c)
{
    static const struct range none[] = {{0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},
                                        {0x64b, 0x65f},   {0x6d6, 0x6dc},   {0x93a, 0x93c},   {0x941, 0x948},
                                        {0xe31, 0xe31},   {0xe34, 0xe3a},   {0xe47, 0xe4e},   {0x1ab0, 0x1aff},
                                        {0x1dc0, 0x1dff}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}};
    static const struct range two[] = {
        {0x1100, 0x115f},   {0x231a, 0x231b},   {0x2329, 0x232a},   {0x23e9, 0x23ec},   {0x25fd, 0x25fe},
        {0x2614, 0x2615},   {0x2648, 0x2653},   {0x26a1, 0x26a1},   {0x26aa, 0x26ab},   {0x26bd, 0x26be},
        {0x26c4, 0x26c5},   {0x26d4, 0x26d4},   {0x26f2, 0x26f5},   {0x2705, 0x2705},   {0x270a, 0x270b},
        {0x2728, 0x2728},   {0x274c, 0x274e},   {0x2753, 0x2757},   {0x2795, 0x2797},   {0x2b1b, 0x2b1c},
        {0x2b50, 0x2b55},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},   {0xa960, 0xa97c},   {0xac00, 0xd7a3},
        {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x1b000, 0x1b2ff},
        {0x1f004, 0x1f004}, {0x1f0cf, 0x1f0cf}, {0x1f18e, 0x1f19a}, {0x1f200, 0x1f64f}, {0x1f680, 0x1f6ff},
        {0x1f7e0, 0x1f7eb}, {0x1f900, 0x1faff}, {0x20000, 0x3fffd}};
    if (is_in(none, sizeof none / sizeof none[0], c))
        return 0;
    return is_in(two, sizeof two / sizeof two[0], c) ? 2 : 1;
}
