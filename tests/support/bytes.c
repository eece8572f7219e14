/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "tests/support/bytes.h"

uint8_t *bytes_copy(const void *bytes, size_t length)
{
    uint8_t *copy = malloc(length);
    if (!copy)
        copy = malloc(1); /* malloc(0) may give NULL */
    if (!copy)
        abort();
    if (length > 0)
        memcpy(copy, bytes, length);
    return copy;
}

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c);
    if (!found)
        fail_msg("'%c' is not a hexadecimal digit", c);
    return found ? (int)(found - digits) : 0;
}

void bytes_from_hex(const char *text, uint8_t *out, size_t length)
{
    size_t count = 0;
    while (*text) {
        if (*text == ' ') {
            ++text;
            continue;
        }
        if (count == length)
            fail_msg("more than %zu bytes of hexadecimal text", length);
        out[count++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
        text += 2;
    }
    assert_int_equal(count, length);
}

void bytes_each_truncation(const void *bytes, size_t length, bytes_check *check, void *context)
{
    for (size_t cut = 0; cut < length; ++cut) {
        uint8_t *copy = bytes_copy(bytes, cut);
        check(copy, cut, cut, context);
        free(copy);
    }
}

void bytes_each_bit_flip(const void *bytes, size_t length, bytes_check *check, void *context)
{
    uint8_t *copy = bytes_copy(bytes, length);
    for (size_t bit = 0; bit < length * 8; ++bit) {
        copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
        check(copy, length, bit / 8, context);
        copy[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    free(copy);
}
