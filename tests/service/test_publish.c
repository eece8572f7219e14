/* SPDX-License-Identifier: Apache-2.0 */
/* What a session tells, in the log: one line each, at its level, that names the machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/runtime/log.h"
#include "service/worker/publish.h"
#include "service/targets/policies.h"
#include "tests/service/captured_log.h"
#include "tests/service/fake_env.h"

#include <cmocka.h>

#define SESSION_SIZE 1024
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct worker worker = {.env = &fake.env};
static struct kdnet_session_shared shared;
static struct policies policies;

static int random_bytes(void *user, uint8_t *out, size_t length)
{
    (void)user;
    memset(out, 7, length);
    return KDNET_OK;
}

static int setup(void **state)
{
    static const struct kdnet_key key = {.bytes = {1}};
    static _Alignas(uint64_t) uint8_t room[sizeof(struct target) + SESSION_SIZE];
    struct target *target = (struct target *)(void *)room;
    *target = (struct target){.name.here = "web-17"};
    shared = (struct kdnet_session_shared){.crypto = kdnet_crypto_new(), .random = random_bytes};
    policies_init(&policies);
    assert_in_range(kdnet_session_size(), 1, SESSION_SIZE);
    targets_begin_session(target, &shared, policies_to_let_go(&policies), &key);
    publisher_init(&fake.publisher, &fake.event_log);
    fake.env = (struct worker_env){.publisher = &fake.publisher, .keys_shown = &fake.keys_shown};
    log_set_level(CONFIG_LOG_DEBUG);
    *state = target;
    return 0;
}

static int teardown(void **state)
{
    struct target *target = *state;
    kdnet_session_clear(targets_session(target));
    policies_clear(&policies);
    kdnet_crypto_free(shared.crypto);
    return 0;
}

static const char *told(struct target *target, const struct kdnet_event *event)
{
    captured_begin();
    assert_int_equal(publish_event(&worker, target, event), 0); /* results are not wanted here */
    return captured_end();
}

struct example {
    struct kdnet_event event;
    const char *wanted[4]; /* what its line has */
};

