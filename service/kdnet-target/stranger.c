/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnet-target/fleet_internal.h"

#include <stdlib.h>
#include <string.h>

#define PERIOD_MS     10U
#define MS_PER_SECOND 1000U
#define DEFAULT_RATE  100U

struct stranger {
    struct fleet *fleet;
    uv_udp_t socket;
    uv_timer_t timer;
    uint32_t unit, recording; /* which is sent next */
    uint32_t owed;            /* datagrams to send, in thousandths */
    int open;
};

/* The next recording of any machine; false when a whole turn has found none. */
static bool send_next(struct stranger *stranger)
{
    const struct fleet *fleet = stranger->fleet;
    for (uint64_t tries = 0; tries < (uint64_t)fleet->count * MACHINE_RECORDINGS; ++tries) {
        size_t length;
        const uint8_t *poke = machine_recording(fleet->units[stranger->unit].machine, stranger->recording, &length);
        if (++stranger->recording == MACHINE_RECORDINGS) {
            stranger->recording = 0;
            stranger->unit = (stranger->unit + 1) % fleet->count;
        }
        if (poke) {
            uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)poke, (unsigned)length);
            uv_udp_try_send(&stranger->socket, &buffer, 1, NULL);
            return true;
        }
    }
    return false;
}

static void on_period(uv_timer_t *timer)
{
    struct stranger *stranger = timer->data;
    uint32_t rate = stranger->fleet->options->rate;
    stranger->owed += (rate > 0 ? rate : DEFAULT_RATE) * PERIOD_MS;
    for (; stranger->owed >= MS_PER_SECOND; stranger->owed -= MS_PER_SECOND)
        if (!send_next(stranger)) {
            stranger->owed = 0;
            return;
        }
}

static void on_close(uv_handle_t *handle)
{
    struct stranger *stranger = handle->data;
    if (--stranger->open == 0)
        free(stranger);
}

void stranger_close(struct stranger *stranger)
{
    if (!stranger)
        return;
    uv_close((uv_handle_t *)&stranger->socket, on_close);
    uv_close((uv_handle_t *)&stranger->timer, on_close);
}

struct stranger *stranger_new(struct fleet *fleet)
{
    if (strcmp(fleet->options->scenario, "stale-pokes") != 0)
        return NULL;
    struct stranger *stranger = calloc(1, sizeof *stranger);
    if (!stranger)
        return NULL;
    stranger->fleet = fleet;
    stranger->open = 2;
    uv_udp_init(fleet->loop, &stranger->socket);
    uv_timer_init(fleet->loop, &stranger->timer);
    stranger->socket.data = stranger->timer.data = stranger;
    if (uv_udp_connect(&stranger->socket, (const struct sockaddr *)&fleet->options->host) != 0 ||
        uv_timer_start(&stranger->timer, on_period, PERIOD_MS, PERIOD_MS) != 0) {
        stranger_close(stranger);
        return NULL;
    }
    return stranger;
}
