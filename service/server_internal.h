/* SPDX-License-Identifier: Apache-2.0 */
/* server_internal: what the parts of the server share. Not for others. */
#ifndef SERVICE_SERVER_INTERNAL_H
#define SERVICE_SERVER_INTERNAL_H

#include "kdnet/error.h"
#include "kdnet/session.h"
#include "service/bucket.h"
#include "service/options.h"
#include "service/platform/receiver.h"
#include "service/platform/sender.h"
#include "service/pace.h"
#include "service/policies.h"
#include "service/reads.h"
#include "service/results.h"
#include "service/shares.h"
#include "service/strangers.h"
#include "service/targets.h"
#include "service/timers.h"
#include "service/trials.h"
#include "service/withheld.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* SO_RCVBUF asked for: a poke takes 1,280 bytes of it; each target pokes every 3 s, so that this is a seventh of a
 * second. */
#define SERVER_SOCKET_BUFFER      ((size_t)8 << 20)
#define SERVER_SOCKET_BUFFER_EACH ((size_t)64)
#define SERVER_SOCKET_BUFFER_MAX  ((size_t)128 << 20)
#define SERVER_URGENT_US          100000U /* after a datagram went out, its answer is waited for without rest */
#define SERVER_SEND_QUEUE         ((size_t)4 << 20) /* bytes of datagrams that wait for a socket */
#define SERVER_OUTBOX_SPACE       ((size_t)32 << 10)
#define SERVER_NUDGE_SLOTS        4096
#define SERVER_NUDGE_GAP_US       50000U /* between two nudges to one source */
#define SERVER_NUDGE_PER_SECOND   20000U
#define SERVER_NUDGE_COST         KDNET_DATAGRAM_MIN /* an empty datagram: header, one block, tag */
#define SERVER_NUDGE_LOOK         64                 /* rows looked at for one datagram */
#define SERVER_SAME_IP_MAX        16                 /* rows of one configured IP that are tried at once */
#define SERVER_EXPIRE_MAX         4096               /* deadlines handled in one round of the loop */
#define SERVER_OWNER_LOOK         20000              /* keys tried to say whose machine is at a wrong address: 3 ms */
#define SERVER_INQUIRIES_MAX      1024 /* under way at a time; their datagrams fit into the socket's buffer */
#define SERVER_INQUIRIES_MIN      32
#define SERVER_INQUIRIES_START    256
#define SERVER_RECOUNT_US         250000U
#define SERVER_DEFERRED           16384U /* machines whose break waits, at most; the others say it again by themselves */
#define SERVER_RECALL_US          20000U /* a recalled machine has said its break again by then */
#define SERVER_SIGNALS            4
#define SERVER_TRIAL_WAIT_MS      1 /* until there is time again to try keys */
#define SERVER_MINUTE_US          60000000U

struct server;

struct listener_counts {
    uint64_t received;
    uint64_t malformed;    /* no KDNET datagram: too short, no MDBG, … */
    uint64_t forged;       /* from the address of a target, but not of its key */
    uint64_t unknown;      /* pokes that no key opens */
    uint64_t unknown_data; /* data from addresses that no target has */
    uint64_t refused;      /* pokes from new addresses that found the queue full */
    uint64_t nudged;
    uint64_t deferred; /* of machines whose inquiry waits for others to end */
    uint64_t sent;
    uint64_t send_failed;
    uint64_t send_dropped; /* for want of room in the send queue */
    uint64_t shed;         /* of sources that send too much, while more comes than can be handled */
    uint64_t overflowed;   /* dropped by the kernel: the socket's buffer was full */
};

struct listener {
    uv_udp_t udp; /* sends; first: it is freed with its handle */
    struct receiver *receiver;
    bool resting; /* not watched, but drained after a while */
    bool behind;  /* more came than was taken at a time */
    struct server *server;
    struct listener *next;
    uint32_t id;
    struct address local;
    bool closing;
    int send_error;             /* the last */
    struct address shed_source; /* the last */
    struct listener_counts counts, told;
};

struct lookup;
struct lookup_asker;
struct reload;

/* Datagrams of one listener that go out together: at the end of a batch that came, and of a round of the loop. */
struct outbox {
    struct listener *listener;
    size_t count, bytes;
    struct sender_datagram datagrams[SENDER_BATCH];
    uint8_t space[SERVER_OUTBOX_SPACE];
};

/* Machines that wait for their turn to be asked, oldest first; and how many were called lately. */
struct deferred {
    uint32_t ids[SERVER_DEFERRED];
    size_t first, count;
    uint64_t recalled_us;
    size_t recalled;
};

