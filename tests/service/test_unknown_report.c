/* SPDX-License-Identifier: Apache-2.0 */
/* Unknown sources: what is logged of those that are too many to be logged individually. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/runtime/log.h"
#include "service/server/server_internal.h"
#include "tests/service/captured_log.h"

#include <cmocka.h>

static struct server server;

static void poke_of(uint32_t number, uint64_t now_us)
{
    struct search_poke poke = {.local_port = 50000, .length = KEY_SEARCH_PAYLOAD, .source.port = 1};
    memcpy(poke.source.ip, &number, sizeof number);
    unknown_sources_note(&server.unknown_sources, &poke, 5, now_us);
}

static const char *told(void)
{
    captured_begin();
    unknown_report_log_rest(&server);
    return captured_end();
}

static void who_is_too_many_is_counted_in_one_line(void **state)
{
    (void)state;
    unknown_sources_init(&server.unknown_sources, 7);
    assert_string_equal(told(), "");
    for (uint32_t i = 0; i < 100000; ++i)
        poke_of(i, 100000000);
    const char *text = told();
    print_message("%s", text);
    static const char start[] =
        "level=warning msg=\"further pokes with unknown keys were not logged individually (rate limit); "
        "kdnetctl unknown lists their sources\" pokes=";
    assert_int_equal(captured_lines(text), 1);
    assert_memory_equal(text, start, sizeof start - 1);
    assert_string_equal(told(), ""); /* nothing new since */
    poke_of(200000, 100000001);
    assert_non_null(strstr(told(), "pokes=1\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_too_many_is_counted_in_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
