/* SPDX-License-Identifier: Apache-2.0 */
/* The documents of the tree that hold what is made of config/options.def: a whole file, or a part between two lines. */
#ifndef TESTS_CONFIG_DOCUMENTS_TEXT_H
#define TESTS_CONFIG_DOCUMENTS_TEXT_H

#include "config/config.h"
#include "config/documents.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOCUMENT_PATH_SIZE 4096
#define DOCUMENT_BEGIN     ".\\\" Options, from config/options.def by `./dev options`:\n"
#define DOCUMENT_END       ".\\\" End of the options.\n"

struct document {
    const char *path;
    void (*write)(FILE *out);
    bool is_part;
};

static const struct document documents[] = {
#if defined _WIN32 || defined KDNETD_FOR_WINDOWS /* in the words of remedies.h */
    {"config/kdnetd.windows.yaml.example", config_write_example, false},
#else
    {"config/kdnetd.yaml.example", config_write_example, false},
    {"config/kdnetd.yaml.5", config_write_file_manual, true},
    {"service/man/kdnetd.8", config_write_command_manual, true},
#endif
};

#define DOCUMENTS (sizeof documents / sizeof documents[0])

/* The document as it is in the tree; NULL: it cannot be read. Owned by the caller. */
static inline char *document_read(const char *tree, const struct document *document, char path[DOCUMENT_PATH_SIZE])
{
    (void)snprintf(path, DOCUMENT_PATH_SIZE, "%s/%s", tree, document->path);
    FILE *file = fopen(path, "r");
    char *text = file ? calloc(1, 1 << 20) : NULL;
    if (text && fread(text, 1, (1 << 20) - 1, file) == 0)
        *text = '\0';
    if (file)
        (void)fclose(file);
    return text;
}

/* The document as it should be; NULL: the lines round its part are not there. Owned by the caller. */
static inline char *document_make(const struct document *document, const char *now)
{
    char *text = NULL;
    size_t size = 0;
    const char *begin = document->is_part ? strstr(now, DOCUMENT_BEGIN) : now;
    const char *end = begin && document->is_part ? strstr(begin, DOCUMENT_END) : now + strlen(now);
    if (!begin || !end)
        return NULL;
    begin += document->is_part ? strlen(DOCUMENT_BEGIN) : 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    (void)fwrite(now, 1, (size_t)(begin - now), out);
    (*document->write)(out);
    (void)fputs(end, out);
    (void)fclose(out);
    return text;
}

#endif
