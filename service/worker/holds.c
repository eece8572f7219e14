/* SPDX-License-Identifier: Apache-2.0 */
#include "service/worker/holds.h"

struct hold *holds_find(struct holds *holds, const struct address *source, uint16_t local_port)
{
    for (size_t i = 0; holds->count > 0 && i < HOLDS_MAX; ++i) {
        struct hold *hold = &holds->hold[i];
        if (hold->used && hold->local_port == local_port && address_equal(&hold->source, source))
            return hold;
    }
    return NULL;
}

bool holds_begin(struct holds *holds, const struct address *source, uint16_t local_port, uint64_t now_us)
{
    if (holds->count == HOLDS_MAX || holds_find(holds, source, local_port))
        return false;
    struct hold *hold = holds->hold;
    while (hold->used)
        ++hold;
    *hold = (struct hold){.used = true, .source = *source, .local_port = local_port, .since_us = now_us};
    ++holds->count;
    return true;
}

bool holds_may_wait(const struct hold *hold, uint64_t now_us)
{
    return hold->count < HOLDS_MAILS && now_us - hold->since_us < HOLDS_FOR_US;
}

void holds_put(struct hold *hold, struct message *message)
{
    message->next = NULL;
    if (hold->last)
        hold->last->next = message;
    else
        hold->first = message;
    hold->last = message;
    ++hold->count;
}

struct message *holds_end(struct holds *holds, struct hold *hold)
{
    struct message *first = hold->first;
    *hold = (struct hold){.used = false};
    --holds->count;
    return first;
}
