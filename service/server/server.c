/* SPDX-License-Identifier: Apache-2.0 */
#include "service/server/server.h"
#include "config/remedies.h"
#include "service/server/limits.h"
#include "service/runtime/log.h"
#include "service/symbols/lookup.h"
#include "service/platform/platform.h"
#include "service/platform/successor.h"
#include "service/server/server_internal.h"
#include "service/worker/worker_loop.h"

#include <openssl/rand.h>
#include <stdlib.h>

#define SECOND_MS       1000
#define STALL_LOGGED_US 1000000U /* shorter ones are not worth a line */
#define TRIM_EVENTS     1000U    /* fewer need little */
#define TRIM_EVERY_US   2000000U

static void on_request(void *user, enum request request)
{
    struct server *server = user;
    switch (request) {
    case REQUEST_RELOAD:
        if (!server->stopping)
            reload_again(server);
        break;
    case REQUEST_SUMMARY:
        summary_log(server);
        break;
    case REQUEST_UPGRADE:
        succession_begin(server);
        break;
    case REQUEST_STOP:
    default:
        stopping_begin(server);
    }
}

/* The rounds of the loop. */

/* Returns memory that thousands of connecting machines needed to the system, once it is quiet again. */
static void trim(struct server *server, uint64_t now_us)
{
    uint64_t events = server->summary.totals.events;
    bool quiet = events == server->second_events;
    server->second_events = events;
    if (!quiet || events - server->trimmed_events < TRIM_EVENTS || now_us - server->trimmed_us < TRIM_EVERY_US)
        return;
    server->trimmed_events = events;
    server->trimmed_us = now_us;
    platform_trim_memory();
}

static void log_stalls(struct server *server, uint64_t now_us)
{
    uint64_t more_us = worker_stalls_us() - server->stalls_us;
    struct log_line line;
    if (more_us < STALL_LOGGED_US ||
        (server->stalls_logged_us != 0 && now_us - server->stalls_logged_us < WORKER_MINUTE_US))
        return;
    server->stalls_us += more_us;
    server->stalls_logged_us = now_us;
    log_begin(&line, CONFIG_LOG_WARNING,
              "kdnetd itself stood still: it was stopped, or its computer paused or overloaded; the deadlines of its "
              "machines are later by as much");
    log_milliseconds(&line, "stalled_ms", more_us);
    log_end(&line);
}

static void on_second(uv_timer_t *timer)
{
    struct server *server = timer->data;
    uint64_t now_us = worker_now_us();
    event_log_look(&server->event_log);
    log_stalls(server, now_us);
    if (server->joined)
        return;
    summary_ask(server);
    ports_look(server, now_us);
    trim(server, now_us);
    unknown_report_look(server, now_us);
    reload_look(server, now_us);
    succession_look(server, now_us);
    summary_status(server);
    api_look(&server->api);
    if (server->observe.snapshots)
        snapshots_collect(server->observe.snapshots);
    if (now_us - server->logged_us < WORKER_MINUTE_US)
        return;
    server->logged_us = now_us;
    for (struct port *port = server->ports; port; port = port->next)
        port_log_drops(port);
    unknown_report_log_rest(server);
}

/* We live when each worker has answered since the last time. */
static void on_watchdog(uv_timer_t *timer)
{
    struct server *server = timer->data;
    if (server->joined || server->summary.ended > server->alive_round)
        platform_notify_alive();
    server->alive_round = server->summary.ended;
    if (!server->joined)
        summary_ask(server);
}

static void on_settled_lines(void *user)
{
    struct server *server = user;
    for (unsigned i = 0; i < server->started && !server->joined; ++i)
        if (atomic_load(&server->workers[i].waits_for_writes))
            (void)uv_async_send(&server->workers[i].settled);
}

/* Its timers bound the loop's sleep; the deadlines of stopping are on the workers' clock. */
static void on_prepare(uv_prepare_t *prepare)
{
    const struct server *server = prepare->data;
    (void)worker_now_us();
    worker_will_sleep((server->stopping ? STOPPING_LOOK_MS : SECOND_MS) * UINT64_C(1000));
}

/* The start. */

static void init_handles(struct server *server)
{
    uv_timer_t *timers[] = {&server->second_timer, &server->watchdog_timer, &server->stop_timer, &server->end_timer,
                            &server->read_timer};
    for (size_t i = 0; i < sizeof timers / sizeof timers[0]; ++i) {
        (void)uv_timer_init(&server->loop, timers[i]);
        timers[i]->data = server;
    }
    (void)uv_prepare_init(&server->loop, &server->prepare);
    server->prepare.data = server;
}

