/* SPDX-License-Identifier: Apache-2.0 */
/* Each counter has a name of its own, in code, in the log and in the metrics, and says what it counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/worker/worker.h"

#include <cmocka.h>

struct row {
    const char *name, *log, *help;
};

static const struct row rows[] = {
#define LISTENER_COUNTER(name, log, help) {#name, log, help},
#define WORKER_GAUGE(name, log, help)     {#name, log, help},
#define WORKER_COUNTER(name, log, help)   {#name, log, help},
#define SESSION_COUNTER(name, log, help)  {#name, log, help},
#include "service/runtime/counters.def"
};
#define ROWS (sizeof rows / sizeof rows[0])

static void names_are_unique(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; ++i)
        for (size_t k = i + 1; k < ROWS; ++k) {
            assert_string_not_equal(rows[i].name, rows[k].name);
            if (rows[i].log && rows[k].log)
                assert_string_not_equal(rows[i].log, rows[k].log);
        }
}

static void each_says_what_it_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; ++i) {
        size_t length = strlen(rows[i].help);
        assert_true(length > 10);
        assert_int_equal(rows[i].help[length - 1], '.');
        assert_null(strpbrk(rows[i].help, "\"\\\n")); /* it goes into metrics as it is */
    }
}

/* A counter of the sessions that has no row would be in no summary. */
static void every_member_has_a_row(void **state)
{
    size_t listener = 0, session = 0;
    (void)state;
#define LISTENER_COUNTER(name, log, help) ++listener;
#define SESSION_COUNTER(name, log, help)  ++session;
#include "service/runtime/counters.def"
    assert_int_equal(sizeof(struct listener_counts), listener * sizeof(uint64_t));
    assert_int_equal(sizeof(struct kdnet_session_counts), session * sizeof(uint64_t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(each_says_what_it_counts),
        cmocka_unit_test(every_member_has_a_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
