/* SPDX-License-Identifier: Apache-2.0 */
/* arpa/inet.h: Windows' own headers have its contents; see sockets.h. */
#include "service/platform/windows/compat/sockets.h"
