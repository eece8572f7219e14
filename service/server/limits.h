/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits: how many workers this process can have. Tries descriptors and threads instead of reading limits, so that the
 * limits' origin does not matter.
 *
 * Call it at the start, while nothing else runs.
 */
#ifndef SERVICE_LIMITS_H
#define SERVICE_LIMITS_H

#include <stddef.h>

/* Returns how many of `wished` workers, each with a socket for each of `listeners`, are possible, at least 1; logs
 * the limit. */
unsigned limits_workers(unsigned wished, size_t listeners);

#endif
