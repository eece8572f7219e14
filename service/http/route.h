/* SPDX-License-Identifier: Apache-2.0 */
/*
 * route: the table of the API: which function answers a request.
 *
 * The table is in route.c; openapi.yaml beside it describes the same for programs, and a test compares both.
 */
#ifndef SERVICE_HTTP_ROUTE_H
#define SERVICE_HTTP_ROUTE_H

#include "service/http/call.h"

enum route_thread {
    ROUTE_HERE,   /* HTTP's own: quick, waits for nothing */
    ROUTE_MEMORY, /* reads memory, perhaps much of it */
    ROUTE_STORE,  /* queries the store, whose disk may delay the answer */
};

enum route_access {
    ROUTE_PUBLIC, /* needs no token: tells nothing about machines */
    ROUTE_READ,
    ROUTE_ACT,
};

struct route {
    const char *method;     /* GET stands for HEAD, too */
    const char *path;       /* one segment may be *: the argument */
    const char *parameters; /* names of parameters, each with a blank before and behind it */
    enum route_access access;
    enum route_thread thread;
    void (*answer)(struct call *call);
};

/* Finds the route of a call and its argument. False: none, and the answer is a problem. */
bool route_find(struct call *call);

/* False: a parameter is unknown, or there twice and may not be; the problem is the answer. */
bool route_check_parameters(struct call *call);

/* api_*.c, stream.c, metrics.c, page.c */
void api_health(struct call *call);
void api_ready(struct call *call);
void api_status(struct call *call);
void api_targets(struct call *call);
void api_target(struct call *call);
void api_target_events(struct call *call);
void api_map(struct call *call);
void api_unknown(struct call *call);
void api_crashes(struct call *call);
void api_crash(struct call *call);
void api_buckets(struct call *call);
void api_events(struct call *call);
void api_release(struct call *call);
void api_take_back(struct call *call);
void api_reboot(struct call *call);
void api_read(struct call *call);
void api_reload(struct call *call);
void api_drain(struct call *call);
void api_undrain(struct call *call);
void api_acknowledge(struct call *call);
void api_republish(struct call *call);
void stream_answer(struct call *call);
void metrics_answer(struct call *call);
void page_answer(struct call *call);

#endif
