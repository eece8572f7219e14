/* SPDX-License-Identifier: Apache-2.0 */
#include "setup.h"

#include <stdio.h>

static char *read_example(const char *name)
{
    char path[1024];
    const char *source = getenv("KDNETD_SOURCE");
    (void)snprintf(path, sizeof path, "%s/config/%s", source ? source : ".", name);
    FILE *file = fopen(path, "r");
    if (!file)
        fail_msg("%s cannot be read: set KDNETD_SOURCE to the folder of the source", path);
    char *text = calloc(1, 65536);
    assert_true(fread(text, 1, 65535, file) > 0);
    (void)fclose(file);
    return text;
}

/* Takes the # from each line, but where one space follows it: that explains. */
static void switch_everything_on(char *text)
{
    char *to = text, previous = '\n';
    for (const char *from = text; *from != '\0'; previous = *from++) {
        bool explains = from[1] == '\n' || (from[1] == ' ' && from[2] != ' ');
        if (previous != '\n' || *from != '#' || explains)
            *to++ = *from;
    }
    *to = '\0';
}

static void the_example_has_no_mistake_and_says_the_defaults(void **state)
{
    struct fixture *f = *state;
    struct kdnetd_config fresh;
    char *text = read_example("kdnetd.yaml.example");
    load_yaml(f, text);
    free(text);
    expect_no_mistake(f);
    config_init(&fresh);
    assert_int_equal(f->config.listen_count, 2);
    assert_int_equal(f->config.listens[0].address.port, CONFIG_DEFAULT_PORT);
    assert_memory_equal(f->config.policy.action, fresh.policy.action, sizeof fresh.policy.action);
    assert_true(f->config.policy.hold_for_ms == fresh.policy.hold_for_ms);
    assert_int_equal(f->config.read_deadline_ms, fresh.read_deadline_ms);
    assert_int_equal(f->config.lost_after_ms, fresh.lost_after_ms);
    assert_int_equal(f->config.dump_for_ms, fresh.dump_for_ms);
    assert_int_equal(f->config.prints, fresh.prints);
    assert_int_equal(f->config.default_reads, fresh.default_reads);
    assert_int_equal(f->config.log_level, fresh.log_level);
}

static void everything_that_the_example_has_off_can_be_switched_on(void **state)
{
    struct fixture *f = *state;
    char *text = read_example("kdnetd.yaml.example");
    switch_everything_on(text);
    f->config.access.memory_only = true;
    load_yaml(f, text);
    free(text);
    expect_no_mistake(f);
    assert_int_equal(f->config.target_count, 1);
    assert_true(f->config.targets[0].has_address);
    assert_int_equal(f->config.targets[0].policy.hold_for_ms, 600000);
    assert_int_equal(f->config.rva_count, 1);
    assert_int_equal(f->config.symbols.count, 2);
    assert_int_equal(f->config.read_count, 1);
    assert_non_null(f->config.symbols_ca_file);
    assert_string_equal(f->config.events, "-");
    assert_true(f->config.http.port != 0);
}

static void the_example_of_a_targets_file_has_no_mistake(void **state)
{
    struct fixture *f = *state;
    char *text = read_example("targets.example");
    load_targets(f, text);
    free(text);
    expect_no_mistake(f);
    assert_int_equal(f->config.target_count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_example_has_no_mistake_and_says_the_defaults),
        TEST(everything_that_the_example_has_off_can_be_switched_on),
        TEST(the_example_of_a_targets_file_has_no_mistake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
