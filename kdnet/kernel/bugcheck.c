/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/kernel/bugcheck.h"
#include "kdnet/base/wire.h"
#include "kdnet/error.h"

#include <string.h>

int kdnet_bugcheck_decode(const struct kdnet_machine_layout *layout, const uint8_t *data, size_t length,
                          struct kdnet_bugcheck *out)
{
    if (length < KDNET_BUGCHECK_VALUES * layout->pointer_size)
        return KDNET_ERR_SHORT;
    out->code = kdnet_get_le32(data);
    for (size_t i = 0; i < 4; ++i) {
        const uint8_t *p = data + (i + 1) * layout->pointer_size;
        out->parameters[i] = layout->pointer_size == 8 ? kdnet_get_le64(p) : kdnet_get_le32(p);
    }
    return KDNET_OK;
}

/* Parses 0xHEX with 1 to 16 digits at *p; false when absent. */
static bool take_hex(const char **p, const char *end, uint64_t *value)
{
    const char *c = *p;
    if (end - c < 3 || c[0] != '0' || (c[1] != 'x' && c[1] != 'X'))
        return false;
    int digits = 0;
    *value = 0;
    for (c += 2; c < end && digits < 16; ++c, ++digits) {
        char lower = (char)(*c | 0x20);
        if (*c >= '0' && *c <= '9')
            *value = *value << 4 | (uint64_t)(*c - '0');
        else if (lower >= 'a' && lower <= 'f')
            *value = *value << 4 | (uint64_t)(lower - 'a' + 10);
        else
            break;
    }
    *p = c;
    return digits > 0;
}

static void skip(const char **p, const char *end, const char *what)
{
    while (*p < end && strchr(what, **p) && **p != '\0')
        ++*p;
}

bool kdnet_bugcheck_from_text(const char *text, size_t length, struct kdnet_bugcheck *out)
{
    static const char start[] = "*** Fatal System Error: ";
    const char *p = memmem(text, length, start, sizeof start - 1);
    if (!p)
        return false;
    const char *end = text + length;
    uint64_t value;
    struct kdnet_bugcheck found;
    p += sizeof start - 1;
    if (!take_hex(&p, end, &value) || value > UINT32_MAX)
        return false;
    found.code = (uint32_t)value;
    skip(&p, end, " \t\r\n(");
    for (size_t i = 0; i < 4; ++i) {
        if (!take_hex(&p, end, &found.parameters[i]))
            return false;
        skip(&p, end, ", ");
    }
    if (p == end || *p != ')') /* cut within or behind the last number */
        return false;
    *out = found;
    return true;
}
