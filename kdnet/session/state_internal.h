/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_internal: the state of a session, shared by the files of this room. Not for callers.
 *
 * An idle target costs struct kdnet_session only. The rest is allocated on demand: `offers` while keys are negotiated,
 * `active` while packets are exchanged, `kernel_info` once the machine has halted, `history` once the machine has sent
 * data.
 */
#ifndef KDNET_STATE_INTERNAL_H
#define KDNET_STATE_INTERNAL_H

#include "kdnet/kernel/debugger_data.h"
#include "kdnet/wire/handshake.h"
#include "kdnet/kernel/image_identity.h"
#include "kdnet/session/link.h"
#include "kdnet/wire/manipulate.h"
#include "kdnet/wire/state_change.h"
#include "kdnet/session.h"

#define KDNET_EVENTS       16
#define KDNET_NEVER        UINT64_MAX
#define KDNET_READ_SPACE   1024
#define KDNET_FIRST_TAGS   8
#define KDNET_PROBE_STATES 8U

struct kdnet_boot_cache;
struct kdnet_probe;
struct kdnet_evidence_probe;
struct kdnet_offers;

/*
 * Facts that probes learn of a halted machine (probes/probe_internal.h). Bits below 8 hold for one boot of the machine,
 * the others for one break.
 */
enum kdnet_fact {
    KDNET_FACT_VERSION = 1 << 0,
    KDNET_FACT_KERNEL = 1 << 1, /* Windows itself answers, on a processor whose structures are known */
    KDNET_FACT_DEBUGGER_DATA = 1 << 2,
    KDNET_FACT_BUILD_LAB = 1 << 3,
    KDNET_FACT_IDENTITY = 1 << 4, /* identity of the kernel's image */
    KDNET_FACT_CONTEXT = 1 << 8,
    KDNET_FACT_BUGCHECK = 1 << 9,
    KDNET_FACT_STATUS = 1 << 10,
};

/* Bit sets of kdnet_fact. tried: the probe has asked, with or without success; known: the machine gave the fact. */
struct kdnet_facts {
    uint16_t tried, known;
};

static inline bool kdnet_is_known(const struct kdnet_facts *facts, enum kdnet_fact fact)
{
    return (facts->known & (unsigned)fact) != 0;
}

static inline bool kdnet_is_tried(const struct kdnet_facts *facts, enum kdnet_fact fact)
{
    return (facts->tried & (unsigned)fact) != 0;
}

/* Records that a fact was asked for, and whether the machine gave the fact. */
static inline void kdnet_settle(struct kdnet_facts *facts, enum kdnet_fact fact, bool known)
{
    facts->tried = (uint16_t)(facts->tried | (unsigned)fact);
    facts->known = (uint16_t)(known ? facts->known | (unsigned)fact : facts->known & ~(unsigned)fact);
}

/* Constant during one boot of a machine; asked once. */
struct kdnet_kernel_info {
    struct kdnet_boot_cache *boot_cache; /* evidence of the boot; NULL: none was asked for (kdnet_kernel_info_clear) */
    struct kdnet_facts facts;
    bool reported;       /* the kernel event was reported */
    bool block_asked;    /* the address of the debugger data block was asked for */
    bool block_recalled; /* that address came from another machine with the same kernel (layout_cache.h) */
    bool pieces,
        pieces_refused; /* a whole CONTEXT exceeds the network's packets; the machine cannot read a CONTEXT in pieces */
    uint8_t too_long;   /* timeouts of long reads since a long read succeeded */
    uint16_t read_most; /* most bytes of one read; 0: KDNET_READ_SPACE */
    struct kdnet_version version;
    struct kdnet_debugger_data data;
    bool block_found;      /* data_address is known */
    uint64_t data_address; /* of the debugger data block */
    char build_lab[KDNET_BUILD_LAB_SIZE];
    struct kdnet_image_way way; /* progress towards the image's identity */
    struct kdnet_pdb pdb;
};

enum kdnet_stage {
    KDNET_STAGE_RUNNING, /* not halted */
    KDNET_STAGE_READING,
    KDNET_STAGE_RESUMING, /* stepping over the breakpoint */
    KDNET_STAGE_GOING,    /* a Continue or Reboot is in flight */
    KDNET_STAGE_HELD,
};

/* Purpose of the request in flight. */
enum kdnet_purpose {
    KDNET_FOR_NOTHING,
    KDNET_FOR_PROBE,
    KDNET_FOR_SET_CONTEXT,
    KDNET_FOR_SAME,  /* asks whether the machine is still at the break that was continued */
    KDNET_FOR_PROOF, /* proves that the target counts packet ids as the session does, before a Continue, which has no
                        reply */
};

