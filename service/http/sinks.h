/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sinks: how each sink is, as it and the store knew last: whoever asks for it does not wait for the store.
 *
 * Uses store_read, http_ops, json_out. Thread: any.
 */
#ifndef SERVICE_HTTP_SINKS_H
#define SERVICE_HTTP_SINKS_H

#include "service/http/http_ops.h"
#include "service/http/json_out.h"
#include "service/store/store_read.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define SINKS_MAX       64U
#define SINKS_NAME_SIZE 65

struct sink_state {
    char name[SINKS_NAME_SIZE];
    uint64_t behind_events, behind_us;
    char type[16], last_error[256]; /* empty: it does not run; there was none */
    uint64_t last_error_us, errors, rejected, dropped;
};

struct sinks {
    bool ready;
    uv_mutex_t lock;
    size_t count;
    struct sink_state of[SINKS_MAX];
};

bool sinks_init(struct sinks *sinks);
void sinks_clear(struct sinks *sinks);

/* Asks the store, and the sinks. On the thread of the reader. */
void sinks_read(struct sinks *sinks, struct store_reader *reader, const struct http_ops *ops);

/* Copies what is known. Returns how many there are. */
size_t sinks_get(struct sinks *sinks, struct sink_state out[static SINKS_MAX]);

/* The member "sinks" of a status. */
void sinks_put(struct json_out *json, struct sinks *sinks);

#endif
