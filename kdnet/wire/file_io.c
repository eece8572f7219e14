/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/wire/file_io.h"
#include "kdnet/error.h"
#include "kdnet/base/wire.h"

#include <string.h>

int kdnet_file_io_decode(const uint8_t *payload, size_t length, struct kdnet_file_io *out)
{
    if (length < KDNET_FILE_IO_SIZE)
        return KDNET_ERR_SHORT;
    memcpy(out->raw, payload, sizeof out->raw);
    out->api = kdnet_get_le32(payload);
    out->status = kdnet_get_le32(payload + 4);
    out->data = payload + KDNET_FILE_IO_SIZE;
    out->data_length = length - KDNET_FILE_IO_SIZE;
    return KDNET_OK;
}

int kdnet_file_io_encode(const struct kdnet_file_io *io, uint8_t *out, size_t size, size_t *length)
{
    if (size < KDNET_FILE_IO_SIZE || size - KDNET_FILE_IO_SIZE < io->data_length)
        return KDNET_ERR_SPACE;
    memcpy(out, io->raw, sizeof io->raw);
    kdnet_put_le32(out, io->api);
    kdnet_put_le32(out + 4, io->status);
    if (io->data_length > 0)
        memcpy(out + KDNET_FILE_IO_SIZE, io->data, io->data_length);
    *length = KDNET_FILE_IO_SIZE + io->data_length;
    return KDNET_OK;
}

const char *kdnet_file_io_name(uint32_t api)
{
    switch (api) {
    case KDNET_FILE_IO_CREATE:
        return "create";
    case KDNET_FILE_IO_READ:
        return "read";
    case KDNET_FILE_IO_WRITE:
        return "write";
    case KDNET_FILE_IO_CLOSE:
        return "close";
    default:
        return NULL;
    }
}
