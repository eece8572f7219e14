/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity: event ids. An id belongs to one fact for ever, and a fact that is reported again has the same id.
 *
 * Ids consist of letters, digits and . _ -
 */
#ifndef SERVICE_IDENTITY_H
#define SERVICE_IDENTITY_H

#include "kdnet/event.h"

#include <stdatomic.h>
#include <stdint.h>

#define IDENTITY_SIZE      129 /* bytes of an id, with its NUL */
#define IDENTITY_NAME_SIZE (2 * KDNET_IDENTITY_LENGTH + 1)

/* Numbers events without a session by their time. */
struct identity_clock {
    _Atomic uint64_t last;
};

/* Returns the time in microseconds, or the next number when the time was used already. Any thread. */
uint64_t identity_number(struct identity_clock *clock, uint64_t time_us);

/* Writes COLLECTOR-SESSION-N; for the result of a known crash, CRASH-PHASE-VERDICT. */
void identity_of_event(const char *collector, const struct kdnet_event *event, char out[static IDENTITY_SIZE]);

/* Writes the id of an event without a session. */
void identity_of_none(const char *collector, uint64_t number, char out[static IDENTITY_SIZE]);

/* The name of a run or a crash: 16 lower-case hex digits. */
void identity_name(const uint8_t name[static KDNET_IDENTITY_LENGTH], char out[static IDENTITY_NAME_SIZE]);

#endif
