/* SPDX-License-Identifier: Apache-2.0 */
#include "service/server.h"
#include "service/log.h"
#include "service/lookup.h"
#include "service/platform/platform.h"

#include "service/server_internal.h"

#include <openssl/rand.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define STOP_MARGIN_US  500000U  /* beyond read_deadline */
#define STOP_RESULTS_US 2000000U /* for a slow reader of the results, after that */
#define STOP_LOOK_MS    10
#define SECOND_MS       1000
#define TRIM_EVENTS     1000U /* fewer need little */
#define TRIM_EVERY_US   2000000U

uint64_t server_now_us(void)
{
    return uv_hrtime() / 1000;
}

static int random_bytes(void *user, uint8_t *out, size_t length)
{
    (void)user;
    return length <= INT32_MAX && RAND_bytes(out, (int)length) == 1 ? KDNET_OK : KDNET_ERR_RANDOM;
}

/* The end. */

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void finish(struct server *server)
{
    if (server->finished)
        return;
    server->finished = true;
    while (server->listeners)
        listener_close(server->listeners);
    close_handle((uv_handle_t *)&server->prepare);
    close_handle((uv_handle_t *)&server->trial_idle);
    close_handle((uv_handle_t *)&server->deadline_idle);
    close_handle((uv_handle_t *)&server->check);
    close_handle((uv_handle_t *)&server->trial_timer);
    close_handle((uv_handle_t *)&server->deadline_timer);
    close_handle((uv_handle_t *)&server->second_timer);
    close_handle((uv_handle_t *)&server->watchdog_timer);
    close_handle((uv_handle_t *)&server->stop_timer);
    close_handle((uv_handle_t *)&server->rest_timer);
    for (size_t i = 0; i < server->signal_count; ++i)
        close_handle((uv_handle_t *)&server->signals[i]);
    lookup_leave(server->asker);
    lookup_close(server->lookup);
    server->asker = NULL;
    server->lookup = NULL;
    reload_stop(server);
    results_tell(&server->results);
    results_close(&server->results);
    if (server->results.writing)
        uv_stop(&server->loop); /* the reader of the results does not read: nobody can wait for it */
}

/* Machines that are being read are let go on first: that takes read_deadline at the most. */
static void on_stop_look(uv_timer_t *timer)
{
    struct server *server = timer->data;
    uint64_t now_us = server_now_us();
    if (server->totals.halted > server->totals.held && now_us < server->stop_by_us)
        return;
    if (!results_is_idle(&server->results) && now_us < server->stop_by_us + STOP_RESULTS_US)
        return;
    finish(server);
}

static void stop(struct server *server)
{
    if (server->stopping) {
        finish(server); /* told twice: now */
        return;
    }
    server->stopping = true;
    server->stop_by_us = server_now_us() + server->shared.read_deadline_us + STOP_MARGIN_US;
    platform_notify_stopping();
    announce_summary(server);
    log_plain(CONFIG_LOG_NOTICE, "stopping");
    (void)uv_timer_start(&server->stop_timer, on_stop_look, 0, STOP_LOOK_MS);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *server = handle->data;
    if (number == platform_signal_reload())
        reload_again(server);
    else if (number == platform_signal_summary())
        announce_summary(server);
    else
        stop(server);
}

/* The rounds of the loop. */

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* while it is active, the loop looks at the sockets without waiting */
}

/*
 * libuv runs timers before it looks at the sockets: after a busy round, answers that are already there would count as
 * late, and their requests would be sent again. So deadlines are handled after the sockets of the same round.
 */
static void on_deadline(uv_timer_t *timer)
{
    struct server *server = timer->data;
    server->deadline_due = true;
    (void)uv_idle_start(&server->deadline_idle, on_idle);
}

static void on_check(uv_check_t *check)
{
    struct server *server = check->data;
    server->idle_us += server_now_us() - server->waiting_from_us;
    if (!server->deadline_due)
        return;
    server->deadline_due = false;
    (void)uv_idle_stop(&server->deadline_idle);
    dispatch_expire(server);
    dispatch_withheld(server);
}

static void arm_deadline(struct server *server)
{
    uint64_t deadline_us = timers_next(&server->timers), withheld_us = withheld_deadline(&server->withheld);
    uint64_t now_us = server_now_us();
    if (withheld_us < deadline_us)
        deadline_us = withheld_us;
    if (deadline_us == TIMERS_NEVER) {
        (void)uv_timer_stop(&server->deadline_timer);
        return;
    }
    uint64_t wait_us = deadline_us > now_us ? deadline_us - now_us : 0;
    uint64_t wait_ms = wait_us / 1000 + (wait_us % 1000 != 0);
    uv_update_time(&server->loop);
    (void)uv_timer_start(&server->deadline_timer, on_deadline, wait_ms > 0 ? wait_ms : 1, 0);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct server *server = prepare->data;
    dispatch_try_keys(server);
    dispatch_recall(server);
    results_flush(&server->results);
    listener_flush(server);
    listener_wake(server);
    arm_deadline(server);
    server->waiting_from_us = server_now_us();
}

