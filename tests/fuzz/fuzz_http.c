/* SPDX-License-Identifier: Apache-2.0 */
/* The head of an HTTP request, and its query. */
#include "service/http/head.h"
#include "service/http/query.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_head head;
    struct head_error error;
    struct query query;
    uint64_t time_us = 0;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    size_t length = head_length(text, size);
    if (length > 0 && head_parse(text, length, &head, &error)) {
        FUZZ_CHECK(head.path[0] == '/' || strcmp(head.path, "*") == 0);
        if (!query_parse(head.query, &query)) {
            for (size_t i = 0; i < query.count; ++i)
                (void)query_time(query.of[i].value, 1, &time_us);
            query_clear(&query);
        }
    }
    free(text);
    return 0;
}
