/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/error.h"

#include <stddef.h>

struct entry {
    int code;
    enum kdnet_error_family family;
    const char *text;
};

#define ENTRY(name, value, family, text) {value, family, text},
static const struct entry entries[] = {{KDNET_OK, KDNET_FAMILY_NONE, "success"}, KDNET_ERROR_MAP(ENTRY)};
#undef ENTRY

static const struct entry *find(int code)
{
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; ++i)
        if (entries[i].code == code)
            return &entries[i];
    return NULL;
}

const char *kdnet_error_text(int code)
{
    const struct entry *entry = find(code);
    return entry ? entry->text : "unknown error";
}

enum kdnet_error_family kdnet_error_family(int code)
{
    const struct entry *entry = find(code);
    return entry ? entry->family : KDNET_FAMILY_GIVE_UP;
}
