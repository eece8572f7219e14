/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink_states: the last known state of each sink, so that nobody has to wait for the store.
 *
 * Thread: any.
 */
#ifndef SERVICE_HTTP_SINK_STATES_H
#define SERVICE_HTTP_SINK_STATES_H

#include "service/http/http_ops.h"
#include "service/http/json_out.h"
#include "service/store/store_read.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define SINK_STATES_MAX       64U
#define SINK_STATES_NAME_SIZE 65

struct sink_state {
    char name[SINK_STATES_NAME_SIZE];
    uint64_t behind_events, behind_us;
    uint64_t oldest_us;             /* time of the first event that is not delivered; 0: all are */
    char type[16], last_error[256]; /* empty: not running; no error */
    uint64_t last_error_us, errors, rejected, dropped;
};

struct sink_states {
    bool ready;
    uv_mutex_t lock;
    size_t count;
    struct sink_state of[SINK_STATES_MAX];
};

bool sink_states_init(struct sink_states *sinks);
void sink_states_clear(struct sink_states *sinks);

/* Asks the store, and the sinks. On the thread of the reader. */
void sink_states_read(struct sink_states *sinks, struct store_reader *reader, const struct http_ops *ops);

/* Copies the known states, with how far behind they are now. Returns their number. */
size_t sink_states_get(struct sink_states *sinks, struct sink_state out[static SINK_STATES_MAX]);

/* The member "sinks" of a status. */
void sink_states_put(struct json_out *json, struct sink_states *sinks);

#endif
