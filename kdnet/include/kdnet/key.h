/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key: the text form of a KDNET key, w.x.y.z, and its 32 bytes.
 *
 * Uses error. Protocol: PROTOCOL.md section 2 [cap]: four base-36 parts, lower or upper case, each at most 2^64-1, each
 * stored as 8 bytes little-endian. The HMAC key (bitwise NOT) and the data key are derived in crypto.h and handshake.h.
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

/* What is wrong with a key's text; for messages that name the mistake. */
enum kdnet_key_fault {
    KDNET_KEY_FAULT_NONE,
    KDNET_KEY_FAULT_PARTS, /* not four parts with a dot between each two, or an empty part */
    KDNET_KEY_FAULT_DIGIT, /* a character that is not 0-9, a-z or A-Z */
    KDNET_KEY_FAULT_RANGE, /* a part over 2^64-1 */
};

/*
 * Reads `length` bytes of text as a key. No text (NULL) is none.
 *
 * out     written only on KDNET_OK.
 * fault   may be NULL; otherwise what is wrong.
 * part    may be NULL; otherwise the part, 1 to 4, at which it is wrong.
 *
 * Returns KDNET_OK or KDNET_ERR_KEY. Leading zeros are legal in a part as long as its value fits.
 */
int kdnet_key_parse(const char *text, size_t length, struct kdnet_key *out, enum kdnet_key_fault *fault, int *part);

/* The key as w.x.y.z in lower case, without leading zeros, NUL-ended. */
void kdnet_key_format(const struct kdnet_key *key, char out[KDNET_KEY_TEXT_SIZE]);

/*
 * Whether somebody could guess the key: its four numbers need fewer than KDNET_KEY_BYTES_LEAST bytes together
 * (1.2.3.4), two of them are equal, or it is printed in the documentation of bcdedit, or of kdnetd. A random key needs
 * fewer in one of 10^30 cases.
 */
bool kdnet_key_is_guessable(const struct kdnet_key *key);

/* A sentence for a fault, e.g. "has a part over 64 bits". Never NULL. */
const char *kdnet_key_fault_text(enum kdnet_key_fault fault);

KDNET_HEADER_END

#endif
