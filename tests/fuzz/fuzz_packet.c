/* SPDX-License-Identifier: Apache-2.0 */
/* A body from somebody who has the key: seal, open, and read what is in it as the session does. */
#include "kdnet/wire/datagram.h"
#include "kdnet/wire/debug_io.h"
#include "kdnet/error.h"
#include "kdnet/wire/file_io.h"
#include "kdnet/wire/handshake.h"
#include "kdnet/wire/manipulate.h"
#include "kdnet/wire/packet.h"
#include "kdnet/wire/state_change.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void read_payload(const struct kdnet_packet *packet)
{
    struct kdnet_state_change change;
    struct kdnet_manipulate manipulate;
    struct kdnet_debug_io print;
    struct kdnet_file_io file;
    (void)kdnet_state_change_decode(packet->payload, packet->payload_length, &change);
    (void)kdnet_manipulate_decode(packet->payload, packet->payload_length, &manipulate);
    (void)kdnet_debug_io_decode(packet->payload, packet->payload_length, &print);
    (void)kdnet_file_io_decode(packet->payload, packet->payload_length, &file);
}

static void read_body(const uint8_t *body, size_t length)
{
    uint8_t out[KDNET_BODY_MAX];
    size_t out_length;
    struct kdnet_packet packet;
    int error = kdnet_packet_decode(body, length, &packet);
    if (error != KDNET_OK && error != KDNET_ERR_CHECKSUM)
        return;
    FUZZ_CHECK(packet.payload_length <= length - KDNET_PACKET_HEADER);
    read_payload(&packet);
    FUZZ_CHECK(kdnet_packet_encode(&packet, out, sizeof out, &out_length) == KDNET_OK);
    FUZZ_CHECK(error == KDNET_ERR_CHECKSUM || memcmp(out, body, out_length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct kdnet_crypto *crypto;
    static const struct kdnet_key key = {.bytes = {8, [8] = 8, [16] = 9, [24] = 8}};
    uint8_t sealed[KDNET_DATAGRAM_MAX], plain[KDNET_DATAGRAM_MAX];
    size_t length;
    struct kdnet_keys keys;
    struct kdnet_datagram opened, datagram = {.version = 4, .sequence = 1, .body = data, .body_length = size};
    if (!crypto)
        crypto = kdnet_crypto_new();
    FUZZ_CHECK(crypto);
    kdnet_keys_init(&keys, &key);
    int error = kdnet_datagram_seal(crypto, keys.control.bytes, &keys.hmac, &datagram, sealed, sizeof sealed, &length);
    FUZZ_CHECK(error == (size > KDNET_BODY_MAX ? KDNET_ERR_LENGTH : KDNET_OK));
    if (error != KDNET_OK)
        return 0;
    FUZZ_CHECK(kdnet_datagram_open(crypto, keys.control.bytes, &keys.hmac, sealed, length, plain, &opened) == KDNET_OK);
    FUZZ_CHECK(opened.body_length == size && (size == 0 || memcmp(opened.body, data, size) == 0));
    read_body(data, size);
    return 0;
}
