/* SPDX-License-Identifier: Apache-2.0 */
#include "service/capture/gunzip.h"

#ifdef KDNETD_ZLIB
#include <stdint.h>
#include <zlib.h>

#define PIECE ((size_t)64 << 10)

struct unpacking {
    z_stream stream;
    FILE *in, *out;
    size_t written;
    bool between; /* members: the end of the file is no fault */
    const char *why;
    uint8_t packed[PIECE], plain[PIECE];
};

/* Reads more of the file. False: end of file. */
static bool refill(struct unpacking *unpacking)
{
    if (unpacking->stream.avail_in > 0)
        return true;
    unpacking->stream.next_in = unpacking->packed;
    unpacking->stream.avail_in = (uInt)fread(unpacking->packed, 1, PIECE, unpacking->in);
    if (unpacking->stream.avail_in == 0 && !unpacking->between)
        unpacking->why = "the gzip file is cut";
    return unpacking->stream.avail_in > 0;
}

static bool keep(struct unpacking *unpacking)
{
    size_t length = PIECE - unpacking->stream.avail_out;
    if (length > GUNZIP_MAX - unpacking->written)
        unpacking->why = "the gzip file holds more than 4 GiB; unpack it, and cut it (editcap -c)";
    else if (fwrite(unpacking->plain, 1, length, unpacking->out) != length)
        unpacking->why = "no room for the unpacked capture in the folder for temporary files";
    unpacking->written += length;
    return !unpacking->why;
}

static void unpack(struct unpacking *unpacking)
{
    while (refill(unpacking)) {
        unpacking->between = false;
        unpacking->stream.next_out = unpacking->plain;
        unpacking->stream.avail_out = PIECE;
        int outcome = inflate(&unpacking->stream, Z_NO_FLUSH);
        if (!keep(unpacking))
            return;
        if (outcome == Z_STREAM_END) {
            unpacking->between = true;
            outcome = inflateReset(&unpacking->stream);
        }
        if (outcome != Z_OK) {
            unpacking->why = "the gzip file is damaged";
            return;
        }
    }
}

FILE *gunzip(FILE *in, const char **why)
{
    static struct unpacking unpacking; /* large; one use at a time */
    unpacking = (struct unpacking){.in = in, .out = tmpfile()};
    *why = NULL;
    if (!unpacking.out || inflateInit2(&unpacking.stream, 16 + MAX_WBITS) != Z_OK) {
        *why = unpacking.out ? "no memory to unpack it" : "no temporary file can be made to unpack it";
        if (unpacking.out)
            (void)fclose(unpacking.out);
        return NULL;
    }
    unpack(&unpacking);
    (void)inflateEnd(&unpacking.stream);
    *why = unpacking.why;
    rewind(unpacking.out);
    return unpacking.out;
}

#else

FILE *gunzip(FILE *in, const char **why)
{
    (void)in;
    *why = "it is compressed with gzip, and this build reads none; unpack it first (gunzip)";
    return NULL;
}

#endif
