/* SPDX-License-Identifier: Apache-2.0 */
#include "service/sinks/gzip.h"

#include <limits.h>
#include <stdlib.h>

#ifdef KDNETD_SINKS_ZLIB
#include <zlib.h>

#define GZIP_WINDOW (15 + 16) /* the largest, with a gzip header */

bool gzip_text(const struct text *plain, struct text *out)
{
    z_stream stream = {.zalloc = Z_NULL};
    if (plain->length > UINT_MAX ||
        deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    out->capacity = deflateBound(&stream, (uLong)plain->length);
    out->bytes = malloc(out->capacity);
    stream.next_in = (Bytef *)plain->bytes;
    stream.avail_in = (uInt)plain->length;
    stream.next_out = (Bytef *)out->bytes;
    stream.avail_out = (uInt)out->capacity;
    bool good = out->bytes && deflate(&stream, Z_FINISH) == Z_STREAM_END;
    out->length = stream.total_out;
    (void)deflateEnd(&stream);
    return good;
}
#else
bool gzip_text(const struct text *plain, struct text *out)
{
    (void)plain;
    (void)out;
    return false;
}
#endif