static void start_handles(struct server *server)
{
    uint64_t watchdog_ms = platform_watchdog_us() / 1000;
    requests_watch(&server->requests, &server->loop, on_request, server);
    (void)uv_prepare_start(&server->prepare, on_prepare);
    (void)uv_timer_start(&server->second_timer, on_second, SECOND_MS, SECOND_MS);
    if (watchdog_ms > 1)
        (void)uv_timer_start(&server->watchdog_timer, on_watchdog, watchdog_ms / 2, watchdog_ms / 2);
}

static unsigned choose_workers(const struct kdnetd_config *config)
{
    unsigned count = config->workers > 0 ? config->workers : uv_available_parallelism();
    if (config->workers == 0 && !platform_can_share())
        return 1; /* all datagrams go through worker 0: others help only where machines cost much CPU time */
    return limits_workers(count < CONFIG_WORKERS_MAX ? count : CONFIG_WORKERS_MAX, config->listen_count);
}

/* Makes one worker: its loop, parts and thread. */
static bool add_worker(struct server *server)
{
    struct worker *worker = &server->workers[server->inited];
    server->env.mailboxes[server->inited] = &worker->mailbox;
    if (!worker_init(worker, &server->env, server->inited)) {
        if (worker->handles_ready)
            worker_clear(worker, false);
        return false;
    }
    if (worker_start(worker) != 0) {
        worker_clear(worker, false);
        return false;
    }
    server->inited = server->started = server->inited + 1;
    return true;
}

/* Makes as many workers as this system permits: one serves all machines, too. */
static bool init_workers(struct server *server)
{
    unsigned count = choose_workers(&server->config);
    server->workers = calloc(count, sizeof *server->workers);
    server->summary.of = calloc(count, sizeof *server->summary.of);
    server->env.mailboxes = calloc(count, sizeof(struct mailbox *));
    if (!server->workers || !server->summary.of || !server->env.mailboxes)
        return false;
    while (server->inited < count && add_worker(server))
        ;
    if (server->inited < count && server->inited > 0)
        log_plain(CONFIG_LOG_WARNING,
                  "workers: memory, threads or files are short: fewer serve than were asked for; " REMEDY_LIMITS);
    server->worker_count = server->inited;
    server->env.worker_count = server->inited;
    server->env.steer = (struct steer){.seed = (uint32_t)server->seed, .workers = server->inited};
    return server->inited > 0;
}

static void on_target_changed(void *user, struct worker *worker, struct target *target)
{
    struct server *server = user;
    observe_target_changed(&server->observe, worker, target);
    hinting_target_changed(server, worker, target);
}

static void on_target_gone(void *user, struct worker *worker, struct target *target)
{
    struct server *server = user;
    (void)worker;
    observe_target_gone(&server->observe, target);
    hinting_target_gone(server, target);
}

static void on_target_renamed(void *user, struct target *target, const char *name)
{
    hinting_target_renamed(user, target, name);
}

static void init_env(struct server *server)
{
    static const struct worker_lookup symbols = {.join = lookup_join,
                                                 .leave = lookup_leave,
                                                 .asking = lookup_asking,
                                                 .find = lookup_find,
                                                 .want = lookup_want,
                                                 .name = lookup_name,
                                                 .recall = lookup_recall,
                                                 .remember = lookup_remember,
                                                 .explain = lookup_explain};
    server->env = (struct worker_env){.seed = server->seed,
                                      .locals = &server->locals,
                                      .publisher = &server->publisher,
                                      .lookup = server->lookup,
                                      .symbols = &symbols,
                                      .keys_shown = &server->keys_shown,
                                      .user = server,
                                      .trouble = ports_trouble,
                                      .unknown_poke = unknown_report_poke,
                                      .target_changed = on_target_changed,
                                      .target_renamed = on_target_renamed,
                                      .target_gone = on_target_gone,
                                      .hinted = hinting_hinted,
                                      .others = &server->hinting.others,
                                      .here = hinting_here,
                                      .astray = hinting_astray,
                                      .kept = hinting_kept};
}

static bool init_parts(struct server *server)
{
    if (RAND_bytes((unsigned char *)&server->seed, sizeof server->seed) != 1) {
        log_plain(CONFIG_LOG_ERROR, "no random bytes to be had from OpenSSL");
        return false;
    }
    policies_init(&server->policies);
    unknown_sources_init(&server->unknown_sources, server->seed);
    server->logged_us = worker_now_us();
    server->lookup = lookup_new(&server->loop);
    init_env(server);
    if (!api_init(&server->api, server) || !observe_init(&server->observe, &server->publisher, &server->config)) {
        log_plain(CONFIG_LOG_ERROR, "out of memory");
        return false;
    }
    if (locals_init(&server->locals) == 0 && server->lookup && init_workers(server)) {
        hinting_init(server);
        return true;
    }
    log_plain(CONFIG_LOG_ERROR, "out of memory, threads or files, or OpenSSL has no AES-256; " REMEDY_LIMITS);
    return false;
}

