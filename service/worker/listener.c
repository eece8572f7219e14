/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/platform.h"
#include "service/worker/listener.h"
#include "service/worker/listening.h"
#include "service/worker/route.h"
#include "service/worker/send.h"

#include <stdlib.h>

#define LISTENER_BATCHES 8U /* between two rounds of the loop: other sockets have their turn */
#define LISTENER_REST_MS 5  /* longest wait of a machine that breaks in */

/* Receiving. When nothing is urgent, a drained socket rests for LISTENER_REST_MS: thousands of idle machines poke
 * every millisecond, and a wake-up for each costs ten times the datagram. */

static void on_batch(void *user, const struct receiver_datagram *datagrams, size_t count)
{
    struct listener *listener = user;
    route_batch(listener, datagrams, count);
    send_flush(listener->worker);
}

static uint16_t find_via(void *user, const uint8_t local[static 16])
{
    const struct listener *listener = user;
    return locals_number(listener->worker->env->locals, local);
}

/* A socket that cannot be watched is drained after each rest. */
static void set_resting(struct listener *listener, bool resting)
{
    resting = resting || !receiver_is_watched(listener->receiver);
    if (resting == listener->resting)
        return;
    listener->resting = resting;
    receiver_watch(listener->receiver, !resting);
}

static bool is_urgent(const struct worker *worker, uint64_t now_us)
{
    return now_us < worker->urgent_until_us || worker->stopping;
}

static void say_trouble(const struct listener *listener, enum worker_trouble trouble, int error)
{
    const struct worker_env *env = listener->worker->env;
    env->trouble(env->user, listener->id, trouble, error);
}

/* Reports once a socket that cannot receive, or was slowed down. */
static void look_at_calls(struct listener *listener)
{
    struct worker *worker = listener->worker;
    int error = receiver_error(listener->receiver);
    if (!listener->slow && (receiver_is_slow(listener->receiver) || sender_is_slow(&listener->sender))) {
        listener->slow = true;
        say_trouble(listener, WORKER_TROUBLE_SLOW, 0);
    }
    if (error == 0 || listener->deaf)
        return;
    listener->deaf = true;
    listener->retries = 0;
    say_trouble(listener, WORKER_TROUBLE_DEAF, error);
    if (!uv_is_active((uv_handle_t *)&worker->repair_timer))
        (void)uv_timer_start(&worker->repair_timer, listener_on_repair, WORKER_REPAIR_MS, WORKER_REPAIR_MS);
}

static bool repair(struct listener *listener)
{
    receiver_retry(listener->receiver);
    (void)receiver_drain(listener->receiver, LISTENER_BATCHES);
    if (listener->closed)
        return true;
    listener->deaf = receiver_error(listener->receiver) != 0;
    if (!listener->deaf)
        say_trouble(listener, WORKER_TROUBLE_OVER, 0);
    else if (++listener->retries % WORKER_REPAIR_AGAIN == WORKER_REPAIR_REOPEN)
        say_trouble(listener, WORKER_TROUBLE_STAYS, receiver_error(listener->receiver));
    return !listener->deaf;
}

void listener_on_repair(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    bool whole = true;
    for (struct listener *listener = worker->listeners, *next = NULL; listener; listener = next) {
        next = listener->next;
        if (listener->deaf && !listener->closed)
            whole = repair(listener) && whole;
    }
    if (whole)
        (void)uv_timer_stop(timer);
}

/* Drains a socket that rests or has datagrams. Returns whether it rests from now on. */
static bool drain(struct listener *listener)
{
    struct worker *worker = listener->worker;
    uint64_t before = listener->counts.received;
    bool empty = receiver_drain(listener->receiver, LISTENER_BATCHES);
    if (listener->closed)
        return false;
    look_at_calls(listener);
    bool idle = listener->counts.received ==
                before; /* nothing came during the rest: the socket is watched, which costs nothing */
    listener->behind = !empty;
    set_resting(listener, empty && !idle && receiver_can_rest() && !is_urgent(worker, worker_now_us()));
    return listener->resting;
}

static void on_ready(void *user)
{
    struct listener *listener = user;
    uv_timer_t *timer = &listener->worker->rest_timer;
    if (drain(listener) && !uv_is_active((uv_handle_t *)timer))
        (void)uv_timer_start(timer, listener_on_rest, LISTENER_REST_MS, 0);
}