/* The request in flight to a halted machine. */
struct kdnet_request {
    enum kdnet_purpose purpose;
    const struct kdnet_probe *probe; /* for KDNET_FOR_PROBE */
    uint64_t address;                /* next address to read */
    uint32_t wanted, have;           /* bytes of the whole read; they may come in several replies */
    uint32_t most;                   /* bytes to ask for at once */
    bool (*is_enough)(const uint8_t *data, size_t length); /* whether the bytes so far suffice; NULL: all are needed */
    uint8_t data[KDNET_READ_SPACE];
};

enum kdnet_evidence_stage {
    KDNET_EVIDENCE_NOT_YET,
    KDNET_EVIDENCE_UNDER_WAY,
    KDNET_EVIDENCE_OVER,
};

/* What the machine said when it halted. */
struct kdnet_stop {
    struct kdnet_state_change change; /* `change.report` points to `report` */
    uint8_t report[48];
    uint32_t checksum; /* of the state change's payload, to recognise a repeat */
    size_t length;
    bool load_symbols; /* one image is loaded: continued without an event */
    bool prompt;       /* a prompt that the policy holds; `report` then has the answer's payload */
    bool nested;       /* came while another break was not continued; the machine may still wait at the outer break */
    bool kernel_loads; /* the loaded image is the kernel */
    bool shutdown;     /* the unload of all symbols */
};

/* Events of this break that were reported. */
struct kdnet_reported {
    bool break_in, status, release, held;
};

struct kdnet_registers {
    unsigned too_large; /* timeouts of a request for a whole CONTEXT */
    size_t length;
    uint8_t bytes[KDNET_CONTEXT_MAX];
};

/* State of reading IopFinalCrashDumpStatus. */
struct kdnet_dump_status {
    bool waiting; /* the symbol look-up is pending */
    bool address_known;
    uint64_t address;
    uint32_t value;
    enum kdnet_reason reason; /* why the status is unknown */
    enum kdnet_source source;
};

/* Progress of releasing the machine. */
struct kdnet_resuming {
    bool stepped;     /* the program counter was moved over the breakpoint */
    bool distrusted;  /* one last RESET went out before unanswered packets are given up */
    bool interrupted; /* the deadline came while a request was in flight */
    unsigned proofs;  /* requests made to prove the link in step */
    unsigned asked;   /* RESENDs since a new key came while a Continue was in flight */
    unsigned heard;   /* pokes since the Continue went out */
    unsigned
        other_host_pokes; /* pokes that name another host since the machine was last heard under the session's key */
    unsigned duplicate_breaks; /* repeats of the same state change while a Continue was in flight */
};

/* One break, from the state change to the release. */
struct kdnet_halt {
    struct kdnet_stop stop;
    enum kdnet_stage stage; /* set by kdnet_halt_set_stage. From here on: progress, which begin_again clears */
    enum kdnet_action action;
    uint64_t since_us;        /* start of the halt, on the clock of reported durations (kdnet_state_people_us) */
    uint64_t deadline_us;     /* end of the read, or of the hold */
    uint64_t paused_until_us; /* when a probe that has no question now is asked for its next one; 0: none pauses */
    struct kdnet_reported reported;
    bool repeat;         /* the crash's last break, repeated by the machine: nothing new to report */
    bool told;           /* another host has told this break's result */
    bool waits_for_word; /* the read's time is over; another host, which has the machine now, may tell the result */
    bool reboot;         /* an operator wants a reboot after the read */
    bool again;          /* a held machine is read again, and held as before until held_until_us */
    uint64_t held_until_us;
    uint64_t again_us; /* start of the second read (kdnet_state_people_us) */
    bool unread;       /* the break exceeds the rate limit: only a bug check is read */
    bool hurried;      /* the machine has waited too long (breaks_pass): only what its break is is asked */
    bool late;         /* the deadline has come while a reply was awaited */
    unsigned awaited;  /* replies awaited beyond the deadline, besides GetVersion's */
    enum kdnet_evidence_stage evidence_stage;
    struct kdnet_facts facts;
    struct kdnet_bugcheck bugcheck;
    struct kdnet_dump_status dump_status;
    struct kdnet_resuming resuming;
    struct kdnet_registers registers;
    struct kdnet_request request;
};

