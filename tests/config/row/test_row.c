/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An option is one row: this program is the configuration's sources with row.def added to options.def, and nothing
 * else. The struct's member, the default, YAML, its mistakes, the command line, --help, the manuals, the example, and
 * what a reload says of it are there.
 */
#include "tests/config/setup.h"

#include "config/documents.h"

#include <stdio.h>

static void the_member_the_default_and_the_file_are_there(void **state)
{
    struct fixture *f = *state;
    load_yaml(f, "targets: []\n");
    expect_no_mistake(f);
    assert_int_equal(f->config.sample_ms, 7000);
    assert_false(config_is_set(&f->config, CONFIG_SET_sample_ms));
    assert_string_equal(config_default(CONFIG_SET_sample_ms), "7s");
    load_yaml(f, "sample_ms: 9s\n");
    expect_no_mistake(f);
    assert_int_equal(f->config.sample_ms, 9000);
    assert_true(config_is_set(&f->config, CONFIG_SET_sample_ms));
}

static void mistakes_are_named(void **state)
{
    struct fixture *f = *state;
    load_yaml(f, "prints: true\nsample_ms: 2h\n");
    expect_mistake(f, "a.yaml:2:12: sample_ms: 2h is out of range; write 1s to 1h");
    load_yaml(f, "sampel_ms: 1m\n");
    expect_mistake(f, "a.yaml:1:1: sampel_ms: unknown field; did you mean sample_ms?");
    load_yaml(f, "sample_ms: 1m\nsample_ms: 1m\n");
    expect_mistake(f, "a.yaml:2:1: sample_ms: is in line 1 already; write it once");
}

static void the_command_line_goes_before_the_file(void **state)
{
    struct fixture *f = *state;
    char error[CONFIG_ERROR_SIZE] = "";
    load_yaml(f, "sample_ms: 9s\n");
    assert_true(config_add(&f->config, "sample-ms", "1m", error));
    assert_int_equal(f->config.sample_ms, 60000);
    assert_false(config_add(&f->config, "sample-ms", "soon", error));
    assert_string_equal(error, "\"soon\" is not a duration; write a number and ms, s, m, h or d, as 1s");
}

static void expect_written(void (*write)(FILE *), const char *line)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    write(out);
    (void)fclose(out);
    if (!strstr(text, line))
        fail_msg("not there: %s", line);
    free(text);
}

static void each_document_has_it(void **state)
{
    (void)state;
    expect_written(config_write_help, "\n  --sample-ms TIME                a time that only this test knows (7s)\n");
    expect_written(config_write_example,
                   "\n# A time that only this test knows. From 1s to 1h. Changed by a restart, not by "
                   "a reload.\nsample_ms: 7s\n");
    expect_written(config_write_file_manual, "\n.It Va sample_ms : Ar TIME\nA time that only this test knows.\n");
    expect_written(config_write_command_manual, "\n.It Fl -sample-ms Ar TIME\nA time that only this test knows.\n");
}

static void a_reload_tells_what_it_does_not_change(void **state)
{
    struct fixture *f = *state;
    struct kdnetd_config fresh;
    char error[CONFIG_ERROR_SIZE];
    size_t at = 0;
    config_init(&fresh);
    assert_true(config_add(&fresh, "sample-ms", "9s", error));
    assert_true(config_add(&fresh, "lost-after", "9s", error));
    load_yaml(f, "targets: []\n");
    assert_string_equal(config_next_for_restart(&f->config, &fresh, &at), "sample_ms");
    assert_null(config_next_for_restart(&f->config, &fresh, &at));
    config_clear(&fresh);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_member_the_default_and_the_file_are_there), TEST(mistakes_are_named),
        TEST(the_command_line_goes_before_the_file),         TEST(each_document_has_it),
        TEST(a_reload_tells_what_it_does_not_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
