/* SPDX-License-Identifier: Apache-2.0 */
/* A session lives through the whole of a real machine's capture, and nothing is sent twice, by either side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "kdnet/error.h"
#include "service/kdnet-target/replay.h"
#include "tests/session/net.h"

#define FILE_QUESTIONS 33
#define LIMIT_US       120000000U

static struct kdnet_session_counts counts;

static int setup(void **state)
{
    (void)net_setup(state);
    net_shared.counts = &counts;
    return 0;
}

static struct machine_replay *load_or_skip(void)
{
    const char *data = getenv("KDNETD_DATA");
    char path[4096], error[1024] = "";
    struct kdnet_key key;
    (void)snprintf(path, sizeof path, "%s/windbg-v4.pcapng", data ? data : "../shared/data");
    if (access(path, R_OK) != 0) {
        print_message("nothing tested: the capture %s is not there\n", path);
        skip();
    }
    assert_int_equal(kdnet_key_parse("8.8.8.8", strlen("8.8.8.8"), &key, NULL, NULL), KDNET_OK);
    struct machine_replay *replay = machine_replay_load(path, &key, error, sizeof error);
    if (!replay)
        fail_msg("%s", error);
    return replay;
}

static void the_capture_gives_one_result_and_nothing_is_sent_twice(void **state)
{
    static const char story[] =
        "connected v4; break_in boot 80000003; kernel boot x64; crash_status boot unknown no_kernel; "
        "released continue";
    char told[NET_STORY_SIZE];
    struct machine_replay *replay = load_or_skip();
    struct machine_config config = {.version = 4, .replay = replay, .replay_gap_ms = 20};
    struct machine_result result;
    struct net_pair pair;
    (void)state;
    net_pair_init(&pair, &net_shared, &config, 8);
    pair.weather.delay_us = 250;
    net_pair_run(&pair, LIMIT_US);
    machine_result(pair.machine, pair.now_us, &result);
    assert_int_equal(result.state, MACHINE_ENDED);
    assert_int_equal(result.questions, FILE_QUESTIONS);
    assert_int_equal(result.answers, FILE_QUESTIONS);
    assert_int_equal(result.load_symbols, 1);
    assert_int_equal(result.handshakes, 1);
    assert_int_equal(result.retransmissions + result.host_repeats + result.host_wrong_ids, 0);
    assert_int_equal(result.stale + result.rejected + result.traps_again + result.released_wrongly, 0);
    assert_int_equal(counts.sent_again, 0);
    net_story(&pair, told);
    assert_string_equal(told, story);
    net_pair_clear(&pair);
    machine_replay_free(replay);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_capture_gives_one_result_and_nothing_is_sent_twice),
    };
    return cmocka_run_group_tests(tests, setup, net_teardown);
}