/* Private states of the probes at this break (kdnet_probe_state). */
struct kdnet_probe_states {
    unsigned count;
    const struct kdnet_probe *of[KDNET_PROBE_STATES];
    void *state[KDNET_PROBE_STATES];
};

/* Needed while packets are exchanged with the target. */
struct kdnet_active {
    struct kdnet_link link;
    struct kdnet_halt halt;
    struct kdnet_probe_states states;
    uint32_t told_checksum;     /* of the break whose result was told last; 0: none */
    uint32_t question_checksum; /* of the prompt or file question that was answered last */
    bool question_doubted;      /* the question came again while its answer was in flight */
    unsigned event_first, event_count;
    struct kdnet_event event[KDNET_EVENTS];
    struct kdnet_evidence
        *evidence[KDNET_EVENTS];                 /* of the event at the same index; freed when the slot is used again */
    struct kdnet_trace *trace[KDNET_EVENTS];     /* of the event at the same index; freed when the slot is used again */
    struct kdnet_evidence_probe *evidence_probe; /* evidence collected so far at this break */
    char print[KDNET_PACKET_PAYLOAD_MAX];
};

/* The crash's break that had the last result. A machine that can only break in again repeats this break for ever. */
struct kdnet_last_break {
    bool known;
    bool status_known;
    enum kdnet_phase phase;
    uint32_t checksum; /* of the state change's payload */
    uint32_t status;
    uint32_t repeated; /* repeats of the break */
    struct kdnet_conclusion conclusion;
};

/* A crash spans several breaks, and handshakes between the breaks. */
struct kdnet_crash {
    bool printed;                         /* "Fatal System Error" was printed since the machine last went on */
    bool dumping;                         /* released from the first break: silent until the dump is written */
    bool first_released;                  /* first_released_us is valid */
    uint64_t first_released_us;           /* on the clock of kdnet_state_people_us */
    uint64_t kernel_base;                 /* of the kernel that was seen last; 0: none */
    struct kdnet_event_bugcheck bugcheck; /* as reported */
    char bucket[KDNET_BUCKET_SIZE];       /* empty: not known yet */
    bool first_seen;                      /* the first break was read; `setup` is valid */
    struct kdnet_dump_setup setup;
    struct kdnet_last_break last;
};

/* Identity that events carry (identity.c). struct kdnet_crash ends when the machine is sent into its next boot; this
 * struct ends when the next boot has shown itself. */
struct kdnet_identity {
    bool boot_known, crash_known, nested_known;
    bool doubted; /* the machine showed another run since the crash's last break: perhaps a new boot */
    uint8_t boot[KDNET_IDENTITY_LENGTH];
    uint8_t crash[KDNET_IDENTITY_LENGTH];
    uint8_t crash_boot[KDNET_IDENTITY_LENGTH]; /* boot in which the crash got its id */
    struct kdnet_crash_memory recalled;  /* from the caller's memory; counts when the machine confirms the crash */
    uint64_t doubted_us;                 /* start of the doubt */
    uint64_t kernel_base;                /* of the kernel that crashed; 0: unknown */
    struct kdnet_bugcheck first, nested; /* nested: the newest bug check inside the crash */
};

/* The machine was released from a crash's first break and has to break in once more (dump_facts.c). */
struct kdnet_awaited_break {
    bool expected;
    bool rebooted;     /* the machine has shown another run since */
    uint8_t pokes;     /* pokes since */
    uint32_t checksum; /* of the first break's state change */
    uint64_t since_us; /* kdnet_state_people_us */
};

/* Index of the budget of crash results; index i < KDNET_EVENT_TYPES is the budget of event type i. */
#define KDNET_BUDGET_CRASH KDNET_EVENT_TYPES
#define KDNET_BUDGETS      (KDNET_EVENT_TYPES + 1)

/* Rate limits of the events that the machine causes (budget.c). */
struct kdnet_budget {
    uint64_t back_us[KDNET_BUDGETS]; /* when the budget will be whole again */
    uint32_t suppressed[KDNET_EVENT_TYPES];
    uint64_t report_us; /* when to report suppressed events; 0: none were suppressed */
};

/* A read that an operator demanded (demand.c). */
struct kdnet_demand_state {
    enum kdnet_demand now;
    bool held;         /* the machine was held; false: it was running */
    bool due;          /* a break-in request has to be sent */
    uint8_t steps;     /* break-in requests and RESENDs so far */
    uint64_t begun_us; /* start of the demand */
    uint64_t next_us;
    uint64_t ended_us; /* when the machine was last heard before the demand ended */
};

