/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_server: a server with workers whose loops a test turns, over a clock that the test sets. Sockets are bound to
 * any free port of loopback, or refused as the test says. The thread that reads a configuration runs when the test lets
 * it. Only for tests, one at a time; tests/CMakeLists.txt has what is wrapped.
 */
#ifndef TESTS_SERVICE_FAKE_SERVER_H
#define TESTS_SERVICE_FAKE_SERVER_H

#include "service/platform/platform.h"
#include "service/server/server_internal.h"
#include "service/worker/listener.h"
#include "service/worker/worker_loop.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FAKE_READS   8U
#define FAKE_ROUNDS  50U
#define FAKE_WAIT_MS 60000U

static struct {
    struct server *server;
    struct options options;
    char folder[64], path[96];
    uint64_t now_ns;

    bool no_threads, no_pool; /* none can be had */
    bool pool_is_busy;        /* with other work, until fake_pool_goes_on */
    struct {
        uv_work_t *work;
        uv_work_cb run;
        uv_after_work_cb after;
    } waiting; /* for the pool */
    struct {
        uv_thread_cb run;
        void *user;
    } reading[FAKE_READS]; /* threads that were asked for and did not run yet, the oldest first */
    unsigned readings;

    uint16_t refused_port; /* a socket of this port cannot be had, ... */
    int refused_error;     /* ... for this reason */
    unsigned sockets;      /* that were asked for */
} fake;

/* What is wrapped. */

uint64_t __wrap_uv_hrtime(void);
int __wrap_uv_thread_create(uv_thread_t *thread, uv_thread_cb run, void *user);
int __wrap_uv_thread_join(uv_thread_t *thread);
int __wrap_uv_queue_work(uv_loop_t *loop, uv_work_t *work, uv_work_cb run, uv_after_work_cb after);
int __wrap_platform_udp_socket(const struct sockaddr *local, unsigned how, uv_os_sock_t *out);
int __real_platform_udp_socket(const struct sockaddr *local, unsigned how, uv_os_sock_t *out);
bool __wrap_lookup_configure(struct lookup *lookup, const struct kdnetd_config *config);

uint64_t __wrap_uv_hrtime(void)
{
    return fake.now_ns;
}

int __wrap_uv_thread_create(uv_thread_t *thread, uv_thread_cb run, void *user)
{
    memset(thread, 0, sizeof *thread);
    if (fake.no_threads || fake.readings == FAKE_READS)
        return UV_EAGAIN;
    fake.reading[fake.readings].run = run;
    fake.reading[fake.readings++].user = user;
    return 0;
}

int __wrap_uv_thread_join(uv_thread_t *thread)
{
    (void)thread;
    return 0;
}

int __wrap_uv_queue_work(uv_loop_t *loop, uv_work_t *work, uv_work_cb run, uv_after_work_cb after)
{
    (void)loop;
    if (fake.no_pool)
        return UV_ENOMEM;
    if (fake.pool_is_busy) {
        fake.waiting.work = work;
        fake.waiting.run = run;
        fake.waiting.after = after;
        return 0;
    }
    run(work);
    after(work, 0);
    return 0;
}

static inline void fake_pool_goes_on(void)
{
    fake.pool_is_busy = false;
    fake.waiting.run(fake.waiting.work);
    fake.waiting.after(fake.waiting.work, 0);
}

int __wrap_platform_udp_socket(const struct sockaddr *local, unsigned how, uv_os_sock_t *out)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ++fake.sockets;
    if (fake.refused_port != 0 &&
        ((const struct sockaddr_in *)(const void *)local)->sin_port == htons(fake.refused_port))
        return fake.refused_error;
    return __real_platform_udp_socket((const struct sockaddr *)(const void *)&any, how, out);
}

bool __wrap_lookup_configure(struct lookup *lookup, const struct kdnetd_config *config)
{
    (void)lookup;
    (void)config;
    return true;
}

/* The clock. */

/* Slept away: it is no stall of this process. */
static inline void fake_pass_ms(uint64_t ms)
{
    worker_will_sleep(WORKER_CLOCK_ENDLESS);
    fake.now_ns += ms * 1000000;
    (void)worker_now_us();
}

/* The configuration. */

static inline void fake_write(const char *text)
{
    int file = open(fake.path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0 || write(file, text, strlen(text)) != (ssize_t)strlen(text))
        abort();
    (void)close(file);
}

/* The oldest thread that waits does what it was made for. */
static inline void fake_read(void)
{
    if (fake.readings == 0)
        abort();
    uv_thread_cb run = fake.reading[0].run;
    void *user = fake.reading[0].user;
    memmove(fake.reading, fake.reading + 1, --fake.readings * sizeof fake.reading[0]);
    run(user);
}

/* So many rounds of each loop, none of which waits. */
static inline void fake_rounds(unsigned rounds)
{
    for (unsigned round = 0; round < rounds; ++round) {
        for (unsigned i = 0; i < fake.server->worker_count; ++i)
            (void)uv_run(&fake.server->workers[i].loop, UV_RUN_NOWAIT);
        (void)uv_run(&fake.server->loop, UV_RUN_NOWAIT);
    }
}

