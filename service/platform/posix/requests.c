/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/requests.h"

#include <signal.h>

static enum request request_of(int number)
{
    switch (number) {
    case SIGHUP:
        return REQUEST_RELOAD;
    case SIGUSR1:
        return REQUEST_SUMMARY;
    case SIGUSR2:
        return REQUEST_UPGRADE;
    default:
        return REQUEST_STOP;
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct requests *requests = handle->data;
    requests->call(requests->user, request_of(number));
}

void requests_watch(struct requests *requests, uv_loop_t *loop, void (*call)(void *user, enum request request),
                    void *user)
{
    static const int numbers[REQUESTS_SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    requests->call = call;
    requests->user = user;
    for (size_t i = 0; i < REQUESTS_SIGNALS; ++i) {
        uv_signal_t *handle = &requests->signals[requests->signal_count];
        if (uv_signal_init(loop, handle) != 0)
            continue;
        handle->data = requests;
        ++requests->signal_count;
        (void)uv_signal_start(handle, on_signal, numbers[i]);
    }
}

void requests_close(struct requests *requests)
{
    for (size_t i = 0; i < requests->signal_count; ++i)
        if (!uv_is_closing((uv_handle_t *)&requests->signals[i]))
            uv_close((uv_handle_t *)&requests->signals[i], NULL);
}
