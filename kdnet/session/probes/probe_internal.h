/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe_internal: a probe is one question to a halted machine, in a file of its own. table.c has the order of the
 * probes; probes.c runs them. How to add a probe: kdnet/README.md.
 */
#ifndef KDNET_PROBE_INTERNAL_H
#define KDNET_PROBE_INTERNAL_H

#include "kdnet/session/state_internal.h"

/* A probe has one request in flight at a time: kdnet_request_read or kdnet_request_plain, with KDNET_FOR_PROBE. */
enum kdnet_probe_outcome {
    KDNET_PROBE_TAKEN,
    KDNET_PROBE_MORE,     /* its next request goes out at once, before other probes' requests */
    KDNET_PROBE_UNUSABLE, /* treated like a missing reply: `failed` is called next */
};

/* A reply. */
struct kdnet_answer {
    const struct kdnet_manipulate *reply; /* last packet of the reply */
    const uint8_t *data;                  /* of a read: all bytes that came, 0 bytes when unreadable */
    size_t length;
    bool whole; /* as much as was asked for */
};

/* Which requests are waited for although the read deadline has come, in a crash (reach.c). */
enum kdnet_probe_await {
    KDNET_AWAIT_NEVER,
    KDNET_AWAIT_LAST, /* asked at a break that may be the last one: distinguishes the last break from others */
    KDNET_AWAIT_IN_CRASH,
};

struct kdnet_probe {
    const char *name;
    unsigned needs; /* bits of enum kdnet_fact: all must be known before the probe runs */
    unsigned gives; /* bits of enum kdnet_fact: the probe is done when all were tried. 0: `next` decides */
    enum kdnet_probe_await await;
    size_t state_size; /* bytes of private state for each break, zero at first (kdnet_probe_state). 0: none */

    /* Sends the next request. False: there is none. */
    bool (*next)(struct kdnet_session *session, uint64_t now_us);

    /* Takes the reply to the probe's request. */
    enum kdnet_probe_outcome (*take)(struct kdnet_session *session, const struct kdnet_answer *answer);

    /* The request ended without a usable answer. Must settle the facts that the probe gives, or make no further
     * request. */
    void (*failed)(struct kdnet_session *session);
};

/* Which halts a row of the table is for: bits. */
enum kdnet_probe_when {
    KDNET_WHEN_BREAK = 1 << 0,
    KDNET_WHEN_STORM = 1 << 1,       /* a break too many, too, of which only a bug check is read; or of a machine that
                                        has waited too long */
    KDNET_WHEN_KERNEL_LOAD = 1 << 2, /* the load of the kernel's own image, once a boot */
    KDNET_WHEN_FAR = 1 << 3,         /* only on a machine too far away for all questions (reach.c) */
    KDNET_WHEN_PRINTS = 1 << 4,      /* of breaks only while the caller knows images by their prints */
    KDNET_WHEN_UNNAMED = 1 << 5,     /* and the kernel's identity was not asked for */
    KDNET_WHEN_GOES_DOWN = 1 << 6,   /* at a shutdown also of a machine that has waited too long: a crash, or none */
};

/* The order of questions: the first row that applies and has a request is asked next. A probe that comes earlier on
 * some machines has several rows. */
struct kdnet_probe_row {
    const struct kdnet_probe *probe;
    unsigned when; /* enum kdnet_probe_when */
};

extern const struct kdnet_probe_row kdnet_probe_table[];
extern const size_t kdnet_probe_table_rows;

extern const struct kdnet_probe kdnet_probe_version;
extern const struct kdnet_probe kdnet_probe_debugger_data;
extern const struct kdnet_probe kdnet_probe_context;
extern const struct kdnet_probe kdnet_probe_bugcheck;
extern const struct kdnet_probe kdnet_probe_build_lab;
extern const struct kdnet_probe kdnet_probe_image_identity;
extern const struct kdnet_probe kdnet_probe_dump_status;
extern const struct kdnet_probe kdnet_probe_evidence;
extern const struct kdnet_probe kdnet_probe_dump_log;
extern const struct kdnet_probe kdnet_probe_cause;

/* Returns the probe's private state at this break; NULL: out of memory, so no request can be made. The state lives
 * until the next break, or until the session becomes idle. */
void *kdnet_probe_state(struct kdnet_session *session, const struct kdnet_probe *probe);

/* Returns the probe's private state; NULL: none yet. */
void *kdnet_probe_state_find(const struct kdnet_session *session, const struct kdnet_probe *probe);

/* Limits the rest of the read to the share of the read deadline, a quarter, that each of the last probes may take.
 * Returns the end of the share: no request outlasts it, whether or not the machine answers. */
uint64_t kdnet_probe_share(struct kdnet_session *session, uint64_t now_us);

/* Whether the answer to one more request may be expected before the end of the share. A request that the end cuts off
 * leaves the link unproven, and delays the release. */
bool kdnet_probe_has_time(const struct kdnet_session *session, uint64_t until_us, uint64_t now_us);

/* Frees the probe's state at this break. */
void kdnet_probe_state_end(struct kdnet_session *session, const struct kdnet_probe *probe);

#endif