static inline void fake_turn(void)
{
    fake_rounds(FAKE_ROUNDS);
}

static inline void fake_changed(void *user, struct worker *worker, struct target *target)
{
    struct server *server = user;
    observe_target_changed(&server->observe, worker, target);
    hinting_target_changed(server, worker, target);
}

static inline void fake_gone(void *user, struct worker *worker, struct target *target)
{
    struct server *server = user;
    (void)worker;
    observe_target_gone(&server->observe, target);
    hinting_target_gone(server, target);
}

static inline void fake_make_workers(struct server *server, unsigned count)
{
    server->workers = calloc(count, sizeof *server->workers);
    server->summary.of = calloc(count, sizeof *server->summary.of);
    server->env = (struct worker_env){.seed = 1,
                                      .steer = {.seed = 1, .workers = count},
                                      .worker_count = count,
                                      .mailboxes = calloc(count, sizeof(struct mailbox *)),
                                      .locals = &server->locals,
                                      .publisher = &server->publisher,
                                      .keys_shown = &server->keys_shown,
                                      .user = server,
                                      .trouble = ports_trouble,
                                      .unknown_poke = unknown_report_poke,
                                      .target_changed = fake_changed,
                                      .target_gone = fake_gone,
                                      .hinted = hinting_hinted};
    if (!server->workers || !server->summary.of || !server->env.mailboxes || locals_init(&server->locals) != 0)
        abort();
    for (unsigned i = 0; i < count; ++i) {
        server->env.mailboxes[i] = &server->workers[i].mailbox;
        if (!worker_init(&server->workers[i], &server->env, i))
            abort();
        server->inited = server->worker_count = i + 1;
    }
}

/* A server with this configuration, which has not been applied: reload_first does it. */
static inline void fake_begin(unsigned workers, const char *configuration)
{
    struct config_report report;
    uint64_t now_ns = fake.now_ns;
    memset(&fake, 0, sizeof fake);
    fake.now_ns = now_ns + UINT64_C(3600000000000);
    (void)snprintf(fake.folder, sizeof fake.folder, "/tmp/kdnetd-test-XXXXXX");
    if (!mkdtemp(fake.folder))
        abort();
    (void)snprintf(fake.path, sizeof fake.path, "%s/kdnetd.yaml", fake.folder);
    fake_write(configuration);
    fake.options.config_path = fake.path;
    struct server *server = fake.server = calloc(1, sizeof *server);
    if (!server || uv_loop_init(&server->loop) != 0 || mailbox_init(&server->mailbox, &server->loop, server) != 0)
        abort();
    server->options = &fake.options;
    config_report_init(&report);
    if (!options_load(&fake.options, NULL, &server->config, &report)) {
        for (size_t i = 0; config_report_line(&report, i); ++i)
            (void)fprintf(stderr, "%s\n", config_report_line(&report, i));
        abort();
    }
    config_report_clear(&report);
    policies_init(&server->policies);
    unknown_sources_init(&server->unknown_sources, 1);
    publisher_init(&server->publisher, &server->event_log);
    if (event_log_open(&server->event_log, &server->loop, NULL) != 0 || !api_init(&server->api, server))
        abort();
    (void)uv_timer_init(&server->loop, &server->read_timer);
    server->read_timer.data = server;
    fake_make_workers(server, workers);
}

static inline void fake_end(void)
{
    struct server *server = fake.server;
    server->joined = true;
    for (unsigned i = 0; i < server->worker_count; ++i)
        worker_finish(&server->workers[i]);
    while (fake.readings > 0)
        fake_read();
    for (bool some = true; some;) {
        some = mailbox_handle(&server->mailbox);
        for (unsigned i = 0; i < server->worker_count; ++i)
            some = mailbox_handle(&server->workers[i].mailbox) || some;
    }
    reload_stop(server);
    api_refuse_waiting(server);
    uv_close((uv_handle_t *)&server->read_timer, NULL);
    mailbox_close(&server->mailbox);
    (void)event_log_close(&server->event_log);
    (void)uv_run(&server->loop, UV_RUN_DEFAULT);
    for (unsigned i = 0; i < server->worker_count; ++i)
        worker_clear(&server->workers[i], false);
    ports_clear(server);
    summary_clear(server);
    free(server->workers);
    free(server->env.mailboxes);
    policies_clear(&server->policies);
    api_clear(&server->api);
    if (!hinting_end(server, fake.now_ns / 1000 + FAKE_WAIT_MS * 1000) ||
        (server->observe.publisher && !observe_close(&server->observe, FAKE_WAIT_MS)))
        abort();
    config_clear(&server->config);
    mailbox_clear(&server->mailbox);
    locals_clear(&server->locals);
    if (uv_loop_close(&server->loop) != 0)
        abort();
    free(server);
    (void)unlink(fake.path);
    (void)rmdir(fake.folder);
}

#endif
