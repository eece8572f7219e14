/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_internal: the state of a session, shared by all rooms of it. Not for callers.
 *
 * An idle target costs struct kdnet_session. The rest is allocated when it is needed: `offers` while keys are agreed
 * on, `active` while packets are exchanged, `kernel_info` once the machine has halted, `history` once it has sent data.
 */
#ifndef KDNET_STATE_INTERNAL_H
#define KDNET_STATE_INTERNAL_H

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
 * What is learnt of a halted machine, by its probes (probes/probe_internal.h). Bits: the first ones hold for one boot
 * of the machine, the others for one break.
 */
enum kdnet_fact {
    KDNET_FACT_VERSION = 1 << 0,
    KDNET_FACT_KERNEL = 1 << 1, /* Windows itself answers, on a machine whose layout is known */
    KDNET_FACT_DEBUGGER_DATA = 1 << 2,
    KDNET_FACT_BUILD_LAB = 1 << 3,
    KDNET_FACT_IDENTITY = 1 << 4, /* of the kernel's image */
    KDNET_FACT_CONTEXT = 1 << 8,
    KDNET_FACT_BUGCHECK = 1 << 9,
    KDNET_FACT_STATUS = 1 << 10,
};

/* tried: asked for, whatever came of it; known: it was told. */
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

/* The fact was asked for. */
static inline void kdnet_settle(struct kdnet_facts *facts, enum kdnet_fact fact, bool known)
{
    facts->tried = (uint16_t)(facts->tried | (unsigned)fact);
    facts->known = (uint16_t)(known ? facts->known | (unsigned)fact : facts->known & ~(unsigned)fact);
}

/* What does not change during one boot of a machine: asked once. */
struct kdnet_kernel_info {
    struct kdnet_boot_cache *boot_cache; /* of evidence; NULL: none was asked for (kdnet_kernel_info_clear) */
    struct kdnet_facts facts;
    bool reported;               /* the kernel event is out */
    bool block_asked;            /* where its debugger data block is */
    bool block_recalled;         /* that is what another machine told (layout_cache.h) */
    bool pieces, pieces_refused; /* a whole CONTEXT is too long for the network; the machine does not know of pieces */
    uint8_t too_long;            /* timeouts with long reads since one came */
    uint16_t read_most;          /* bytes that are read at once; 0: KDNET_READ_SPACE */
    struct kdnet_version version;
    struct kdnet_debugger_data data;
    bool block_found;      /* data_address is where it is to be read */
    uint64_t data_address; /* of the block */
    char build_lab[KDNET_BUILD_LAB_SIZE];
    struct kdnet_image_way way; /* to its identity, as far as it was gone */
    struct kdnet_pdb pdb;
};

enum kdnet_stage {
    KDNET_STAGE_RUNNING, /* not halted */
    KDNET_STAGE_READING,
    KDNET_STAGE_RESUMING, /* stepping over the breakpoint */
    KDNET_STAGE_GOING,    /* Continue or Reboot is under way */
    KDNET_STAGE_HELD,
};

/* What a request is for. */
enum kdnet_purpose {
    KDNET_FOR_NOTHING,
    KDNET_FOR_PROBE,
    KDNET_FOR_SET_CONTEXT,
    KDNET_FOR_SAME,  /* is it the same break that we have continued? */
    KDNET_FOR_PROOF, /* that the target counts our ids as we do, before a Continue, which has no reply */
};

/* The request under way to a halted machine. */
struct kdnet_request {
    enum kdnet_purpose purpose;
    const struct kdnet_probe *probe;                       /* of KDNET_FOR_PROBE */
    uint64_t address;                                      /* of a read, from here on */
    uint32_t wanted, have;                                 /* bytes; they may come in parts */
    uint32_t most;                                         /* bytes that are asked for at once */
    bool (*is_enough)(const uint8_t *data, size_t length); /* of a part; NULL: all is needed */
    uint8_t data[KDNET_READ_SPACE];
};

enum kdnet_evidence_stage {
    KDNET_EVIDENCE_NOT_YET,
    KDNET_EVIDENCE_UNDER_WAY,
    KDNET_EVIDENCE_OVER,
};

/* What a machine said when it halted. */
struct kdnet_stop {
    struct kdnet_state_change change; /* its `report` points to report below */
    uint8_t report[48];
    uint32_t checksum; /* of the state change's payload, to know it again */
    size_t length;
    bool load_symbols; /* of one image: continued without a word */
    bool prompt;       /* no break, but a question that the policy holds; `report` has the answer's payload */
    bool nested;       /* came while another break had not been continued, and which may wait still */
    bool kernel_loads; /* that image is the kernel */
    bool shutdown;     /* unload of all symbols */
};

