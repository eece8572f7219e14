/* SPDX-License-Identifier: Apache-2.0 */
#include "service/net/hearing.h"

#include <stdlib.h>

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static enum hearing_news judge_silent(struct hearing *hearing, const struct hearing_facts *facts)
{
    if (facts->heard_us <= hearing->silent_us)
        return HEARING_NO_NEWS;
    hearing->verdict = HEARING_WAIT;
    return HEARING_HEARD_AGAIN;
}

enum hearing_news hearing_judge(struct hearing *hearing, const struct hearing_facts *facts, uint64_t lost_after_us,
                                uint64_t now_us)
{
    if (hearing->verdict == HEARING_SILENT)
        return judge_silent(hearing, facts);
    bool quiet = facts->waiting > 0 && now_us - facts->heard_us >= least(HEARING_GAP_US, lost_after_us);
    hearing->verdict = HEARING_WAIT;
    hearing->count = quiet;
    if (!quiet || !facts->counted)
        return HEARING_NO_NEWS;
    if (facts->machines < HEARING_MACHINES) {
        hearing->verdict = HEARING_TELL;
        return HEARING_NO_NEWS;
    }
    hearing->verdict = HEARING_SILENT;
    hearing->count = false;
    hearing->silent_us = facts->heard_us;
    hearing->machines = facts->machines;
    return HEARING_FELL_SILENT;
}

void losses_clear(struct losses *losses)
{
    free(losses->items);
    *losses = (struct losses){.items = NULL};
}

bool losses_add(struct losses *losses, const struct loss *loss)
{
    if (losses->count == losses->capacity) {
        size_t capacity = losses->capacity > 0 ? losses->capacity * 2 : 16;
        struct loss *items = realloc(losses->items, capacity * sizeof *items);
        if (!items)
            return false;
        losses->items = items;
        losses->capacity = capacity;
    }
    losses->items[losses->count++] = *loss;
    return true;
}

size_t losses_of(const struct losses *losses, uint32_t listener)
{
    size_t count = 0;
    for (size_t i = 0; i < losses->count; ++i)
        count += losses->items[i].listener == listener;
    return count;
}

bool losses_outlived(uint64_t heard_us, uint64_t last_seen_us, uint64_t lost_after_us)
{
    uint64_t margin_us = lost_after_us / 2;
    if (margin_us < HEARING_MARGIN_MIN_US)
        margin_us = HEARING_MARGIN_MIN_US;
    return heard_us > last_seen_us && heard_us - last_seen_us > least(HEARING_MARGIN_US, margin_us);
}

/* Whether the loss is reported now. */
static bool is_due(struct loss *loss, enum hearing_verdict verdict, uint64_t heard_us, uint64_t lost_after_us,
                   uint64_t now_us)
{
    if (verdict == HEARING_SILENT) {
        loss->silent = true;
        return false;
    }
    if (loss->silent) { /* its listener hears again: the machine gets time to be heard, too */
        loss->silent = false;
        loss->due_us = now_us + lost_after_us;
        return false;
    }
    if (loss->due_us != 0)
        return now_us >= loss->due_us;
    return verdict == HEARING_TELL || losses_outlived(heard_us, loss->last_seen_us, lost_after_us);
}

void losses_settle(struct losses *losses, uint32_t listener, enum hearing_verdict verdict, uint64_t heard_us,
                   uint64_t lost_after_us, uint64_t now_us, const struct losses_calls *calls)
{
    for (size_t looks = losses->count < LOSSES_SLICE ? losses->count : LOSSES_SLICE; looks > 0 && losses->count > 0;
         --looks) {
        losses->at = losses->at < losses->count ? losses->at : 0;
        struct loss *loss = &losses->items[losses->at];
        bool still = loss->listener != listener || calls->is_still(calls->user, loss);
        if (still && (loss->listener != listener || !is_due(loss, verdict, heard_us, lost_after_us, now_us))) {
            ++losses->at;
            continue;
        }
        struct loss done = *loss;
        losses->items[losses->at] = losses->items[--losses->count];
        if (still)
            calls->publish(calls->user, &done);
    }
    if (losses->count == 0)
        losses_clear(losses);
}
