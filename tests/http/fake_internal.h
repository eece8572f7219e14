/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of fake_world share: fake_world.c has the machines and the server, fake_store.c the events and
 * the crashes. */
#ifndef TESTS_HTTP_FAKE_INTERNAL_H
#define TESTS_HTTP_FAKE_INTERNAL_H

#include "tests/http/fake_world.h"

#include <stdint.h>

#define HOUR_US UINT64_C(3600000000)
/* Of use in JSON as it is. */
#define HOSTILE "<img src=x onerror=alert(1)>"

extern uint64_t fake_started_us;

uint64_t fake_now_us(void);
bool fake_is_storm(void);
/* Every state is there, and texts of machines try to be markup. */
bool fake_is_hostile(void);
/* The same number for the same `number` always, below `sides`. */
unsigned fake_draw(size_t number, unsigned sides);
void fake_name_of(size_t number, char out[static 32]);

void fake_make_events(void);
void fake_clear_events(void);

#endif
