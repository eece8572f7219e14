/* SPDX-License-Identifier: Apache-2.0 */
/* sift_internal: the way of sift that needs a processor with AES instructions. Not for callers. */
#ifndef KDNET_SIFT_INTERNAL_H
#define KDNET_SIFT_INTERNAL_H

#include "kdnet/sift.h"

#include <stdbool.h>

/* Whether this processor can; never, where it is not built (sift_none.c). */
bool kdnet_sift_has_hardware(void);

/* As kdnet_sift. Only where kdnet_sift_has_hardware. */
size_t kdnet_sift_hardware(struct kdnet_crypto *crypto, const uint8_t *const *keys, size_t key_count,
                           const struct kdnet_sift_pile *pile, struct kdnet_sift_hit *hits, size_t *hit_count);

#endif
