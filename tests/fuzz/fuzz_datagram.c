/* SPDX-License-Identifier: Apache-2.0 */
/* A payload from anyone: without the key nothing opens. */
#include "kdnet/wire/datagram.h"
#include "kdnet/error.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct kdnet_crypto *crypto;
    static const struct kdnet_key key = {.bytes = {8, [8] = 8, [16] = 9, [24] = 8}};
    uint8_t version, channel;
    struct kdnet_keys keys;
    struct kdnet_datagram datagram;
    if (!crypto)
        crypto = kdnet_crypto_new();
    FUZZ_CHECK(crypto);
    kdnet_keys_init(&keys, &key);
    uint8_t *plain = malloc(size + 1);
    FUZZ_CHECK(plain);
    int peek = kdnet_datagram_peek(data, size, &version, &channel);
    int error = kdnet_datagram_open(crypto, keys.control.bytes, &keys.hmac, data, size, plain, &datagram);
    FUZZ_CHECK(peek == KDNET_OK ? error == KDNET_ERR_AUTH : error == peek);
    if (peek == KDNET_OK)
        (void)kdnet_datagram_may_open(crypto, keys.control.bytes, data, size);
    free(plain);
    return 0;
}
