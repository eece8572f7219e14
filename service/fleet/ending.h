/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ending: the end of a thread that may hang on a disk or on a broker, and so is waited for only so long.
 *
 * `stopping` and `ended` are under `lock`; `changed` is signalled when one of them changes.
 */
#ifndef SERVICE_FLEET_ENDING_H
#define SERVICE_FLEET_ENDING_H

#include <stdbool.h>
#include <uv.h>

/* Makes both; false: neither is there. */
bool ending_init(uv_mutex_t *lock, uv_cond_t *changed);

/* On the thread: pauses for `wait_ms`, or until something changes. Returns whether the thread has to end. */
bool ending_pause(uv_mutex_t *lock, uv_cond_t *changed, const bool *stopping, unsigned wait_ms);

/* On the thread, at its end: says that it no longer uses what its owner frees. */
void ending_say(uv_mutex_t *lock, uv_cond_t *changed, bool *ended);

/* Tells the thread to end, and waits `wait_ms` at most. False: it still runs. */
bool ending_await(uv_mutex_t *lock, uv_cond_t *changed, bool *stopping, const bool *ended, unsigned wait_ms);

#endif
