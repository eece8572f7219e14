/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_io: a target's questions for replacement files (KD packet type 11). The target waits for each answer, also
 * during boot.
 *
 * Protocol: PROTOCOL.md section 5 [cap]. WinDbg answers with the same 64 bytes and status C000000F.
 */
#ifndef KDNET_FILE_IO_H
#define KDNET_FILE_IO_H

#include <stddef.h>
#include <stdint.h>

#define KDNET_FILE_IO_SIZE        64
#define KDNET_STATUS_NO_SUCH_FILE 0xc000000fU

enum kdnet_file_io_api {
    KDNET_FILE_IO_CREATE = 0x3430,
    KDNET_FILE_IO_READ = 0x3431,
    KDNET_FILE_IO_WRITE = 0x3432,
    KDNET_FILE_IO_CLOSE = 0x3433,
};

struct kdnet_file_io {
    uint32_t api;
    uint32_t status;
    const uint8_t
        *data; /* after the structure; of a create: the path, UTF-16LE, NUL-ended; borrowed, not to be trusted */
    size_t data_length;
    uint8_t raw[KDNET_FILE_IO_SIZE]; /* as received; goes back in the answer */
};

/* Returns KDNET_OK or KDNET_ERR_SHORT (under 64 bytes). */
int kdnet_file_io_decode(const uint8_t *payload, size_t length, struct kdnet_file_io *out);

/* Writes `raw` with api and status replaced, and the data. Returns KDNET_OK or KDNET_ERR_SPACE. */
int kdnet_file_io_encode(const struct kdnet_file_io *io, uint8_t *out, size_t size, size_t *length);

/* "create", "read", "write", "close"; NULL when unknown. */
const char *kdnet_file_io_name(uint32_t api);

#endif
