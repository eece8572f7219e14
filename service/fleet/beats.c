/* SPDX-License-Identifier: Apache-2.0 */
#include "service/fleet/beats.h"

#include <stdio.h>
#include <string.h>

static const char *const states[] = {"serves", "drains", "ends"};

int beats_init(struct beats *beats, const char *collector)
{
    *beats = (struct beats){.count = 0};
    (void)snprintf(beats->own, sizeof beats->own, "%s", collector);
    return uv_mutex_init(&beats->lock);
}

void beats_clear(struct beats *beats)
{
    uv_mutex_destroy(&beats->lock);
}

static uint8_t number_of(struct beats *beats, const char *collector)
{
    size_t i = 0;
    if (collector[0] == '\0' || strcmp(collector, beats->own) == 0)
        return 0;
    while (i < beats->count && strcmp(beats->collectors[i].name, collector) != 0)
        ++i;
    if (i == BEATS_MAX)
        return 0;
    if (i == beats->count)
        (void)snprintf(beats->collectors[beats->count++].name, CONFIG_NAME_SIZE, "%s", collector);
    return (uint8_t)(i + 1);
}

uint8_t beats_number(struct beats *beats, const char *collector)
{
    uv_mutex_lock(&beats->lock);
    uint8_t number = number_of(beats, collector);
    uv_mutex_unlock(&beats->lock);
    return number;
}

size_t beats_format(const struct beats *beats, enum beats_state state, char out[static BEATS_TEXT_SIZE])
{
    return (size_t)snprintf(out, BEATS_TEXT_SIZE, "%s %s", beats->own, states[state]);
}

static bool is_state(const char *text, size_t length, enum beats_state state)
{
    return length == strlen(states[state]) && memcmp(text, states[state], length) == 0;
}

uint8_t beats_take(struct beats *beats, const char *text, size_t length, uint64_t now_ms)
{
    char name[CONFIG_NAME_SIZE] = "";
    const char *space = memchr(text, ' ', length);
    uint8_t left = 0;
    if (!space || (size_t)(space - text) >= sizeof name)
        return 0;
    memcpy(name, text, (size_t)(space - text));
    size_t rest = length - (size_t)(space - text) - 1;
    bool serves = is_state(space + 1, rest, BEATS_SERVES);
    uv_mutex_lock(&beats->lock);
    uint8_t number = number_of(beats, name);
    if (strcmp(name, beats->own) == 0)
        beats->echo_ms = now_ms;
    if (number > 0) {
        struct beats_collector *collector = &beats->collectors[number - 1];
        left = collector->serves && !serves ? number : 0;
        collector->serves = serves;
        collector->heard_ms = is_state(space + 1, rest, BEATS_ENDS) ? 0 : now_ms;
    }
    uv_mutex_unlock(&beats->lock);
    return left;
}

bool beats_others(struct beats *beats, uint64_t now_ms)
{
    bool some = false;
    uv_mutex_lock(&beats->lock);
    for (size_t i = 0; !some && i < beats->count; ++i)
        some = beats->collectors[i].heard_ms != 0 && now_ms - beats->collectors[i].heard_ms < BEATS_SILENT_MS;
    uv_mutex_unlock(&beats->lock);
    return some;
}

uint8_t beats_silent(struct beats *beats, uint64_t now_ms)
{
    uint8_t silent = 0;
    uv_mutex_lock(&beats->lock);
    bool hears = beats->echo_ms != 0 && now_ms - beats->echo_ms < 2 * BEATS_EVERY_MS;
    for (size_t i = 0; hears && silent == 0 && i < beats->count; ++i) {
        struct beats_collector *collector = &beats->collectors[i];
        if (!collector->serves || now_ms - collector->heard_ms < BEATS_SILENT_MS)
            continue;
        collector->serves = false;
        silent = (uint8_t)(i + 1);
    }
    uv_mutex_unlock(&beats->lock);
    return silent;
}
