/* SPDX-License-Identifier: Apache-2.0 */
/* This system does not tell when its addresses change, or nobody has told us how: they are looked at. */
#include "service/platform/platform.h"

int platform_address_changes_open(void)
{
    return -1;
}

bool platform_address_changes_read(int descriptor)
{
    (void)descriptor;
    return false;
}

void platform_address_changes_close(int descriptor)
{
    (void)descriptor;
}
