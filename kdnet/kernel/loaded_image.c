/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/kernel/loaded_image.h"
#include "kdnet/base/wire.h"

#include <string.h>

/* KLDR_DATA_TABLE_ENTRY, and the UNICODE_STRINGs in it. */
enum {
    LDR64_BASE = 0x30,
    LDR64_NAME = 0x58,
    LDR32_BASE = 0x18,
    LDR32_NAME = 0x2c,
};

void kdnet_loaded_image_decode(const struct kdnet_machine_layout *layout, const uint8_t *data,
                               struct kdnet_loaded_image *out)
{
    bool wide = layout->pointer_size == 8;
    const uint8_t *name = data + (wide ? LDR64_NAME : LDR32_NAME);
    out->next = kdnet_machine_pointer(layout, data);
    out->base = kdnet_machine_pointer(layout, data + (wide ? LDR64_BASE : LDR32_BASE));
    out->name_length = kdnet_get_le16(name);
    out->name = kdnet_machine_pointer(layout, name + layout->pointer_size);
}

/* Extensions of images have three letters. */
bool kdnet_loaded_image_may_be(const char *module, uint16_t name_length)
{
    size_t length = strlen(module);
    return name_length == 2 * length || name_length == 2 * (length + 4);
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? c | 0x20U : c;
}

bool kdnet_loaded_image_is(const char *module, const uint8_t *name, size_t length)
{
    size_t letters = strlen(module);
    if (length < 2 * letters || length > UINT16_MAX || !kdnet_loaded_image_may_be(module, (uint16_t)length))
        return false;
    for (size_t i = 0; i < letters; ++i)
        if (name[2 * i + 1] != 0 || lower(name[2 * i]) != lower((uint8_t)module[i]))
            return false;
    return length == 2 * letters || (name[2 * letters] == '.' && name[2 * letters + 1] == 0);
}
