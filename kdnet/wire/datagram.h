/* SPDX-License-Identifier: Apache-2.0 */
/*
 * datagram: the KDNET envelope: one UDP payload, encrypted and authenticated.
 *
 * Protocol: PROTOCOL.md section 1 [cap].
 *
 *   0     4  "MDBG"
 *   4     1  protocol version
 *   5     1  channel
 *   6  n·16  AES-256-CBC of: u64 big-endian (sequence << 8 | direction << 7 | pad), body, pad zero bytes
 *   end  16  tag = HMAC-SHA256(header | plaintext)[0..15], also the CBC initialisation vector
 */
#ifndef KDNET_DATAGRAM_H
#define KDNET_DATAGRAM_H

#include "kdnet/datagram.h"
#include "kdnet/crypto/crypto.h"
#include "kdnet/crypto/key_filter.h"
#include "kdnet/key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KDNET_HEADER_LENGTH 6
#define KDNET_VERSION_AT    4 /* byte of the header */
#define KDNET_TAG_LENGTH    16
#define KDNET_BODY_MAX      4016 /* KD header and the largest payload, 4,000 bytes */
#define KDNET_DATAGRAM_MIN  (KDNET_HEADER_LENGTH + 16 + KDNET_TAG_LENGTH)

_Static_assert(KDNET_DATAGRAM_MAX == KDNET_HEADER_LENGTH + 4032 + KDNET_TAG_LENGTH, "the largest body, sealed");

enum kdnet_channel {
    KDNET_CHANNEL_DATA = 0,
    KDNET_CHANNEL_CONTROL = 1,
};

/* Keys derived from a target's key text, for its control channel. 96 secret bytes. */
struct kdnet_keys {
    struct kdnet_key control;   /* AES key of the control channel */
    struct kdnet_hmac_key hmac; /* of NOT control; both channels */
};

struct kdnet_datagram {
    uint8_t version;
    uint8_t channel;   /* enum kdnet_channel */
    bool from_host;    /* direction bit: sent by the debugger */
    uint64_t sequence; /* 56 bits; one count for each direction and channel */
    const uint8_t *body;
    size_t body_length;
};

void kdnet_keys_init(struct kdnet_keys *keys, const struct kdnet_key *key);
void kdnet_keys_clear(struct kdnet_keys *keys);

/*
 * Checks the part of a payload that needs no key.
 *
 * Returns KDNET_OK: magic, version, channel and length fit a datagram; or KDNET_ERR_SHORT, _MAGIC, _VERSION, _LENGTH:
 * drop the payload. version and channel are written only on KDNET_OK. Cost: a few compares.
 */
int kdnet_datagram_peek(const uint8_t *payload, size_t length, uint8_t *version, uint8_t *channel);

/*
 * Whether a key could have sealed this payload: decrypts the first AES block and looks for the three zero bytes at the
 * top of any real sequence number (2^32 datagrams take centuries). A filter: one wrong key in 16 million passes; only
 * kdnet_datagram_open decides.
 *
 * payload  passed kdnet_datagram_peek. Cost: one key schedule and one block.
 */
bool kdnet_datagram_may_open(struct kdnet_crypto *crypto, const uint8_t aes_key[static KDNET_AES_KEY_LENGTH],
                             const uint8_t *payload, size_t length);

/* Extracts kdnet_key_filter's input from a payload that passed kdnet_datagram_peek; `tag` receives the start of its
 * tag. */
void kdnet_datagram_filter_block(const uint8_t *payload, size_t length, struct kdnet_key_filter_block *block,
                                 uint32_t *tag);

/*
 * Authenticates and decrypts one UDP payload.
 *
 * aes_key   control key or data key, by the channel; borrowed for the call.
 * hmac      the target's HMAC key.
 * payload   as received, `length` bytes; not kept.
 * plain     caller's buffer of `length` bytes or more; valid only after KDNET_OK.
 * out       the body points into `plain`. Written only on KDNET_OK.
 *
 * Returns KDNET_OK, an error of kdnet_datagram_peek, or
 *   KDNET_ERR_AUTH    wrong key or damaged: drop and count the payload; nothing in it is trustworthy.
 *   KDNET_ERR_FORMAT  authentic, but claims more padding than its length: drop the payload.
 *   KDNET_ERR_CRYPTO  OpenSSL failed. Thread: any, one caller per kdnet_crypto.    Cost: one pass of AES and of HMAC
 *   over the payload; no allocation.
 */
int kdnet_datagram_open(struct kdnet_crypto *crypto, const uint8_t aes_key[static KDNET_AES_KEY_LENGTH],
                        const struct kdnet_hmac_key *hmac, const uint8_t *payload, size_t length, uint8_t *plain,
                        struct kdnet_datagram *out);

/*
 * Seals a datagram into a UDP payload; the reverse of kdnet_datagram_open.
 *
 * out, size  caller's buffer; KDNET_DATAGRAM_MAX always suffices. Must not overlap the body.
 * length     of the payload; written only on KDNET_OK.
 *
 * Returns KDNET_OK, KDNET_ERR_LENGTH (body over KDNET_BODY_MAX), KDNET_ERR_SPACE or KDNET_ERR_CRYPTO.
 */
int kdnet_datagram_seal(struct kdnet_crypto *crypto, const uint8_t aes_key[static KDNET_AES_KEY_LENGTH],
                        const struct kdnet_hmac_key *hmac, const struct kdnet_datagram *datagram, uint8_t *out,
                        size_t size, size_t *length);

#endif
