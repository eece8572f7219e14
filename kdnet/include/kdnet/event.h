/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event: what a session reports to its caller (DESIGN.md section 3).
 *
 * An event owns nothing: `text`, `trace` and `evidence` are borrowed until the next call of the session.
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
#define KDNET_BUCKET_SIZE       112 /* bytes of a crash group's name, with the NUL */
#define KDNET_IDENTITY_LENGTH   8   /* bytes of the id of a boot or a crash: the start of a SHA-256 */

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

/* Rate limit for each machine and each kind of event but KDNET_EVENT_LOST and the last two; results of crashes have
 * a limit of their own. Events beyond the limit are counted (KDNET_EVENT_SUPPRESSED). */
#define KDNET_EVENTS_AT_ONCE 20U
#define KDNET_EVENT_EVERY_US 1000000U

struct kdnet_event_connected {
    uint8_t version;
    bool rebooted;  /* the handshake had another target random than the session's previous handshake */
    bool took_over; /* the target said that it was connected to another host or process */
    bool first;     /* the first handshake since the session was made */
};

struct kdnet_event_kernel {
    uint8_t who;      /* enum kdnet_who, or an unknown value */
    uint16_t build;   /* build number */
    uint16_t machine; /* enum kdnet_machine, or an unknown value */
    uint64_t kernel_base;
    bool build_lab_known, pdb_known;
    char build_lab[KDNET_BUILD_LAB_SIZE];
    struct kdnet_pdb pdb;
};

struct kdnet_event_bugcheck {
    bool known; /* false in an event whose bug check is optional and absent */
    bool from_memory;
    struct kdnet_bugcheck data;
};

struct kdnet_event_break_in {
    enum kdnet_phase phase;
    bool exception; /* code, address and first_chance describe an exception */
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
    uint64_t address; /* of IopFinalCrashDumpStatus, in this boot of this machine */
    struct kdnet_event_bugcheck bugcheck;
    bool build_lab_known;
    char build_lab[KDNET_BUILD_LAB_SIZE];
    uint32_t rtt_us;  /* smoothed; 0: not measured */
    uint64_t read_us; /* from the state change to this result */
    bool since_first_known;
    uint64_t since_first_us; /* from the release of this crash's first break to this break */
    bool symbols_pending;    /* the status is unknown because its look-up had not ended */
    bool break_status_known;
    bool demanded; /* by an operator (kdnet_session_read, kdnet_session_break_in): no limit suppresses this result */
    char bucket[KDNET_BUCKET_SIZE];  /* name of the crash's group; empty: unknown */
    const struct kdnet_trace *trace; /* origin of the crash, found at its first break; NULL: not searched. Borrowed */
    struct kdnet_dump_facts dump;    /* input of kdnet_assess */
    uint64_t break_status;           /* first argument register at BreakpointWithStatus (evidence) */
    const struct kdnet_evidence *evidence; /* further values; NULL: none were configured, or the deadline came first */
};

struct kdnet_event_released {
    enum kdnet_action action;
    uint64_t halted_us;          /* from the state change */
    enum kdnet_leftover cleared; /* what a former debugger had left in the machine and this session removed */
    bool cleared_first;          /* the first such removal since the machine started */
    uint32_t repeated;           /* repeats of this break by the machine, which have no event of their own */
};

/* The policy holds a machine at a stop that is no break: at a prompt, at the load of an image, at an ordinary
 * shutdown. For a break that is held the session reports KDNET_EVENT_RELEASED with action KDNET_ACTION_HOLD. */
struct kdnet_event_held {
    enum kdnet_break_kind why;
    uint64_t hold_for_us; /* remaining time; 0: until somebody releases the machine */
};

struct kdnet_event_lost {
    uint64_t silent_us; /* since the last authentic datagram, on the caller's clock */
    bool halted;
};

struct kdnet_event_print {
    const char *text; /* untrusted bytes from the target; not NUL-terminated */
    size_t length;
};

/* The machine breaks in so often that it is released unread (rate limit above). Reported at most once a minute. Bug
 * checks are still read. */
struct kdnet_event_break_storm {
    uint32_t unread; /* breaks released unread since the last such event, including this one */
};

/* Events of this kind were not reported, because the machine caused too many. */
struct kdnet_event_suppressed {
    enum kdnet_event_type kind;
    uint32_t count; /* since the last such event */
};

/* The machine was released from the first break of a crash, and no last break came. */
struct kdnet_event_no_last_break {
    bool rebooted; /* the machine has restarted; false: it survived its bug check, or cannot break in any more */
    uint64_t since_first_us; /* from the release of the first break */
    struct kdnet_event_bugcheck bugcheck;
};

/* Which session, boot and crash an event belongs to. */
struct kdnet_event_identity {
    uint32_t number; /* of this event among the reported events of its session, from 1 */
    bool boot_known, crash_known;
    bool nested_known;                   /* another bug check came inside the crash */
    uint8_t boot[KDNET_IDENTITY_LENGTH]; /* id of the run of the machine's KDNET */
    uint8_t
        crash[KDNET_IDENTITY_LENGTH]; /* id made at the crash's first break; kept until the machine shows a new boot */
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
