/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What collectors show each other, and their words, between two workers and the server: what is shown, what is taken,
 * and what a worker does whose address has moved to another collector.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "kdnet/session/state_internal.h"
#include "service/worker/pump.h"
#include "service/worker/stray.h"
#include "tests/service/two_workers.h"

#include <cmocka.h>

static struct {
    atomic_bool heard;
    unsigned shown, kept, told;
    uint32_t told_break;
    struct address machine, local; /* of the last one */
    size_t length;
    char target[CONFIG_NAME_SIZE];
    struct address here[2]; /* addresses of this computer */
    unsigned looks;         /* at them */
} others;

static void note_astray(void *user, const struct address *from, const struct address *local, const uint8_t *payload,
                        size_t length)
{
    (void)user;
    (void)payload;
    ++others.shown;
    others.machine = *from;
    others.local = *local;
    others.length = length;
}

static void note_kept(void *user, const struct address *from, const struct address *local, const char *target,
                      uint32_t told)
{
    (void)user;
    others.machine = *from;
    others.local = *local;
    others.kept += told == 0;
    others.told += told != 0;
    others.told_break = told;
    (void)snprintf(others.target, sizeof others.target, "%s", target);
}

static bool look_here(void *user, const struct address *local)
{
    (void)user;
    assert_true(local->port != 0);
    ++others.looks;
    return address_same_ip(local, others.here[0].ip) || address_same_ip(local, others.here[1].ip);
}

static struct target *connect_among_others(const struct address *source)
{
    memset(&others, 0, sizeof others);
    atomic_store(&others.heard, true);
    fake.env.others = &others.heard;
    fake.env.astray = note_astray;
    fake.env.kept = note_kept;
    struct target *row = add_target(&fake.workers[0], "web-17", &machine->key, NULL);
    connect_at(0, source);
    pass_us(1000);
    return row;
}

/* Under another collector's key. */
static void make_foreign(struct puppet_bytes *out)
{
    puppet_make_check(machine, out);
    out->payload[out->length - 1] ^= 1;
}

static void data_that_no_key_opens_is_shown_and_the_word_is_awaited(void **state)
{
    struct address source = address_of(0, 0);
    struct puppet_bytes bytes;
    (void)state;
    const struct target *row = connect_among_others(&source);
    unsigned before = sent.count;
    make_foreign(&bytes);
    arrive(0, &source, &bytes);
    assert_int_equal(others.shown, 1);
    assert_true(address_equal(&others.machine, &source) && others.local.port == 50000);
    assert_int_equal(others.length, bytes.length);
    assert_int_equal(sent.count, before);
    uint64_t awaited_us = kdnet_session_deadline(targets_session(row));
    assert_true(awaited_us <= worker_now_us() + 100000);
    stray_post_kept(&fake.env, &source, &others.local, "web-18", 0); /* another machine of that address */
    fake_turn();
    assert_int_equal(kdnet_session_deadline(targets_session(row)), awaited_us);
    stray_post_kept(&fake.env, &source, &others.local, "web-17", 0);
    fake_turn();
    assert_true(kdnet_session_deadline(targets_session(row)) > awaited_us);
    atomic_store(&others.heard, false);
    arrive(0, &source, &bytes);
    assert_int_equal(others.shown, 1);
}

static void what_is_shown_is_taken_by_the_key_that_opens_it(void **state)
{
    struct address source = address_of(0, 0);
    const struct address local = {.ip = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}, .port = 50000};
    struct puppet_bytes bytes;
    (void)state;
    const struct target *row = connect_among_others(&source);
    make_foreign(&bytes);
    stray_post(&fake.env, &source, &local, bytes.payload, bytes.length);
    fake_turn();
    assert_int_equal(others.kept + others.shown, 0);
    puppet_make_check(machine, &bytes);
    stray_post(&fake.env, &source, &local, bytes.payload, bytes.length);
    fake_turn();
    assert_int_equal(others.kept, 1);
    assert_string_equal(others.target, "web-17");
    assert_int_equal(fake.workers[0].listeners->counts.shown, 1);
    assert_int_equal(kdnet_session_last_seen(targets_session(row)), worker_now_us());
}

static struct address ours(uint8_t last, uint16_t port)
{
    return (struct address){.ip = {[10] = 0xff, [11] = 0xff, 198, 51, 100, last}, .port = port};
}

/* The machine's break, which came to another collector at its address `local`. */
static struct address shown_from, shown_to;

static int show(struct puppet *puppet, const uint8_t *payload, size_t length)
{
    (void)puppet;
    stray_post(&fake.env, &shown_from, &shown_to, payload, length);
    fake_turn();
    return KDNET_OK;
}

static void show_break(const struct address *source, const struct address *local)
{
    shown_from = *source;
    shown_from.via = 0; /* numbers are each collector's own */
    shown_to = *local;
    machine->give = show;
    (void)puppet_break(machine, KDNET_EXCEPTION_BREAKPOINT, 0xfffff80012345678U);
}

