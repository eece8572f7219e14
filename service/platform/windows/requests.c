/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/windows/control.h"
#include "service/platform/requests.h"

#include <signal.h>

static void on_signal(uv_signal_t *handle, int number)
{
    struct requests *requests = handle->data;
    (void)number;
    requests->call(requests->user, REQUEST_STOP);
}

static void on_control(uv_async_t *handle)
{
    struct requests *requests = handle->data;
    unsigned bits = control_take();
    for (unsigned request = REQUEST_STOP; request <= REQUEST_SUMMARY; ++request)
        if ((bits & 1U << request) != 0)
            requests->call(requests->user, (enum request)request);
}

/* After a close (SIGHUP) the console grants five seconds; Ctrl-Break is SIGBREAK. */
void requests_watch(struct requests *requests, uv_loop_t *loop, void (*call)(void *user, enum request request),
                    void *user)
{
    static const int numbers[] = {SIGINT, SIGBREAK, SIGHUP};
    requests->call = call;
    requests->user = user;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; ++i) {
        uv_signal_t *handle = &requests->signals[requests->signal_count];
        if (uv_signal_init(loop, handle) != 0)
            continue;
        handle->data = requests;
        ++requests->signal_count;
        (void)uv_signal_start(handle, on_signal, numbers[i]);
    }
    if (uv_async_init(loop, &requests->control, on_control) == 0) {
        requests->control.data = requests;
        requests->control_count = 1;
        control_listen(&requests->control);
    }
}

void requests_close(struct requests *requests)
{
    for (size_t i = 0; i < requests->signal_count; ++i)
        if (!uv_is_closing((uv_handle_t *)&requests->signals[i]))
            uv_close((uv_handle_t *)&requests->signals[i], NULL);
    if (requests->control_count > 0 && !uv_is_closing((uv_handle_t *)&requests->control)) {
        control_listen(NULL);
        uv_close((uv_handle_t *)&requests->control, NULL);
    }
}
