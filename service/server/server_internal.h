/* SPDX-License-Identifier: Apache-2.0 */
/* server_internal: shared by the parts of the server. Not for others. */
#ifndef SERVICE_SERVER_INTERNAL_H
#define SERVICE_SERVER_INTERNAL_H

#include "service/net/locals.h"
#include "service/platform/requests.h"
#include "service/server/api.h"
#include "service/server/hinting.h"
#include "service/server/observe.h"
#include "service/runtime/mailbox.h"
#include "service/server/options.h"
#include "service/server/stop_time.h"
#include "service/targets/policies.h"
#include "service/output/event_log.h"
#include "service/output/publisher.h"
#include "service/server/unknown_sources.h"
#include "service/worker/worker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* SO_RCVBUF to ask for. A poke takes 1,280 bytes; each target pokes every 3 s, so the buffer holds a seventh of a
 * second. */
#define SERVER_SOCKET_BUFFER      ((size_t)8 << 20)
#define SERVER_SOCKET_BUFFER_EACH ((size_t)64)
#define SERVER_SOCKET_BUFFER_MAX  ((size_t)128 << 20)
#define SERVER_UNKNOWN_POKES_MAX  4096U /* pokes with unknown keys that wait to be counted individually */

struct acting;
struct lookup;
struct reload;

#define SERVER_PORT_AGAIN_US UINT64_C(30000000) /* until a closed listener is tried again */
#define SERVER_PORT_SOON_US  UINT64_C(1000000)  /* the same, while we are closing its port */

/*
 * An address that machines reach us by: a socket for each worker. Each configured address has one, open or not; one
 * that is no longer configured stays open until another one is open, and is then closed by each worker.
 */
struct port {
    struct port *next;
    uint32_t id; /* changes each time the port is opened */
    struct address local;
    bool open, wanted, closing;
    bool steered; /* each worker has a socket of its own: the kernel can choose the right one */
    bool logged_slow;
    bool elsewhere;                           /* the address is not local: freebind */
    uv_os_sock_t sockets[CONFIG_WORKERS_MAX]; /* while open, the workers' sockets */
    unsigned left;                            /* workers that have not closed it */
    unsigned deaf;                            /* workers that cannot receive */
    int error;                                /* why it is not open; 0: not tried */
    uint64_t again_us;                        /* next try */
    uint64_t opened_us;
    uint64_t deaf_logged_us;
    int send_error;                        /* the last, of any worker */
    struct address shed_source;            /* the last */
    struct listener_counts counts, logged; /* of all workers, as they said last; as the log has said */
    struct listener_counts before;         /* counts of earlier times that it was open */
    struct hearing hearing;
    struct hearing_facts facts; /* of all workers, as they said last */
};

/* A worker's report of one port. */
struct census_port {
    uint32_t id;
    int send_error;
    struct address shed_source;
    struct listener_counts counts;
    struct hearing_facts facts;   /* asked with the sum of all workers, answered with this worker's share */
    enum hearing_verdict verdict; /* of the server */
    bool count;                   /* count the machines of this port */
};

struct census {
    struct message message;
    struct server *server;
    uint64_t asked_us;   /* uv_hrtime / 1000 */
    uint32_t refresh_at; /* the row whose last_seen is told next */
    struct worker_totals totals;
    struct kdnet_session_counts sessions;
    struct census_port *ports;
    size_t port_count, port_capacity;
};

/* All workers are asked, and when each has answered, the answers are put together. */
struct summary {
    struct census *of;     /* of each worker */
    unsigned asked;        /* workers that have not answered yet */
    bool again;            /* ask again when they have */
    bool log_due;          /* log the next complete one */
    bool log_due_again;    /* and the one after */
    uint64_t begun, ended; /* rounds */
    struct worker_totals totals;
    struct kdnet_session_counts sessions;
};

/* A fresh process of the program that is to take over; see succession.c. */
struct succession {
    uv_poll_t poll;
    int channel;
    bool begun;      /* the channel and the poll are open */
    int64_t process; /* 0: it is not ready */
    uint64_t until_us;
    uv_poll_t predecessor; /* of a successor: it still ends */
    bool follows;          /* that poll is open */
};

/* HTTP, sinks and store close on a thread of their own, while machines are served. */
struct stopping_parts {
    uv_thread_t thread;
    struct http *http;
    struct sinks *sinks;
    struct observe *observe;
    uint64_t by_us;
    bool begun, threaded, over;
    bool good;
    atomic_bool done;
};

struct server {
    uv_loop_t loop;
    struct mailbox mailbox;
    const struct options *options;
    struct kdnetd_config config;
    struct worker_env env; /* the workers' environment */
    struct worker *workers;
    unsigned worker_count;
    unsigned inited, started; /* of them */
    struct port *ports;
    uint32_t next_port_id;
    struct locals locals;
    struct policies policies;
    struct reload *reload;       /* NULL: none is under way */
    struct reload *hung_reloads; /* given-up reloads whose threads still read */
    char mistake[160];           /* why the last reload was not applied; empty: it was */
    struct unknown_sources unknown_sources;
    struct event_log event_log;
    struct publisher publisher;
    struct observe observe;
    struct hinting hinting;
    struct api api;
    struct acting *reload_waits; /* requester of the reload in progress */
    struct acting *read_waits;   /* whose machines are being read */
    uv_timer_t read_timer;       /* looks at these machines */
    unsigned reads;              /* reads in progress, and those being checked */
    bool draining;
    struct lookup *lookup;
    struct summary summary;
    uint64_t seed;

