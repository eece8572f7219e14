/* SPDX-License-Identifier: Apache-2.0 */
#include "service/symbols/flow.h"

#include <stdlib.h>
#include <string.h>

#ifdef KDNETD_XZ
#include <lzma.h>
#endif
#ifdef KDNETD_ZLIB
#include <zlib.h>
#endif

/* Reads the file's next piece into `input`; 0 at its end. */
static bool read_input(struct flow *flow, size_t *length)
{
    uint64_t left = flow->file->size - flow->at;
    *length = left < sizeof flow->input ? (size_t)left : sizeof flow->input;
    if (!symbol_file_read(flow->file, flow->at, flow->input, *length)) {
        flow->mistake = "it cannot be read to its end";
        return false;
    }
    flow->at += *length;
    return true;
}

#ifdef KDNETD_XZ
static const char *open_xz(struct flow *flow)
{
    static const lzma_stream start = LZMA_STREAM_INIT;
    lzma_stream *stream = malloc(sizeof *stream);
    if (!stream)
        return "no memory for decompression";
    *stream = start;
    flow->codec = stream;
    flow->kind = FLOW_XZ;
    return lzma_stream_decoder(stream, FLOW_XZ_MEMORY, 0) == LZMA_OK ? NULL : "no memory for decompression";
}

static bool fill_xz(struct flow *flow, size_t *length)
{
    lzma_stream *stream = flow->codec;
    stream->next_out = flow->output;
    stream->avail_out = sizeof flow->output;
    lzma_ret outcome = LZMA_OK;
    while (outcome == LZMA_OK && stream->avail_out > 0) {
        if (stream->avail_in == 0) {
            if (!read_input(flow, &stream->avail_in))
                return false;
            stream->next_in = flow->input;
        }
        outcome = lzma_code(stream, stream->avail_in == 0 ? LZMA_FINISH : LZMA_RUN);
    }
    *length = sizeof flow->output - stream->avail_out;
    flow->ended = outcome == LZMA_STREAM_END;
    if (outcome == LZMA_MEMLIMIT_ERROR)
        flow->mistake = "its xz compression needs too much memory; compress it with xz -6";
    else if (outcome != LZMA_OK && outcome != LZMA_STREAM_END)
        flow->mistake = "its xz compression is damaged or cut short";
    return !flow->mistake;
}
#endif

#ifdef KDNETD_ZLIB
static const char *open_gzip(struct flow *flow)
{
    z_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return "no memory for decompression";
    flow->codec = stream;
    flow->kind = FLOW_GZIP;
    return inflateInit2(stream, 16 + MAX_WBITS) == Z_OK ? NULL : "no memory for decompression";
}

static bool fill_gzip(struct flow *flow, size_t *length)
{
    z_stream *stream = flow->codec;
    stream->next_out = flow->output;
    stream->avail_out = sizeof flow->output;
    int outcome = Z_OK;
    while (outcome == Z_OK && stream->avail_out > 0) {
        if (stream->avail_in == 0) {
            size_t got = 0;
            if (!read_input(flow, &got))
                return false;
            stream->next_in = flow->input;
            stream->avail_in = (uInt)got;
        }
        outcome = inflate(stream, Z_NO_FLUSH); /* without input: Z_BUF_ERROR */
    }
    *length = sizeof flow->output - stream->avail_out;
    flow->ended = outcome == Z_STREAM_END;
    if (outcome != Z_OK && outcome != Z_STREAM_END)
        flow->mistake = "its gzip compression is damaged or cut short";
    return !flow->mistake;
}
#endif

static bool fill_plain(struct flow *flow, size_t *length)
{
    if (!read_input(flow, length))
        return false;
    memcpy(flow->output, flow->input, *length);
    flow->ended = *length == 0;
    return true;
}

const char *flow_open(struct flow *flow, const struct symbol_file *file)
{
    uint8_t start[6];
    memset(flow, 0, offsetof(struct flow, input)); /* and not the buffers: 80 KB for nothing */
    flow->file = file;
    if (!symbol_file_read(file, 0, start, sizeof start))
        return file->size < sizeof start ? "it is empty or cut short" : "it cannot be read";
    if (file->size > FLOW_MAX)
        return "it is larger than 48 MiB";
    if (memcmp(start,
               "\xfd"
               "7zXZ\0",
               6) == 0) {
#ifdef KDNETD_XZ
        return open_xz(flow);
#else
        return "this build reads no .xz files (liblzma was missing)";
#endif
    }
    if (start[0] == 0x1f && start[1] == 0x8b) {
#ifdef KDNETD_ZLIB
        return open_gzip(flow);
#else
        return "this build reads no .gz files (zlib was missing)";
#endif
    }
    return NULL;
}

static bool fill(struct flow *flow, size_t *length)
{
    switch (flow->kind) {
#ifdef KDNETD_XZ
    case FLOW_XZ:
        return fill_xz(flow, length);
#endif
#ifdef KDNETD_ZLIB
    case FLOW_GZIP:
        return fill_gzip(flow, length);
#endif
    default:
        return fill_plain(flow, length);
    }
}

bool flow_fill(struct flow *flow)
{
    size_t length = 0;
    if (flow->ended || flow->mistake || !fill(flow, &length))
        return false;
    flow->total += length;
    if (flow->total > FLOW_MAX) {
        flow->mistake = "it is larger than 48 MiB";
        return false;
    }
    flow->next = flow->output;
    flow->end = flow->output + length;
    return length > 0;
}

void flow_close(struct flow *flow)
{
#ifdef KDNETD_XZ
    if (flow->kind == FLOW_XZ && flow->codec)
        lzma_end(flow->codec);
#endif
#ifdef KDNETD_ZLIB
    if (flow->kind == FLOW_GZIP && flow->codec)
        (void)inflateEnd(flow->codec);
#endif
    free(flow->codec);
    flow->codec = NULL;
}
