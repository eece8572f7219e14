/* SPDX-License-Identifier: Apache-2.0 */
/*
 * beats: the collectors of a fleet tell each other ten times a second that they serve, and at once when they drain or
 * end.
 *
 * A collector without a beat for BEATS_SILENT_MS, while this collector's own beats come back, is silent. Beats decide
 * nothing: machines are only asked a little earlier. Without a broker, or without the right to publish, nobody is ever
 * silent.
 *
 * Thread: any; a lock of its own. Cost: a search among at most BEATS_MAX names.
 */
#ifndef SERVICE_FLEET_BEATS_H
#define SERVICE_FLEET_BEATS_H

#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define BEATS_MAX       64U
#define BEATS_EVERY_MS  100U
#define BEATS_SILENT_MS 300U
#define BEATS_TEXT_SIZE (CONFIG_NAME_SIZE + 16)

enum beats_state { BEATS_SERVES, BEATS_DRAINS, BEATS_ENDS };

/* A collector that was heard, or that has put a hint. */
struct beats_collector {
    char name[CONFIG_NAME_SIZE];
    uint64_t heard_ms; /* 0: never, or it has ended */
    bool serves;
};

struct beats {
    uv_mutex_t lock;
    char own[CONFIG_NAME_SIZE];
    struct beats_collector collectors[BEATS_MAX];
    size_t count;
    uint64_t echo_ms; /* when our own came back last */
};

int beats_init(struct beats *beats, const char *collector);
void beats_clear(struct beats *beats);

/* Returns the number of a collector, from 1; 0: this collector, or too many. */
uint8_t beats_number(struct beats *beats, const char *collector);

size_t beats_format(const struct beats *beats, enum beats_state state, char out[static BEATS_TEXT_SIZE]);

/* Takes a beat. Returns the number of a collector that has just stopped serving; 0: none. */
uint8_t beats_take(struct beats *beats, const char *text, size_t length, uint64_t now_ms);

/* The next collector that has just become silent; 0: none. */
uint8_t beats_silent(struct beats *beats, uint64_t now_ms);

/* Whether another collector is heard now, draining or not. */
bool beats_others(struct beats *beats, uint64_t now_ms);

#endif
