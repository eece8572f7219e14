/* SPDX-License-Identifier: Apache-2.0 */
/* write_documents TREE: writes the documents that are made of config/options.def anew; see `./dev options`. */
#include "tests/config/documents_text.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fputs("usage: write_documents TREE\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < DOCUMENTS; ++i) {
        char path[DOCUMENT_PATH_SIZE];
        char *now = document_read(argv[1], &documents[i], path),
             *wanted = now ? document_make(&documents[i], now) : NULL;
        FILE *file = wanted ? fopen(path, "w") : NULL;
        bool good = file && fputs(wanted, file) >= 0;
        good = file && fclose(file) == 0 && good;
        if (!good)
            (void)fprintf(stderr, "write_documents: %s cannot be made\n", path);
        free(now);
        free(wanted);
        if (!good)
            return 1;
    }
    return 0;
}