/* What thousands that connected at once needed for a moment goes back to the system, when it is quiet again. */
static void trim(struct server *server, uint64_t now_us)
{
    if (server->totals.events - server->trimmed_events < TRIM_EVENTS || now_us < server->urgent_until_us ||
        now_us - server->trimmed_us < TRIM_EVERY_US)
        return;
    server->trimmed_events = server->totals.events;
    server->trimmed_us = now_us;
    platform_trim_memory();
}

static void on_second(uv_timer_t *timer)
{
    struct server *server = timer->data;
    uint64_t now_us = server_now_us();
    trim(server, now_us);
    announce_strangers(server, now_us);
    announce_status(server);
    if (now_us - server->told_us < SERVER_MINUTE_US)
        return;
    server->told_us = now_us;
    for (struct listener *listener = server->listeners; listener; listener = listener->next)
        listener_tell(listener);
    announce_more_strangers(server);
    results_tell(&server->results);
}

static void on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    platform_notify_alive();
}

/* The start. */

static void start_signal(struct server *server, int number)
{
    uv_signal_t *handle = &server->signals[server->signal_count];
    if (number == 0 || uv_signal_init(&server->loop, handle) != 0)
        return;
    handle->data = server;
    ++server->signal_count;
    (void)uv_signal_start(handle, on_signal, number);
}

static void init_handles(struct server *server)
{
    uv_timer_t *timers[] = {&server->trial_timer,    &server->deadline_timer, &server->second_timer,
                            &server->watchdog_timer, &server->stop_timer,     &server->rest_timer};
    for (size_t i = 0; i < sizeof timers / sizeof timers[0]; ++i) {
        (void)uv_timer_init(&server->loop, timers[i]);
        timers[i]->data = server;
    }
    (void)uv_prepare_init(&server->loop, &server->prepare);
    (void)uv_idle_init(&server->loop, &server->trial_idle);
    (void)uv_idle_init(&server->loop, &server->deadline_idle);
    (void)uv_check_init(&server->loop, &server->check);
    server->check.data = server;
    server->prepare.data = server;
    server->trial_idle.data = server;
}

static void start_handles(struct server *server)
{
    uint64_t watchdog_ms = platform_watchdog_us() / 1000;
    start_signal(server, SIGTERM);
    start_signal(server, SIGINT);
    start_signal(server, platform_signal_reload());
    start_signal(server, platform_signal_summary());
    (void)uv_prepare_start(&server->prepare, on_prepare);
    (void)uv_check_start(&server->check, on_check);
    (void)uv_timer_start(&server->second_timer, on_second, SECOND_MS, SECOND_MS);
    if (watchdog_ms > 1)
        (void)uv_timer_start(&server->watchdog_timer, on_watchdog, watchdog_ms / 2, watchdog_ms / 2);
}

/* Symbols, for the sessions. A service that stops waits for none. */
static enum kdnet_rva_answer find_rva(void *user, const struct kdnet_pdb *pdb, const char *symbol, uint32_t *rva,
                                      enum kdnet_source *source)
{
    const struct server *server = user;
    if (!server->asker)
        return KDNET_RVA_NO_SYMBOLS;
    enum kdnet_rva_answer answer = lookup_find(server->asker, pdb, symbol, rva, source);
    return answer == KDNET_RVA_PENDING && server->stopping ? KDNET_RVA_NO_SYMBOLS : answer;
}

static void want_rvas(void *user, const struct kdnet_pdb *pdb, const char *const *symbols, size_t count)
{
    const struct server *server = user;
    if (server->asker && !server->stopping)
        lookup_want(server->asker, pdb, symbols, count);
}

static bool recall_image(void *user, const struct kdnet_image_print *print, struct kdnet_pdb *pdb)
{
    const struct server *server = user;
    return server->asker && lookup_recall(server->asker, print, pdb);
}

static void remember_image(void *user, const struct kdnet_image_print *print, const struct kdnet_pdb *pdb)
{
    const struct server *server = user;
    if (server->asker)
        lookup_remember(server->asker, print, pdb);
}

