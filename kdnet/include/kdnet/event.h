/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event: what a session has to tell (DESIGN.md section 3).
 *
 * An event owns nothing; `text` and `evidence` are borrowed until the session is
 * called again.
 */
#ifndef KDNET_EVENT_H
#define KDNET_EVENT_H

#include "kdnet/header.h"
#include "kdnet/assessment.h"
#include "kdnet/evidence.h"
#include "kdnet/kernel.h"
#include "kdnet/policy.h"
#include "kdnet/verdict.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

KDNET_HEADER_BEGIN

#define KDNET_SESSION_ID_LENGTH 8
#define KDNET_BUCKET_SIZE       112 /* of the name of a crash's group, with its NUL */
#define KDNET_IDENTITY_LENGTH   8   /* of the name of a boot or a crash: the start of a SHA-256 */

struct kdnet_trace;

enum kdnet_event_type {
    KDNET_EVENT_CONNECTED,
    KDNET_EVENT_KERNEL,
    KDNET_EVENT_BUGCHECK,
    KDNET_EVENT_BREAK_IN,
    KDNET_EVENT_CRASH_STATUS,
    KDNET_EVENT_RELEASED,
    KDNET_EVENT_LOST,
    KDNET_EVENT_PRINT,
    KDNET_EVENT_BREAK_STORM,
    KDNET_EVENT_HELD,
    KDNET_EVENT_SUPPRESSED,
    KDNET_EVENT_NO_LAST_BREAK,
    KDNET_EVENT_TYPES,
};

/* Each machine has this budget for every kind of event but KDNET_EVENT_LOST and the last two; and one of its own for
 * the results of crashes. What is beyond is counted. */
#define KDNET_EVENTS_AT_ONCE 20U
#define KDNET_EVENT_EVERY_US 1000000U

struct kdnet_event_connected {
    uint8_t version;
    bool rebooted;  /* another target random than the session before had */
    bool took_over; /* the target said that it was connected already */
    bool first;     /* since the session was made */
};

struct kdnet_event_kernel {
    uint8_t who;      /* enum kdnet_who, or something else */
    uint16_t build;   /* build number */
    uint16_t machine; /* enum kdnet_machine, or something else */
    uint64_t kernel_base;
    bool build_lab_known, pdb_known;
    char build_lab[KDNET_BUILD_LAB_SIZE];
    struct kdnet_pdb pdb;
};

struct kdnet_event_bugcheck {
    bool known; /* in an event that only may have one */
    bool from_memory;
    struct kdnet_bugcheck data;
};

struct kdnet_event_break_in {
    enum kdnet_phase phase;
    bool exception; /* the fields below are an exception's */
    uint32_t code;
    uint64_t address;
    bool first_chance;
};

struct kdnet_event_crash_status {
    enum kdnet_phase phase;
    struct kdnet_conclusion conclusion;
    bool status_known;
    uint32_t status;
    bool address_known;
    uint64_t address; /* of IopFinalCrashDumpStatus in this boot of this machine */
    struct kdnet_event_bugcheck bugcheck;
    bool build_lab_known;
    char build_lab[KDNET_BUILD_LAB_SIZE];
    uint32_t rtt_us;  /* smoothed; 0: not measured */
    uint64_t read_us; /* from the state change to this result */
    bool since_first_known;
    uint64_t since_first_us; /* from the release of this crash's first break to this break */
    bool symbols_pending;    /* the status is unknown because its look-up had not ended */
    bool break_status_known;
    char bucket[KDNET_BUCKET_SIZE];  /* the crash's group; empty: not known */
    const struct kdnet_trace *trace; /* where the crash came from, at its first break; NULL: not asked. Borrowed */
    struct kdnet_dump_facts dump;    /* what else is known of the dump: for kdnet_assess */
    uint64_t break_status;           /* evidence: first argument register at BreakpointWithStatus */
    const struct kdnet_evidence *evidence; /* further values; NULL: none were asked for, or time was out before */
};

struct kdnet_event_released {
    enum kdnet_action action;
    uint64_t halted_us;          /* from the state change */
    enum kdnet_leftover cleared; /* what a former debugger had left there, and is gone now */
    bool cleared_first;          /* the first such one since the machine started */
    uint32_t repeated;           /* times that the machine has said this same break again, which has no other event */
};

/* The policy holds a machine that has no break to tell of: at a question, at the load of an image, at an ordinary
 * shutdown. A break that is held has KDNET_EVENT_RELEASED with the action hold. */
struct kdnet_event_held {
    enum kdnet_break_kind why;
    uint64_t hold_for_us; /* from now; 0: until somebody releases the machine */
};

struct kdnet_event_lost {
    uint64_t silent_us; /* since the last authentic datagram, by the caller's times */
    bool halted;
};

struct kdnet_event_print {
    const char *text; /* from the target: not to be trusted; not NUL-ended */
    size_t length;
};

/* The machine breaks in so often that it is released unread; at most once a minute. A bug check is read all the same.
 */
struct kdnet_event_break_storm {
    uint32_t unread; /* breaks released unread since the last such event, this one included */
};

/* Events of this kind were not told: the machine causes too many. */
struct kdnet_event_suppressed {
    enum kdnet_event_type kind;
    uint32_t count; /* since the last such event */
};

/* A crash went on from its first break, and no last one came: the machine runs, or has started anew. */
struct kdnet_event_no_last_break {
    bool rebooted;           /* it has started anew; else it survived its bug check, or cannot break in any more */
    uint64_t since_first_us; /* from the release of the first break */
    struct kdnet_event_bugcheck bugcheck;
};

/* What an event belongs to. */
struct kdnet_event_identity {
    uint32_t number; /* among the events of its session that were told, from 1 */
    bool boot_known, crash_known;
    bool nested_known;                    /* inside the crash came another bug check */
    uint8_t boot[KDNET_IDENTITY_LENGTH];  /* the run of the machine's KDNET */
    uint8_t crash[KDNET_IDENTITY_LENGTH]; /* as its first break gave it, until the machine has shown a new boot */
    struct kdnet_bugcheck nested;
};

struct kdnet_event {
    enum kdnet_event_type type;
    uint8_t session[KDNET_SESSION_ID_LENGTH];
    struct kdnet_event_identity of;
    union {
        struct kdnet_event_connected connected;
        struct kdnet_event_kernel kernel;
        struct kdnet_event_bugcheck bugcheck;
        struct kdnet_event_break_in break_in;
        struct kdnet_event_crash_status crash_status;
        struct kdnet_event_released released;
        struct kdnet_event_lost lost;
        struct kdnet_event_print print;
        struct kdnet_event_break_storm break_storm;
        struct kdnet_event_held held;
        struct kdnet_event_suppressed suppressed;
        struct kdnet_event_no_last_break no_last_break;
    } u;
};

KDNET_HEADER_END

#endif
