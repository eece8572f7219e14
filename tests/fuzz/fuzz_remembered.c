/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of symbols.cache: as they are, and with right checksums. */
#include "service/symbols/cache.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define CAPACITY 16

static void parse(const char *text, size_t length)
{
    struct remembered remembered;
    struct cache_counts counts = {0};
    char *copy = malloc(length + 1);
    FUZZ_CHECK(copy != NULL);
    memcpy(copy, text, length);
    remembered_init(&remembered, CAPACITY, 7);
    cache_parse(copy, length, &remembered, &counts);
    FUZZ_CHECK(remembered.count <= CAPACITY);
    for (uint32_t i = 0; i < remembered.count; ++i) {
        const struct remembered_entry *entry = &remembered.entries[i];
        FUZZ_CHECK(entry->state == REMEMBERED_FOUND || entry->state == REMEMBERED_ABSENT);
        FUZZ_CHECK(entry->unchecked && entry->key.symbol < remembered.name_count);
        FUZZ_CHECK(remembered_find(&remembered, &entry->key) == i);
    }
    remembered_clear(&remembered);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    size_t lines = 1, length = 0;
    parse(text, size);
    for (size_t i = 0; i < size; ++i)
        lines += data[i] == '\n';
    char *right = malloc(size + lines * (CACHE_CHECK_SIZE + 2));
    FUZZ_CHECK(right != NULL);
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t line = end ? (size_t)(end - text) - at : size - at;
        char check[CACHE_CHECK_SIZE];
        cache_check(text + at, line, check);
        memcpy(right + length, text + at, line);
        length += line;
        right[length++] = ' ';
        memcpy(right + length, check, CACHE_CHECK_SIZE - 1);
        length += CACHE_CHECK_SIZE - 1;
        right[length++] = '\n';
        at += line + 1;
    }
    parse(right, length);
    free(right);
    return 0;
}
