/* SPDX-License-Identifier: Apache-2.0 */
/* state_internal: the state of HTTP, shared by its parts. Not for others. All of it belongs to HTTP's thread unless
 * said otherwise. */
#ifndef SERVICE_HTTP_STATE_INTERNAL_H
#define SERVICE_HTTP_STATE_INTERNAL_H

#include "config/config.h"
#include "service/http/bucket_states.h"
#include "service/http/call.h"
#include "service/http/http_limits.h"
#include "service/http/http_ops.h"
#include "service/http/pace.h"
#include "service/http/route.h"
#include "service/http/sink_states.h"
#include "service/http/streams.h"
#include "service/http/tls.h"
#include "service/http/tokens.h"

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/ssl.h>
#include <sys/queue.h>
#include <uv.h>

#define HTTP_JOBS_MAX 256U /* questions that wait for a thread, of each lane */

/*
 * Priority in the loop and at the answering threads: kdnetctl at the Unix socket and kdnetd's own queries come first.
 * Of all others, HTTP_OTHERS_AT_ONCE callbacks run before the loop checks for local ones.
 */
enum http_lane { HTTP_LANE_LOCAL, HTTP_LANE_OTHERS, HTTP_LANES };
#define HTTP_OTHERS_AT_ONCE 8

enum connection_state {
    CONNECTION_HEAD,    /* a request is waited for, or comes */
    CONNECTION_TURN,    /* its head is there, and waits for the pace of requests */
    CONNECTION_BODY,    /* receiving its body */
    CONNECTION_CALL,    /* being answered, perhaps on another thread */
    CONNECTION_WRITING, /* the answer goes out */
    CONNECTION_STREAM,
    CONNECTION_LINGER, /* refused and answered: further input is discarded, so that the answer arrives */
};

struct connection {
    TAILQ_ENTRY(connection) idle; /* in its endpoint's list, unless it streams */
    TAILQ_ENTRY(connection) turn; /* in CONNECTION_TURN: in its endpoint's `waiting` */
    struct endpoint *endpoint;
    struct bufferevent *bev;
    struct event *timer;
    enum connection_state state;
    bool begun;    /* the first byte of a request is there */
    bool served;   /* has had an answer */
    bool last;     /* to be closed after this answer */
    bool has_turn; /* its next request may begin */
    bool in_trailer;
    bool handshake; /* of TLS, is over; or there is none */
    uint64_t since_ms, first_ms;
    size_t outgoing;     /* bytes of its answer in endpoint->outgoing */
    size_t left;         /* of a body or chunk */
    bool chunk_open;     /* the chunk's data is read, its line end is not */
    struct evbuffer *in; /* the body so far */
    size_t was_waiting;  /* bytes to send, when the timer last looked */
    struct call *call;   /* set while the call is read or answered */
    struct stream *stream;
    char user[CALL_BY_SIZE]; /* of the Unix socket: local:USER */
};
TAILQ_HEAD(connection_list, connection);

/* A listening address. */
struct endpoint {
    struct http *http;
    bool local;             /* the Unix socket */
    bool wanted, told;      /* configured, not a default */
    evutil_socket_t socket; /* -1: not open */
    struct event *event, *retry;
    struct event *pause;           /* after accept failed for want of descriptors, or came too often */
    struct event *turn;            /* when the first of `waiting` may go on */
    struct pace requests, accepts; /* of TCP */
    bool warned;
    unsigned count, streams;
    size_t outgoing;                    /* bytes of answers that wait for their readers */
    struct connection_list connections; /* longest idle first; streaming connections are in `streaming` */
    struct connection_list streaming;
    struct connection_list waiting; /* for their turn, those that came first first */
    char path[HTTP_PATH_SIZE];      /* of the Unix socket */
    uint64_t device, inode;         /* of the socket's file */
    struct config_address address;  /* of TCP */
    bool loopback;
};

/* Troubles, by place; `why` empty: none. */
enum http_trouble { HTTP_TROUBLE_TCP, HTTP_TROUBLE_LOCAL, HTTP_TROUBLE_TLS, HTTP_TROUBLE_TOKENS, HTTP_TROUBLES };

