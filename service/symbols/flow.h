/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flow: a file's bytes from first to last, decompressed when the file is .xz or .gz.
 *
 * Uses liblzma and zlib where the build has them. The first bytes decide the format. Bounded: at most FLOW_MAX bytes
 * come out, and xz files that need more than FLOW_XZ_MEMORY are refused.
 */
#ifndef SERVICE_SYMBOLS_FLOW_H
#define SERVICE_SYMBOLS_FLOW_H

#include "service/symbols/file.h"

#define FLOW_MAX       (48U << 20) /* bytes of output; the largest real table has 7 MB */
#define FLOW_XZ_MEMORY (40U << 20) /* xz -7 makes files that need 17 MiB; real tables need 9 */
#define FLOW_INPUT     16384
#define FLOW_OUTPUT    65536

struct flow {
    const struct symbol_file *file; /* borrowed */
    uint64_t at;                    /* bytes of the file that were read */
    uint64_t total;                 /* bytes of output so far */
    const char *mistake;            /* NULL, or why the output ended early: a constant text */
    const uint8_t *next, *end;      /* output ready to be taken */
    void *codec;                    /* of `kind` */
    enum { FLOW_PLAIN, FLOW_XZ, FLOW_GZIP } kind;
    bool ended;
    uint8_t input[FLOW_INPUT], output[FLOW_OUTPUT];
};

/* Starts at the beginning of the file. Returns NULL, or a constant text with the fault; close the flow in either
 * case. */
const char *flow_open(struct flow *flow, const struct symbol_file *file);

/* Makes next..end the following bytes. False: no more; `mistake` is set when that is too early. */
bool flow_fill(struct flow *flow);

void flow_close(struct flow *flow);

#endif
