/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publisher: the one place through which every event line passes: into the event log, and to the registered sinks
 * (store, metrics).
 *
 * A line is made once, and only when somebody takes it.
 *
 * Thread: publisher_init and publisher_join before any worker runs; the rest from any. Sinks are called on the
 * publishing thread, mostly a worker's: they must not wait for anything but a short lock.
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

/* An event line; all members are borrowed for the call. */
struct published_event {
    const char *id;
    uint64_t time_us; /* since 1970, UTC */
    const char *type; /* "crash_status" and so on */
    enum event_worth worth;
    const char *target;                 /* NULL: of none */
    const char *crash;                  /* 16 hex digits; NULL: of none */
    const struct config_labels *labels; /* of the target; NULL: none */
    const struct kdnet_event *event;    /* the session's event; NULL: an event without a session */
    const char *line;                   /* the JSON object with line end; NUL-terminated */
    size_t length;                      /* bytes of the line, with line end */
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
 * Each publishes one event: to the sinks, then to the event log, which writes it after event_log_ring. Returns the
 * line's number in the event log; 0: not taken.
 */
uint64_t publisher_event(struct publisher *publisher, const struct event_json_subject *subject,
                         const struct kdnet_event *event);

/* A target was taken out. */
uint64_t publisher_removed(struct publisher *publisher, struct event_json_subject *subject);

/* As event_json_unknown. */
uint64_t publisher_unknown(struct publisher *publisher, struct event_json_unknown *unknown, const char *configured,
                           const char *hint);

uint64_t publisher_listener(struct publisher *publisher, struct event_json_listener *listener);

/* Publishes an action of kdnetd itself; `fields` as of event_json_service. `id`: the event's id; empty when nobody
 * takes events. */
uint64_t publisher_service(struct publisher *publisher, struct event_json_service *service, struct json_t *fields,
                           char id[static IDENTITY_SIZE]);

#endif
