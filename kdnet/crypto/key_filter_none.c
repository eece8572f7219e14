/* SPDX-License-Identifier: Apache-2.0 */
/* The key filter without AES instructions: KDNETD_HARDWARE_AES=OFF, or a compiler without these instructions. */
#include "kdnet/crypto/key_filter_internal.h"

kdnet_key_filter_way *kdnet_key_filter_hardware(size_t rank)
{
    (void)rank;
    return NULL;
}