void listener_on_rest(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    bool some = false;
    for (struct listener *listener = worker->listeners; listener; listener = listener->next)
        if (listener->resting)
            some = drain(listener) || some;
    if (some)
        (void)uv_timer_start(timer, listener_on_rest, LISTENER_REST_MS, 0);
}

void listener_wake(struct worker *worker)
{
    if (!uv_is_active((uv_handle_t *)&worker->rest_timer) || !is_urgent(worker, worker_now_us()))
        return;
    bool some = false;
    for (struct listener *listener = worker->listeners; listener; listener = listener->next) {
        set_resting(listener, false);
        some = some || listener->resting; /* the socket cannot be watched */
    }
    if (!some)
        (void)uv_timer_stop(&worker->rest_timer);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle); /* the first member of struct listener */
}

static int begin_receiving(struct listener *listener, uv_os_sock_t socket, bool any)
{
    const struct receiver_calls calls = {
        .ready = on_ready, .batch = on_batch, .via = any ? find_via : NULL, .user = listener};
    bool lent = listener->worker->number > 0 && !platform_can_share();
    int error = lent ? platform_udp_lend(&listener->udp, socket) : uv_udp_open(&listener->udp, socket);
    if (error != 0) {
        platform_close_socket(socket);
        return error;
    }
    platform_set_reuse((uv_os_fd_t)socket, false); /* which libuv has allowed */
    error = receiver_open(&listener->receiver, &listener->udp, &calls);
    if (error == 0 && lent)
        receiver_watch(listener->receiver, false);
    return error;
}

int listener_open(struct worker *worker, uint32_t id, const struct address *local, uv_os_sock_t socket, bool any)
{
    struct listener *listener = calloc(1, sizeof *listener);
    int error = listener ? uv_udp_init(&worker->loop, &listener->udp) : UV_ENOMEM;
    if (error != 0) {
        platform_close_socket(socket);
        free(listener);
        return error;
    }
    listener->worker = worker;
    listener->id = id;
    listener->local = *local;
    error = begin_receiving(listener, socket, any);
    if (error != 0) {
        uv_close((uv_handle_t *)&listener->udp, on_closed);
        return error;
    }
    listener->next = worker->listeners;
    worker->listeners = listener;
    if (!receiver_is_watched(listener->receiver)) {
        listener->resting = true;
        (void)uv_timer_start(&worker->rest_timer, listener_on_rest, LISTENER_REST_MS, 0);
    }
    return 0;
}

/* Moves the machines whose datagrams another socket of the same port receives from now on. */
static void pass_endpoints(struct listener *from, struct listener *to)
{
    struct worker *worker = from->worker;
    uint16_t from_via = locals_number(worker->env->locals, from->local.ip);
    uint16_t to_via = locals_number(worker->env->locals, to->local.ip);
    if (from->local.port != to->local.port || address_is_ipv4(&from->local) != address_is_ipv4(&to->local))
        return;
    if (address_same_ip(&to->local, from->local.ip))
        targets_pass_listener(&worker->targets, from, to, TARGETS_ANY_VIA, TARGETS_ANY_VIA);
    else if (address_is_any(&to->local))
        targets_pass_listener(&worker->targets, from, to, TARGETS_ANY_VIA, from_via);
    else if (address_is_any(&from->local))
        targets_pass_listener(&worker->targets, from, to, to_via, 0);
}

void listener_close(struct listener *listener)
{
    struct listener **at = &listener->worker->listeners;
    listener->closed = true;
    send_flush(listener->worker);
    send_drop_waiting(listener);
    while (*at != listener)
        at = &(*at)->next;
    *at = listener->next;
    for (struct listener *other = listener->worker->listeners; other; other = other->next)
        pass_endpoints(listener, other);
    targets_forget_listener(&listener->worker->targets, listener);
    listening_pass(listener->worker, listener);
    receiver_close(listener->receiver);
    uv_close((uv_handle_t *)&listener->udp, on_closed);
}

void listener_count(struct listener *listener)
{
    uv_os_fd_t descriptor;
    if (uv_fileno((const uv_handle_t *)&listener->udp, &descriptor) != 0)
        return;
    uint32_t before = (uint32_t)listener->counts.overflowed;
    listener->counts.overflowed += (uint32_t)(platform_receive_drops(descriptor) - before);
}
