/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/windows/control.h"

#include <stdatomic.h>

static atomic_uint asked;
static uv_once_t once = UV_ONCE_INIT;
static uv_mutex_t lock; /* protects `waking`: its handle must not close during a wake-up */
static uv_async_t *waking;

static void make_lock(void)
{
    (void)uv_mutex_init(&lock);
}

unsigned control_take(void)
{
    return atomic_exchange(&asked, 0);
}

void control_listen(uv_async_t *wakeup)
{
    uv_once(&once, make_lock);
    uv_mutex_lock(&lock);
    waking = wakeup;
    if (waking && atomic_load(&asked) != 0)
        (void)uv_async_send(waking);
    uv_mutex_unlock(&lock);
}

void control_ask(unsigned bits)
{
    uv_once(&once, make_lock);
    uv_mutex_lock(&lock);
    (void)atomic_fetch_or(&asked, bits);
    if (waking)
        (void)uv_async_send(waking);
    uv_mutex_unlock(&lock);
}