static void expect_taken(const struct target *row, bool taken)
{
    assert_int_equal(others.kept, taken);
    assert_int_equal(fake.workers[0].listeners->counts.shown, taken);
    assert_int_equal(row->halted, taken);
    assert_int_equal(kdnet_session_last_seen(targets_session(row)) == worker_now_us(), taken);
}

/* Its address has moved to the collector that shows the break. What is opened without it could not be answered, and
 * would be told as a result all the same. */
static void who_has_lost_the_address_takes_nothing_that_is_shown(void **state)
{
    struct address source = address_of(0, 0), elsewhere = address_of(0, 1);
    const struct address local = ours(1, 50000);
    (void)state;
    const struct target *row = connect_among_others(&source);
    fake.env.here = look_here;
    fake.workers[0].listeners->local = local;
    others.here[0] = ours(2, 50000);
    unsigned before = sent.count;
    show_break(&source, &local);
    expect_taken(row, false);
    assert_int_equal(sent.count, before);
    assert_int_equal(others.looks, 1);
    show_break(&elsewhere, &local); /* no machine of ours: nobody looks */
    assert_int_equal(others.looks, 1);
    others.here[0] = local; /* it has come back */
    show_break(&source, &local);
    expect_taken(row, true);
    assert_true(sent.count > before);
}

/* Its word tells that it has the machine, wherever the address is. */
static void a_word_counts_without_the_address(void **state)
{
    struct address source = address_of(0, 0);
    struct puppet_bytes bytes;
    (void)state;
    const struct target *row = connect_among_others(&source);
    fake.env.here = look_here;
    make_foreign(&bytes);
    arrive(0, &source, &bytes);
    uint64_t awaited_us = kdnet_session_deadline(targets_session(row));
    stray_post_kept(&fake.env, &source, &others.local, "web-17", 0);
    fake_turn();
    assert_true(kdnet_session_deadline(targets_session(row)) > awaited_us);
    assert_int_equal(others.looks, 0);
}

/* Collectors with an address each: a machine is answered from where it sends to us. */
static void a_listener_of_another_address_takes_what_is_shown_while_its_own_is_here(void **state)
{
    struct address source = address_of(0, 0);
    const struct address theirs = ours(9, 50001);
    (void)state;
    const struct target *row = connect_among_others(&source);
    fake.env.here = look_here;
    fake.workers[0].listeners->local = ours(1, 50000);
    show_break(&source, &theirs);
    expect_taken(row, false);
    others.here[0] = ours(1, 50000);
    show_break(&source, &theirs);
    expect_taken(row, true);
}

static const struct target *connect_at_wildcard(struct address *source, const struct address *local)
{
    struct listener *listener = fake.workers[0].listeners;
    memset(listener->local.ip, 0, sizeof listener->local.ip);
    source->via = locals_number(&fake.locals, local->ip);
    const struct target *row = connect_among_others(source);
    fake.env.here = look_here;
    return row;
}

/* The address that the machine sends to comes and goes; the computer keeps another one. */
static void a_wildcard_listener_takes_what_is_shown_while_the_address_is_here(void **state)
{
    struct address source = address_of(0, 0);
    const struct address local = ours(1, 50000), own = ours(2, 50000);
    (void)state;
    const struct target *row = connect_at_wildcard(&source, &local);
    others.here[0] = own;
    show_break(&source, &local);
    expect_taken(row, false);
    others.here[1] = local;
    show_break(&source, &local);
    expect_taken(row, true);
    assert_memory_equal(locals_ip(&fake.locals, sent.to.via), local.ip, sizeof local.ip);
}

/* Collectors with an address each: the other's is never here, and nothing can be sent from it. */
static void a_wildcard_listener_answers_from_its_own_address_what_came_to_another(void **state)
{
    struct address source = address_of(0, 0);
    const struct address own = ours(1, 50000), theirs = ours(9, 50000);
    (void)state;
    const struct target *row = connect_at_wildcard(&source, &own);
    show_break(&source, &theirs);
    expect_taken(row, false);
    others.here[0] = own;
    show_break(&source, &theirs);
    expect_taken(row, true);
    assert_memory_equal(locals_ip(&fake.locals, sent.to.via), own.ip, sizeof own.ip);
    assert_memory_equal(locals_ip(&fake.locals, targets_route(row).via), own.ip, sizeof own.ip);
}

static uint32_t break_of(const struct target *row)
{
    return targets_session(row)->active->halt.stop.checksum;
}

/* The address moves to another collector amid a break; that one reads the break and says so. */
static void a_break_that_was_read_elsewhere_has_no_result_here(void **state)
{
    struct address source = address_of(0, 0);
    const struct address local = ours(1, 50000);
    (void)state;
    const struct target *row = connect_among_others(&source);
    fake.env.here = look_here;
    fake.workers[0].listeners->local = others.here[0] = local;
    show_break(&source, &local);
    expect_taken(row, true);
    const uint32_t id = break_of(row);
    stray_post_kept(&fake.env, &source, &local, "web-17", id); /* both answer: this one goes on */
    stray_post_kept(&fake.env, &source, &local, "web-17", id + 1);
    fake_turn();
    assert_true(row->halted);
    others.here[0] = ours(2, 50000);
    stray_post_kept(&fake.env, &source, &local, "web-17", 0);
    stray_post_kept(&fake.env, &source, &local, "web-18", id);
    fake_turn();
    assert_true(row->halted);
    captured_begin();
    stray_post_kept(&fake.env, &source, &local, "web-17", id);
    fake_turn();
    assert_non_null(strstr(captured_end(), "has told the result of its break"));
    assert_false(row->halted || row->connected);
    assert_int_equal(others.told, 0);
    assert_int_equal(fake.workers[0].totals.crash_statuses, 0);
}

