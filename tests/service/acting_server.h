/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acting_server: a server and its workers on a clock that the test sets, a machine that answers as it is told, and
 * what the API's call was answered. Only for tests.
 */
#ifndef TESTS_SERVICE_ACTING_SERVER_H
#define TESTS_SERVICE_ACTING_SERVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tests/service/fake_machine.h"

#include <cmocka.h>

#define WORKERS 2U
#define LISTEN  "listen: [\"127.0.0.1:50000\"]\nstore: none\nhttp: none\nhttp_socket: none\n"
#define WEB_17  "targets:\n  - {name: web-17, key: 1.2.3.4, policy: {break: hold}}\n"

static struct {
    unsigned count;
    struct http_acted acted; /* the last; its texts are below */
    char detail[512], state[32], errors[1024];
    char event[2048]; /* the last line of an event that is no machine's */
} told;

static uv_timer_cb looks; /* what the timer by which machines that are read are looked at does */

int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb run, uint64_t ms, uint64_t again_ms);
int __real_uv_timer_start(uv_timer_t *timer, uv_timer_cb run, uint64_t ms, uint64_t again_ms);

int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb run, uint64_t ms, uint64_t again_ms)
{
    if (timer != &fake.server->read_timer)
        return __real_uv_timer_start(timer, run, ms, again_ms);
    looks = run;
    return 0;
}

static inline void on_event(void *user, const struct published_event *event)
{
    (void)user;
    if (event->event)
        return;
    assert_true(event->length < sizeof told.event);
    memcpy(told.event, event->line, event->length);
    told.event[event->length] = '\0';
}

static inline void on_done(void *user, const struct http_acted *acted)
{
    assert_ptr_equal(user, &told);
    ++told.count;
    told.acted = *acted;
    (void)snprintf(told.detail, sizeof told.detail, "%s", acted->detail ? acted->detail : "");
    (void)snprintf(told.state, sizeof told.state, "%s", acted->state ? acted->state : "");
    (void)snprintf(told.errors, sizeof told.errors, "%s", acted->errors ? acted->errors : "");
}

static inline int begin(const char *configuration)
{
    fake_begin(WORKERS, configuration);
    memset(&told, 0, sizeof told);
    struct server *server = fake.server;
    assert_true(observe_init(&server->observe, &server->publisher, &server->config));
    server->observe.snapshots = snapshots_new(); /* nobody serves them, but they can be asked for */
    assert_true(publisher_join(&server->publisher, on_event, NULL));
    fake_machine_begin("web-17", "1.2.3.4");
    fake_start();
    return 0;
}

static inline int setup(void **state)
{
    (void)state;
    return begin(LISTEN WEB_17);
}

static inline void start_act(const struct http_act *act)
{
    struct http_ops ops;
    api_ops(&fake.server->api, &ops);
    told.count = 0;
    told.event[0] = '\0';
    ops.act(ops.user, act, on_done, &told);
    captured_begin();
    fake_turn();
    fake_talk();
    (void)captured_end();
}

static inline void look(void)
{
    captured_begin();
    looks(&fake.server->read_timer);
    fake_talk();
    (void)captured_end();
}

static inline struct target *hold(void)
{
    captured_begin();
    struct target *row = fake_halt();
    fake_wait_ms(1000);
    (void)captured_end();
    assert_true(row->held);
    return row;
}

static inline bool note_state(void *user, const struct snapshot_view *view)
{
    *(enum target_state *)user = view->snapshot.state;
    return true;
}

/* As who asks for it sees it. */
static inline const char *state_of(const char *name)
{
    enum target_state state = TARGET_STATES;
    assert_true(snapshots_look(fake.server->observe.snapshots, name, note_state, &state));
    return target_state_name(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fake_machine_teardown)

#endif
