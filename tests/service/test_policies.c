/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/targets/policies.h"

#include <cmocka.h>

static void policy_of_a_target_goes_before_that_for_all(void **state)
{
    (void)state;
    struct kdnetd_config config;
    struct config_target target;
    struct kdnet_policy policy;
    config_init(&config);
    memset(&target, 0, sizeof target);
    target.policy.action[CONFIG_BREAK_BREAK] = CONFIG_ACTION_HOLD;
    target.policy.action[CONFIG_BREAK_SHUTDOWN] = CONFIG_ACTION_REBOOT;
    target.policy.hold_for_ms = 5000;
    policies_make(&config, &target, &policy);
    assert_int_equal(policy.action[KDNET_BREAK_KIND_BREAK], KDNET_ACTION_HOLD);
    assert_int_equal(policy.action[KDNET_BREAK_KIND_SHUTDOWN], KDNET_ACTION_REBOOT);
    assert_int_equal(policy.action[KDNET_BREAK_KIND_BUGCHECK_FIRST], KDNET_ACTION_CONTINUE);
    assert_int_equal(policy.action[KDNET_BREAK_KIND_BUGCHECK_SECOND], KDNET_ACTION_HOLD);
    assert_int_equal(policy.hold_for_us, 5000000);
    policies_make(&config, NULL, &policy);
    assert_int_equal(policy.hold_for_us, 0);
}

/* Each of `count` targets has a hold_for of its own. */
static void make_many(struct policies *policies, const struct kdnetd_config *config, size_t count,
                      const struct kdnet_policy **out)
{
    for (size_t i = 0; i < count; ++i) {
        struct config_target target;
        memset(&target, 0, sizeof target);
        target.policy.hold_for_ms = 1000 + i;
        out[i] = policies_of(policies, config, &target);
        assert_non_null(out[i]);
        assert_int_equal(out[i]->hold_for_us, (1000 + i) * 1000);
    }
}

static void machines_with_the_same_policy_share_it(void **state)
{
    (void)state;
    const struct kdnet_policy *first[500], *again[500];
    struct kdnetd_config config;
    struct policies policies;
    config_init(&config);
    policies_init(&policies);
    make_many(&policies, &config, 500, first);
    make_many(&policies, &config, 500, again);
    assert_memory_equal(first, again, sizeof first);
    assert_int_equal(policies.count, 500);
    policies_clear(&policies);
}

static void policies_have_the_labels_of_their_targets(void **state)
{
    (void)state;
    static const char text[] = "a 1.1.1.1 rack=b4\nb 2.2.2.2 rack=b4\nc 3.3.3.3 rack=b5\nd 4.4.4.4\n";
    const struct kdnet_policy *of[4];
    struct kdnetd_config config;
    struct config_report report;
    struct policies policies;
    config_init(&config);
    config_report_init(&report);
    policies_init(&policies);
    assert_true(config_load_targets_text(text, sizeof text - 1, "targets", &config, &report));
    for (size_t i = 0; i < 4; ++i)
        of[i] = policies_of(&policies, &config, &config.targets[i]);
    config_clear(&config);
    config_report_clear(&report);
    assert_ptr_equal(of[0], of[1]);
    assert_int_equal(policies.count, 3);
    assert_string_equal(config_next_label(policies_labels(of[0]), NULL), "rack");
    assert_string_equal(config_next_label(policies_labels(of[2]), NULL) + 5, "b5");
    assert_null(policies_labels(of[3]));
    assert_null(policies_labels(policies_to_let_go(&policies)));
    policies_clear(&policies);
}

static void kept_policies_live_as_long_as_the_others(void **state)
{
    (void)state;
    const struct kdnet_policy *old[20], *new[20];
    struct kdnetd_config config;
    struct policies before, after;
    config_init(&config);
    policies_init(&before);
    policies_init(&after);
    make_many(&before, &config, 20, old);
    make_many(&after, &config, 20, new);
    policies_keep(&after, &before);
    policies_clear(&before);
    for (size_t i = 0; i < 20; ++i)
        assert_int_equal(old[i]->hold_for_us, new[i]->hold_for_us);
    policies_clear(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policy_of_a_target_goes_before_that_for_all),
        cmocka_unit_test(machines_with_the_same_policy_share_it),
        cmocka_unit_test(policies_have_the_labels_of_their_targets),
        cmocka_unit_test(kept_policies_live_as_long_as_the_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
