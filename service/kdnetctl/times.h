/* SPDX-License-Identifier: Apache-2.0 */
/*
 * times: times and durations as kdnetd writes them, and as an operator reads them.
 *
 * Uses nothing of this tree.
 */
#ifndef SERVICE_CTL_TIMES_H
#define SERVICE_CTL_TIMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TIMES_SIZE 40

/* Parses a time in kdnetd's form, 2026-11-26T08:14:03.123456Z, into microseconds since 1970. */
bool times_parse(const char *text, int64_t *out_us);

/* Writes "2026-11-26 09:14:03+01:00", or "2026-11-26 08:14:03Z" with `utc`. A text that is no time gives "-". */
const char *times_local(const char *text, bool utc, char out[static TIMES_SIZE]);
const char *times_format(int64_t time_us, bool utc, char out[static TIMES_SIZE]);

/* Parses a duration: digits and one of ms, s, m, h, d, into milliseconds. */
bool times_parse_duration(const char *text, int64_t *out_ms);

/* Writes "0.4 ms", "5.0 s", "3 min", "2 h", "4 d". */
const char *times_duration(double ms, char out[static TIMES_SIZE]);

#endif
