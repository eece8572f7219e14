/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/platform.h"
#include "service/runtime/log.h"
#include "service/server/server_internal.h"
#include "service/symbols/lookup.h"
#include "service/worker/worker_loop.h"

#define MARGIN_US       (STOP_TIME_MACHINES_US - WORKER_STOP_READ_US) /* beyond read_deadline */
#define RESULTS_US      2000000U /* since the last result was written: the file hangs */
#define CLOSING_LOOK_MS 2U
#define US_A_MS         1000U

/* Of the service manager's kind: it goes on while kdnetd stands still. */
static uint64_t people_us(void)
{
    return uv_hrtime() / 1000;
}

static uint64_t share_us(const struct server *server, enum stop_stage stage)
{
    return stop_time_share(&server->stop_time, stage, people_us());
}

unsigned stopping_share_ms(const struct server *server, enum stop_stage stage)
{
    return (unsigned)(share_us(server, stage) / US_A_MS);
}

unsigned stopping_left_ms(uint64_t by_us)
{
    uint64_t now_us = people_us();
    return now_us < by_us ? (unsigned)((by_us - now_us) / US_A_MS) : 0;
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

/* Handles messages that no loop handles any more. Returns whether there were any. */
static bool handle_left(struct server *server)
{
    bool some = mailbox_handle(&server->mailbox);
    for (unsigned i = 0; i < server->inited; ++i)
        some = mailbox_handle(&server->workers[i].mailbox) || some;
    return some;
}

/* Ends the workers' threads, and takes their last messages. */
static void join_workers(struct server *server)
{
    if (server->joined)
        return;
    for (unsigned i = 0; i < server->started; ++i) {
        mailbox_post(&server->workers[i].mailbox, &server->workers[i].finish_message);
        worker_run(&server->workers[i]);
    }
    for (unsigned i = 0; i < server->started; ++i)
        (void)uv_thread_join(&server->workers[i].thread);
    server->joined = true;
    server->written_us = worker_now_us();
    server->results_by_us = people_us() + share_us(server, STOP_RESULTS);
    for (unsigned i = 0; i < server->inited; ++i) {
        worker_finish(&server->workers[i]);
        mailbox_end(&server->workers[i].mailbox); /* other collectors show datagrams until hinting_end */
    }
    while (handle_left(server))
        ;
    event_log_end(&server->event_log);
    succession_pass_on(server);
}

/* Closes HTTP, sinks and store. */

static void close_parts(void *user)
{
    struct stopping_parts *closing = user;
    bool ended = api_close(closing->http);
    closing->good = observe_close_sinks(closing->sinks, stopping_left_ms(closing->by_us)) && ended;
    observe_settle(closing->observe, stopping_left_ms(closing->by_us));
    atomic_store(&closing->done, true);
}

static void begin_closing(struct server *server)
{
    struct stopping_parts *closing = &server->closing;
    if (closing->begun)
        return;
    closing->begun = true;
    closing->by_us = people_us() + share_us(server, STOP_CLOSING);
    closing->http = api_take(&server->api);
    closing->sinks = observe_take_sinks(&server->observe);
    closing->observe = &server->observe;
    closing->threaded = uv_thread_create(&closing->thread, close_parts, closing) == 0;
    if (!closing->threaded)
        close_parts(closing);
}

/* Returns whether all is closed: a thread that hangs is not waited for. */
static bool end_closing(struct server *server)
{
    struct stopping_parts *closing = &server->closing;
    begin_closing(server);
    while (!atomic_load(&closing->done) && people_us() < closing->by_us)
        uv_sleep(CLOSING_LOOK_MS);
    if (!atomic_load(&closing->done))
        return false;
    if (closing->threaded)
        (void)uv_thread_join(&closing->thread);
    return closing->good;
}

/* What is on disks for the next process: all is told to end before the first of it is waited for. While a sink hangs,
 * which reads the store, what waits is committed all the same. Returns whether all has ended. */
static bool end_kept(struct server *server)
{
    bool closed = end_closing(server);
    uint64_t by_us = people_us() + share_us(server, STOP_KEPT);
    (void)hinting_end(server, 0);
    if (closed)
        closed = observe_close(&server->observe, stopping_left_ms(by_us));
    else
        observe_settle(&server->observe, stopping_left_ms(by_us));
    return hinting_end(server, by_us) && closed;
}

/* The end of all. */

void stopping_finish(struct server *server)
{
    if (server->finished)
        return;
    stop_time_begin(&server->stop_time, people_us());
    join_workers(server);
    server->finished = true;
    summary_log_last(server);
    worker_will_sleep(WORKER_CLOCK_ENDLESS);
    close_handle((uv_handle_t *)&server->prepare);
    close_handle((uv_handle_t *)&server->second_timer);
    close_handle((uv_handle_t *)&server->watchdog_timer);
    close_handle((uv_handle_t *)&server->stop_timer);
    close_handle((uv_handle_t *)&server->read_timer);
    requests_close(&server->requests);
    succession_give_up(server);
    succession_end_following(server);
    hinting_stop(server);
    mailbox_close(&server->mailbox);
    lookup_close(server->lookup);
    server->lookup = NULL;
    reload_stop(server);
    api_refuse_waiting(server);
    server->good = event_log_give_up(&server->event_log, stopping_share_ms(server, STOP_UNWRITTEN));
    server->hangs = !event_log_close(&server->event_log);
    server->hangs = !end_kept(server) || server->hangs;
    if (server->hangs)
        uv_stop(&server->loop);
}

/* Results are still being written, and not too slowly. */
static bool event_log_waits(struct server *server)
{
    struct event_log_counts counts;
    uint64_t now_us = worker_now_us();
    if (event_log_has_ended(&server->event_log))
        return false;
    event_log_count(&server->event_log, &counts);
    if (counts.written != server->written)
        server->written_us = now_us;
    server->written = counts.written;
    return now_us - server->written_us < RESULTS_US && people_us() < server->results_by_us;
}

/* Machines that are being read are let go on first: that takes read_deadline at the most. */
static bool machines_wait(const struct server *server, uint64_t now_us)
{
    const struct summary *summary = &server->summary;
    return now_us < server->stop_by_us &&
           (summary->ended < server->stop_round || summary->totals.halted > summary->totals.held || server->reads > 0);
}

/* Gives machines `us` to go on, from now; unreported states of workers count. */
static void wait_for_machines(struct server *server, uint64_t us)
{
    server->stop_by_us = worker_now_us() + us;
    server->stop_round = server->summary.begun + 1;
}

/* Whether closing continues: machines are served meanwhile, and those that break in are released, too. */
static bool closing_waits(struct server *server)
{
    struct stopping_parts *closing = &server->closing;
    begin_closing(server);
    if (closing->over)
        return false;
    if (!atomic_load(&closing->done) && people_us() < closing->by_us)
        return true;
    closing->over = true;
    wait_for_machines(server, share_us(server, STOP_AGAIN));
    return false;
}

static void on_look(uv_timer_t *timer)
{
    struct server *server = timer->data;
    uint64_t now_us = worker_now_us();
    if (!server->joined) {
        if (!machines_wait(server, now_us) && !closing_waits(server) && !machines_wait(server, now_us))
            join_workers(server);
        else
            summary_ask(server);
    }
    if (server->joined && !event_log_waits(server))
        stopping_finish(server);
}

void stopping_begin(struct server *server)
{
    if (server->stopping) {
        stopping_finish(server); /* told twice: now */
        return;
    }
    server->stopping = true;
    stop_time_begin(&server->stop_time, people_us());
    uint64_t read_us = server->config.read_deadline_ms * US_A_MS;
    wait_for_machines(server, (read_us < WORKER_STOP_READ_US ? read_us : WORKER_STOP_READ_US) + MARGIN_US);
    if (!succession_is_ready(server)) {
        succession_give_up(server);
        platform_notify_stopping(STOP_TIME_US / US_A_MS);
    }
    for (unsigned i = 0; i < server->started; ++i)
        mailbox_post(&server->workers[i].mailbox, &server->workers[i].stop_message);
    summary_log(server);
    log_plain(CONFIG_LOG_NOTICE, "stopping");
    (void)uv_timer_start(&server->stop_timer, on_look, STOPPING_LOOK_MS, STOPPING_LOOK_MS);
}
