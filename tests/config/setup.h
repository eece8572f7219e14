/* SPDX-License-Identifier: Apache-2.0 */
/* A string becomes a configuration, and its mistakes can be looked for. Included once, by each test of config/. */
#ifndef TESTS_CONFIG_SETUP_H
#define TESTS_CONFIG_SETUP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "config/config.h"

struct fixture {
    struct kdnetd_config config;
    struct config_report report;
};

static inline int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    config_init(&f->config);
    config_report_init(&f->report);
    *state = f;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    config_clear(&f->config);
    config_report_clear(&f->report);
    free(f);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* Forgets what was read before, so that one test can look at several texts. */
static inline void start_again(struct fixture *f)
{
    struct config_access access = f->config.access;
    config_clear(&f->config);
    config_report_clear(&f->report);
    f->config.access = access;
}

static inline void expect_no_mistake(const struct fixture *f)
{
    if (f->report.count > 0)
        config_report_print(&f->report, stderr);
    assert_int_equal(f->report.count, 0);
}

/* There is one mistake, and this is its whole line. */
static inline void expect_mistake(const struct fixture *f, const char *line)
{
    if (f->report.count != 1)
        config_report_print(&f->report, stderr);
    assert_int_equal(f->report.count, 1);
    assert_string_equal(config_report_line(&f->report, 0), line);
}

static inline void load_yaml(struct fixture *f, const char *text)
{
    start_again(f);
    (void)config_load_text(text, strlen(text), "a.yaml", &f->config, &f->report);
    (void)config_check(&f->config, &f->report);
}

static inline void load_targets(struct fixture *f, const char *text)
{
    start_again(f);
    (void)config_load_targets_text(text, strlen(text), "targets", &f->config, &f->report);
    (void)config_check(&f->config, &f->report);
}

/* A text with one mistake, and its line. */
struct wrong_text {
    const char *text;
    const char *line;
};

#endif
