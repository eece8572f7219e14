/* SPDX-License-Identifier: Apache-2.0 */
/* Control bodies and the connection check: what was read is written and read as the same. */
#include "kdnet/error.h"
#include "kdnet/wire/handshake.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kdnet_poke poke;
    struct kdnet_response response;
    uint8_t host[4], out[KDNET_POKE_LENGTH];
    if (kdnet_poke_decode(data, size, &poke) == KDNET_OK) {
        kdnet_poke_encode(&poke, out);
        FUZZ_CHECK(memcmp(out, data, 88) == 0); /* zeros follow */
    }
    if (kdnet_response_decode(data, size, &response) == KDNET_OK) {
        kdnet_response_encode(&response, out);
        FUZZ_CHECK(memcmp(out, data, 66) == 0);
    }
    if (kdnet_check_decode(data, size, host) == KDNET_OK) {
        kdnet_check_encode(host, out);
        FUZZ_CHECK(memcmp(out, data, KDNET_CHECK_LENGTH) == 0);
    }
    return 0;
}
