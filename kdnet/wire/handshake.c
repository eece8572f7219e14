/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/wire/handshake.h"
#include "kdnet/error.h"
#include "kdnet/base/wire.h"

#include <string.h>

/* Offsets in the bodies: PROTOCOL.md section 3. */
enum {
    AT_RANDOM = 2,
    AT_TARGET = 34,
    AT_HOST = 52,
    AT_CONNECTED = 70,
    AT_HOST_RANDOM = 34,
};

bool kdnet_address_is_none(const struct kdnet_address *address)
{
    static const struct kdnet_address zero, unspecified = {.ip = {[10] = 0xff, [11] = 0xff}};
    return kdnet_address_equal(address, &zero) || kdnet_address_equal(address, &unspecified);
}

bool kdnet_poke_same_run(const uint8_t a[static KDNET_RANDOM_LENGTH], const uint8_t b[static KDNET_RANDOM_LENGTH])
{
    return memcmp(a + KDNET_COUNTER_LENGTH, b + KDNET_COUNTER_LENGTH, KDNET_RANDOM_LENGTH - KDNET_COUNTER_LENGTH) == 0;
}

bool kdnet_address_equal(const struct kdnet_address *a, const struct kdnet_address *b)
{
    return a->port == b->port && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

static void get_address(const uint8_t *p, struct kdnet_address *out)
{
    memcpy(out->ip, p, sizeof out->ip);
    out->port = kdnet_get_be16(p + sizeof out->ip);
}

static void put_address(uint8_t *p, const struct kdnet_address *address)
{
    memcpy(p, address->ip, sizeof address->ip);
    kdnet_put_be16(p + sizeof address->ip, address->port);
}

int kdnet_poke_decode(const uint8_t *body, size_t length, struct kdnet_poke *out)
{
    if (length != KDNET_POKE_LENGTH)
        return KDNET_ERR_LENGTH;
    if (body[0] != 1 || body[1] != 1)
        return KDNET_ERR_FORMAT;
    memcpy(out->random, body + AT_RANDOM, sizeof out->random);
    get_address(body + AT_TARGET, &out->target);
    get_address(body + AT_HOST, &out->host);
    get_address(body + AT_CONNECTED, &out->connected);
    return KDNET_OK;
}

void kdnet_poke_encode(const struct kdnet_poke *poke, uint8_t out[static KDNET_POKE_LENGTH])
{
    memset(out, 0, KDNET_POKE_LENGTH);
    out[0] = 1;
    out[1] = 1;
    memcpy(out + AT_RANDOM, poke->random, sizeof poke->random);
    put_address(out + AT_TARGET, &poke->target);
    put_address(out + AT_HOST, &poke->host);
    put_address(out + AT_CONNECTED, &poke->connected);
}

int kdnet_response_decode(const uint8_t *body, size_t length, struct kdnet_response *out)
{
    if (length != KDNET_RESPONSE_LENGTH)
        return KDNET_ERR_LENGTH;
    if (body[0] != 1 || body[1] != 2)
        return KDNET_ERR_FORMAT;
    memcpy(out->target_random, body + AT_RANDOM, sizeof out->target_random);
    memcpy(out->host_random, body + AT_HOST_RANDOM, sizeof out->host_random);
    return KDNET_OK;
}

void kdnet_response_encode(const struct kdnet_response *response, uint8_t out[static KDNET_RESPONSE_LENGTH])
{
    memset(out, 0, KDNET_RESPONSE_LENGTH);
    out[0] = 1;
    out[1] = 2;
    memcpy(out + AT_RANDOM, response->target_random, sizeof response->target_random);
    memcpy(out + AT_HOST_RANDOM, response->host_random, sizeof response->host_random);
}

void kdnet_data_key(const struct kdnet_key *control, const uint8_t response_body[static KDNET_RESPONSE_LENGTH],
                    uint8_t out[static KDNET_AES_KEY_LENGTH])
{
    kdnet_sha256_pair(control->bytes, sizeof control->bytes, response_body, KDNET_RESPONSE_LENGTH, out);
}

int kdnet_check_decode(const uint8_t *body, size_t length, uint8_t host_ipv4[static 4])
{
    static const uint8_t zeros[8];
    if (length != KDNET_CHECK_LENGTH)
        return KDNET_ERR_LENGTH;
    if (memcmp(body, zeros, sizeof zeros) != 0)
        return KDNET_ERR_FORMAT;
    for (size_t i = 0; i < 4; ++i)
        host_ipv4[i] = body[KDNET_CHECK_LENGTH - 1 - i];
    return KDNET_OK;
}

void kdnet_check_encode(const uint8_t host_ipv4[static 4], uint8_t out[static KDNET_CHECK_LENGTH])
{
    memset(out, 0, KDNET_CHECK_LENGTH);
    for (size_t i = 0; i < 4; ++i)
        out[KDNET_CHECK_LENGTH - 1 - i] = host_ipv4[i];
}