/* Opening fails only for lack of memory or handles: a file that cannot be opened is logged and retried. */
static bool open_event_log(struct server *server)
{
    int error = event_log_open(&server->event_log, &server->loop, server->config.events);
    publisher_init(&server->publisher, &server->event_log);
    server->event_log.on_settled = on_settled_lines;
    server->event_log.user = server;
    if (error != 0)
        log_plain(CONFIG_LOG_ERROR, "out of memory, or of handles");
    return error == 0;
}

static void clear_parts(struct server *server)
{
    for (unsigned i = 0; i < server->inited; ++i)
        worker_clear(&server->workers[i], i < server->started);
    ports_clear(server);
    summary_clear(server);
    free(server->workers);
    free(server->env.mailboxes);
    policies_clear(&server->policies);
    api_clear(&server->api);
    config_clear(&server->config);
}

static void say_serving(const struct server *server)
{
    struct log_line line;
    size_t open = ports_open(server), wanted = ports_wanted(server);
    log_begin(&line, CONFIG_LOG_NOTICE, "serving");
    log_text(&line, "version", KDNETD_VERSION);
    log_number(&line, "targets", server->summary.totals.targets);
    log_number(&line, "workers", server->worker_count);
    log_number(&line, "listeners", open);
    if (open < wanted)
        log_number(&line, "not_open", wanted - open);
    log_end(&line);
}

static bool run_loop(struct server *server)
{
    if (!succession_wait(server))
        return true;
    server->observe.on_committed = api_committed;
    server->observe.user = &server->api;
    observe_open(&server->observe, &server->config, successor_predecessor() >= 0);
    succession_follow(server);
    for (unsigned i = 0; i < server->started; ++i)
        worker_run(&server->workers[i]);
    start_handles(server);
    hinting_begin(server);
    say_serving(server);
    platform_notify_ready();
    summary_status(server);
    api_look(&server->api);
    api_serve(&server->api, &server->config);
    (void)uv_run(&server->loop, UV_RUN_DEFAULT);
    return true;
}

static void on_end(uv_timer_t *timer)
{
    struct server *server = timer->data;
    server->hangs = true;
    uv_stop(&server->loop);
}

/* Runs the loop's last rounds: handles close, and work on other threads ends, or is no longer waited for. */
static void run_out(struct server *server)
{
    (void)uv_timer_start(&server->end_timer, on_end, stopping_share_ms(server, STOP_LOOP), 0);
    uv_unref((uv_handle_t *)&server->end_timer);
    (void)uv_run(&server->loop, server->hangs ? UV_RUN_NOWAIT : UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&server->end_timer, NULL);
    if (!server->hangs)
        (void)uv_run(&server->loop, UV_RUN_DEFAULT);
}

/* Returns whether the server ended as requested, with each result written. */
static bool serve(struct server *server)
{
    bool good = open_event_log(server);
    good = init_parts(server) && good && reload_first(server) && run_loop(server);
    stopping_finish(server);
    run_out(server);
    return good && server->good;
}

/* Ends the process without waiting for hanging threads, which libuv would wait for at exit. */
static void end(struct server *server, bool good)
{
    unsigned wait_ms = stopping_share_ms(server, STOP_READING);
    if (server->hangs || !reload_is_over(server, wait_ms)) { /* a thread waits for a disk, and still uses this memory */
        log_plain(CONFIG_LOG_WARNING, "a call to the file system or to a symbol server hangs; it is not waited for");
        platform_end(good ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    clear_parts(server);
    mailbox_clear(&server->mailbox);
    (void)uv_loop_close(&server->loop);
    free(server);
}

/* With its loop and mailbox. NULL: out of memory, or of files. */
static struct server *new_server(void)
{
    struct server *server = calloc(1, sizeof *server);
    if (!server || uv_loop_init(&server->loop) != 0) {
        free(server);
        return NULL;
    }
    if (mailbox_init(&server->mailbox, &server->loop, server) == 0)
        return server;
    (void)uv_loop_close(&server->loop);
    free(server);
    return NULL;
}

bool server_run(const struct options *options, struct kdnetd_config *config)
{
    struct server *server = new_server();
    log_set_level(config->log_level);
    if (!server) {
        log_plain(CONFIG_LOG_ERROR, "out of memory");
        return false;
    }
    server->options = options;
    server->config = *config;
    config_init(config);
    init_handles(server);
    bool good = serve(server);
    end(server, good);
    return good;
}
