/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever is long enough is read, and its header and text go round; so do texts that may tell of a bug check. */
#include "kdnet/wire/debug_io.h"
#include "kdnet/error.h"
#include "kdnet/kernel/bugcheck.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kdnet_debug_io io;
    struct kdnet_bugcheck bugcheck;
    if (kdnet_debug_io_decode(data, size, &io) != KDNET_OK) {
        FUZZ_CHECK(size < KDNET_DEBUG_IO_HEADER);
        return 0;
    }
    (void)kdnet_bugcheck_from_text(io.text, io.text_length, &bugcheck);
    size_t length;
    uint8_t *out = malloc(size);
    FUZZ_CHECK(out && kdnet_debug_io_encode(&io, out, size, &length) == KDNET_OK && length <= size);
    FUZZ_CHECK(memcmp(out, data, length) == 0);
    free(out);
    return 0;
}
