/* SPDX-License-Identifier: Apache-2.0 */
/* gunzip: a file that is compressed with gzip, unpacked into a temporary one (needs zlib: KDNETD_ZLIB). */
#ifndef SERVICE_CAPTURE_GUNZIP_H
#define SERVICE_CAPTURE_GUNZIP_H

#include <stdbool.h>
#include <stdio.h>

#define GUNZIP_MAX ((size_t)4 << 30) /* bytes unpacked; what comes after is left out */

/*
 * Unpacks all members of `in`, which stays the caller's, into a temporary file that is read from its start, and that
 * the caller closes. `why` is written when not all was unpacked (cut, damaged, too long), else NULL: what came before
 * is there. Returns NULL when nothing can be had, `why` says the reason.
 */
FILE *gunzip(FILE *in, const char **why);

#endif