/* The events of this break that are out. */
struct kdnet_reported {
    bool break_in, status, release, held;
};

struct kdnet_registers {
    unsigned too_large; /* timeouts with a whole CONTEXT */
    size_t length;
    uint8_t bytes[KDNET_CONTEXT_MAX];
};

/* IopFinalCrashDumpStatus. */
struct kdnet_dump_status {
    bool waiting; /* for a look-up of the symbol */
    bool address_known;
    uint64_t address;
    uint32_t value;
    enum kdnet_reason reason; /* why it is not known */
    enum kdnet_source source;
};

/* How the machine is let go. */
struct kdnet_resuming {
    bool stepped;              /* its program counter was moved over the breakpoint */
    bool distrusted;           /* a RESET went out once more before what is not answered is given up */
    bool interrupted;          /* the deadline came while something was asked */
    unsigned proofs;           /* requests made to be sure of the link */
    unsigned asked;            /* RESENDs since a new key came while a Continue was under way */
    unsigned heard;            /* pokes since the Continue went out */
    unsigned other_host_pokes; /* pokes that name another host, since the machine was last heard under our key */
    unsigned duplicate_breaks; /* times that the same state change came while a Continue was under way */
};

/* One break, from the state change to the resume. */
struct kdnet_halt {
    struct kdnet_stop stop;
    enum kdnet_stage stage; /* kdnet_halt_set_stage; from here on: how far we are with it */
    enum kdnet_action action;
    uint64_t since_us;    /* kdnet_state_people_us */
    uint64_t deadline_us; /* of reading, or of holding */
    struct kdnet_reported reported;
    bool repeat; /* the last break of its crash, which it says again and again: nothing new to tell */
    bool reboot; /* an operator wants it to reboot when it has been read */
    bool again;  /* it is held, and read again: then it is held as before, until: */
    uint64_t held_until_us;
    uint64_t again_us; /* since when; kdnet_state_people_us */
    bool unread;       /* one break too many: only a bug check is read */
    bool late;         /* the deadline has come, and something was waited for */
    unsigned awaited;  /* replies that were waited for beyond the deadline, besides who it is */
    enum kdnet_evidence_stage evidence_stage;
    struct kdnet_facts facts;
    struct kdnet_bugcheck bugcheck;
    struct kdnet_dump_status dump_status;
    struct kdnet_resuming resuming;
    struct kdnet_registers registers;
    struct kdnet_request request;
};

/* The own states of probes at this break (kdnet_probe_state). */
struct kdnet_probe_states {
    unsigned count;
    const struct kdnet_probe *of[KDNET_PROBE_STATES];
    void *state[KDNET_PROBE_STATES];
};

/* What a session needs while packets are exchanged with its target. */
struct kdnet_active {
    struct kdnet_link link;
    struct kdnet_halt halt;
    struct kdnet_probe_states states;
    uint32_t question_checksum; /* of the prompt or file question that was answered last */
    bool question_doubted;      /* it came again while the answer was under way */
    unsigned event_first, event_count;
    struct kdnet_event event[KDNET_EVENTS];
    struct kdnet_evidence *evidence[KDNET_EVENTS]; /* of the event beside it; kept until its place is taken */
    struct kdnet_trace *trace[KDNET_EVENTS];       /* the same */
    struct kdnet_evidence_probe *evidence_probe;   /* what of it is known so far, at this break */
    char print[KDNET_PACKET_PAYLOAD_MAX];
};

/* The break of a crash that had the last result: a machine that can only break in again says it for ever. */
struct kdnet_last_break {
    bool known;
    bool status_known;
    enum kdnet_phase phase;
    uint32_t checksum; /* of the state change */
    uint32_t status;
    uint32_t repeated; /* times that it came again */
    struct kdnet_conclusion conclusion;
};

/* A crash goes over several breaks, and over handshakes between them. */
struct kdnet_crash {
    bool printed;                         /* "Fatal System Error" came since the machine last went on */
    bool dumping;                         /* went on from its first break: silent until its dump is written */
    bool first_released;                  /* first_released_us is valid */
    uint64_t first_released_us;           /* kdnet_state_people_us */
    uint64_t kernel_base;                 /* of the kernel that was last seen; 0: none */
    struct kdnet_event_bugcheck bugcheck; /* as told */
    char bucket[KDNET_BUCKET_SIZE];       /* empty: not known yet */
    bool first_seen;                      /* its first break was read, and said: */
    struct kdnet_dump_setup setup;
    struct kdnet_last_break last;
};

