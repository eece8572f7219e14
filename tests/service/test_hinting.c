/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address hints in the service: what workers say of their machines, and which machines are asked to poke when another
 * process or collector had them. A server and its workers on a clock that the test sets; its timers come when the test
 * calls them, and an address is here when the test says so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/runtime/log.h"
#include "service/server/reload_state_internal.h"
#include "tests/service/fake_machine.h"
#include "tests/support/system.h"

#include <cmocka.h>

#define WORKERS 2U
#define CONFIGURATION                                                                                                  \
    "listen: [\"127.0.0.1:50000\"]\nstore: none\nnats: {servers: [\"nats://127.0.0.1:4222\"], hints: HINTS}\n"         \
    "targets:\n  - {name: web-17, key: 1.2.3.4}\n"
#define FREE "freebind: true\n"

static struct {
    uv_timer_cb round, place;    /* NULL: the timer is not started */
    struct hints_kv_user bucket; /* whom it tells of other collectors */
    unsigned looks;              /* the bucket was read again */
    struct address here;         /* the only address of this computer besides loopback */
    unsigned words;              /* to other collectors */
    uint32_t told;               /* the break that the last of them names */
} timers;

int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb run, uint64_t ms, uint64_t again_ms);
int __real_uv_timer_start(uv_timer_t *timer, uv_timer_cb run, uint64_t ms, uint64_t again_ms);
int __wrap_uv_timer_stop(uv_timer_t *timer);
int __real_uv_timer_stop(uv_timer_t *timer);
struct hints_kv *__wrap_hints_kv_open(struct hints *hints, const struct kdnetd_config *config,
                                      const struct hints_kv_user *user);
void __wrap_hints_kv_look(struct hints_kv *kv);
struct strays *__wrap_strays_open(const struct kdnetd_config *config, strays_came *came, void *user);
void __wrap_strays_show(struct strays *strays, const struct stray *stray);
bool __wrap_hints_kv_close(struct hints_kv *kv, unsigned wait_ms);
bool __wrap_platform_source_of(const struct sockaddr_storage *to, struct sockaddr_storage *source);

int __wrap_uv_timer_start(uv_timer_t *timer, uv_timer_cb run, uint64_t ms, uint64_t again_ms)
{
    if (timer == &fake.server->hinting.round_timer)
        timers.round = run;
    else if (timer == &fake.server->hinting.place_timer)
        timers.place = run;
    else
        return __real_uv_timer_start(timer, run, ms, again_ms);
    return 0;
}

int __wrap_uv_timer_stop(uv_timer_t *timer)
{
    if (timer == &fake.server->hinting.round_timer)
        timers.round = NULL;
    return __real_uv_timer_stop(timer);
}

struct hints_kv *__wrap_hints_kv_open(struct hints *hints, const struct kdnetd_config *config,
                                      const struct hints_kv_user *user)
{
    (void)hints;
    timers.bucket = *user;
    return config_nats_hints(&config->nats) ? (struct hints_kv *)(void *)&timers : NULL;
}

struct strays *__wrap_strays_open(const struct kdnetd_config *config, strays_came *came, void *user)
{
    (void)config;
    (void)came;
    (void)user;
    return NULL;
}

void __wrap_strays_show(struct strays *strays, const struct stray *stray)
{
    (void)strays;
    timers.words += stray->kept;
    timers.told = stray->told;
}

void __wrap_hints_kv_look(struct hints_kv *kv)
{
    assert_ptr_equal(kv, &timers);
    ++timers.looks;
}

bool __wrap_hints_kv_close(struct hints_kv *kv, unsigned wait_ms)
{
    (void)kv;
    (void)wait_ms;
    return true;
}

/* Who sends to an address of this computer sends from it. */
bool __wrap_platform_source_of(const struct sockaddr_storage *to, struct sockaddr_storage *source)
{
    struct address address;
    if (!address_from_socket((const struct sockaddr *)to, &address))
        return false;
    if (!address_same_ip(&address, timers.here.ip))
        assert_true(address_parse("192.0.2.200:1", &address)); /* the interface that leads there */
    address_to_socket(&address, source);
    return true;
}

static int begin(const char *configuration)
{
    memset(&timers, 0, sizeof timers);
    fake_begin(WORKERS, configuration);
    fake_machine_begin("web-17", "1.2.3.4");
    hinting_init(fake.server);
    fake_start();
    return 0;
}

static int setup(void **state)
{
    (void)state;
    return begin(CONFIGURATION);
}

static int setup_free(void **state)
{
    (void)state;
    return begin(system_is_posix() ? FREE CONFIGURATION : CONFIGURATION);
}

static struct hint hint_of(const char *machine_at, const char *local)
{
    struct hint hint = {.version = 5, .time_us = 1000};
    assert_true(address_parse(machine_at, &hint.machine));
    assert_true(address_parse(local, &hint.local));
    return hint;
}

/* Another collector says that it had the machine there. */
static void offer(const struct hint *hint)
{
    assert_true(hints_offer(fake.server->hinting.hints, "web-17", hint, true));
}

