/* SPDX-License-Identifier: Apache-2.0 */
/* A request finds its target at whatever worker it is, or comes back without. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "service/targets/policies.h"
#include "service/worker/target_request.h"
#include "tests/service/fake_env.h"

#include <cmocka.h>

#define WORKERS 3U
#define MANY    (TARGET_REQUEST_LOOK + 10)

static struct kdnetd_config config;
static struct policies policies;
static const struct kdnet_policy *policy;

static struct {
    unsigned count;
    struct worker *worker;
    struct target *target;
} acted;

static void act(struct target_request *request, struct worker *worker, struct target *target)
{
    (void)request;
    ++acted.count;
    acted.worker = worker;
    acted.target = target;
}

static int setup(void **state)
{
    (void)state;
    memset(&acted, 0, sizeof acted);
    config_init(&config);
    policies_init(&policies);
    policy = policies_to_let_go(&policies);
    assert_non_null(policy);
    fake_begin(WORKERS);
    for (unsigned i = 0; i < WORKERS; ++i)
        worker_configure(&fake.workers[i], &config);
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

static struct target *add(struct worker *worker, const char *name, bool old_key)
{
    struct config_target configured = {.key.bytes = {1}};
    (void)snprintf(configured.name, sizeof configured.name, "%s", name);
    assert_true(worker_reserve(worker, worker->targets.count + 1));
    struct target *target = targets_add(&worker->targets, &configured, old_key);
    assert_non_null(target);
    targets_begin_session(target, &worker->shared, policy, &configured.key);
    return target;
}

static struct target_request ask(const char *name)
{
    struct target_request request = {.act = act};
    (void)snprintf(request.name, sizeof request.name, "%s", name);
    return request;
}

static void a_target_is_found_at_any_worker_whoever_is_asked_first(void **state)
{
    (void)state;
    for (unsigned at = 0; at < WORKERS; ++at)
        for (unsigned first = 0; first < WORKERS; ++first) {
            struct target_request request = ask("web-17");
            const struct target *target = add(&fake.workers[at], "web-17", false);
            unsigned before = acted.count;
            target_request_post(&fake.env, &request, first);
            for (unsigned i = 0; i < WORKERS; ++i)
                fake_turn();
            assert_int_equal(acted.count, before + 1);
            assert_ptr_equal(acted.worker, &fake.workers[at]);
            assert_ptr_equal(acted.target, target);
            targets_remove(&fake.workers[at].targets, acted.target);
        }
}

static void a_request_for_nobody_comes_back_once(void **state)
{
    struct target_request request = ask("web-18");
    (void)state;
    (void)add(&fake.workers[1], "web-17", false);
    target_request_post(&fake.env, &request, 2);
    for (unsigned i = 0; i < 4 * WORKERS; ++i)
        fake_turn();
    assert_int_equal(acted.count, 1);
    assert_null(acted.target);
}

/* Between two slices the loop has its turn. */
static void many_rows_are_looked_through_in_slices(void **state)
{
    struct worker *worker = &fake.workers[0];
    struct target_request request = ask("the last");
    struct target *last = NULL;
    char name[CONFIG_NAME_SIZE];
    (void)state;
    for (unsigned i = 0; i + 1 < MANY; ++i) {
        (void)snprintf(name, sizeof name, "web-%u", i);
        (void)add(worker, name, false);
    }
    last = add(worker, "the last", false);
    target_request_post(&fake.env, &request, 0);
    assert_true(mailbox_handle(&worker->mailbox));
    assert_int_equal(acted.count, 0);
    assert_true(mailbox_handle(&worker->mailbox));
    assert_int_equal(acted.count, 1);
    assert_ptr_equal(acted.target, last);
}

static void a_row_of_an_old_key_does_not_stand_for_its_target(void **state)
{
    struct worker *worker = &fake.workers[0];
    struct target_request request = ask("web-17");
    (void)state;
    (void)add(worker, "web-17", true);
    const struct target *current = add(worker, "web-17", false);
    target_request_post(&fake.env, &request, 0);
    fake_turn();
    assert_ptr_equal(acted.target, current);
}

static void a_request_that_is_under_way_at_the_end_comes_back(void **state)
{
    static struct target_request request; /* until teardown */
    (void)state;
    request = ask("web-17");
    (void)add(&fake.workers[0], "web-17", false);
    target_request_post(&fake.env, &request, 0);
    for (unsigned i = 0; i < WORKERS; ++i)
        worker_finish(&fake.workers[i]);
    assert_true(mailbox_handle(&fake.workers[0].mailbox));
    assert_int_equal(acted.count, 1);
    assert_null(acted.target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_target_is_found_at_any_worker_whoever_is_asked_first, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_for_nobody_comes_back_once, setup, teardown),
        cmocka_unit_test_setup_teardown(many_rows_are_looked_through_in_slices, setup, teardown),
        cmocka_unit_test_setup_teardown(a_row_of_an_old_key_does_not_stand_for_its_target, setup, teardown),
        cmocka_unit_test_setup_teardown(a_request_that_is_under_way_at_the_end_comes_back, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
