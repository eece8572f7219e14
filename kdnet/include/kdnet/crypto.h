/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto: OpenSSL, as sessions need it.
 */
#ifndef KDNET_PUBLIC_CRYPTO_H
#define KDNET_PUBLIC_CRYPTO_H

#include "kdnet/header.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

KDNET_HEADER_BEGIN

struct kdnet_crypto;

/* NULL when OpenSSL has no AES-256-CBC or no memory. Thread: the new object belongs to one thread at a time. */
struct kdnet_crypto *kdnet_crypto_new(void);
/* NULL is fine. */
void kdnet_crypto_free(struct kdnet_crypto *crypto);

KDNET_HEADER_END

#endif
