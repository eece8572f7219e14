/* SPDX-License-Identifier: Apache-2.0 */
/* A target goes to the worker of its machine's address: it arrives, or it stays where it was, whatever fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/worker/migration.h"
#include "service/platform/platform.h"
#include "service/worker/listener.h"
#include "service/targets/policies.h"
#include "tests/service/captured_log.h"
#include "tests/service/fake_env.h"

#include <cmocka.h>

#define WORKERS 2

static struct worker *const workers = fake.workers;
static struct kdnetd_config config;
static struct policies policies;
static const struct kdnet_policy *policy;

static bool out_of_memory;

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_realloc(void *old, size_t size)
{
    return out_of_memory ? NULL : __real_realloc(old, size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return out_of_memory ? NULL : __real_calloc(count, size);
}

/* An address whose machines the second worker serves. */
static struct address machine_of_second(void)
{
    struct address machine = {.ip = {[10] = 0xff, [11] = 0xff, 127, 0, 0, 1}, .port = 9};
    while (steer_worker(&fake.env.steer, machine.ip) != 1)
        ++machine.ip[15];
    return machine;
}

static void open_listener(struct worker *worker)
{
    struct sockaddr_storage place = {.ss_family = AF_INET};
    struct address local;
    uv_os_sock_t socket;
    socklen_t length = sizeof place;
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in *)(void *)&place), 0);
    assert_int_equal(platform_udp_socket((const struct sockaddr *)&place, 0, &socket), 0);
    assert_int_equal(getsockname(socket, (struct sockaddr *)&place, &length), 0);
    assert_true(address_from_socket((const struct sockaddr *)&place, &local));
    assert_int_equal(listener_open(worker, 1, &local, socket, false), 0);
}

/* Gives the first worker a target that is live at an address of the second one's. */
static void add_target(void)
{
    static const struct config_target configured = {.name = "web-17", .key.bytes = {1}};
    struct worker *worker = &workers[0];
    struct address machine = machine_of_second();
    assert_true(worker_reserve(worker, 1));
    struct target *target = targets_add(&worker->targets, &configured, false);
    assert_non_null(target);
    targets_begin_session(target, &worker->shared, policy, &configured.key);
    assert_true(targets_set_live(&worker->targets, target, &machine, worker->listeners, worker->listeners->local.port));
}

static int setup(void **state)
{
    (void)state;
    config_init(&config);
    policies_init(&policies);
    policy = policies_to_let_go(&policies);
    assert_non_null(policy);
    fake_begin(WORKERS);
    for (unsigned i = 0; i < WORKERS; ++i) {
        worker_configure(&workers[i], &config);
        open_listener(&workers[i]);
    }
    add_target();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_end();
    policies_clear(&policies);
    config_clear(&config);
    return 0;
}

static void run(struct worker *worker)
{
    for (int i = 0; i < 3; ++i)
        (void)uv_run(&worker->loop, UV_RUN_NOWAIT);
}

static void begin_move(void)
{
    migration_consider(&workers[0], targets_row(&workers[0].targets, 0));
    assert_int_equal(workers[0].targets.count, 0);
}

static void a_target_arrives_with_its_session_and_place(void **state)
{
    struct target *rows[TARGETS_SHARE_MAX];
    struct address machine = machine_of_second();
    (void)state;
    begin_move();
    run(&workers[1]);
    assert_int_equal(workers[1].targets.count, 1);
    assert_int_equal(targets_at(&workers[1].targets, &machine, workers[1].listeners->local.port, rows), 1);
    assert_string_equal(targets_name(rows[0]), "web-17");
}

static void one_that_finds_no_memory_goes_back(void **state)
{
    (void)state;
    begin_move();
    out_of_memory = true;
    run(&workers[1]);
    out_of_memory = false;
    assert_int_equal(workers[1].targets.count, 0);
    run(&workers[0]);
    assert_int_equal(workers[0].targets.count, 1);
}

/* The reload makes it again, for it finds no row. */
static void one_that_finds_no_memory_while_a_reload_is_applied_is_given_up_and_told(void **state)
{
    (void)state;
    begin_move();
    workers[1].frozen = true;
    out_of_memory = true;
    captured_begin();
    run(&workers[1]);
    const char *text = captured_end();
    out_of_memory = false;
    print_message("%s", text);
    assert_int_equal(captured_lines(text), 1);
    assert_non_null(strstr(text, "level=error msg=\"out of memory while a target moved to another worker;"));
    assert_non_null(strstr(text, " target=web-17\n"));
    run(&workers[0]);
    assert_int_equal(workers[0].targets.count + workers[1].targets.count, 0);
}

static void nobody_moves_while_a_reload_is_applied(void **state)
{
    (void)state;
    workers[0].frozen = true;
    migration_consider(&workers[0], targets_row(&workers[0].targets, 0));
    run(&workers[1]);
    assert_int_equal(workers[0].targets.count, 1);
}

static void what_is_under_way_at_the_end_is_freed(void **state)
{
    (void)state;
    begin_move();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_target_arrives_with_its_session_and_place, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_finds_no_memory_goes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_finds_no_memory_while_a_reload_is_applied_is_given_up_and_told, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nobody_moves_while_a_reload_is_applied, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_under_way_at_the_end_is_freed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
