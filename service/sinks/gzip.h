/* SPDX-License-Identifier: Apache-2.0 */
/* gzip: a body, compressed. Private to sinks/. */
#ifndef SERVICE_SINKS_GZIP_H
#define SERVICE_SINKS_GZIP_H

#include "service/sinks/text.h"

/* Compresses a text. False: out of memory, or a build without zlib; the text is then sent uncompressed. */
bool gzip_text(const struct text *plain, struct text *out);

#endif
