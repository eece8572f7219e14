/* SPDX-License-Identifier: Apache-2.0 */
/* A timer of libevent's, by milliseconds. On 32-bit systems libevent's seconds may have another width than ours. */
#ifndef KDNETD_HTTP_DELAY_H
#define KDNETD_HTTP_DELAY_H
#include <event2/event.h>
#include <stdint.h>

/* Waits for `event` or until `ms` have passed, at most 2^31 - 1 seconds. Less than 0: libevent has no memory. */
int delay_add(struct event *event, uint64_t ms);

#endif
