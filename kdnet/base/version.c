/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/version.h"

const char *kdnet_version(void)
{
    return KDNET_VERSION_TEXT;
}
