/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cab: a file out of a cabinet: symbol stores keep NAME.pdb compressed as NAME.pd_.
 *
 * Uses file and libmspack (a build without it answers so). Bounded: CAB_MAX bytes come out, CAB_MEMORY is used.
 */
#ifndef SERVICE_SYMBOLS_CAB_H
#define SERVICE_SYMBOLS_CAB_H

#include "service/symbols/file.h"

#define CAB_MAX    (128U << 20) /* bytes of the file inside; a kernel's public symbols have 12 MB */
#define CAB_MEMORY (16U << 20)

/* Whether the file begins as a cabinet does. */
bool cab_is(const struct symbol_file *file);

/*
 * Decompresses the file of this name, case ignored, or the only one there is.
 *
 * out   a temporary file; to be closed in either case.
 * Returns true, or false with a reason.
 */
bool cab_extract(const struct symbol_file *file, const char *name, struct symbol_file *out,
                 char reason[static SYMBOL_REASON_SIZE]);

#endif
