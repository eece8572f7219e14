/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api: the server's side of HTTP (http/http_ops.h): its published state, updated once a second, and operators' actions.
 *
 * act.c in worker/ acts on machines; server_api.c implements the functions, server_act.c passes actions to the workers
 * and back, and reports them.
 *
 * Thread: the server's, but for the functions of api_ops, which take any.
 */
#ifndef SERVICE_API_H
#define SERVICE_API_H

#include "service/http/http_ops.h"
#include "service/server/unknown_sources.h"
#include "service/store/store.h"
#include "service/worker/worker.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define API_LAG_SECONDS 60U

struct http;
struct server;

/* Facts about an unknown source besides its row. */
struct api_unknown {
    struct address source; /* port 0: there is none */
    uint16_t listen_port;
    uint8_t version;
    uint64_t first_us, last_us; /* since 1970 */
    uint64_t count, reported;   /* all pokes; those before the row's current count */
    char *hint, *target;        /* NULL: not known yet, or none */
};

struct api_loop {
    _Atomic uint64_t turned_us;               /* uv_hrtime / 1000 */
    _Atomic uint64_t lag_us[API_LAG_SECONDS]; /* of each second */
};

struct api {
    struct server *server;
    struct http_ops ops;
    struct http *http; /* NULL: not served. Set on the server's thread, under its lock */
    uv_mutex_t http_lock;
    uv_mutex_t lock;             /* protects the members below, up to the loops */
    struct http_status *status;  /* as of the last second; NULL: there is no API */
    struct api_unknown *unknown; /* beside server->unknown_sources.rows; NULL: there were none */
    struct worker_totals totals;
    struct kdnet_session_counts sessions;
    struct {
        char address[HTTP_ADDRESS_SIZE];
        struct listener_counts counts;
    } ports[HTTP_LISTENERS];
    size_t port_count;

    struct api_loop loops[HTTP_LOOPS]; /* 0: the server's; then the workers' */
    atomic_uint loop_count;
    uint64_t second;  /* counts */
    uint64_t read_us; /* when the configuration was read, since 1970 */
};

/* False: out of memory. */
bool api_init(struct api *api, struct server *server);
void api_clear(struct api *api);

/* Starts HTTP as configured, or applies another configuration. */
void api_serve(struct api *api, const struct kdnetd_config *config);
/* Stops serving HTTP and returns the object for api_close, which any thread may call. */
struct http *api_take(struct api *api);
/* False: a thread hangs in a file call, and only platform_end ends the process. */
bool api_close(struct http *http);
/* Passes committed events to HTTP's streams. Thread: any. */
void api_committed(void *api, const struct store_event *events, size_t count);

/* Fills in the functions; `api` is borrowed. */
void api_ops(struct api *api, struct http_ops *ops);

/* Publishes the server's state, once a second. */
void api_look(struct api *api);

/* A worker was asked something, and answers now. Thread: the worker's. */
void api_worker_turned(struct api *api, unsigned worker, uint64_t asked_us);

/* Notes the findings about an unknown source. `target`: configured for its address; NULL: none. */
void api_note_unknown(struct api *api, const struct unknown_source *source, const char *hint, const char *target);

/* server_act.c */
void api_act(void *user, const struct http_act *act, void (*done)(void *done_user, const struct http_acted *acted),
             void *done_user);

/* Ends a reload: reports it as an event, and to the requester. `report` NULL: applied; `failure`: why it could not
 * be done, or NULL. */
struct config_report;
void api_reloaded(struct server *server, const struct config_report *report, const char *failure);
/* The service ends: nobody waits for a reload or a read any more. */
void api_refuse_waiting(struct server *server);

#endif
