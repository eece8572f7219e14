/* SPDX-License-Identifier: Apache-2.0 */
/* Results in words: each phase has its own sentence, and a hint names what is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "service/output/verdict.h"

static const struct kdnet_pdb pdb = {.guid = {0x11, 0x22, 0x33}, .age = 1, .name = "ntkrnlmp.pdb"};

static struct kdnet_event_crash_status result(enum kdnet_phase phase, enum kdnet_verdict verdict,
                                              enum kdnet_reason reason)
{
    return (struct kdnet_event_crash_status){.phase = phase, .conclusion = {.verdict = verdict, .reason = reason}};
}

static void a_crash_is_said_once_and_then_what_the_machine_does(void **state)
{
    (void)state;
    struct kdnet_event_crash_status first = result(KDNET_PHASE_BUGCHECK_FIRST, KDNET_VERDICT_NOT_STARTED,
                                                   KDNET_REASON_NO_SYMBOLS);
    struct kdnet_event_crash_status last = result(KDNET_PHASE_SHUTDOWN, KDNET_VERDICT_UNKNOWN, KDNET_REASON_NO_SYMBOLS);
    struct kdnet_event_crash_status second = result(KDNET_PHASE_BUGCHECK_SECOND, KDNET_VERDICT_UNKNOWN,
                                                    KDNET_REASON_NO_SYMBOLS);
    assert_non_null(strstr(verdict_message(&first), "machine has crashed"));
    assert_non_null(strstr(verdict_message(&last), "goes down after its crash"));
    assert_non_null(strstr(verdict_message(&second), "does not restart by itself"));
}

static void what_needs_a_look_is_a_warning(void **state)
{
    static const enum config_log_level levels[] = {
        [KDNET_VERDICT_UNKNOWN] = CONFIG_LOG_WARNING,
        [KDNET_VERDICT_WRITTEN] = CONFIG_LOG_NOTICE,
        [KDNET_VERDICT_NOT_STARTED] = CONFIG_LOG_NOTICE,
        [KDNET_VERDICT_FAILED] = CONFIG_LOG_WARNING,
    };
    (void)state;
    for (unsigned i = 0; i < sizeof levels / sizeof levels[0]; ++i) {
        struct kdnet_event_crash_status status = result(KDNET_PHASE_SHUTDOWN, (enum kdnet_verdict)i,
                                                        KDNET_REASON_TIMEOUT);
        assert_int_equal(verdict_level(&status), levels[i]);
    }
}

static void the_hint_at_an_rva_names_the_kernel(void **state)
{
    struct kdnet_event_crash_status status = result(KDNET_PHASE_SHUTDOWN, KDNET_VERDICT_UNKNOWN,
                                                    KDNET_REASON_NO_SYMBOLS);
    char out[VERDICT_HINT_SIZE], guidage[KDNET_GUIDAGE_SIZE];
    (void)state;
    kdnet_pdb_guidage(&pdb, guidage);
    const char *hint = verdict_hint(&status, &pdb, NULL, out);
    assert_non_null(strstr(hint, guidage));
    assert_null(strstr(hint, "GUIDAGE"));
    assert_non_null(strstr(verdict_hint(&status, NULL, NULL, out), "GUIDAGE"));
}

static void a_look_up_under_way_is_not_blamed_on_the_network(void **state)
{
    struct kdnet_event_crash_status status = result(KDNET_PHASE_SHUTDOWN, KDNET_VERDICT_UNKNOWN, KDNET_REASON_TIMEOUT);
    char out[VERDICT_HINT_SIZE];
    (void)state;
    assert_non_null(strstr(verdict_hint(&status, &pdb, "a look-up is under way", out), "loss on its network"));
    status.symbols_pending = true;
    const char *hint = verdict_hint(&status, &pdb, "a look-up is under way", out);
    assert_non_null(strstr(hint, "symbols are being fetched from"));
    assert_non_null(strstr(hint, "a look-up is under way"));
    assert_null(strstr(hint, "network"));
}

static void every_reason_has_a_hint_or_none(void **state)
{
    char out[VERDICT_HINT_SIZE];
    (void)state;
    for (unsigned reason = KDNET_REASON_NONE; reason <= KDNET_REASON_OVERLOADED; ++reason) {
        struct kdnet_event_crash_status status = result(KDNET_PHASE_BREAK, KDNET_VERDICT_UNKNOWN,
                                                        (enum kdnet_reason)reason);
        bool has = reason == KDNET_REASON_NO_SYMBOLS || reason == KDNET_REASON_TIMEOUT || reason == KDNET_REASON_LOST ||
                   reason == KDNET_REASON_OVERLOADED;
        assert_int_equal(verdict_hint(&status, &pdb, NULL, out) != NULL, has);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_crash_is_said_once_and_then_what_the_machine_does),
        cmocka_unit_test(what_needs_a_look_is_a_warning),
        cmocka_unit_test(the_hint_at_an_rva_names_the_kernel),
        cmocka_unit_test(a_look_up_under_way_is_not_blamed_on_the_network),
        cmocka_unit_test(every_reason_has_a_hint_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
