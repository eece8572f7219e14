/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/identity.h"

#include "kdnet/base/wire.h"

#include <string.h>

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool identity_parse_guid(const char *text, uint8_t guid[static 16])
{
    uint8_t bytes[16];
    for (size_t i = 0; i < sizeof bytes; ++i) {
        int high = digit_of(text[2 * i]), low = high < 0 ? -1 : digit_of(text[2 * i + 1]);
        if (low < 0)
            return false;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(guid, bytes, sizeof bytes);
    kdnet_put_le32(guid, (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3]);
    kdnet_put_le16(guid + 4, (uint16_t)(bytes[4] << 8 | bytes[5]));
    kdnet_put_le16(guid + 6, (uint16_t)(bytes[6] << 8 | bytes[7]));
    return true;
}

bool identity_parse(const char *text, struct kdnet_pdb *pdb)
{
    size_t length = strlen(text);
    uint32_t age = 0;
    if (length < 33 || length > 40)
        return false;
    for (const char *c = text + 32; *c; ++c) {
        int digit = digit_of(*c);
        if (digit < 0)
            return false;
        age = age << 4 | (uint32_t)digit;
    }
    if (!identity_parse_guid(text, pdb->guid))
        return false;
    pdb->age = age;
    return true;
}

bool identity_same(const struct kdnet_pdb *a, const struct kdnet_pdb *b)
{
    return memcmp(a->guid, b->guid, sizeof a->guid) == 0 && a->age == b->age;
}

enum symbol_answer identity_other(const struct kdnet_pdb *found, char reason[static SYMBOL_REASON_SIZE])
{
    char guidage[KDNET_GUIDAGE_SIZE];
    kdnet_pdb_guidage(found, guidage);
    return symbol_reason(reason, "it is of another image, %s", guidage);
}

static bool is_plain(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '.' || c == '_' || c == '-';
}

bool identity_name_is_safe(const char *name)
{
    size_t length = strnlen(name, KDNET_PDB_NAME_SIZE);
    if (length == 0 || length == KDNET_PDB_NAME_SIZE || name[0] == '.' || name[length - 1] == '.')
        return false;
    for (size_t i = 0; i < length; ++i)
        if (!is_plain(name[i]) || (name[i] == '.' && name[i + 1] == '.'))
            return false;
    return true;
}

const char *identity_base_name(const char *name)
{
    const char *base = name;
    for (; *name; ++name)
        if (*name == '/' || *name == '\\')
            base = name + 1;
    return base;
}
