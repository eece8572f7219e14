/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of .kdnetd-negative, what symbol servers do not have: as they are, and with right checksums. */
#include "service/symbols/server_internal.h"
#include "tests/fuzz/fuzz.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define NOW_MS     INT64_C(1700000100000)
#define CHECK_ROOM 20

static char url[] = "http://symbols";

static void parse(const char *text, size_t length)
{
    struct symbol_server_state state = {.url = url};
    char *copy = malloc(length + 1);
    FUZZ_CHECK(copy != NULL);
    memcpy(copy, text, length);
    (void)symbol_server_memory_read(&state, copy, length, NOW_MS, NULL);
    FUZZ_CHECK(state.remembered_count <= SYMBOL_SERVER_REMEMBERED);
    for (const struct remembered *entry = state.remembered; entry; entry = entry->next) {
        FUZZ_CHECK(symbol_server_valid_name(entry->name) && symbol_server_valid_guidage(entry->guidage));
        FUZZ_CHECK(symbol_server_back_off_holds(&entry->answer, NOW_MS));
    }
    symbol_server_memory_clear(&state);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    size_t lines = 1, length = 0;
    parse(text, size);
    for (size_t i = 0; i < size; ++i)
        lines += data[i] == '\n';
    char *right = malloc(size + lines * CHECK_ROOM);
    FUZZ_CHECK(right != NULL);
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t line = end ? (size_t)(end - text) - at : size - at;
        memcpy(right + length, text + at, line);
        length += line;
        length += (size_t)snprintf(right + length, CHECK_ROOM, " %016" PRIx64 "\n",
                                   symbol_server_memory_check(text + at, line));
        at += line + 1;
    }
    parse(right, length);
    free(right);
    return 0;
}
