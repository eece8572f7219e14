/* SPDX-License-Identifier: Apache-2.0 */
/* A capture: every datagram lies within what was captured. */
#include "service/capture/capture.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char error[CAPTURE_ERROR_SIZE] = "";
    struct capture_datagram datagram;
    uint8_t bytes[65536];
    if (size == 0 || data[0] == 0x1f) /* compressed: a temporary file each time is too slow */
        return 0;
    FILE *file = fmemopen((void *)(uintptr_t)data, size, "rb");
    FUZZ_CHECK(file != NULL);
    struct capture *capture = capture_open_file(file, "input", error);
    FUZZ_CHECK((capture == NULL) == (error[0] != '\0'));
    enum capture_result result = CAPTURE_END;
    while (capture && (result = capture_next(capture, &datagram)) == CAPTURE_DATAGRAM) {
        FUZZ_CHECK(datagram.length <= datagram.wire_length && datagram.length <= sizeof bytes + 65536);
        memcpy(bytes, datagram.payload, datagram.length < sizeof bytes ? datagram.length : sizeof bytes);
        FUZZ_CHECK(datagram.time_us >= 0);
    }
    if (capture && result == CAPTURE_CUT)
        FUZZ_CHECK(*capture_error(capture) != '\0');
    capture_close(capture);
    return 0;
}
