/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream: streams and buckets of JetStream, made when they are not there. Only in a build with libnats (KDNETD_NATS).
 *
 * Uses connection. A stream has three copies where there are three servers or more, else one; one that is there is
 * taken as it is. A bucket keeps the newest value of each key.
 *
 * Thread: may block for seconds: a thread of its own.
 */
#ifndef SERVICE_FLEET_STREAM_H
#define SERVICE_FLEET_STREAM_H

#include "service/fleet/connection.h"

#include <stdint.h>

#define FLEET_WINDOW_S     600                    /* so long a stream knows the ids that it has */
#define FLEET_KEEP_S       (UINT64_C(90) * 86400) /* so long a stream that is made here keeps an event */
#define FLEET_SUBJECT_SIZE 1024
#define FLEET_ASK_MS       2000 /* a question to JetStream, and its answer */

/* `pattern`: of a subject as in the option nats; each placeholder's token is any. True with an `error` that is not
 * empty: it is there, and could be better. */
bool fleet_make_stream(natsConnection *connection, const char *name, const char *pattern,
                       char error[static FLEET_ERROR_SIZE]);

/* The same of a bucket: its keys are the subjects $KV.NAME.KEY. */
bool fleet_make_bucket(natsConnection *connection, const char *name, char error[static FLEET_ERROR_SIZE]);

/* What a pattern's subjects have in common: each token with a placeholder is any, as kdnet.crash.*.*. */
void fleet_filter(const char *pattern, char out[static FLEET_SUBJECT_SIZE]);

/* The subject of an event; false: it is too long. `target` NULL: of none. */
bool fleet_subject(const char *pattern, const char *collector, const char *target, char *out, size_t size);

/* The bucket in which collectors say that they are there. */
void fleet_collectors_bucket(const char *stream, char *out, size_t size);

#endif