/* Past of the machine that still counts: its crash, and its recent breaks. */
struct kdnet_history {
    struct kdnet_crash crash;
    struct kdnet_identity identity;
    struct kdnet_awaited_break awaited;
    uint64_t breaks_us;         /* when the budget of breaks will be whole again */
    uint64_t storm_reported_us; /* last break storm event; 0: none */
    uint32_t unread;            /* breaks released unread since storm_reported_us */
    uint64_t stopped_us;        /* first arrival of a break that is not taken yet (breaks_wait); 0: none waits */
    uint32_t stopped_checksum;
    bool cleared_reported; /* the removal of a former debugger's single step was reported in this boot */
    struct kdnet_demand_state demand;
    struct kdnet_budget budget;
};

/* Of a machine whose datagrams come astray to hosts that show each other what they cannot open (claim.c). */
struct kdnet_strays {
    uint64_t word_us;  /* until when another host may say that it has the machine; 0: nobody is waited for */
    uint32_t kept_ms;  /* when another host said so last (kdnet_state_ms); 0: never */
    uint32_t since_ms; /* start of data that other hosts were shown (kdnet_state_ms); 0: none */
    uint32_t last_ms;  /* the last of it */
    bool again;        /* by a machine that still waits */
};

/*
 * One for each machine, and each machine pokes every three seconds. A poke of an idle machine touches only the members
 * before policy, three cache lines that kdnet_session_prefetch fetches; state that only breaking machines need is
 * allocated on demand.
 */
struct kdnet_session {
    const struct kdnet_session_shared *shared;
    struct kdnet_offers *offers;   /* NULL: no response waits for its confirmation */
    struct kdnet_active *active;   /* NULL while idle */
    struct kdnet_history *history; /* never NULL while `active` is not; NULL: nothing to remember */
    uint64_t last_seen_us;
    uint64_t control_sequence;
    uint64_t resend_us; /* when to send the next RESEND; KDNET_NEVER: at the machine's next poke */
    bool connected : 1; /* data_key is in force */
    bool lost : 1;
    bool rekey_wanted : 1; /* answer the next poke even if the target says that it is connected */
    bool renumbered : 1;   /* the target restarted its data sequence under this key */
    bool solicit_due : 1, solicit_to_sender : 1;
    bool word_waits : 1;      /* the machine waits for an answer to what other hosts were shown */
    bool has_strays : 1;      /* `strays` is there: to know, an idle machine's poke need not fetch that pointer */
    uint8_t response_due : 7; /* index in offers + 1; 0: none */
    bool knock_due : 1;       /* send RESEND under the newest offer's key */
    uint8_t lost_later;       /* seconds by which the loss report is delayed, for want of memory */
    uint8_t rival : 2;        /* another host serves this machine, too: countdown of the machine's pokes */
    bool asked : 1;           /* solicited_ms is the time of a request to poke */
    uint8_t claim_tries : 5;  /* tries of the claim's request */
    uint8_t resend_left : 5;  /* quick RESENDs left for a machine that may be halted */
    bool relayed : 1;         /* the datagram that is taken now came to another host */
    bool going_down : 1;      /* released from the last break before a restart */
    uint8_t : 0;
    uint8_t resend_slow : 5; /* 1 + RESENDs sent at growing intervals until the machine is heard; 0: none are sent */
    uint8_t response_doubted : 3; /* so often the response is given again, next at claim_us */
    uint16_t poked_ms;            /* kdnet_state_short_ms of the last poke, where another host may be; 0: not known */
    struct kdnet_keys keys;
    uint8_t target_random[KDNET_RANDOM_LENGTH]; /* from the newest poke of this session */

