/* SPDX-License-Identifier: Apache-2.0 */
/* sys/socket.h: Windows has all of it in its own headers; see sockets.h. */
#include "service/platform/windows/compat/sockets.h"
