/* SPDX-License-Identifier: Apache-2.0 */
/* sift without AES instructions of a processor: KDNETD_HARDWARE_AES=OFF, or a compiler that does not have them. */
#include "kdnet/crypto/sift_internal.h"

kdnet_sift_way *kdnet_sift_hardware(size_t rank)
{
    (void)rank;
    return NULL;
}
