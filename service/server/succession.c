/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/inherited.h"
#include "service/platform/platform.h"
#include "service/platform/successor.h"
#include "service/runtime/log.h"
#include "service/server/server_internal.h"
#include "service/worker/worker_clock.h"

#include <stdlib.h>

#define READY_US    UINT64_C(120000000) /* for a successor to become ready: a large configuration on a busy computer */
#define SOCKETS_MAX 1024U

/* The predecessor. */

static size_t list_sockets(const struct server *server, struct successor_socket *out)
{
    struct sockaddr_storage address;
    size_t count = 0;
    for (const struct port *port = server->ports; port; port = port->next) {
        address_to_socket(&port->local, &address);
        for (unsigned i = 0; port->open && i < server->worker_count && count < SOCKETS_MAX; ++i)
            count += inherited_pass_on((const struct sockaddr *)&address, i, port->sockets[i], out, count, &out[count]);
    }
    return count;
}

static int start(const struct server *server)
{
    struct successor_socket *sockets = calloc(SOCKETS_MAX, sizeof *sockets);
    if (!sockets)
        return UV_ENOMEM;
    int channel = successor_start(sockets, list_sockets(server, sockets));
    free(sockets);
    return channel;
}

static void on_closed(uv_handle_t *handle)
{
    struct server *server = handle->data;
    server->succession.poll = (uv_poll_t){.data = NULL};
    server->succession.process = 0;
}

static void close_poll(struct server *server)
{
    server->succession.begun = false;
    uv_close((uv_handle_t *)&server->succession.poll, on_closed);
}

void succession_give_up(struct server *server)
{
    if (!server->succession.begun)
        return;
    close_poll(server);
    successor_drop(server->succession.channel);
}

static void say_failed(const char *error)
{
    struct log_line line;
    log_begin(&line, CONFIG_LOG_ERROR,
              "upgrade: the new process cannot take over, and this one goes on; its messages in this log say why");
    log_text(&line, "error", error);
    log_end(&line);
}

static void on_channel(uv_poll_t *poll, int status, int events)
{
    struct server *server = poll->data;
    int64_t process = status < 0 ? status : successor_ready(server->succession.channel);
    (void)events;
    if (process == 0)
        return;
    if (process < 0) {
        succession_give_up(server);
        say_failed("it has ended before it was ready");
        return;
    }
    (void)uv_poll_stop(poll);
    server->succession.process = process;
    if (!server->stopping)
        stopping_begin(server);
}

/* Watches the channel. */
static int watch(struct server *server, int channel)
{
    struct succession *succession = &server->succession;
    int error = uv_poll_init(&server->loop, &succession->poll, channel);
    if (error != 0)
        return error;
    succession->poll.data = server;
    succession->channel = channel;
    succession->begun = true;
    succession->until_us = worker_now_us() + READY_US;
    error = uv_poll_start(&succession->poll, UV_READABLE, on_channel);
    if (error != 0)
        close_poll(server);
    return error;
}

void succession_begin(struct server *server)
{
    if (server->stopping || server->succession.begun || uv_is_closing((uv_handle_t *)&server->succession.poll))
        return;
    if (!platform_is_managed()) {
        say_failed("no service manager (Type=notify) is told which process serves: restart this one instead");
        return;
    }
    int channel = start(server), error = channel;
    if (channel >= 0)
        error = watch(server, channel);
    if (channel >= 0 && error != 0)
        successor_drop(channel);
    if (error < 0) {
        say_failed(uv_strerror(error));
        return;
    }
    log_plain(CONFIG_LOG_NOTICE, "upgrade: a new process of the program starts; this one serves until it is ready");
}

void succession_look(struct server *server, uint64_t now_us)
{
    if (!server->succession.begun || server->succession.process != 0 || now_us < server->succession.until_us)
        return;
    succession_give_up(server);
    say_failed("it did not become ready in two minutes");
}

bool succession_is_ready(const struct server *server)
{
    return server->succession.begun && server->succession.process != 0;
}

void succession_pass_on(struct server *server)
{
    size_t length = 0;
    if (!succession_is_ready(server))
        return;
    char *text = hinting_pass_on(server, &length);
    (void)platform_notify_main(server->succession.process);
    bool passed = successor_begin(server->succession.channel, text, length);
    free(text);
    close_poll(server);
    if (!passed)
        log_plain(CONFIG_LOG_ERROR, "upgrade: the new process is gone; the service manager has to start another");
}

/* The successor. */

bool succession_wait(struct server *server)
{
    char *text = NULL;
    size_t length = 0;
    if (!successor_waits())
        return true;
    worker_will_sleep(WORKER_CLOCK_ENDLESS);
    bool turn = successor_wait(&text, &length);
    (void)worker_now_us();
    if (turn) {
        hinting_take_over(server, text, length);
        for (const struct port *port = server->ports; port; port = port->next)
            if (port->open)
                opening_steer(server, port);
        inherited_begin();
    }
    free(text);
    return turn;
}

void succession_end_following(struct server *server)
{
    if (!server->succession.follows)
        return;
    server->succession.follows = false;
    uv_close((uv_handle_t *)&server->succession.predecessor, NULL);
    successor_predecessor_ended();
}

static void stand_alone(struct server *server)
{
    succession_end_following(server);
    observe_release(&server->observe);
}

static void on_predecessor(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    stand_alone(poll->data);
}

void succession_follow(struct server *server)
{
    struct succession *succession = &server->succession;
    int channel = successor_predecessor();
    if (channel < 0)
        return;
    succession->follows = uv_poll_init(&server->loop, &succession->predecessor, channel) == 0;
    succession->predecessor.data = server;
    if (succession->follows && uv_poll_start(&succession->predecessor, UV_READABLE, on_predecessor) == 0)
        return;
    stand_alone(server);
}
