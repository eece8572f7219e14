/* SPDX-License-Identifier: Apache-2.0 */
/* key_filter_internal: the implementations of the key filter that need AES instructions. Not for callers. */
#ifndef KDNET_KEY_FILTER_INTERNAL_H
#define KDNET_KEY_FILTER_INTERNAL_H

#include "kdnet/crypto/key_filter.h"

#include <stdbool.h>

/* The signature and contract of kdnet_key_filter. */
typedef size_t kdnet_key_filter_way(struct kdnet_crypto *crypto, const uint8_t *const *keys, size_t key_count,
                                    const struct kdnet_key_filter_batch *batch, struct kdnet_key_filter_hit *hits,
                                    size_t *hit_count);

/* Returns this processor's implementations, fastest first (rank 0); NULL: no more. None where none are built
 * (key_filter_none.c). */
kdnet_key_filter_way *kdnet_key_filter_hardware(size_t rank);

/* Whether an implementation finds the right key of a known vector at each place among the keys that it tries
 * together. */
bool kdnet_key_filter_is_right(kdnet_key_filter_way *way, struct kdnet_crypto *crypto);

/* Only for kdnet_key_filter_hardware. */
kdnet_key_filter_way kdnet_key_filter_vaes;

#endif