/* What events belong to (identity.c). It outlives struct kdnet_crash: that ends when the machine is sent to its new
 * boot, this when the new boot has shown itself. */
struct kdnet_identity {
    bool boot_known, crash_known, nested_known;
    bool doubted; /* the machine has shown another run since the last break of the crash: a new boot, perhaps */
    uint8_t boot[KDNET_IDENTITY_LENGTH];
    uint8_t crash[KDNET_IDENTITY_LENGTH];
    uint8_t crash_boot[KDNET_IDENTITY_LENGTH]; /* in which the crash got its name */
    struct kdnet_crash_memory recalled;        /* what the caller remembers; counts when the machine says the same */
    uint64_t doubted_us;                       /* since when */
    uint64_t kernel_base;                      /* of the kernel that crashed; 0: not known */
    struct kdnet_bugcheck first, nested;       /* nested: another bug check inside the crash, the newest */
};

/* A crash that went on from its first break is to break in once more (dump_facts.c). */
struct kdnet_awaited_break {
    bool expected;
    bool rebooted;     /* the machine has shown another run since */
    uint8_t pokes;     /* that came since */
    uint64_t since_us; /* kdnet_state_people_us */
};

#define KDNET_BUDGET_CRASH                                                                                             \
    KDNET_EVENT_TYPES /* of the results of crashes; the others are of the event of that number                         \
                       */
#define KDNET_BUDGETS (KDNET_EVENT_TYPES + 1)

/* What the machine may still make us tell: budget.c. */
struct kdnet_budget {
    uint64_t back_us[KDNET_BUDGETS]; /* when all of it will be there again */
    uint32_t suppressed[KDNET_EVENT_TYPES];
    uint64_t report_us; /* when to tell what was suppressed; 0: nothing was */
};

/* A read that an operator demands (demand.c). */
struct kdnet_demand_state {
    enum kdnet_demand now;
    bool held;         /* of a machine that was held; else of a running one */
    bool due;          /* a break-in request is to go out */
    uint8_t steps;     /* requests and RESENDs so far */
    uint64_t begun_us; /* while it is asked, with: */
    uint64_t next_us;
    uint64_t ended_us; /* when the machine had been heard last before it was over */
};

/* What a machine did before that still counts: its crash, and its breaks of late. */
struct kdnet_history {
    struct kdnet_crash crash;
    struct kdnet_identity identity;
    struct kdnet_awaited_break awaited;
    uint64_t breaks_us;         /* when all breaks of the budget will be there again */
    uint64_t storm_reported_us; /* the last event of a break storm; 0: none */
    uint32_t unread;            /* breaks since storm_reported_us */
    uint64_t stopped_us;        /* when a break came first that was not taken yet (breaks_wait); 0: none waits */
    uint32_t stopped_checksum;
    bool cleared_reported; /* that a former debugger's single step was cleared, in this boot */
    struct kdnet_demand_state demand;
    struct kdnet_budget budget;
};

/*
 * There are as many as machines, and each pokes every three seconds: a poke of an idle machine touches the first three
 * cache lines or four, and what only machines that break need is allocated when they do.
 */
struct kdnet_session {
    const struct kdnet_session_shared *shared;
    struct kdnet_offers *offers;   /* NULL when no response waits to be confirmed */
    struct kdnet_active *active;   /* NULL while idle */
    struct kdnet_history *history; /* never NULL while `active` is not; NULL when there is nothing to remember */
    uint64_t last_seen_us;
    uint64_t control_sequence;
    bool connected : 1; /* data_key is in force */
    bool lost : 1;
    bool rekey_wanted : 1; /* answer the next poke even though the target says it is connected */
    bool renumbered : 1;   /* the target has started its data sequence anew under this key */
    bool solicit_due : 1, solicit_to_sender : 1;
    uint8_t resend_repeats : 2; /* questions in a row that came because we asked after their answer: the next ask comes
                                   later */
    uint8_t solicit_version;
    uint8_t version;
    uint8_t response_due : 7;   /* place in offers + 1; 0: none */
    bool knock_due : 1;         /* RESEND under the key of the newest offer */
    uint8_t lost_later;         /* seconds by which its loss is told later, for want of memory */
    uint8_t foreign_rekeys : 4; /* new keys that it was answered with lately */
    uint8_t claim_tries : 3;    /* how often what the claim asks for was asked */
    bool going_down : 1;        /* it was let go on from the last break before a new start */
    uint8_t rival : 2;          /* another host is at this machine, too: so many more of its pokes */
    uint8_t resend_left : 5;    /* a machine that may be halted is asked so often, quickly, for what it waits with */
    uint8_t claims_unpaid : 2;  /* since the machine had waited for us */
    uint8_t resend_slow : 5;    /* then less and less often, until it says anything: how often, and 1; 0: not asked */
    struct kdnet_keys keys;
    uint8_t target_random[KDNET_RANDOM_LENGTH]; /* of the newest poke of this session */
    uint64_t resend_us; /* when to send the next RESEND; KDNET_NEVER: at the machine's next poke */

