/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/base/names.h"

#define SEVERITY_ERROR 3u /* the two top bits of an NTSTATUS */

static const char *find(const struct kdnet_name *names, size_t count, uint32_t value)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (names[middle].value == value)
            return names[middle].name;
        if (names[middle].value < value)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

const char *kdnet_status_name(uint32_t status)
{
    return find(kdnet_status_names, kdnet_status_name_count, status);
}

const char *kdnet_bugcheck_name(uint32_t code)
{
    const char *name = find(kdnet_bugcheck_names, kdnet_bugcheck_name_count, code);
    if (name == NULL && code >> 30 == SEVERITY_ERROR)
        return kdnet_status_name(code);
    return name;
}
