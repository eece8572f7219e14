/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses that machines reach kdnetd by open, cannot be opened, are in trouble and close. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/worker/listening.h"
#include "tests/service/captured_log.h"
#include "tests/service/fake_server.h"

#include <cmocka.h>

#define WORKERS 2U
#define ONE     "listen: [\"127.0.0.1:50000\"]\ntargets: []\n"
#define OTHER   "listen: [\"127.0.0.1:50001\"]\ntargets: []\n"
#define BOTH    "listen: [\"127.0.0.1:50000\", \"127.0.0.1:50001\"]\ntargets: []\n"

static int teardown(void **state)
{
    (void)state;
    captured_begin();
    fake_end();
    (void)captured_end();
    return 0;
}

/* Applies the first configuration. Returns what the log said. */
static const char *start(bool *good)
{
    captured_begin();
    *good = reload_first(fake.server);
    fake_turn();
    return captured_end();
}

static int setup(void **state)
{
    bool good;
    (void)state;
    fake_begin(WORKERS, ONE);
    (void)start(&good);
    assert_true(good);
    return 0;
}

static int setup_nothing(void **state)
{
    (void)state;
    fake_begin(WORKERS, ONE);
    return 0;
}

static const char *reload(const char *configuration)
{
    fake_write(configuration);
    captured_begin();
    reload_again(fake.server);
    fake_read();
    fake_turn();
    return captured_end();
}

static const char *look(void)
{
    captured_begin();
    ports_look(fake.server, worker_now_us());
    fake_turn();
    return captured_end();
}

static size_t count_listeners(void)
{
    size_t count = 0;
    for (unsigned i = 0; i < WORKERS; ++i)
        for (const struct listener *at = fake.server->workers[i].listeners; at; at = at->next)
            ++count;
    return count;
}

static size_t count_ports(void)
{
    size_t count = 0;
    for (const struct port *port = fake.server->ports; port; port = port->next)
        ++count;
    return count;
}

static void each_worker_has_a_socket_of_a_listener(void **state)
{
    (void)state;
    assert_int_equal(ports_open(fake.server), 1);
    assert_int_equal(ports_wanted(fake.server), 1);
    assert_int_equal(count_listeners(), WORKERS);
}

static void another_address_is_opened_before_the_old_one_closes(void **state)
{
    (void)state;
    const char *text = reload(OTHER);
    const char *opened = strstr(text, "msg=listening listen=127.0.0.1:50001");
    const char *closed = strstr(text, "msg=\"no longer listening\" listen=127.0.0.1:50000");
    assert_non_null(opened);
    assert_non_null(closed);
    assert_true(opened < closed);
    assert_int_equal(count_ports(), 1);
    assert_int_equal(count_listeners(), WORKERS);
}

static void the_last_address_stays_until_another_one_opens(void **state)
{
    (void)state;
    fake.refused_port = 50001;
    fake.refused_error = UV_EADDRNOTAVAIL;
    const char *text = reload(OTHER);
    assert_non_null(strstr(text, "this machine has no such address"));
    assert_non_null(strstr(text, "this one stays until one can\" listen=127.0.0.1:50000"));
    assert_int_equal(count_listeners(), WORKERS);
    assert_int_equal(ports_open(fake.server), 0); /* of those that are wanted */
    fake_pass_ms(29000);
    assert_string_equal(look(), "");
    fake_pass_ms(1000);
    assert_string_equal(look(), ""); /* for the same reason: no second line */
    fake.refused_error = UV_EACCES;
    fake_pass_ms(30000);
    assert_non_null(strstr(look(), "not allowed"));
    fake.refused_port = 0;
    fake_pass_ms(30000);
    text = look();
    assert_non_null(strstr(text, "msg=listening listen=127.0.0.1:50001"));
    assert_non_null(strstr(text, "msg=\"no longer listening\" listen=127.0.0.1:50000"));
    assert_int_equal(count_ports(), 1);
}

/* Each reason has its remedy. */
static void why_a_listener_cannot_be_opened_is_told(void **state)
{
    static const struct {
        int error;
        const char *words;
    } reasons[] = {{UV_EADDRINUSE, "another program has this port"},
                   {UV_EADDRNOTAVAIL, "this machine has no such address"},
                   {UV_EACCES, "not allowed"},
                   {UV_EAFNOSUPPORT, "no such kind of address"},
                   {UV_EMFILE, "no more files can be opened"},
                   {UV_EIO, "cannot listen; it is tried again every 30 s"}};
    (void)state;
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; ++i) {
        fake.refused_port = 50001;
        fake.refused_error = reasons[i].error;
        const char *text = reload(BOTH);
        assert_non_null(strstr(text, reasons[i].words));
        assert_non_null(strstr(text, "listen=127.0.0.1:50001"));
        assert_int_equal(ports_open(fake.server), 1);
        (void)reload(ONE); /* what was never opened is forgotten */
        assert_int_equal(count_ports(), 1);
    }
}

static void a_server_without_any_listener_does_not_start(void **state)
{
    bool good;
    (void)state;
    fake.refused_port = 50000;
    fake.refused_error = UV_EADDRINUSE;
    const char *text = start(&good);
    assert_false(good);
    assert_non_null(strstr(text, "no listener can be opened, so no machine can be served"));
    assert_non_null(strstr(text, "events: is not set"));
}

