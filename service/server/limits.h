/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits: how many workers this process may have: descriptors and threads are tried, not looked up, so that it does not
 * matter who limits them.
 *
 * Uses log, platform. Call it at the start, while nothing else runs.
 */
#ifndef SERVICE_LIMITS_H
#define SERVICE_LIMITS_H

#include <stddef.h>

/* How many of `wished` workers with a socket for each of `listeners` there can be, 1 at least; what limits them is
 * told. */
unsigned limits_workers(unsigned wished, size_t listeners);

#endif