void server_choose_symbols(struct server *server, const struct kdnetd_config *config)
{
    bool places = config->symbol_count > 0;
    server->shared.want_rvas = places ? want_rvas : NULL;
    server->shared.recall_image = places ? recall_image : NULL;
    server->shared.remember_image = places ? remember_image : NULL;
    reads_make(&server->reads, config);
    server->shared.reads = &server->reads;
}

/* The machines that wait ask again; the others do not mind. */
static void on_symbols(void *user)
{
    struct server *server = user;
    uint64_t now_us = server_now_us();
    for (uint32_t id = 0; id < server->targets.ids && server->totals.halted > 0; ++id) {
        struct target *target = targets_row(&server->targets, id);
        if (!target || !target->halted)
            continue;
        kdnet_session_symbols_came(target->session, now_us);
        dispatch_pump(server, target, NULL, NULL, now_us);
    }
}

static bool init_parts(struct server *server)
{
    if (RAND_bytes((unsigned char *)&server->seed, sizeof server->seed) != 1) {
        log_plain(CONFIG_LOG_ERROR, "no random bytes to be had from OpenSSL");
        return false;
    }
    server->shared.crypto = kdnet_crypto_new();
    server->shared.user = server;
    server->shared.random = random_bytes;
    server->shared.find_rva = find_rva;
    server->shared.counts = &server->session_counts;
    policies_init(&server->policies);
    targets_init(&server->targets, server->seed);
    timers_init(&server->timers);
    strangers_init(&server->strangers, server->seed);
    withheld_init(&server->withheld);
    shares_init(&server->shares, server->seed);
    bucket_init(&server->nudges, SERVER_NUDGE_PER_SECOND, SERVER_NUDGE_PER_SECOND);
    server->told_us = server_now_us();
    pace_init(&server->pace, server->told_us);
    server->lookup = lookup_new(&server->loop);
    server->asker = server->lookup ? lookup_join(server->lookup, &server->loop, on_symbols, server) : NULL;
    server->totals.inquiries_limit = SERVER_INQUIRIES_START;
    if (server->shared.crypto && server->asker && trials_init(&server->trials, server->seed))
        return true;
    log_plain(CONFIG_LOG_ERROR, "out of memory, or OpenSSL has no AES-256");
    return false;
}

static void on_results(void *user)
{
    dispatch_withheld(user);
}

static bool open_results(struct server *server)
{
    struct log_line line;
    int error = results_open(&server->results, &server->loop, server->config.events);
    server->results.on_settled = on_results;
    server->results.user = server;
    if (error == 0)
        return true;
    log_begin(&line, CONFIG_LOG_ERROR, "result file cannot be opened; look at the permissions of its folder");
    log_text(&line, "file", server->config.events);
    log_text(&line, "error", uv_strerror(error));
    log_end(&line);
    return false;
}

static void clear_parts(struct server *server)
{
    targets_clear(&server->targets);
    policies_clear(&server->policies);
    timers_clear(&server->timers);
    trials_clear(&server->trials);
    withheld_clear(&server->withheld);
    kdnet_crypto_free(server->shared.crypto);
    config_clear(&server->config);
}

static void run_loop(struct server *server)
{
    struct log_line line;
    start_handles(server);
    log_begin(&line, CONFIG_LOG_NOTICE, "serving");
    log_text(&line, "version", KDNETD_VERSION);
    log_number(&line, "targets", server->targets.count);
    log_end(&line);
    platform_notify_ready();
    announce_status(server);
    (void)uv_run(&server->loop, UV_RUN_DEFAULT);
}

static bool serve(struct server *server)
{
    bool good = open_results(server);
    good = init_parts(server) && good && reload_first(server);
    if (good)
        run_loop(server);
    finish(server);
    (void)uv_run(&server->loop, server->results.writing ? UV_RUN_NOWAIT : UV_RUN_DEFAULT);
    return good;
}

bool server_run(const struct options *options, struct kdnetd_config *config)
{
    struct server *server = calloc(1, sizeof *server);
    log_set_level(config->log_level);
    if (!server || uv_loop_init(&server->loop) != 0) {
        log_plain(CONFIG_LOG_ERROR, "out of memory");
        free(server);
        return false;
    }
    server->options = options;
    server->config = *config;
    config_init(config);
    init_handles(server);
    bool good = serve(server);
    clear_parts(server);
    if (server->results.writing) {
        log_plain(CONFIG_LOG_ERROR, "results were lost: their reader does not read");
        _Exit(good ? EXIT_SUCCESS : EXIT_FAILURE); /* libuv would wait for that write at exit */
    }
    (void)uv_loop_close(&server->loop);
    free(server);
    return good;
}