/* Trouble, as workers tell it. */

static const char *trouble(enum worker_trouble kind)
{
    captured_begin();
    ports_trouble(fake.server, fake.server->ports->id, kind, UV_EPERM);
    (void)mailbox_handle(&fake.server->mailbox);
    return captured_end();
}

static void a_socket_that_cannot_receive_is_told_once_a_minute(void **state)
{
    (void)state;
    assert_non_null(strstr(trouble(WORKER_TROUBLE_DEAF), "datagrams cannot be received here"));
    assert_int_equal(ports_deaf(fake.server), 1);
    assert_string_equal(trouble(WORKER_TROUBLE_DEAF), "");
    assert_string_equal(trouble(WORKER_TROUBLE_OVER), ""); /* the other worker's is deaf */
    assert_non_null(strstr(trouble(WORKER_TROUBLE_OVER), "datagrams are received again"));
    assert_string_equal(trouble(WORKER_TROUBLE_OVER), "");
    assert_int_equal(ports_deaf(fake.server), 0);
    fake_pass_ms(60000);
    assert_non_null(strstr(trouble(WORKER_TROUBLE_DEAF), "error="));
}

static void a_system_that_takes_datagrams_one_by_one_is_told_once(void **state)
{
    (void)state;
    assert_non_null(strstr(trouble(WORKER_TROUBLE_SLOW), "recvmmsg"));
    assert_string_equal(trouble(WORKER_TROUBLE_SLOW), "");
}

/* And its counts go on. */
static void a_socket_whose_trouble_stays_is_opened_anew(void **state)
{
    uint32_t before = fake.server->ports->id;
    (void)state;
    fake.server->ports->counts.received = 7;
    assert_string_equal(trouble(WORKER_TROUBLE_STAYS), ""); /* it was opened just now: it would not help */
    assert_int_equal(count_ports(), 1);
    fake_pass_ms(30000);
    (void)trouble(WORKER_TROUBLE_STAYS);
    assert_int_equal(count_ports(), 2);
    fake_turn();
    assert_int_equal(count_ports(), 1);
    assert_int_equal(ports_open(fake.server), 0);
    fake_pass_ms(1000);
    assert_non_null(strstr(look(), "msg=listening"));
    assert_true(fake.server->ports->id != before);
    assert_int_equal(fake.server->ports->before.received, 7);
    assert_int_equal(count_listeners(), WORKERS);
}

static void trouble_of_a_listener_that_is_gone_is_nobody_s(void **state)
{
    (void)state;
    captured_begin();
    ports_trouble(fake.server, 4711, WORKER_TROUBLE_DEAF, UV_EPERM);
    (void)mailbox_handle(&fake.server->mailbox);
    assert_string_equal(captured_end(), "");
}

/* Silence. */

static const char *judge(void)
{
    captured_begin();
    ports_judge(fake.server);
    return captured_end();
}

static void a_listener_that_falls_silent_is_told_and_so_is_its_return(void **state)
{
    struct port *port = fake.server->ports;
    (void)state;
    fake_pass_ms(100000);
    port->facts = (struct hearing_facts){.heard_us = worker_now_us(), .machines = 5, .counted = true};
    assert_string_equal(judge(), "");
    fake_pass_ms(20000);
    port->facts.waiting = 5;
    const char *text = judge();
    assert_non_null(
        strstr(text, "no machine is heard at this listener any more: look at the network of this computer"));
    assert_non_null(strstr(text, "machines=5"));
    port->facts.heard_us = worker_now_us();
    assert_non_null(strstr(judge(), "machines are heard at this listener again"));
}

static void a_silent_listener_beside_one_that_hears_is_told_as_its_own_trouble(void **state)
{
    (void)state;
    (void)reload(BOTH);
    struct port *port = fake.server->ports, *other = port->next;
    fake_pass_ms(100000);
    port->facts = (struct hearing_facts){.heard_us = worker_now_us(), .machines = 5, .counted = true};
    fake_pass_ms(20000);
    port->facts.waiting = 5;
    other->facts.heard_us = worker_now_us();
    assert_non_null(strstr(judge(), "while others hear theirs"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_worker_has_a_socket_of_a_listener),
        TEST(another_address_is_opened_before_the_old_one_closes),
        TEST(the_last_address_stays_until_another_one_opens),
        TEST(why_a_listener_cannot_be_opened_is_told),
        cmocka_unit_test_setup_teardown(a_server_without_any_listener_does_not_start, setup_nothing, teardown),
        TEST(a_socket_that_cannot_receive_is_told_once_a_minute),
        TEST(a_system_that_takes_datagrams_one_by_one_is_told_once),
        TEST(a_socket_whose_trouble_stays_is_opened_anew),
        TEST(trouble_of_a_listener_that_is_gone_is_nobody_s),
        TEST(a_listener_that_falls_silent_is_told_and_so_is_its_return),
        TEST(a_silent_listener_beside_one_that_hears_is_told_as_its_own_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