/* While nobody says so, its time is over later: the other collector needs time, too. Until then nobody looks where the
 * address is, which costs system calls, however often the machine is asked again. */
static void a_break_whose_address_has_moved_is_told_later(void **state)
{
    struct address source = address_of(0, 0);
    const struct address local = ours(1, 50000);
    struct worker *worker = &fake.workers[0];
    (void)state;
    const struct target *row = connect_among_others(&source);
    fake.env.here = look_here;
    worker->listeners->local = others.here[0] = local;
    worker->shared.read_deadline_us = KDNET_READ_DEADLINE_US;
    show_break(&source, &local);
    expect_taken(row, true);
    others.here[0] = ours(2, 50000);
    unsigned before = sent.count, looks = others.looks;
    for (uint64_t us = 1000; us <= 3 * KDNET_READ_DEADLINE_US; us += 1000) {
        pass_us(1000); /* a longer step is a computer that stood still */
        pump_expire(worker);
        fake_turn();
        assert_true(worker->totals.crash_statuses == 0 || us >= 2 * KDNET_READ_DEADLINE_US);
        assert_int_equal(others.looks - looks, us >= KDNET_READ_DEADLINE_US);
    }
    assert_true(sent.count > before + 4);
    assert_int_equal(worker->totals.crash_statuses, 1);
    assert_int_equal(others.told, 0); /* it says only that time was over */
}

/* The service ends, and nobody waits as long as a machine may be read. */
static void a_worker_that_stops_reads_no_machine_for_long(void **state)
{
    struct address source = address_of(0, 0);
    struct worker *worker = &fake.workers[0];
    uint64_t took_us = 0;
    (void)state;
    const struct target *row = connect_among_others(&source);
    worker->shared.read_deadline_us = 15 * WORKER_STOP_READ_US;
    show_break(&source, &worker->listeners->local);
    expect_taken(row, true);
    assert_true(row->halted);
    worker_stop(worker);
    for (; took_us < 2 * (uint64_t)WORKER_STOP_READ_US && worker->totals.crash_statuses == 0; took_us += 1000) {
        pass_us(1000); /* a longer step is a computer that stood still */
        pump_expire(worker);
    }
    assert_int_equal(worker->totals.crash_statuses, 1);
    assert_in_range(took_us, WORKER_STOP_READ_US, WORKER_STOP_READ_US + 10000);
}

static struct address arrives_from;

static int give(struct puppet *puppet, const uint8_t *payload, size_t length)
{
    const struct receiver_datagram datagram = {.source = arrives_from, .payload = payload, .length = length};
    (void)puppet;
    route_batch(fake.workers[0].listeners, &datagram, 1);
    return KDNET_OK;
}

static void a_result_is_said_to_the_others(void **state)
{
    struct address source = arrives_from = address_of(0, 0);
    uint32_t id = 0;
    (void)state;
    const struct target *row = connect_among_others(&source);
    machine->give = give;
    machine->answer = puppet_refuse;
    (void)puppet_break(machine, KDNET_EXCEPTION_BREAKPOINT, 0xfffff80012345678U);
    for (unsigned i = 0, taken = 0; i < ROUNDS && others.told == 0; ++i) {
        id = row->halted ? break_of(row) : id;
        if (sent.count != taken)
            puppet_take(machine, &sent.bytes);
        taken = sent.count;
        pass_us(1000);
        fake_turn();
    }
    assert_int_equal(others.told, 1);
    assert_int_equal(others.told_break, id);
    assert_string_equal(others.target, "web-17");
    assert_true(address_equal(&others.machine, &source));
    assert_int_equal(others.local.port, 50000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(data_that_no_key_opens_is_shown_and_the_word_is_awaited),
        TEST(what_is_shown_is_taken_by_the_key_that_opens_it),
        TEST(who_has_lost_the_address_takes_nothing_that_is_shown),
        TEST(a_word_counts_without_the_address),
        TEST(a_listener_of_another_address_takes_what_is_shown_while_its_own_is_here),
        TEST(a_wildcard_listener_takes_what_is_shown_while_the_address_is_here),
        TEST(a_wildcard_listener_answers_from_its_own_address_what_came_to_another),
        TEST(a_break_that_was_read_elsewhere_has_no_result_here),
        TEST(a_break_whose_address_has_moved_is_told_later),
        TEST(a_worker_that_stops_reads_no_machine_for_long),
        TEST(a_result_is_said_to_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
