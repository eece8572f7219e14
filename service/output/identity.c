/* SPDX-License-Identifier: Apache-2.0 */
#include "service/output/identity.h"

#include <inttypes.h>
#include <stdio.h>

#define COLLECTOR_MAX 64

uint64_t identity_number(struct identity_clock *clock, uint64_t time_us)
{
    uint64_t last = atomic_load(&clock->last), number;
    do
        number = time_us > last ? time_us : last + 1;
    while (!atomic_compare_exchange_weak(&clock->last, &last, number));
    return number;
}

void identity_name(const uint8_t name[static KDNET_IDENTITY_LENGTH], char out[static IDENTITY_NAME_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < KDNET_IDENTITY_LENGTH; ++i) {
        out[2 * i] = digits[name[i] >> 4];
        out[2 * i + 1] = digits[name[i] & 15];
    }
    out[IDENTITY_NAME_SIZE - 1] = '\0';
}

static void number_in(const char *collector, const char *session, uint64_t number, char out[static IDENTITY_SIZE])
{
    (void)snprintf(out, IDENTITY_SIZE, "%.*s-%s-%" PRIu64, COLLECTOR_MAX, collector, session, number);
}

void identity_of_event(const char *collector, const struct kdnet_event *event, char out[static IDENTITY_SIZE])
{
    char name[IDENTITY_NAME_SIZE];
    const struct kdnet_event_crash_status *status = &event->u.crash_status;
    if (event->type == KDNET_EVENT_CRASH_STATUS && event->of.crash_known) {
        identity_name(event->of.crash, name);
        (void)snprintf(out, IDENTITY_SIZE, "%s-%s-%s", name, kdnet_phase_name(status->phase),
                       kdnet_verdict_name(status->conclusion.verdict));
        return;
    }
    identity_name(event->session, name);
    number_in(collector, name, event->of.number, out);
}

void identity_of_none(const char *collector, uint64_t number, char out[static IDENTITY_SIZE])
{
    number_in(collector, "0000000000000000", number, out);
}
