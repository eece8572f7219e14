/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever is long enough is read, and goes round. */
#include "kdnet/error.h"
#include "kdnet/wire/file_io.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kdnet_file_io content;
    if (kdnet_file_io_decode(data, size, &content) != KDNET_OK) {
        FUZZ_CHECK(size < KDNET_FILE_IO_SIZE);
        return 0;
    }
    size_t length;
    uint8_t *out = malloc(size);
    FUZZ_CHECK(out && kdnet_file_io_encode(&content, out, size, &length) == KDNET_OK && length == size);
    FUZZ_CHECK(memcmp(out, data, size) == 0);
    free(out);
    return 0;
}
