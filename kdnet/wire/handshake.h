/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handshake: poke, response and connection check, and the data key that they establish.
 *
 * Protocol: PROTOCOL.md section 3 [cap].
 */
#ifndef KDNET_HANDSHAKE_H
#define KDNET_HANDSHAKE_H

#include "kdnet/datagram.h"
#include "kdnet/wire/datagram.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_RANDOM_LENGTH   32
#define KDNET_COUNTER_LENGTH  8 /* bytes of the target random's counter: little-endian, incremented with each poke */
#define KDNET_POKE_LENGTH     344
#define KDNET_RESPONSE_LENGTH 322
#define KDNET_CHECK_LENGTH    12
#define KDNET_POKE_PERIOD_MS  3000 /* about; for as long as the target runs or is halted */

struct kdnet_poke {
    uint8_t random[KDNET_RANDOM_LENGTH]; /* a counter of 8 bytes; the other 24 stay while the target's KDNET runs */
    struct kdnet_address target;         /* sender's own address */
    struct kdnet_address host;           /* destination, as configured on the target */
    struct kdnet_address connected; /* the host that the target is connected to; none: ::ffff:0.0.0.0 port 0 [cap frame
                                       1], or all zero */
};

struct kdnet_response {
    uint8_t target_random[KDNET_RANDOM_LENGTH]; /* the poke's */
    uint8_t host_random[KDNET_RANDOM_LENGTH];   /* fresh */
};

/* Whether two target randoms come from one run of a target's KDNET: all bytes but the counters are equal. */
bool kdnet_poke_same_run(const uint8_t a[static KDNET_RANDOM_LENGTH], const uint8_t b[static KDNET_RANDOM_LENGTH]);

bool kdnet_address_is_none(const struct kdnet_address *address);
bool kdnet_address_equal(const struct kdnet_address *a, const struct kdnet_address *b);

/* Body of a control datagram from a target. Returns KDNET_OK, KDNET_ERR_LENGTH or KDNET_ERR_FORMAT (not 01 01). */
int kdnet_poke_decode(const uint8_t *body, size_t length, struct kdnet_poke *out);
void kdnet_poke_encode(const struct kdnet_poke *poke, uint8_t out[static KDNET_POKE_LENGTH]);

/* Body of a control datagram from a host. Returns KDNET_OK, KDNET_ERR_LENGTH or KDNET_ERR_FORMAT (not 01 02). */
int kdnet_response_decode(const uint8_t *body, size_t length, struct kdnet_response *out);
void kdnet_response_encode(const struct kdnet_response *response, uint8_t out[static KDNET_RESPONSE_LENGTH]);

/* AES key of the data channel: SHA-256(control key | body of the response). */
void kdnet_data_key(const struct kdnet_key *control, const uint8_t response_body[static KDNET_RESPONSE_LENGTH],
                    uint8_t out[static KDNET_AES_KEY_LENGTH]);

/*
 * Connection check: the 12-byte body that a target sends on the data channel right after a response: 8 zero bytes, then
 * the host's IPv4 address reversed. Returns KDNET_OK, or KDNET_ERR_LENGTH or KDNET_ERR_FORMAT for any other body.
 */
int kdnet_check_decode(const uint8_t *body, size_t length, uint8_t host_ipv4[static 4]);
void kdnet_check_encode(const uint8_t host_ipv4[static 4], uint8_t out[static KDNET_CHECK_LENGTH]);

#endif