/* Calls that a thread answers. */
struct jobs {
    struct http *http;
    uv_thread_t thread;
    uv_mutex_t lock; /* protects the members below */
    uv_cond_t changed;
    struct lane {
        struct call *first, *last;
        unsigned count;
    } lanes[HTTP_LANES];
    bool end, ended;
    bool started;
    struct store_reader *reader;
};

struct settings {
    struct config_address address;
    bool address_told, read_told, read_needs_token, metrics_targets;
    char *socket, *group, *tokens, *tls_cert, *tls_key, *client_ca;
    char **names;
    size_t name_count;
};

struct http {
    const struct http_ops *ops;
    struct store *store; /* NULL: there is none */
    struct http_limits limits;
    struct settings settings;
    uv_thread_t thread;
    struct event_base *base;
    struct event *wakeup, *second;
    evutil_socket_t wake[2];

    uv_mutex_t lock; /* of notes, degraded and woken */
    struct note *first_note, *last_note;
    bool woken;
    struct http_degraded trouble[HTTP_TROUBLES];

    struct endpoint tcp, local;
    struct tokens tokens;
    struct tls tls;
    struct streams streams;
    struct jobs memory, reading;
    struct sink_states sinks;
    struct bucket_states buckets;
    unsigned buckets_asked; /* by the store's thread only */
    bool sinks_asked;       /* a question to the store about them is under way */
    unsigned seconds;
    bool closing;
    struct note closing_note;
    unsigned owners; /* http_open's own, and one for each unanswered action; protected by the lock */
    bool closed;     /* no notes are taken; under the lock */
};

/* state.c */
uint64_t http_now_ms(void); /* on a clock that does not jump */
bool http_post(struct http *http,
               struct note *note);       /* thread: any; false: HTTP is closed, and the note is the caller's */
bool http_open_notes(struct http *http); /* returns whether there were any */
/* Begins, changes (`why`) or ends (NULL) a trouble; returns whether it has changed. */
bool http_set_trouble(struct http *http, enum http_trouble trouble, const char *name, const char *why);
/* Counts an action asked of the server, and its answer. Thread: any. Unanswered actions keep the struct alive;
 * http_open begins one for itself. */
void http_begin_act(struct http *http);
void http_end_act(struct http *http);
/* Whether reading needs a token there. */
bool http_read_needs_token(const struct endpoint *endpoint);

/* listening.c */
void endpoint_init(struct endpoint *endpoint, struct http *http, bool local);
void endpoints_configure(struct http *http);
void endpoint_close(struct endpoint *endpoint); /* and its connections */

/* connection.c */
void connection_open(struct endpoint *endpoint, evutil_socket_t socket);
void connection_close(struct connection *connection);
bool connection_evict(struct endpoint *endpoint); /* the longest idle goes; false: there is none */
bool connection_evict_stream(struct endpoint *endpoint);
struct evbuffer *connection_output(struct connection *connection);
void connection_enter(struct connection *connection, enum connection_state state); /* and starts the state's timer */
void connection_set_timer(struct connection *connection);
void connection_touch(struct connection *connection); /* counts as idle from now on: the last one to be evicted */

/* turns.c */
bool turns_init(struct endpoint *endpoint); /* false: out of memory */
/* Whether a request of the connection may begin now. Otherwise the connection enters CONNECTION_TURN, and is read again
 * when its turn comes. */
bool turns_take(struct connection *connection);
void turns_leave(struct connection *connection); /* in CONNECTION_TURN: it waits no more */

/* request.c: each returns whether received input is left to handle; false: the connection may be closed. */
bool connection_read_head(struct connection *connection);
bool connection_read_body(struct connection *connection);

/* answer.c */
void connection_answer(struct connection *connection); /* the call has an answer */
/* The request is refused before it was completely read: the connection ends with this answer. */
void connection_refuse(struct connection *connection);

/* jobs.c */
bool jobs_start(struct jobs *jobs, struct http *http, bool with_store);
bool jobs_push(struct jobs *jobs, struct call *call); /* false: too many wait */
bool jobs_stop(struct jobs *jobs, uint64_t until_ns); /* false: the thread hangs */
void jobs_clear(struct jobs *jobs); /* frees waiting calls, once the thread is stopped and the connections are closed */
void http_finish_call(struct call *call); /* hands an answered call back; thread: any */

/* access.c */
bool access_check_host(struct call *call);
bool access_check(
    struct call *call); /* finds the caller's role and checks its rights; false: the answer is a problem */

#endif