/* The round that has begun, to its end. Returns how many datagrams were sent in it. */
static unsigned do_round(void)
{
    unsigned sent = machine.sent;
    captured_begin();
    for (unsigned i = 0; timers.round && i < 400; ++i) {
        timers.round(&fake.server->hinting.round_timer);
        fake_rounds(FAKE_FEW);
        fake_pass_ms(5);
    }
    (void)captured_end();
    assert_null(timers.round);
    return machine.sent - sent;
}

static void begin_hinting(void)
{
    captured_begin();
    hinting_begin(fake.server);
    (void)captured_end();
}

static struct target *meet(void)
{
    captured_begin();
    struct target *row = fake_connect();
    (void)captured_end();
    return row;
}

static void wait_ms(uint64_t ms)
{
    captured_begin();
    fake_wait_ms(ms);
    (void)captured_end();
}

static void a_machine_that_connects_leaves_a_hint(void **state)
{
    struct hint hint;
    (void)state;
    assert_int_equal(hinting_home(fake.server, "web-17"), HINTING_ANYWHERE);
    (void)meet();
    assert_true(hints_find(fake.server->hinting.hints, "web-17", &hint));
    assert_true(address_equal(&hint.machine, &fake_address));
    assert_int_equal(hint.local.port, 50000);
    assert_int_equal(hint.version, 5);
    assert_false(hint.crash_known);
    assert_int_equal(hinting_home(fake.server, "web-17"), steer_worker(&fake.server->env.steer, fake_address.ip));
}

static void at_the_start_a_machine_is_asked_where_it_was_last(void **state)
{
    struct worker *worker = NULL;
    const struct hint hint = hint_of("192.0.2.7:9", "127.0.0.1:50000");
    (void)state;
    machine.puppet->heeds_solicits = true;
    struct target *row = fake_find("web-17", &worker);
    hints_place(fake.server->hinting.hints, "web-17", (struct hint_place){.row = row->id, .worker = worker->number});
    offer(&hint);
    begin_hinting();
    assert_int_equal(do_round(), 1);
    assert_true(address_equal(&machine.to, &fake_address));
    assert_int_equal(worker->listeners->counts.solicited, 1);
    wait_ms(100);
    assert_true(row->connected); /* it poked */
    begin_hinting();
    assert_int_equal(do_round(), 0); /* it is heard */
}

static void who_fell_silent_is_asked_again(void **state)
{
    (void)state;
    struct target *row = meet();
    machine.puppet->heeds_solicits = true;
    wait_ms(61000); /* a hint is asked once a minute */
    begin_hinting();
    assert_int_equal(do_round(), 1);
    wait_ms(100);
    assert_true(row->connected);
}

static void a_hint_of_an_address_that_nobody_listens_on_asks_nobody(void **state)
{
    struct worker *worker = NULL;
    const struct hint hint = hint_of("192.0.2.7:9", "127.0.0.1:50001");
    (void)state;
    struct target *row = fake_find("web-17", &worker);
    hints_place(fake.server->hinting.hints, "web-17", (struct hint_place){.row = row->id, .worker = worker->number});
    offer(&hint);
    begin_hinting();
    assert_int_equal(do_round(), 0);
}

/* A collector that takes over begins before the hints of the other have come. */
static void hints_that_come_late_are_asked_too(void **state)
{
    (void)state;
    begin_hinting();
    (void)do_round();
    timers.bucket.came(timers.bucket.user);
    fake_turn();
    assert_null(timers.round); /* too soon after the round */
    fake_pass_ms(200);
    timers.bucket.came(timers.bucket.user);
    fake_turn();
    assert_non_null(timers.round);
    (void)do_round();
    fake_pass_ms(11000);
    timers.bucket.came(timers.bucket.user);
    fake_turn();
    assert_null(timers.round); /* the next round sees them */
}

static void who_had_it_drains_and_its_machine_is_asked(void **state)
{
    struct worker *worker = NULL;
    const struct hint hint = hint_of("192.0.2.7:9", "127.0.0.1:50000");
    (void)state;
    begin_hinting();
    (void)do_round();
    struct target *row = fake_find("web-17", &worker);
    hints_place(fake.server->hinting.hints, "web-17", (struct hint_place){.row = row->id, .worker = worker->number});
    assert_true(hints_offer_of(fake.server->hinting.hints, "web-17", &hint, 3));
    timers.bucket.left(timers.bucket.user, 4); /* another one */
    fake_turn();
    assert_int_equal(do_round(), 0);
    timers.bucket.left(timers.bucket.user, 3);
    fake_turn();
    assert_int_equal(do_round(), 1);
    assert_true(address_equal(&machine.to, &fake_address));
}

static void a_server_that_stops_begins_no_round(void **state)
{
    (void)state;
    begin_hinting();
    (void)do_round();
    fake.server->stopping = true;
    fake_pass_ms(200);
    timers.bucket.came(timers.bucket.user);
    fake_turn();
    assert_null(timers.round);
}

