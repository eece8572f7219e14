/* SPDX-License-Identifier: Apache-2.0 */
/* rows: an event and a target, as the store takes and gives them. */
#ifndef SERVICE_STORE_ROWS_H
#define SERVICE_STORE_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_ERROR_SIZE 256 /* bytes of an error text */

/* What an event's line says first. */
struct store_facts {
    uint64_t time_us;
    const char *id, *type;
    const char *target, *crash; /* NULL: none */
};

/* A committed event; all members are borrowed for the call. */
struct store_event {
    uint64_t seq;
    uint64_t time_us; /* since 1970, UTC */
    const char *id;
    const char *type;   /* "crash_status" and so on */
    const char *target; /* NULL: of none */
    const char *crash;  /* NULL: of none */
    const char *line;   /* the JSON object, without its line end; NUL-terminated */
    size_t length;
    bool caught_up; /* from the result file: reported by an earlier process, or while the store was degraded */
};

/* A target's last state, as stored. */
struct store_target {
    const char *name;
    const char *state;                              /* the API's name of the state */
    uint64_t since_us, last_seen_us, held_until_us; /* 0: not known */
    const char *address;                            /* "192.0.2.7:51111"; NULL: not known. As all texts below */
    unsigned version;                               /* of KDNET; 0: not known */
    const char *boot, *session;                     /* 16 hex digits */
    const char *kernel;                             /* {"build_lab","machine","pdb"} as JSON */
    const char *listener;
    const char *crash, *verdict; /* of the target's newest crash */
    uint64_t crash_us;
};

#endif
