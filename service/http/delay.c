/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/delay.h"

#ifdef KDNETD_LIBEVENT_TIME32
/* struct timeval of a library that was built with 32-bit seconds; ours are 64 bits. */
struct libevent_time {
    int32_t tv_sec, tv_usec;
};
#else
#define libevent_time timeval
#endif

int delay_add(struct event *event, uint64_t ms)
{
    uint64_t seconds = ms / 1000 < INT32_MAX ? ms / 1000 : INT32_MAX;
    struct libevent_time time = {.tv_sec = (int32_t)seconds, .tv_usec = (int32_t)(ms % 1000 * 1000)};
    return event_add(event, (const struct timeval *)(const void *)&time);
}