/* Data of a session that another collector had: nobody knows its key, but the hint says whose it is. */
static void data_from_a_hinted_address_is_answered_by_a_solicitation(void **state)
{
    struct worker *worker = NULL, *other;
    struct puppet_bytes bytes;
    puppet_make_check(machine.puppet, &bytes);
    const struct receiver_datagram datagram = {
        .source = fake_address, .payload = bytes.payload, .length = bytes.length};
    const struct hint hint = hint_of("192.0.2.7:9", "127.0.0.1:50000");
    (void)state;
    struct target *row = fake_find("web-17", &worker);
    hints_place(fake.server->hinting.hints, "web-17", (struct hint_place){.row = row->id, .worker = worker->number});
    offer(&hint);
    wait_ms(100);
    unsigned sent = machine.sent;
    route_batch(worker->listeners, &datagram, 1);
    fake_turn();
    assert_int_equal(machine.sent, sent + 1);
    assert_true(address_equal(&machine.to, &fake_address));
    wait_ms(4000);
    other = &fake.server->workers[1 - worker->number];
    sent = machine.sent;
    route_batch(other->listeners, &datagram, 1); /* its row is at another worker: that one asks */
    fake_turn();
    assert_int_equal(machine.sent, sent + 1);
}

static void a_row_that_is_not_there_any_more_is_not_asked(void **state)
{
    struct worker *worker = NULL;
    const struct hint hint = hint_of("192.0.2.7:9", "127.0.0.1:50000");
    (void)state;
    struct target *row = fake_find("web-17", &worker);
    hints_place(fake.server->hinting.hints, "web-17",
                (struct hint_place){.row = row->id + 1, .worker = worker->number});
    offer(&hint);
    begin_hinting();
    assert_int_equal(do_round(), 0);
}

/* With freebind a collector listens on an address before it has it: nothing may be sent from there. */
static void an_address_that_is_elsewhere_asks_nobody_until_it_comes(void **state)
{
    struct worker *worker = NULL;
    const struct hint hint = hint_of("192.0.2.7:9", "198.51.100.1:50000");
    (void)state;
    if (!system_is_posix())
        skip(); /* Windows binds no address that is elsewhere */
    struct port *port = fake.server->ports;
    struct target *row = fake_find("web-17", &worker);
    hints_place(fake.server->hinting.hints, "web-17", (struct hint_place){.row = row->id, .worker = worker->number});
    offer(&hint);
    assert_true(address_parse("198.51.100.1:50000", &port->local));
    for (unsigned i = 0; i < WORKERS; ++i)
        fake.server->workers[i].listeners->local = port->local;
    begin_hinting();
    assert_true(port->elsewhere);
    assert_int_equal(do_round(), 0);
    assert_non_null(timers.place);
    timers.place(&fake.server->hinting.place_timer);
    assert_null(timers.round);
    timers.here = port->local;
    captured_begin();
    timers.place(&fake.server->hinting.place_timer);
    assert_non_null(strstr(captured_end(), "an address that is listened on has come to this computer"));
    assert_false(port->elsewhere);
    assert_int_equal(do_round(), 1);
}

/* Workers ask before they take what another collector shows. */
static void an_address_is_here_while_datagrams_leave_from_it(void **state)
{
    struct address local, loopback;
    (void)state;
    assert_true(address_parse("198.51.100.1:50000", &local) && address_parse("127.3.3.3:50000", &loopback));
    timers.here = local;
    assert_true(hinting_here(fake.server, &local) && hinting_here(fake.server, &loopback));
    assert_true(address_parse("198.51.100.2:50000", &timers.here));
    assert_false(hinting_here(fake.server, &local));
    assert_true(address_parse("[2001:db8::1]:50000", &timers.here) && address_parse("[2001:db8::1]:50000", &local));
    assert_true(hinting_here(fake.server, &local));
    assert_true(address_parse("[2001:db8::2]:50000", &timers.here));
    assert_false(hinting_here(fake.server, &local));
}

static void a_word_that_a_machine_is_kept_goes_to_the_others(void **state)
{
    struct address local;
    (void)state;
    assert_true(address_parse("198.51.100.1:50000", &local));
    hinting_kept(fake.server, &fake_address, &local, "web-17", 0);
    assert_int_equal(timers.words, 1);
    hinting_kept(fake.server, &fake_address, &local, "web-17", 7);
    assert_true(timers.words == 2 && timers.told == 7);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fake_machine_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_machine_that_connects_leaves_a_hint),
        TEST(at_the_start_a_machine_is_asked_where_it_was_last),
        TEST(who_fell_silent_is_asked_again),
        TEST(a_hint_of_an_address_that_nobody_listens_on_asks_nobody),
        TEST(hints_that_come_late_are_asked_too),
        TEST(who_had_it_drains_and_its_machine_is_asked),
        TEST(a_server_that_stops_begins_no_round),
        TEST(data_from_a_hinted_address_is_answered_by_a_solicitation),
        TEST(a_row_that_is_not_there_any_more_is_not_asked),
        TEST(an_address_is_here_while_datagrams_leave_from_it),
        TEST(a_word_that_a_machine_is_kept_goes_to_the_others),
        cmocka_unit_test_setup_teardown(an_address_that_is_elsewhere_asks_nobody_until_it_comes, setup_free,
                                        fake_machine_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
