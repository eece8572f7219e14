/* SPDX-License-Identifier: Apache-2.0 */
/* page: the files of page/, as service/http/embed.py has made them into arrays. */
#ifndef SERVICE_HTTP_PAGE_H
#define SERVICE_HTTP_PAGE_H

#include <stddef.h>

struct page_file {
    const char *name, *type;
    const unsigned char *data;
    size_t length;
};

extern const struct page_file page_files[]; /* ends with a file without a name */

#endif
