/* SPDX-License-Identifier: Apache-2.0 */
/* A symbol that is still being looked up: the machine waits for it, but not beyond the read deadline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/session/net.h"

#define CRASH_US 100000U

static enum kdnet_rva_answer answer;
static unsigned questions;

static enum kdnet_rva_answer find_rva(void *user, const struct kdnet_pdb *pdb, const char *symbol, uint32_t *rva,
                                      enum kdnet_source *source)
{
    (void)user;
    (void)pdb;
    (void)symbol;
    ++questions;
    if (answer == KDNET_RVA_FOUND) {
        *rva = MACHINE_RVA_DUMP_STATUS;
        *source = KDNET_SOURCE_PDB;
    }
    return answer;
}

/* What the session has to send and to tell goes out: with any datagram, even one that is nothing. */
static void flush(struct net_pair *pair)
{
    static const uint8_t nothing[1];
    (void)net_pair_inject(pair, nothing, sizeof nothing);
}

static void begin(struct net_pair *pair, struct kdnet_session_shared *shared)
{
    struct machine_config config = {.scenario = "bugcheck", .status = 0, .delay_ms = CRASH_US / 1000};
    net_shared_init(shared);
    shared->find_rva = find_rva;
    answer = KDNET_RVA_PENDING;
    questions = 0;
    net_pair_init(pair, shared, &config, 11);
    pair->weather.delay_us = 100;
    net_pair_run(pair, CRASH_US + 500000);
    assert_true(kdnet_session_is_halted(pair->session));
    assert_int_equal(net_count(pair, KDNET_EVENT_CRASH_STATUS), 0);
    assert_int_equal(questions, 1);
}

static void end(struct net_pair *pair, struct kdnet_session_shared *shared)
{
    net_pair_clear(pair);
    net_shared_clear(shared);
}

static void status_is_read_when_the_symbol_comes(void **state)
{
    struct kdnet_session_shared shared;
    struct net_pair pair;
    (void)state;
    begin(&pair, &shared);
    answer = KDNET_RVA_FOUND;
    kdnet_session_symbols_came(pair.session, pair.now_us);
    flush(&pair);
    net_pair_run(&pair, pair.now_us + 1000000);
    const struct kdnet_event *event = net_event(&pair, KDNET_EVENT_CRASH_STATUS, 0);
    assert_non_null(event);
    assert_true(event->u.crash_status.status_known);
    assert_int_equal(event->u.crash_status.conclusion.source, KDNET_SOURCE_PDB);
    assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), 2);
    assert_true(machine_is_ended(pair.machine, pair.now_us));
    end(&pair, &shared);
}

static void machine_goes_on_at_the_deadline_without_the_symbol(void **state)
{
    struct kdnet_session_shared shared;
    struct net_pair pair;
    (void)state;
    begin(&pair, &shared);
    net_pair_run(&pair, CRASH_US + KDNET_READ_DEADLINE_US + 100000);
    const struct kdnet_event *event = net_event(&pair, KDNET_EVENT_CRASH_STATUS, 0);
    assert_non_null(event);
    assert_false(event->u.crash_status.status_known);
    assert_int_equal(event->u.crash_status.conclusion.reason, KDNET_REASON_TIMEOUT);
    assert_int_equal(event->u.crash_status.conclusion.verdict, KDNET_VERDICT_NOT_STARTED);
    assert_int_equal(net_count(&pair, KDNET_EVENT_RELEASED), 1);
    kdnet_session_symbols_came(pair.session, pair.now_us); /* too late: nothing to do */
    flush(&pair);
    assert_int_equal(net_count(&pair, KDNET_EVENT_CRASH_STATUS), 1);
    end(&pair, &shared);
}

static void symbols_without_the_name_end_the_wait(void **state)
{
    struct kdnet_session_shared shared;
    struct net_pair pair;
    (void)state;
    begin(&pair, &shared);
    answer = KDNET_RVA_ABSENT;
    kdnet_session_symbols_came(pair.session, pair.now_us);
    flush(&pair);
    const struct kdnet_event *event = net_event(&pair, KDNET_EVENT_CRASH_STATUS, 0);
    assert_non_null(event);
    assert_int_equal(event->u.crash_status.conclusion.reason, KDNET_REASON_SYMBOL_ABSENT);
    end(&pair, &shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_is_read_when_the_symbol_comes),
        cmocka_unit_test(machine_goes_on_at_the_deadline_without_the_symbol),
        cmocka_unit_test(symbols_without_the_name_end_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
