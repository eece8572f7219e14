/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_json: what a session has to tell, as one JSON object on one line. config/events.schema.json is the contract.
 *
 * Uses address, config, identity and, of kdnet, event, names. One function makes the objects; fields are only ever
 * added.
 */
#ifndef SERVICE_EVENT_JSON_H
#define SERVICE_EVENT_JSON_H

#include "config/config.h"
#include "kdnet/event.h"
#include "service/net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENT_JSON_TIME_SIZE 32 /* 2026-11-22T10:00:00.123456Z and the NUL */

/* Who the event is about, and when it was. */
struct event_json_subject {
    uint64_t time_us;                   /* since 1970, UTC */
    const char *collector;              /* who tells it */
    uint64_t number;                    /* identity.h; of what is told of no session */
    const struct config_labels *labels; /* of the target; NULL: none */
    const char *target;                 /* its name */
    const struct address *address;      /* NULL: not known */
    const struct address *configured;   /* of a connected one that is elsewhere: its configured IP address; or NULL */
    bool old_key;                       /* of a connected one: it has shown a key of key_old */
    const char *tried; /* of a crash_status without symbols: what was tried and what each answered; or NULL */
};

/* Pokes of one source that no key opens. */
struct event_json_unknown {
    uint64_t time_us;
    const char *collector;
    uint64_t number; /* identity.h */
    struct address source;
    uint16_t listen_port;
    uint8_t version;
    uint64_t count; /* since the last such event of this source */
};

/* A listener that fell silent, or hears machines again. */
struct event_json_listener {
    uint64_t time_us;
    const char *collector;
    uint64_t number; /* identity.h */
    struct address local;
    bool silent;
    size_t machines; /* that fell silent */
};

/*
 * The event as JSON text with a line end. `length` is that of the text, without the NUL.
 * NULL: out of memory. The caller frees it with free().
 */
char *event_json_event(const struct event_json_subject *subject, const struct kdnet_event *event, size_t *length);

/* A target that was taken out. */
char *event_json_removed(const struct event_json_subject *subject, size_t *length);

/* `hint` says in words what to do; `configured`: the target that is configured for its address, or NULL. */
char *event_json_unknown(const struct event_json_unknown *unknown, const char *configured, const char *hint,
                         size_t *length);

char *event_json_listener(const struct event_json_listener *listener, size_t *length);

/* What kdnetd itself has done: action, reload, sink_overrun. */
struct json_t;
struct event_json_service {
    uint64_t time_us;
    const char *collector;
    uint64_t number; /* identity.h */
    const char *event;
    const char *target, *crash; /* that it is about; NULL: none */
};

/* `fields` are of the event alone, and are taken over; NULL: memory is out. */
char *event_json_service(const struct event_json_service *service, struct json_t *fields, size_t *length);

/* The GUID of a symbol file as symbol stores have it, without the age. NUL-ended. */
void event_json_guid(const struct kdnet_pdb *pdb, char out[static 33]);

/* "connected" and so on; never NULL for a type that there is. */
const char *event_json_event_name(enum kdnet_event_type type);

/* The id of a session: 16 hex digits, NUL-ended. */
void event_json_session(const uint8_t session[static KDNET_SESSION_ID_LENGTH],
                        char out[static 2 * KDNET_SESSION_ID_LENGTH + 1]);

/* RFC 3339, UTC, microseconds. NUL-ended. */
void event_json_time(uint64_t time_us, char out[static EVENT_JSON_TIME_SIZE]);

#endif
