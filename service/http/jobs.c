/* SPDX-License-Identifier: Apache-2.0 */
#include "service/http/state_internal.h"
#include "service/http/system.h"
#include "service/store/store_read.h"

#include <stddef.h>

static void on_answered(struct note *note, struct http *http)
{
    struct call *call = (struct call *)(void *)((char *)note - offsetof(struct call, answered));
    (void)http;
    call->later = false;
    if (call->back)
        call->back(call);
    else if (call->connection)
        connection_answer(call->connection);
    else
        call_free(call);
}

void http_finish_call(struct call *call)
{
    call->answered.open = on_answered;
    if (!http_post(call->http, &call->answered))
        call_free(call);
}

static struct call *take_from(struct lane *lane)
{
    struct call *call = lane->first;
    if (!call)
        return NULL;
    lane->first = call->next;
    if (!lane->first)
        lane->last = NULL;
    --lane->count;
    return call;
}

/* NULL: the thread is to end. */
static struct call *take(struct jobs *jobs)
{
    struct call *call = NULL;
    uv_mutex_lock(&jobs->lock);
    while (!jobs->end && !call) {
        for (unsigned i = 0; i < HTTP_LANES && !call; ++i)
            call = take_from(&jobs->lanes[i]);
        if (!call)
            uv_cond_wait(&jobs->changed, &jobs->lock);
    }
    uv_mutex_unlock(&jobs->lock);
    return call;
}

static void run(void *user)
{
    struct jobs *jobs = user;
    struct call *call;
    system_yield();
    while ((call = take(jobs))) {
        call->reader = jobs->reader;
        call->route->answer(call);
        call->reader = NULL;
        http_finish_call(call);
    }
    if (jobs->reader)
        store_reader_close(jobs->reader);
    uv_mutex_lock(&jobs->lock);
    jobs->ended = true;
    uv_cond_broadcast(&jobs->changed);
    uv_mutex_unlock(&jobs->lock);
}

bool jobs_start(struct jobs *jobs, struct http *http, bool with_store)
{
    jobs->http = http;
    if (uv_mutex_init(&jobs->lock) != 0)
        return false;
    if (uv_cond_init(&jobs->changed) != 0) {
        uv_mutex_destroy(&jobs->lock);
        return false;
    }
    jobs->reader = with_store && http->store ? store_reader_open(http->store) : NULL;
    jobs->started = uv_thread_create(&jobs->thread, run, jobs) == 0;
    if (!jobs->started) {
        if (jobs->reader)
            store_reader_close(jobs->reader);
        uv_cond_destroy(&jobs->changed);
        uv_mutex_destroy(&jobs->lock);
    }
    return jobs->started;
}

/* kdnetd's own queries have no connection. */
static struct lane *lane_of(struct jobs *jobs, const struct call *call)
{
    bool first = !call->connection || call->connection->endpoint->local;
    return &jobs->lanes[first ? HTTP_LANE_LOCAL : HTTP_LANE_OTHERS];
}

bool jobs_push(struct jobs *jobs, struct call *call)
{
    struct lane *lane = lane_of(jobs, call);
    uv_mutex_lock(&jobs->lock);
    bool room = lane->count < HTTP_JOBS_MAX && !jobs->end;
    if (room) {
        call->next = NULL;
        call->later = true;
        if (lane->last)
            lane->last->next = call;
        else
            lane->first = call;
        lane->last = call;
        ++lane->count;
        uv_cond_signal(&jobs->changed);
    }
    uv_mutex_unlock(&jobs->lock);
    return room;
}

bool jobs_stop(struct jobs *jobs, uint64_t until_ns)
{
    if (!jobs->started)
        return true;
    uv_mutex_lock(&jobs->lock);
    jobs->end = true;
    uv_cond_broadcast(&jobs->changed);
    for (uint64_t now = uv_hrtime(); !jobs->ended && now < until_ns; now = uv_hrtime())
        (void)uv_cond_timedwait(&jobs->changed, &jobs->lock, until_ns - now);
    bool ended = jobs->ended;
    uv_mutex_unlock(&jobs->lock);
    if (!ended)
        return false;
    (void)uv_thread_join(&jobs->thread);
    uv_cond_destroy(&jobs->changed);
    uv_mutex_destroy(&jobs->lock);
    jobs->started = false;
    return true;
}

void jobs_clear(struct jobs *jobs)
{
    for (unsigned i = 0; i < HTTP_LANES; ++i)
        for (struct call *call; (call = take_from(&jobs->lanes[i]));)
            call_free(call);
}
