/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/wire/debug_io.h"
#include "kdnet/error.h"
#include "kdnet/base/wire.h"

#include <string.h>

int kdnet_debug_io_decode(const uint8_t *payload, size_t length, struct kdnet_debug_io *out)
{
    if (length < KDNET_DEBUG_IO_HEADER)
        return KDNET_ERR_SHORT;
    size_t room = length - KDNET_DEBUG_IO_HEADER;
    *out = (struct kdnet_debug_io){
        .api = kdnet_get_le32(payload),
        .processor_level = kdnet_get_le16(payload + 4),
        .processor = kdnet_get_le16(payload + 6),
        .length = kdnet_get_le32(payload + 8),
        .read_length = kdnet_get_le32(payload + 12),
        .text = (const char *)payload + KDNET_DEBUG_IO_HEADER,
    };
    out->text_length = out->length < room ? out->length : room;
    return KDNET_OK;
}

int kdnet_debug_io_encode(const struct kdnet_debug_io *io, uint8_t *out, size_t size, size_t *length)
{
    if (size < KDNET_DEBUG_IO_HEADER || size - KDNET_DEBUG_IO_HEADER < io->text_length)
        return KDNET_ERR_SPACE;
    kdnet_put_le32(out, io->api);
    kdnet_put_le16(out + 4, io->processor_level);
    kdnet_put_le16(out + 6, io->processor);
    kdnet_put_le32(out + 8, io->length);
    kdnet_put_le32(out + 12, io->read_length);
    if (io->text_length > 0)
        memcpy(out + KDNET_DEBUG_IO_HEADER, io->text, io->text_length);
    *length = KDNET_DEBUG_IO_HEADER + io->text_length;
    return KDNET_OK;
}
