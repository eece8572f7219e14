/* SPDX-License-Identifier: Apache-2.0 */
/* sift without AES instructions of a processor: KDNETD_HARDWARE_AES=OFF, or a compiler that does not have them. */
#include "kdnet/sift_internal.h"

bool kdnet_sift_has_hardware(void)
{
    return false;
}

size_t kdnet_sift_hardware(struct kdnet_crypto *crypto, const uint8_t *const *keys, size_t key_count,
                           const struct kdnet_sift_pile *pile, struct kdnet_sift_hit *hits, size_t *hit_count)
{
    (void)crypto;
    (void)keys;
    (void)pile;
    (void)hits;
    *hit_count = 0;
    return key_count;
}
