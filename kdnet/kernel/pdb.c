/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/kernel/pdb.h"
#include "kdnet/base/wire.h"
#include "kdnet/error.h"

#include <stdio.h>
#include <string.h>

int kdnet_pdb_decode(const uint8_t *record, size_t length, struct kdnet_pdb *out)
{
    if (length <= KDNET_CODEVIEW_NAME)
        return KDNET_ERR_SHORT;
    if (memcmp(record, "RSDS", 4) != 0)
        return KDNET_ERR_FORMAT;
    const char *name = (const char *)record + KDNET_CODEVIEW_NAME;
    size_t name_length = strnlen(name, length - KDNET_CODEVIEW_NAME);
    if (name_length == 0)
        return KDNET_ERR_FORMAT;
    if (name_length > sizeof out->name - 1)
        name_length = sizeof out->name - 1;
    for (size_t i = 0; i < name_length; ++i)
        if (name[i] < 0x20 || name[i] > 0x7e)
            return KDNET_ERR_FORMAT;
    memset(out, 0, sizeof *out);
    memcpy(out->guid, record + 4, sizeof out->guid);
    out->age = kdnet_get_le32(record + 20);
    memcpy(out->name, name, name_length);
    return KDNET_OK;
}

void kdnet_pdb_guidage(const struct kdnet_pdb *pdb, char out[static KDNET_GUIDAGE_SIZE])
{
    const uint8_t *g = pdb->guid;
    int n = snprintf(out, KDNET_GUIDAGE_SIZE, "%08X%04X%04X", (unsigned)kdnet_get_le32(g), kdnet_get_le16(g + 4),
                     kdnet_get_le16(g + 6));
    for (size_t i = 8; i < 16; ++i)
        n += snprintf(out + n, KDNET_GUIDAGE_SIZE - (size_t)n, "%02X", g[i]);
    (void)snprintf(out + n, KDNET_GUIDAGE_SIZE - (size_t)n, "%X", (unsigned)pdb->age);
}
