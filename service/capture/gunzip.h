/* SPDX-License-Identifier: Apache-2.0 */
/* gunzip: unpacks a gzip-compressed file into a temporary one (needs zlib: KDNETD_ZLIB). */
#ifndef SERVICE_CAPTURE_GUNZIP_H
#define SERVICE_CAPTURE_GUNZIP_H

#include <stdbool.h>
#include <stdio.h>

#define GUNZIP_MAX ((size_t)4 << 30) /* bytes unpacked at most; the rest is left out */

/*
 * Unpacks all members of `in`, which stays the caller's, into a temporary file, positioned at its start; the caller
 * closes it. `why` is the reason when the content is incomplete (truncated, damaged, too long), else NULL. Returns NULL
 * on failure, with the reason in `why`.
 */
FILE *gunzip(FILE *in, const char **why);

#endif
