/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publisher: the one place through which every event line passes: into the event log, and to the sinks that have
 * joined (the store, metrics).
 *
 * Uses event_json, event_log and identity. A line is made once, and only when somebody takes it.
 *
 * Thread: publisher_init and publisher_join before any worker runs; all else from any. Sinks are called on the thread
 * that publishes, most often a worker's: they must not wait for anything but a short lock.
 */
#ifndef SERVICE_PUBLISHER_H
#define SERVICE_PUBLISHER_H

#include "kdnet/event.h"
#include "service/output/event_json.h"
#include "service/output/event_log.h"
#include "service/output/identity.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PUBLISHER_SINKS 4

/* An event line; all of it is borrowed for the call. */
struct published_event {
    const char *id;
    uint64_t time_us; /* since 1970, UTC */
    const char *type; /* "crash_status" and so on */
    enum event_worth worth;
    const char *target;                 /* NULL: of none */
    const char *crash;                  /* 16 hex digits; NULL: of none */
    const struct config_labels *labels; /* of the target; NULL: none */
    const struct kdnet_event *event;    /* what the session said; NULL: the event is of no session */
    const char *line;                   /* the JSON object with its line end; NUL-ended */
    size_t length;                      /* of the line, with its line end */
};

typedef void publisher_sink_fn(void *user, const struct published_event *event);

struct publisher {
    struct event_log *log;          /* borrowed */
    struct identity_clock id_clock; /* of events of no session */
    struct {
        publisher_sink_fn *take;
        void *user;
    } sinks[PUBLISHER_SINKS];
    size_t sink_count;
};

void publisher_init(struct publisher *publisher, struct event_log *log);

/* Hands each further event to `take`, too. False: there are PUBLISHER_SINKS already. */
bool publisher_join(struct publisher *publisher, publisher_sink_fn *take, void *user);

/* Whether somebody takes events: otherwise publishing does nothing. */
bool publisher_is_wanted(const struct publisher *publisher);

/*
 * Each publishes one event: it goes to the sinks, then to the event log, which writes it after event_log_ring. Returns
 * the number of its line there; 0: it is not in the event log.
 */
uint64_t publisher_event(struct publisher *publisher, const struct event_json_subject *subject,
                         const struct kdnet_event *event);

/* A target was taken out. */
uint64_t publisher_removed(struct publisher *publisher, struct event_json_subject *subject);

/* As event_json_unknown. */
uint64_t publisher_unknown(struct publisher *publisher, struct event_json_unknown *unknown, const char *configured,
                           const char *hint);

uint64_t publisher_listener(struct publisher *publisher, struct event_json_listener *listener);

/* What kdnetd itself has done; `fields` as of event_json_service. `id`: the event's; empty when nobody takes events. */
uint64_t publisher_service(struct publisher *publisher, struct event_json_service *service, struct json_t *fields,
                           char id[static IDENTITY_SIZE]);

#endif
