/* SPDX-License-Identifier: Apache-2.0 */
/* A key that was read is written and read as the same. */
#include "kdnet/error.h"
#include "kdnet/key.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kdnet_key key, back;
    enum kdnet_key_fault fault;
    char text[KDNET_KEY_TEXT_SIZE];
    int part;
    if (kdnet_key_parse((const char *)data, size, &key, &fault, &part) != KDNET_OK) {
        FUZZ_CHECK(fault != KDNET_KEY_FAULT_NONE && part >= 1 && part <= KDNET_KEY_PARTS);
        return 0;
    }
    kdnet_key_format(&key, text);
    FUZZ_CHECK(kdnet_key_parse(text, strlen(text), &back, NULL, NULL) == KDNET_OK);
    FUZZ_CHECK(memcmp(&key, &back, sizeof key) == 0);
    return 0;
}
