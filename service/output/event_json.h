/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event_json: makes events into JSON objects, one a line. config/events.schema.json is the contract.
 *
 * Fields are only ever added.
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

/* The machine that an event is about, and the event's time. */
struct event_json_subject {
    uint64_t time_us;                   /* since 1970, UTC */
    const char *collector;              /* name of the reporting collector */
    uint64_t number;                    /* number of an event without a session (identity.h) */
    const struct config_labels *labels; /* of the target; NULL: none */
    const char *target;                 /* the target's name */
    const struct address *address;      /* NULL: not known */
    const struct address
        *configured;   /* for a connected event from another place: the configured IP address; else NULL */
    bool old_key;      /* for a connected event: the machine showed a key of key_old */
    const char *tried; /* for a crash_status without symbols: the sources tried, with their answers; or NULL */
};

/* Pokes from one source that no key opens. */
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
    size_t machines; /* machines that fell silent */
};

/*
 * Makes an event's JSON text with line end. `length` excludes the NUL. NULL: out of memory. The caller frees the text
 * with free().
 */
char *event_json_event(const struct event_json_subject *subject, const struct kdnet_event *event, size_t *length);

/* Makes the event of a target that was removed. */
char *event_json_removed(const struct event_json_subject *subject, size_t *length);

/* Makes an unknown_target event. `hint`: advice in words; `configured`: the target configured for the address, or
 * NULL. */
char *event_json_unknown(const struct event_json_unknown *unknown, const char *configured, const char *hint,
                         size_t *length);

char *event_json_listener(const struct event_json_listener *listener, size_t *length);

/* Actions of kdnetd itself: action, reload, sink_overrun. */
struct json_t;
struct event_json_service {
    uint64_t time_us;
    const char *collector;
    uint64_t number; /* identity.h */
    const char *event;
    const char *target, *crash; /* target and crash that the action is about; NULL: none */
};

/* `fields` are of the event alone, and are taken over; NULL: memory is out. */
char *event_json_service(const struct event_json_service *service, struct json_t *fields, size_t *length);

/* Writes the GUID of a symbol file in the form that symbol stores use, without the age. NUL-terminated. */
void event_json_guid(const struct kdnet_pdb *pdb, char out[static 33]);

/* Returns "connected" and so on; never NULL for a valid type. */
const char *event_json_event_name(enum kdnet_event_type type);

/* The id of a session: 16 hex digits, NUL-ended. */
void event_json_session(const uint8_t session[static KDNET_SESSION_ID_LENGTH],
                        char out[static 2 * KDNET_SESSION_ID_LENGTH + 1]);

/* RFC 3339, UTC, microseconds. NUL-ended. */
void event_json_time(uint64_t time_us, char out[static EVENT_JSON_TIME_SIZE]);

#endif
