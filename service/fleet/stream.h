/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: JetStream's streams and buckets, created when missing. Only in builds with libnats (KDNETD_NATS).
 *
 * A new stream has three copies with three servers or more, else one; an existing stream is used as it is. A bucket
 * keeps the newest value of each key.
 *
 * Thread: may block for seconds: use a thread of its own.
 */
#ifndef SERVICE_FLEET_STREAM_H
#define SERVICE_FLEET_STREAM_H

#include "service/fleet/connection.h"

#include <stdint.h>

#define FLEET_WINDOW_S     600                    /* how long a stream remembers ids */
#define FLEET_KEEP_S       (UINT64_C(90) * 86400) /* how long a stream made here keeps an event */
#define FLEET_SUBJECT_SIZE 1024
#define FLEET_ASK_MS       2000 /* for a request to JetStream and its answer */

/* Makes a stream. `pattern`: a subject as in the option nats, with any token for a placeholder. True with a
 * non-empty `error`: the stream exists, with a weakness. */
bool fleet_make_stream(natsConnection *connection, const char *name, const char *pattern,
                       char error[static FLEET_ERROR_SIZE]);

/* Makes a bucket: its keys are the subjects $KV.NAME.KEY. */
bool fleet_make_bucket(natsConnection *connection, const char *name, char error[static FLEET_ERROR_SIZE]);

/* Writes the filter for a pattern's subjects: each token with a placeholder becomes *, e.g. kdnet.crash.*.*. */
void fleet_filter(const char *pattern, char out[static FLEET_SUBJECT_SIZE]);

/* Writes the subject of an event; false: too long. `target` NULL: an event without a target. */
bool fleet_subject(const char *pattern, const char *collector, const char *target, char *out, size_t size);

/* Writes the name of the bucket of the collectors' heartbeats. */
void fleet_collectors_bucket(const char *stream, char *out, size_t size);

#endif
