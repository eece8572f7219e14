/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto: OpenSSL contexts for sessions.
 */
#ifndef KDNET_PUBLIC_CRYPTO_H
#define KDNET_PUBLIC_CRYPTO_H

#include "kdnet/header.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

KDNET_HEADER_BEGIN

struct kdnet_crypto;

/* Makes the contexts. Returns NULL when OpenSSL lacks AES-256-CBC, or when out of memory. One thread at a time may
 * use the object. */
struct kdnet_crypto *kdnet_crypto_new(void);
/* Frees the contexts. NULL does nothing. */
void kdnet_crypto_free(struct kdnet_crypto *crypto);

KDNET_HEADER_END

#endif