    const struct kdnet_policy *policy;
    struct kdnet_kernel_info *kernel_info; /* NULL: nothing is known of the kernel */
    struct kdnet_link_memory link;         /* valid while `active` is NULL */
    uint8_t id[KDNET_SESSION_ID_LENGTH];
    uint8_t data_key[KDNET_AES_KEY_LENGTH];
    uint64_t window_last, window_seen; /* received data sequences: the highest, and a bit for each of the 64 up to it */
    uint16_t
        first_tags[KDNET_FIRST_TAGS]; /* first bytes of the tags of the first data datagrams, indexed by sequence */
    uint64_t sequence : 36;           /* of our last data datagram; never decreases [w11] */
    uint64_t told : 28;               /* events reported in this session */
    uint64_t claim_us;                /* when to continue a claim (claim.c); 0: none is pending */
    struct kdnet_strays *strays;      /* NULL: other hosts were shown nothing lately */
    uint32_t foreign_ms;              /* start of data that none of our keys opens (kdnet_state_ms); 0: no such data */
    uint32_t solicited_ms; /* when the target was last asked for a poke or given a new key (kdnet_state_ms); 0: never */
    uint16_t waits_ms;     /* kdnet_state_short_ms of the last packet under an unknown key that wants an answer */
    uint8_t version, solicit_version;
    uint8_t foreign_rekeys : 4; /* new keys that the target was given lately */
    uint8_t claims_unpaid : 2;  /* claims since the machine last waited for the session */
    uint8_t resend_repeats : 2; /* of a question, in a row, that our RESENDs caused: each delays the next RESEND */
};

/* Frees the private states of the probes. */
void kdnet_probe_states_clear(struct kdnet_probe_states *states);

/* Frees what `info` owns, not `info` itself. NULL does nothing. */
void kdnet_kernel_info_clear(struct kdnet_kernel_info *info);

/* Allocates `active` and `history`. Returns false when out of memory. */
bool kdnet_state_wake(struct kdnet_session *session);

/*
 * The target pokes but seems not to hear the session. Perhaps the target has taken a later response of ours, whose
 * connection check was lost, and uses that response's key. Asks the target for a poke, which is answered
 * unconditionally.
 */
void kdnet_state_suspect_key(struct kdnet_session *session);

/* Converts to the clock of reported durations (lag_us). */
static inline uint64_t kdnet_state_people_us(const struct kdnet_session *session, uint64_t now_us)
{
    const struct kdnet_session_shared *shared = session->shared;
    return now_us + (shared->lag_us ? shared->lag_us(shared->user) : 0);
}

/* A coarse time in milliseconds, never 0. Wraps after 49 days; an old time may then look new for a moment. */
static inline uint32_t kdnet_state_ms(uint64_t now_us)
{
    uint32_t ms = (uint32_t)(now_us / 1000);
    return ms != 0 ? ms : 1;
}

static inline uint64_t kdnet_state_since(uint32_t ms, uint64_t now_us)
{
    return (uint32_t)(kdnet_state_ms(now_us) - ms) * UINT64_C(1000);
}

/* The policy's action for a kind of break; an invalid action counts as continue. */
static inline enum kdnet_action kdnet_state_action(const struct kdnet_session *session, enum kdnet_break_kind kind)
{
    enum kdnet_action action = session->policy->action[kind];
    return action == KDNET_ACTION_HOLD || action == KDNET_ACTION_REBOOT ? action : KDNET_ACTION_CONTINUE;
}

/* Adds 1 to a count of the caller (shared->counts). */
enum kdnet_count { KDNET_COUNT_REJECTED, KDNET_COUNT_REPEATED, KDNET_COUNT_SENT_AGAIN };
void kdnet_state_count(const struct kdnet_session *session, enum kdnet_count what);

/* Frees `active`. NULL does nothing. */
void kdnet_active_free(struct kdnet_active *active);

/* The target was heard: restarts timers that waited for the target. */
void kdnet_state_heard(struct kdnet_session *session, uint64_t now_us);

/* Returns how long a break is read. */
uint64_t kdnet_state_read_deadline(const struct kdnet_session *session);

/* Milliseconds that wrap around in a minute and are never 0: for intervals of seconds. */
static inline uint16_t kdnet_state_short_ms(uint64_t now_us)
{
    uint16_t ms = (uint16_t)(now_us / 1000);
    return ms != 0 ? ms : 1;
}

static inline uint64_t kdnet_state_short_since(uint16_t ms, uint64_t now_us)
{
    return (uint16_t)(kdnet_state_short_ms(now_us) - ms) * UINT64_C(1000);
}

/* Whether ACKs may come by another host: behind their replies, or never. */
static inline bool kdnet_state_is_shared(const struct kdnet_session *session)
{
    return session->rival > 0 || session->shared->relays;
}

/* Returns the known round trip, at most 100 ms. */
uint64_t kdnet_state_round_trip(const struct kdnet_session *session);

/* Whether the target may be asked for a poke now. True counts as asked. */
bool kdnet_state_may_solicit(struct kdnet_session *session, uint64_t now_us);

static inline bool kdnet_state_is_halted(const struct kdnet_session *session)
{
    return session->active && session->active->halt.stage != KDNET_STAGE_RUNNING;
}

#endif