    uv_prepare_t prepare;
    uv_timer_t second_timer, watchdog_timer, stop_timer;
    struct requests requests;

    uint64_t trimmed_us, trimmed_events;
    uint64_t logged_us;                   /* when the minute's summaries were last told */
    uint64_t stalls_logged_us, stalls_us; /* when a stall was last logged, and the stalls logged by then */
    uint64_t alive_round;                 /* round of the summary at the last watchdog notification */
    char status[320];                     /* last status sent to the service manager */
    uint64_t second_events;               /* a second ago */
    atomic_uint keys_shown;               /* counts machines that have shown another key of their target */
    bool stopping, finished;
    bool joined; /* no worker runs any more */
    bool hangs;  /* a thread hangs: nobody waits for it */
    bool good;   /* each result was written */
    struct stop_time stop_time;
    uint64_t results_by_us;          /* when the last results have to be written */
    uint64_t written_us, written;    /* when lines were last written, and how many */
    uint64_t stop_by_us, stop_round; /* machines go on until then, as told in this round of the summary or later */
    struct stopping_parts closing;
    struct succession succession;
    uv_timer_t end_timer;
};

/* Callbacks of worker_env.h; `user` is the server. */
void unknown_report_poke(void *user, const struct search_poke *poke);
void ports_trouble(void *user, uint32_t port_id, enum worker_trouble trouble, int error);

/* opening.c: the sockets of a port. Returns 0 or a UV_ code; then nothing is open. UV_EALREADY: the port will be
 * free soon. */
int opening_open(struct server *server, struct port *port);
/* Lets the kernel choose the worker of a datagram. Of a successor's ports only when its turn has come. */
void opening_steer(const struct server *server, const struct port *port);
void opening_close(struct server *server, struct port *port);

/* ports.c */
/* Opens configured ports that are not open, and closes ports that are no longer configured, except the last open
 * one. A port that cannot be opened is logged, and retried. */
void ports_configure(struct server *server, const struct kdnetd_config *config);
void ports_close_unwanted(struct server *server);
void ports_look(struct server *server, uint64_t now_us); /* each second */
size_t ports_open(const struct server *server);          /* how many are open, and are wanted */
size_t ports_wanted(const struct server *server);
size_t ports_deaf(const struct server *server); /* open, but not all workers receive */
void ports_judge(struct server *server); /* decides from the workers' reports which listeners have fallen silent */
void ports_clear(struct server *server);
/* Logs the datagrams dropped since the last time, if any. */
void port_log_drops(struct port *port);

/* summary.c */
void summary_ask(struct server *server); /* asks the workers; during a round, once more after it */
void summary_log(struct server *server); /* asks, and tells the answers in the log */
void summary_log_last(
    struct server *server); /* logs a requested summary that is not complete yet, with the current numbers */
void summary_clear(struct server *server);
void summary_status(struct server *server);

/*
 * stopping.c: the end. Nobody serves machines between the end of the workers and the start of the next kdnetd, so
 * workers end last: first machines that are being read are released; then HTTP, sinks and store close on a thread of
 * their own while machines are served; then the workers end, and the last results are written.
 */
#define STOPPING_LOOK_MS 5
void stopping_begin(struct server *server);                                     /* a second call ends at once */
void stopping_finish(struct server *server);                                    /* in any state; once */
unsigned stopping_share_ms(const struct server *server, enum stop_stage stage); /* for one that begins now */
unsigned stopping_left_ms(uint64_t by_us);                                      /* uv_hrtime / 1000; 0: it is over */

/*
 * succession.c: an upgrade without a pause. A fresh process of the program starts, reads the configuration, and opens
 * what it needs, while this one serves. When it is ready, this process stops as usual, hands over where machines are
 * the moment its workers have ended, and writes the rest; the successor serves at once. A successor that does not get
 * ready changes nothing.
 */
void succession_begin(struct server *server);
void succession_look(struct server *server, uint64_t now_us); /* each second */
bool succession_is_ready(const struct server *server);        /* there is a successor that waits for its turn */
void succession_pass_on(struct server *server); /* the workers have ended; without a successor nothing happens */
void succession_give_up(struct server *server); /* twice is fine */
/* Of a successor: waits for its turn. False: it has to end. Otherwise true at once. */
bool succession_wait(struct server *server);
void succession_follow(struct server *server); /* holds the store until the predecessor has ended */
void succession_end_following(struct server *server);

/* unknown_report.c: unknown sources, and what to do about them */
void unknown_report_look(struct server *server, uint64_t now_us);
void unknown_report_log_rest(struct server *server); /* once a minute */

/* reload.c */
bool reload_first(struct server *server);                 /* listeners and targets of the first configuration */
void reload_again(struct server *server);                 /* on HUP */
void reload_look(struct server *server, uint64_t now_us); /* gives up a reload whose files do not come; once a second */
/* The server ends, and no worker runs any more: nothing more is applied. */
void reload_stop(struct server *server);
/* At the very end: waits for reading threads. False: some still read, and use the server. */
bool reload_is_over(struct server *server, unsigned wait_ms);

#endif
