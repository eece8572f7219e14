/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msf: streams of an MSF 7.00 container, the file format under a PDB.
 *
 * Format: "The MSF File Format" in LLVM's documentation, checked against files that lld-link writes. Every number in
 * the file is hostile: each is checked where it is read, and no loop or allocation exceeds the file's directory, which
 * is bounded.
 */
#ifndef SERVICE_SYMBOLS_MSF_H
#define SERVICE_SYMBOLS_MSF_H

#include "service/symbols/file.h"

#define MSF_DIRECTORY_MAX (8U << 20) /* bytes: enough for a file of 8 GB */
#define MSF_NO_STREAM     0xffffU    /* in a PDB: there is no such stream */

struct msf {
    const struct symbol_file *file; /* borrowed */
    uint32_t block_size;            /* 512 to 65536, a power of two */
    uint32_t block_count;
    uint32_t stream_count;
    uint8_t *directory; /* whole, in memory: sizes of streams, then their block numbers */
    uint32_t directory_size;
    uint32_t *first_block; /* where in the directory (in words) each stream's block numbers start */
};

/*
 * Reads the directory.
 *
 * Returns NULL, or the fault as a constant text. Close the msf in either case. Memory: the directory and 4 bytes a
 * stream.
 */
const char *msf_open(struct msf *msf, const struct symbol_file *file);

void msf_close(struct msf *msf);

/* Bytes of a stream; 0 when absent. */
uint32_t msf_stream_size(const struct msf *msf, uint32_t stream);

/* Reads exactly `length` bytes of a stream at `offset`. False: beyond its end, or its blocks lie beyond the file's
 * end. */
bool msf_read(const struct msf *msf, uint32_t stream, uint64_t offset, void *out, size_t length);

#endif
