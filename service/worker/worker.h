/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: a worker's loop, sockets, rows, keys to try, deadlines and cryptography.
 *
 * Each worker serves a part of the machines on a thread of its own, and shares nothing with others on a datagram's way.
 * Messages to other workers go to their mailboxes (forward.h, migration.h); messages to the service go through
 * worker_env.h. README.md says which file does what.
 *
 * Thread: the worker's own, while it runs (worker_loop.h).
 */
#ifndef SERVICE_WORKER_H
#define SERVICE_WORKER_H

#include "kdnet/crash/trace.h"
#include "kdnet/error.h"
#include "kdnet/kernel/layout_cache.h"
#include "kdnet/session.h"
#include "service/worker/admission.h"
#include "service/net/bucket.h"
#include "service/worker/forwarding_table.h"
#include "service/net/hearing.h"
#include "service/worker/holds.h"
#include "service/runtime/mailbox.h"
#include "service/runtime/cpu_budget.h"
#include "service/platform/receiver.h"
#include "service/platform/sender.h"
#include "service/worker/reads.h"
#include "service/worker/responses.h"
#include "service/net/source_limit.h"
#include "service/targets/targets.h"
#include "service/net/timers.h"
#include "service/worker/key_search.h"
#include "service/worker/release_gate.h"
#include "service/worker/worker_clock.h"
#include "service/worker/worker_env.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define WORKER_URGENT_US          100000U           /* after a datagram went out, sockets do not rest for its answer */
#define WORKER_SEND_QUEUE         ((size_t)4 << 20) /* bytes of datagrams that wait for a socket */
#define WORKER_OUTBOX_SPACE       ((size_t)32 << 10)
#define WORKER_SOLICIT_SLOTS      4096
#define WORKER_SOLICIT_GAP_US     50000U /* between two requests to poke for one source */
#define WORKER_SOLICIT_PER_SECOND 20000U
#define WORKER_SOLICIT_COST       KDNET_DATAGRAM_MIN /* bytes of an empty datagram: header, one block, tag */
#define WORKER_SOLICIT_LOOK       64                 /* rows visited for one datagram */
#define WORKER_SAME_IP_MAX        16                 /* rows of one configured IP that are tried at once */
#define WORKER_EXPIRE_MAX         4096               /* deadlines handled in one round of the loop */
#define WORKER_OWNER_LOOK         20000              /* keys tried to say whose machine is at a wrong address: 3 ms */
#define WORKER_ADMIT_MAX          512                /* machines asked for their break in one round of the loop */
#define WORKER_SEARCH_WAIT_MS     1                  /* until there is time again to try keys */
#define WORKER_DRAIN_US           200000U            /* after a stall, sockets come before deadlines for so long */
#define WORKER_LOOK_HALTED_US     100000U            /* longest sleep while machines are halted, to notice stalls */
#define WORKER_LOOK_US            1000000U           /* the same while machines are connected */
#define WORKER_MINUTE_US          60000000U
#define WORKER_REPAIR_MS          1000 /* between two tries of a socket that cannot receive */
#define WORKER_REPAIR_REOPEN      3U   /* tries until the socket is opened anew; again after each WORKER_REPAIR_AGAIN */
#define WORKER_REPAIR_AGAIN       30U
#define WORKER_UNHEARD_US         180000000U /* machines not heard by then, since the start, are reported */
#define WORKER_UNHEARD_LOOK       4096U      /* rows checked for that in a second */
#define WORKER_UNHEARD_NAMES      20U        /* told by name; of the rest the number */

struct pending_sends;
struct apply;
struct arrival;

/* Of a listener: a member for each LISTENER_COUNTER. */
struct listener_counts {
#define LISTENER_COUNTER(name, log, help) uint64_t name;
#include "service/runtime/counters.def"
};

struct waiting;

struct listener {
    uv_udp_t udp; /* for sending; first member: freed with its handle */
    struct receiver *receiver;
    struct sender sender;
    struct waiting *waiting_first, *waiting_last; /* datagrams that the socket had no room for */
    unsigned retries;                             /* retries while it cannot receive */
    bool deaf;                                    /* nothing can be received; it is retried */
    bool slow;                                    /* the server was told that a slower call receives or sends */
    bool resting;                                 /* not watched, but drained after a while */
    bool behind;                                  /* more came than was taken at a time */
    bool closed;                                  /* closed during a batch of its own */
    struct worker *worker;
    struct listener *next;
    uint32_t id;       /* id of its port, equal for all workers */
    uint64_t heard_us; /* when a machine was heard here last */
    bool silent;       /* by the server's verdict: its machines' losses are not reported (hearing.h) */
    struct address local;
    int send_error;             /* the last */
    struct address shed_source; /* the last */
    struct listener_counts counts;
};

/* Datagrams of one listener that go out together: at the end of a received batch, and of a round of the loop. */
struct outbox {
    struct listener *listener;
    size_t count, bytes;
    struct sender_datagram datagrams[SENDER_BATCH];
    uint8_t space[WORKER_OUTBOX_SPACE];
};