static const struct example examples[] = {
    {{.type = KDNET_EVENT_CONNECTED, .u.connected = {.version = 5, .rebooted = true}},
     {"level=notice msg=\"target connected\"", "version=5", "rebooted=true", "took_over=false"}},
    {{.type = KDNET_EVENT_KERNEL,
      .u.kernel = {.build = 20348,
                   .machine = KDNET_MACHINE_X64,
                   .kernel_base = 0xfffff80012340000U,
                   .build_lab_known = true,
                   .build_lab = "20348.1.amd64fre.fe_release",
                   .pdb_known = true,
                   .pdb = {.guid = {0x11}, .age = 1, .name = "ntkrnlmp.pdb"}}},
     {"level=info msg=\"kernel identified\"", "build=20348 machine=x64 kernel_base=0xFFFFF80012340000",
      "build_lab=20348.1.amd64fre.fe_release", "pdb=ntkrnlmp.pdb guidage="}},
    {{.type = KDNET_EVENT_BUGCHECK, .u.bugcheck = {.known = true, .data = {.code = 0xd1, .parameters = {1, 2, 3, 4}}}},
     {"level=notice msg=\"machine has crashed\"", "bugcheck=0xD1", "DRIVER_IRQL_NOT_LESS_OR_EQUAL",
      "parameters=0x1,0x2,0x3,0x4"}},
    {{.type = KDNET_EVENT_BREAK_IN,
      .u.break_in =
          {.phase = KDNET_PHASE_BREAK, .exception = true, .code = 0x80000003, .address = 0xfffff80012345678U}},
     {"level=debug msg=\"machine halted\"", "phase=break", "code=0x80000003",
      "pc=0xFFFFF80012345678 first_chance=false"}},
    {{.type = KDNET_EVENT_RELEASED, .u.released = {.action = KDNET_ACTION_REBOOT, .halted_us = 1500, .repeated = 2}},
     {"level=notice msg=\"machine told to reboot", "action=reboot", "halted_ms=1.500", "repeated=2"}},
    {{.type = KDNET_EVENT_LOST, .u.lost = {.silent_us = 90000000}},
     {"level=warning msg=\"target lost: switched off", "silent_ms=90000.000"}},
    {{.type = KDNET_EVENT_LOST, .u.lost = {.silent_us = 1, .halted = true}},
     {"level=warning msg=\"target lost while it was halted"}},
    {{.type = KDNET_EVENT_BREAK_STORM, .u.break_storm = {.unread = 321}},
     {"level=warning msg=\"machine breaks in again and again", "unread=321"}},
    {{.type = KDNET_EVENT_HELD, .u.held = {.why = KDNET_BREAK_KIND_PROMPT, .hold_for_us = 2000000}},
     {"level=notice msg=\"machine is held", "why=prompt", "hold_for_ms=2000.000"}},
    {{.type = KDNET_EVENT_SUPPRESSED, .u.suppressed = {.kind = KDNET_EVENT_PRINT, .count = 99}},
     {"level=warning msg=\"machine causes more events than are told", "kind=print", "count=99"}},
    {{.type = KDNET_EVENT_NO_LAST_BREAK, .u.no_last_break = {.since_first_us = 30000000}},
     {"level=warning msg=\"machine runs on after its bug check", "since_first_ms=30000.000"}},
    {{.type = KDNET_EVENT_CRASH_STATUS,
      .u.crash_status = {.phase = KDNET_PHASE_SHUTDOWN,
                         .dump = {.phase = KDNET_PHASE_SHUTDOWN, .now = {.progress_known = true, .progress = 100}}}},
     {"level=warning msg=", "verdict=unknown likely=written strength=strong phase=shutdown"}},
    {{.type = KDNET_EVENT_PRINT, .u.print = {.text = "hello\nlevel=error", .length = 17}}, {"hello\\nlevel=error"}},
    {{.type = KDNET_EVENT_CRASH_STATUS,
      .u.crash_status = {.phase = KDNET_PHASE_SHUTDOWN,
                         .conclusion = {.verdict = KDNET_VERDICT_FAILED, .source = KDNET_SOURCE_RVA},
                         .status_known = true,
                         .status = 0xc000007f,
                         .since_first_known = true,
                         .since_first_us = 8000}},
     {"level=warning msg=", "verdict=failed phase=shutdown status=0xC000007F status_name=STATUS_DISK_FULL", "from=rva",
      "since_first_ms=8.000"}},
    {{.type = KDNET_EVENT_NO_LAST_BREAK,
      .u.no_last_break = {.rebooted = true,
                          .bugcheck = {.known = true, .data = {.code = 0x9f, .parameters = {3, 0, 0xabc, 1}}}}},
     {"level=warning msg=\"machine started anew without a last break of its crash", "bugcheck=0x9F",
      "bugcheck_name=DRIVER_POWER_STATE_FAILURE parameters=0x3,0x0,0xABC,0x1", "since_first_ms=0.000"}},
};

static void each_event_is_a_line_that_names_the_machine(void **state)
{
    for (size_t i = 0; i < COUNT(examples); ++i) {
        const char *text = told(*state, &examples[i].event);
        print_message("%s", text);
        assert_int_equal(captured_lines(text), 1);
        assert_non_null(strstr(text, " target=web-17 "));
        for (size_t k = 0; k < COUNT(examples[i].wanted) && examples[i].wanted[k]; ++k)
            assert_non_null(strstr(text, examples[i].wanted[k]));
    }
}