struct server_totals {
    size_t connected, halted, held;
    size_t inquiring;       /* halted for less than read_deadline, and not held */
    size_t inquiries_limit; /* found by trying: more while they are quick, fewer when many at a time are slow */
    uint64_t events, crash_statuses, lost, reloads;
};

struct server {
    uv_loop_t loop;
    const struct options *options;
    struct kdnetd_config config;
    struct kdnet_session_shared shared;
    struct kdnet_session_counts session_counts;
    struct targets targets;
    struct timers timers;
    struct trials trials;
    struct pace pace; /* of the trials */
    uint64_t idle_us; /* that the loop has waited since the last look at the pace */
    uint64_t waiting_from_us;
    struct policies policies;
    struct reload *reload; /* NULL: none is under way */
    struct strangers strangers;
    struct results results;
    struct withheld withheld;
    struct lookup *lookup;
    struct lookup_asker *asker;
    struct kdnet_reads reads;
    struct listener *listeners;
    uint32_t next_listener_id;
    uint64_t seed;

    uv_prepare_t prepare;
    uv_idle_t trial_idle;
    uv_idle_t deadline_idle; /* active while deadline_due */
    uv_check_t check;
    bool deadline_due; /* handled after the sockets of this round */
    uv_timer_t trial_timer, deadline_timer, second_timer, watchdog_timer, stop_timer, rest_timer;
    uint64_t urgent_until_us; /* sockets do not rest until then */
    uv_signal_t signals[SERVER_SIGNALS];
    size_t signal_count;
    bool handles_ready; /* the handles above are initialised */

    struct server_totals totals;
    struct deferred deferred;
    struct bucket nudges;
    struct shares shares;
    uint64_t nudged_us[SERVER_NUDGE_SLOTS];
    size_t nudge_turn;
    uint64_t recounted_us, slowed_us;
    struct outbox outbox;
    size_t sending_bytes; /* in the send queues */
    uint64_t trimmed_us, trimmed_events;
    uint64_t told_us; /* when the minute's summaries were last told */
    char status[160]; /* as the service manager knows it */
    bool stopping, finished, failed;
    uint64_t stop_by_us;
};

/* Any monotonic time, microseconds. */
uint64_t server_now_us(void);

/* What sessions ask of symbols, by a configuration: without a place for them they read nothing only to look it up. */
void server_choose_symbols(struct server *server, const struct kdnetd_config *config);

/* listener.c */
bool listener_open(struct server *server, const struct config_address *address);
void listener_close(struct listener *listener);
struct listener *listener_by_id(const struct server *server, uint32_t id); /* NULL: it went away */
void listener_send(struct listener *listener, const struct address *to, const uint8_t *payload, size_t length);
void listener_on_rest(uv_timer_t *timer);
/* Ends the rest of the sockets when something is urgent. Call it in each round of the loop. */
void listener_wake(struct server *server);
void listener_flush(struct server *server); /* sends what listener_send has collected */
/* Brings counts that the kernel keeps up to date. */
void listener_count(struct listener *listener);
/* Says in the log what was dropped since the last time; nothing when nothing was. */
void listener_tell(struct listener *listener);

/* dispatch.c */
void dispatch_batch(struct listener *listener, const struct receiver_datagram *datagrams, size_t count);
void dispatch_expire(struct server *server);
/* Sends what waited for results that are written by now, or whose time is over. */
void dispatch_withheld(struct server *server);
void dispatch_recall(struct server *server); /* machines whose turn has come */
/* Sends, reports and arms what a session has after a call; `listener` and `source` NULL: no datagram was received. */
void dispatch_pump(struct server *server, struct target *target, struct listener *listener,
                   const struct address *source, uint64_t now_us);
void dispatch_count(struct server *server, struct target *target); /* connected, halted, held: into the totals */
void dispatch_uncount(struct server *server, struct target *target);
void dispatch_try_keys(struct server *server); /* a slice */
/* The target whose key opens a stranger's poke, but which is configured for another address or port; or NULL. */
const struct target *dispatch_owner_elsewhere(struct server *server, const struct stranger *stranger);

/* announce.c */
void announce_event(struct server *server, struct target *target, const struct kdnet_event *event);
void announce_strangers(struct server *server, uint64_t now_us);
void announce_more_strangers(struct server *server); /* once a minute */
void announce_summary(struct server *server);
void announce_status(struct server *server);

/* reload.c */
bool reload_first(struct server *server); /* listeners and targets of the first configuration */
void reload_again(struct server *server); /* on HUP */
/* The rows are being changed; what depends on all of them waits. */
bool reload_is_applying(const struct server *server);
/* The server ends: nothing more is applied. */
void reload_stop(struct server *server);

#endif