    const struct kdnet_policy *policy;
    struct kdnet_kernel_info *kernel_info; /* NULL when nothing is known of the kernel */
    struct kdnet_link_memory link;         /* while `active` is NULL */
    uint8_t id[KDNET_SESSION_ID_LENGTH];
    uint8_t data_key[KDNET_AES_KEY_LENGTH];
    uint64_t window_last, window_seen;     /* data sequences that came: the highest, and which of the 64 up to it */
    uint16_t first_tags[KDNET_FIRST_TAGS]; /* start of the tags of the first data datagrams, by sequence */
    uint64_t sequence : 36;                /* of our last data datagram; only grows [w11] */
    uint64_t told : 28;                    /* events of the session whose events are handed out */
    uint64_t claim_us;                     /* when to go on with a claim (claim.c); 0: none is to */
    uint32_t foreign_ms;                   /* since when data comes that no key of ours opens; 0: it does not */
    uint32_t solicited_ms;                 /* when it was asked for a poke, or got a new key; 0: never */
};

/* Frees them. */
void kdnet_probe_states_clear(struct kdnet_probe_states *states);

/* Frees what a boot owns, not the boot. NULL is fine. */
void kdnet_kernel_info_clear(struct kdnet_kernel_info *info);

/* Allocates `active` and `history`. Returns false when memory is out. */
bool kdnet_state_wake(struct kdnet_session *session);

/*
 * The target pokes but does not hear us, or seems not to: it may have taken a later response of ours, whose connection
 * check was lost, and use its key. It is asked for a poke, which is answered whatever it says.
 */
void kdnet_state_suspect_key(struct kdnet_session *session);

/* The time by which people are told how long something took. */
static inline uint64_t kdnet_state_people_us(const struct kdnet_session *session, uint64_t now_us)
{
    const struct kdnet_session_shared *shared = session->shared;
    return now_us + (shared->lag_us ? shared->lag_us(shared->user) : 0);
}

/* A time that need not be exact, and never 0; it goes round in 49 days, after which an old one may count as a new one
 * for a moment. */
static inline uint32_t kdnet_state_ms(uint64_t now_us)
{
    uint32_t ms = (uint32_t)(now_us / 1000);
    return ms != 0 ? ms : 1;
}

static inline uint64_t kdnet_state_since(uint32_t ms, uint64_t now_us)
{
    return (uint32_t)(kdnet_state_ms(now_us) - ms) * UINT64_C(1000);
}

/* What the policy does at a break of this kind; continue when it says nothing that there is. */
static inline enum kdnet_action kdnet_state_action(const struct kdnet_session *session, enum kdnet_break_kind kind)
{
    enum kdnet_action action = session->policy->action[kind];
    return action == KDNET_ACTION_HOLD || action == KDNET_ACTION_REBOOT ? action : KDNET_ACTION_CONTINUE;
}

/* Counts for the caller. */
enum kdnet_count { KDNET_COUNT_REJECTED, KDNET_COUNT_REPEATED, KDNET_COUNT_SENT_AGAIN };
void kdnet_state_count(const struct kdnet_session *session, enum kdnet_count what);

/* NULL is fine. */
void kdnet_active_free(struct kdnet_active *active);

/* The target lives: what waited for it goes on. */
void kdnet_state_heard(struct kdnet_session *session, uint64_t now_us);

/* Whether the target may be asked for a poke now; if so, that counts as done. */
bool kdnet_state_may_solicit(struct kdnet_session *session, uint64_t now_us);

static inline bool kdnet_state_is_halted(const struct kdnet_session *session)
{
    return session->active && session->active->halt.stage != KDNET_STAGE_RUNNING;
}

#endif