static void what_a_former_debugger_left_is_told_once_a_boot(void **state)
{
    struct kdnet_event event = {
        .type = KDNET_EVENT_RELEASED,
        .u.released = {.action = KDNET_ACTION_CONTINUE, .cleared = KDNET_LEFTOVER_SINGLE_STEP, .cleared_first = true}};
    const char *text = told(*state, &event);
    assert_int_equal(captured_lines(text), 2);
    assert_non_null(strstr(text, "level=warning msg=\"a debugger that had this machine before"));
    log_set_level(CONFIG_LOG_WARNING); /* the warning comes without the notice, too */
    text = told(*state, &event);
    assert_int_equal(captured_lines(text), 1);
    assert_non_null(strstr(text, "level=warning msg=\"a debugger that had this machine before"));
    log_set_level(CONFIG_LOG_ERROR);
    assert_string_equal(told(*state, &event), "");
    log_set_level(CONFIG_LOG_DEBUG);
    event.u.released.cleared_first = false;
    assert_int_equal(captured_lines(told(*state, &event)), 1);
}

static void a_result_without_a_status_says_what_to_do(void **state)
{
    const struct kdnet_event event = {
        .type = KDNET_EVENT_CRASH_STATUS,
        .u.crash_status = {.phase = KDNET_PHASE_SHUTDOWN,
                           .conclusion = {.verdict = KDNET_VERDICT_UNKNOWN, .reason = KDNET_REASON_NO_SYMBOLS}}};
    const char *text = told(*state, &event);
    assert_int_equal(captured_lines(text), 1);
    assert_non_null(strstr(text, "reason=no_symbols hint="));
}

static void held_and_lost_machines_are_counted(void **state)
{
    struct target *target = *state;
    const struct kdnet_event held = {.type = KDNET_EVENT_HELD, .u.held = {.why = KDNET_BREAK_KIND_SHUTDOWN}};
    const struct kdnet_event released = {.type = KDNET_EVENT_RELEASED, .u.released = {.action = KDNET_ACTION_CONTINUE}};
    const struct kdnet_event lost = {.type = KDNET_EVENT_LOST};
    uint64_t losses = worker.totals.lost;
    (void)told(target, &held);
    assert_true(target->held);
    (void)told(target, &released);
    assert_false(target->held);
    (void)told(target, &lost);
    assert_int_equal(worker.totals.lost, losses + 1);
}

/* They are events all the same. */
static void lines_below_the_level_are_left_out(void **state)
{
    uint64_t events = worker.totals.events;
    log_set_level(CONFIG_LOG_ERROR);
    for (size_t i = 0; i < COUNT(examples); ++i)
        assert_string_equal(told(*state, &examples[i].event), "");
    assert_int_equal(worker.totals.events, events + COUNT(examples));
    log_set_level(CONFIG_LOG_NOTICE);
    const struct kdnet_event halted = {.type = KDNET_EVENT_BREAK_IN, .u.break_in = {.phase = KDNET_PHASE_BREAK}};
    const struct kdnet_event crashed = {.type = KDNET_EVENT_BUGCHECK};
    assert_string_equal(told(*state, &halted), "");
    assert_int_equal(captured_lines(told(*state, &crashed)), 1);
}

/* Each type of event has an example, or the test above would leave its line out. */
static void each_type_of_event_has_an_example(void **state)
{
    (void)state;
    for (unsigned type = 0; type < KDNET_EVENT_TYPES; ++type) {
        bool has = false;
        for (size_t i = 0; i < COUNT(examples); ++i)
            has = has || examples[i].event.type == (enum kdnet_event_type)type;
        assert_true(has);
    }
}

static void a_target_that_is_removed_is_told(void **state)
{
    captured_begin();
    publish_removed(&worker, *state);
    assert_string_equal(captured_end(), "level=notice msg=\"target removed\" target=web-17\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_event_is_a_line_that_names_the_machine, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_former_debugger_left_is_told_once_a_boot, setup, teardown),
        cmocka_unit_test_setup_teardown(a_result_without_a_status_says_what_to_do, setup, teardown),
        cmocka_unit_test_setup_teardown(held_and_lost_machines_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_below_the_level_are_left_out, setup, teardown),
        cmocka_unit_test(each_type_of_event_has_an_example),
        cmocka_unit_test_setup_teardown(a_target_that_is_removed_is_told, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
