/* SPDX-License-Identifier: Apache-2.0 */
/* Turns: a request over TCP begins when its endpoint's pace allows it; connections wait first come, first served. */
#include "service/http/delay.h"
#include "service/http/state_internal.h"

static void wait_for_pace(struct endpoint *endpoint)
{
    (void)delay_add(endpoint->turn, pace_left_us(&endpoint->requests, pace_now_us()) / 1000 + 1);
}

static void on_turn(evutil_socket_t socket, short what, void *user)
{
    struct endpoint *endpoint = user;
    struct connection *c;
    (void)socket, (void)what;
    while ((c = TAILQ_FIRST(&endpoint->waiting)) && pace_take(&endpoint->requests, pace_now_us())) {
        turns_leave(c);
        c->has_turn = true;
        connection_touch(c); /* what it waited for its turn is no time of the request */
        connection_enter(c, CONNECTION_HEAD);
        bufferevent_trigger(c->bev, EV_READ, BEV_TRIG_IGNORE_WATERMARKS | BEV_TRIG_DEFER_CALLBACKS);
    }
    if (c)
        wait_for_pace(endpoint);
}

bool turns_take(struct connection *c)
{
    struct endpoint *endpoint = c->endpoint;
    if (endpoint->local || c->has_turn ||
        (TAILQ_EMPTY(&endpoint->waiting) && pace_take(&endpoint->requests, pace_now_us()))) {
        c->has_turn = false;
        return true;
    }
    if (!evtimer_pending(endpoint->turn, NULL)) /* or libevent had no memory for it */
        wait_for_pace(endpoint);
    TAILQ_INSERT_TAIL(&endpoint->waiting, c, turn);
    connection_enter(c, CONNECTION_TURN);
    return false;
}

void turns_leave(struct connection *c)
{
    TAILQ_REMOVE(&c->endpoint->waiting, c, turn);
}

bool turns_init(struct endpoint *endpoint)
{
    endpoint->turn = evtimer_new(endpoint->http->base, on_turn, endpoint);
    return endpoint->turn != NULL;
}
