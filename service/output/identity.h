/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity: the id of what is told, which no other fact ever has, and which this one has whenever it is told again.
 *
 * Uses kdnet event and identity. Ids are letters, digits and . _ - alone.
 */
#ifndef SERVICE_IDENTITY_H
#define SERVICE_IDENTITY_H

#include "kdnet/event.h"

#include <stdatomic.h>
#include <stdint.h>

#define IDENTITY_SIZE      129 /* of an id, with its NUL */
#define IDENTITY_NAME_SIZE (2 * KDNET_IDENTITY_LENGTH + 1)

/* What is told of no session is numbered by its time. */
struct identity_clock {
    _Atomic uint64_t last;
};

/* The time in microseconds, or the next number when that was used already. Any thread. */
uint64_t identity_number(struct identity_clock *clock, uint64_t time_us);

/* COLLECTOR-SESSION-N; of the result of a crash that is known, CRASH-PHASE-VERDICT. */
void identity_of_event(const char *collector, const struct kdnet_event *event, char out[static IDENTITY_SIZE]);

/* The same of what is told of no session. */
void identity_of_none(const char *collector, uint64_t number, char out[static IDENTITY_SIZE]);

/* The name of a run or a crash: 16 lower-case hex digits. */
void identity_name(const uint8_t name[static KDNET_IDENTITY_LENGTH], char out[static IDENTITY_NAME_SIZE]);

#endif
