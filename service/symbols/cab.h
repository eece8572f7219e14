/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cab: extracts a file from a cabinet: symbol stores keep NAME.pdb compressed as NAME.pd_.
 *
 * Uses libmspack (a build without it reports that). Bounded: at most CAB_MAX bytes come out, CAB_MEMORY are used.
 */
#ifndef SERVICE_SYMBOLS_CAB_H
#define SERVICE_SYMBOLS_CAB_H

#include "service/symbols/file.h"

#define CAB_MAX    (128U << 20) /* bytes of the file inside; a kernel's public symbols have 12 MB */
#define CAB_MEMORY (16U << 20)

/* Whether the file begins as a cabinet does. */
bool cab_is(const struct symbol_file *file);

/*
 * Decompresses the file of this name, ignoring case, or the cabinet's only file.
 *
 * out   a temporary file; close it in either case.
 * Returns true, or false with a reason.
 */
bool cab_extract(const struct symbol_file *file, const char *name, struct symbol_file *out,
                 char reason[static SYMBOL_REASON_SIZE]);

#endif
