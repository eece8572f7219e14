/* SPDX-License-Identifier: Apache-2.0 */
/* netinet/in.h: Windows' own headers have its contents; see sockets.h. */
#include "service/platform/windows/compat/sockets.h"
