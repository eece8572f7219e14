/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key: a KDNET key as text, w.x.y.z, and as 32 bytes.
 *
 * Protocol: PROTOCOL.md section 2 [cap]. A key's text has four base-36 parts, lower or upper case, each at most 2^64-1.
 * Each part is stored as 8 bytes, little-endian. crypto.h and handshake.h derive the HMAC key (bitwise NOT) and the
 * data key.
 */
#ifndef KDNET_KEY_H
#define KDNET_KEY_H

#include "kdnet/header.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

KDNET_HEADER_BEGIN

#define KDNET_KEY_LENGTH      32
#define KDNET_KEY_PARTS       4
#define KDNET_KEY_PART_CHARS  13 /* 2^64-1 is 3w5e11264sgsf */
#define KDNET_KEY_BYTES_LEAST 16
#define KDNET_KEY_TEXT_SIZE   (KDNET_KEY_PARTS * (KDNET_KEY_PART_CHARS + 1)) /* three dots and the final NUL */

struct kdnet_key {
    uint8_t bytes[KDNET_KEY_LENGTH];
};

/* What is wrong with a key's text, for messages that name the mistake. */
enum kdnet_key_fault {
    KDNET_KEY_FAULT_NONE,
    KDNET_KEY_FAULT_PARTS, /* not four parts separated by dots, or an empty part */
    KDNET_KEY_FAULT_DIGIT, /* a character that is not 0-9, a-z or A-Z */
    KDNET_KEY_FAULT_RANGE, /* a part above 2^64-1 */
};

/*
 * Parses `length` bytes of text as a key. NULL text is an error.
 *
 * out     written only on KDNET_OK.
 * fault   may be NULL; else receives the mistake.
 * part    may be NULL; else receives the number of the wrong part, 1 to 4.
 *
 * Returns KDNET_OK or KDNET_ERR_KEY. Leading zeros are legal in a part whose value fits.
 */
int kdnet_key_parse(const char *text, size_t length, struct kdnet_key *out, enum kdnet_key_fault *fault, int *part);

/* Writes the key as w.x.y.z in lower case, without leading zeros, NUL-terminated. */
void kdnet_key_format(const struct kdnet_key *key, char out[KDNET_KEY_TEXT_SIZE]);

/*
 * Returns whether somebody could guess the key: its four numbers need fewer than KDNET_KEY_BYTES_LEAST bytes together
 * (1.2.3.4), two of them are equal, or the documentation of bcdedit or of kdnetd prints the key. A random key needs
 * fewer bytes in one of 10^30 cases.
 */
bool kdnet_key_is_guessable(const struct kdnet_key *key);

/* Returns a phrase for a fault, e.g. "has a part over 64 bits". Never NULL. */
const char *kdnet_key_fault_text(enum kdnet_key_fault fault);

KDNET_HEADER_END

#endif
