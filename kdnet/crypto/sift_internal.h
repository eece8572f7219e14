/* SPDX-License-Identifier: Apache-2.0 */
/* sift_internal: the ways of sift that need a processor with AES instructions. Not for callers. */
#ifndef KDNET_SIFT_INTERNAL_H
#define KDNET_SIFT_INTERNAL_H

#include "kdnet/crypto/sift.h"

#include <stdbool.h>

/* Does what kdnet_sift does. */
typedef size_t kdnet_sift_way(struct kdnet_crypto *crypto, const uint8_t *const *keys, size_t key_count,
                              const struct kdnet_sift_pile *pile, struct kdnet_sift_hit *hits, size_t *hit_count);

/* Those that this processor can, the quickest is 0; NULL: it has no more. None where they are not built (sift_none.c).
 */
kdnet_sift_way *kdnet_sift_hardware(size_t rank);

/* Whether a way finds the right key of a known vector, at each place among those that are tried together. */
bool kdnet_sift_is_right(kdnet_sift_way *way, struct kdnet_crypto *crypto);

/* Only for kdnet_sift_hardware. */
kdnet_sift_way kdnet_sift_vaes;

#endif