/* Of a worker: a member for each WORKER_GAUGE and WORKER_COUNTER. `targets` and `keys_tried` are filled in when the
 * server asks. */
struct worker_totals {
#define WORKER_GAUGE(name, log, help)   size_t name;
#define WORKER_COUNTER(name, log, help) uint64_t name;
#include "service/runtime/counters.def"
};

struct worker {
    const struct worker_env *env; /* borrowed */
    unsigned number;
    uv_thread_t thread;
    uv_sem_t begin; /* while `parked`: its thread waits for it */
    bool parked;
    uv_loop_t loop;
    struct mailbox mailbox;
    struct message stop_message, finish_message; /* for worker_stop and worker_finish */
    uv_async_t settled;                          /* results were written */
    atomic_bool waits_for_writes;                /* wants a wake-up when lines were written */

    struct kdnet_session_shared shared;
    struct kdnet_session_counts session_counts;
    struct kdnet_layout_cache layout_cache;
    struct kdnet_trace_cache *trace_cache;
    struct kdnet_reads reads;
    struct targets targets;
    struct timers timers;
    struct key_search key_search;
    struct cpu_budget cpu_budget; /* of the key search */
    uint64_t idle_us;             /* idle time of the loop since the last update of the budget */
    uint64_t waiting_from_us;
    struct release_gate release_gate;
    struct losses losses; /* of machines whose listener may have fallen silent */
    struct lookup_asker *asker;
    struct forwarding_table forwarding_table;
    struct responses responses;
    struct holds holds;
    void (*forwarded)(struct arrival *arrival, unsigned hops, size_t allowance); /* route.h; for forward.c */
    struct listener *listeners;
    uint64_t seed;

    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t search_idle;
    uv_idle_t deadline_idle; /* active while deadline_due */
    uv_idle_t apply_idle;    /* active while a configuration is applied */
    bool deadline_due;       /* handled after the sockets of this round */
    uv_timer_t search_timer, deadline_timer, rest_timer, send_timer, repair_timer;
    uint64_t urgent_until_us; /* sockets do not rest until then */

    struct worker_totals totals;
    struct admission admission;
    struct bucket solicits, strays, unknown_strays;
    bool astray; /* the datagram that is taken now is to be shown to the other collectors */
    struct source_limit source_limit;
    uint64_t solicited_us[WORKER_SOLICIT_SLOTS];
    size_t solicit_turn;
    unsigned solicit_worker; /* whose rows are asked to poke next */
    struct outbox outbox;
    size_t sending_bytes;   /* in the send queues */
    bool frozen;            /* a reload is under way: rows stay where they are, and no keys are tried */
    bool events_added;      /* in this round */
    bool index_due;         /* of configured addresses */
    uint64_t unexpected_us; /* when an authentic datagram of an unknown form was told last */
    uint64_t started_us;
    size_t unheard_at, unheard; /* sweep.c: rows checked, and those never heard */
    bool sweep_due;             /* sweep.c: rows wait until their machines have been let go on */
    unsigned keys_shown;        /* of the server, when rows were swept last */
    bool in_batch;              /* datagrams of a socket are being looked at */
    bool stopping, finished;
    bool handles_ready, settled_ready; /* the handles above are initialised */
    char collector[CONFIG_NAME_SIZE];  /* of the configuration */
    struct apply *apply;               /* reload.c: the configuration being applied; NULL: none */
};

/* Where and when a datagram arrived. */
struct arrival {
    struct listener *listener;
    struct pending_sends *pending_sends; /* pump.h; NULL: a single datagram */
    const struct address *source;
    const uint8_t *payload;
    size_t length;
    uint64_t now_us;
    uint8_t version, channel;
    uint8_t forwarded;        /* enum forward_kind: how it came here */
    struct targets_home home; /* of its source, at this worker */
};

/* Room for so many rows and their deadlines. False: out of memory; then none may be added. */
bool worker_reserve(struct worker *worker, size_t ids);

bool worker_is_alone(const struct worker *worker);

/* Returns the number of the worker that serves machines at this address. */
unsigned worker_home(const struct worker *worker, const struct address *address);

/* Posts a message to another worker, or to itself. */
void worker_post(const struct worker *worker, unsigned to, struct message *message);

/* Reports that a target's published state has changed (worker_env.h); that its row goes. */
void worker_target_changed(struct worker *worker, struct target *target);
void worker_target_gone(struct worker *worker, struct target *target);

/* How long the first answer of a halted machine is waited for: two timeouts. */
uint64_t worker_patience_us(const struct target *target);

/* Returns the listener with this id; NULL: closed. */
struct listener *worker_listener(const struct worker *worker, uint32_t id);

/* Returns the listener of an address of ours; NULL: none is open. */
struct listener *worker_listener_at(const struct worker *worker, const struct address *local);

#endif
