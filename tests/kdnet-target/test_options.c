/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of kdnet-target. Its messages go to standard error, as in the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "kdnet/kernel.h"
#include "service/kdnet-target/options.h"

#include <getopt.h>
#include <string.h>

#include <cmocka.h>

#define ARGUMENTS_MAX 32
#define GOOD          "--host", "127.0.0.1:50000", "--key", "1.2.3.4"

/* Parses the arguments up to NULL. */
static enum options_result parse(struct options *options, const char *const *arguments)
{
    static char text[ARGUMENTS_MAX][64], name[] = "kdnet-target"; /* the options may point into them */
    char *argv[ARGUMENTS_MAX] = {name};
    int argc = 1;
    for (; arguments[argc - 1]; ++argc) {
        assert_true(argc < ARGUMENTS_MAX - 1 && strlen(arguments[argc - 1]) < sizeof text[0]);
        argv[argc] = strcpy(text[argc], arguments[argc - 1]);
    }
    optind = 0; /* getopt begins anew */
    return options_parse(options, argc, argv);
}

#define PARSE(options, ...) parse(options, (const char *const[]){__VA_ARGS__, NULL})

static void defaults_are_one_idle_x64_machine(void **state)
{
    (void)state;
    struct options o;
    struct kdnet_address host;
    assert_int_equal(PARSE(&o, GOOD), OPTIONS_RUN);
    assert_int_equal(o.count, 1);
    assert_string_equal(o.scenario, "idle");
    assert_int_equal(o.version, 0); /* the machine's default, or the capture's */
    assert_int_equal(o.machine, KDNET_MACHINE_X64);
    assert_int_equal(o.bind.ss_family, 0);
    options_address(&o.host, &host);
    assert_int_equal(host.port, 50000);
    assert_int_equal(host.ip[12], 127);
}

static void numbers_names_and_ipv6_are_taken(void **state)
{
    (void)state;
    struct options o;
    struct kdnet_address host;
    assert_int_equal(PARSE(&o, "--host", "[::1]:7", "--key", "1.2.3.4", "--status", "0xC0000185", "--machine", "arm64",
                           "--protocol", "2", "--scenario", "bugcheck", "--no-reboot"),
                     OPTIONS_RUN);
    assert_true(o.has_status && o.no_reboot);
    assert_int_equal(o.status, 0xc0000185);
    assert_int_equal(o.machine, KDNET_MACHINE_ARM64);
    assert_int_equal(o.version, 2);
    options_address(&o.host, &host);
    assert_int_equal(host.ip[15], 1);
    assert_int_equal(host.port, 7);
}

static void version_with_a_number_is_the_protocol(void **state)
{
    (void)state;
    struct options o;
    assert_int_equal(PARSE(&o, GOOD, "--version", "4"), OPTIONS_RUN);
    assert_int_equal(o.version, 4);
    assert_int_equal(PARSE(&o, GOOD, "--version=3", "--count", "7"), OPTIONS_RUN);
    assert_int_equal(o.version, 3);
    assert_int_equal(o.count, 7);
    assert_int_equal(PARSE(&o, GOOD, "--version", "6"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--version", "-1"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--version", "new"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--version="), OPTIONS_WRONG);
}

static void version_alone_is_the_programs(void **state)
{
    (void)state;
    struct options o;
    assert_int_equal(PARSE(&o, "--version"), OPTIONS_HELP);
    assert_int_equal(PARSE(&o, "--version", "--json"), OPTIONS_HELP);
}

static void slowness_and_storms_are_taken(void **state)
{
    (void)state;
    struct options o;
    assert_int_equal(PARSE(&o, GOOD), OPTIONS_RUN);
    assert_int_equal(o.think.ms, 0);
    assert_int_equal(o.think.change, MACHINE_THINK_CONSTANT);
    assert_false(o.think.late_ack || o.think.alert);
    assert_int_equal(o.loss, 0);
    assert_int_equal(PARSE(&o, GOOD, "--think", "1900", "--think-profile", "shrinking", "--ack", "late", "--path-ms",
                           "1", "--path-then-ms", "800", "--path-at-ms", "2000", "--rate", "1000", "--times", "7",
                           "--alert", "--loss", "10"),
                     OPTIONS_RUN);
    assert_int_equal(o.think.ms, 1900);
    assert_int_equal(o.think.change, MACHINE_THINK_SHRINKING);
    assert_true(o.think.late_ack && o.think.alert);
    assert_int_equal(o.loss, 10);
    assert_int_equal(o.path_ms, 1);
    assert_int_equal(o.path_then_ms, 800);
    assert_int_equal(o.path_at_ms, 2000);
    assert_int_equal(o.rate, 1000);
    assert_int_equal(o.times, 7);
    for (size_t i = 0; machine_think_name(i); ++i) {
        assert_int_equal(PARSE(&o, GOOD, "--think-profile", machine_think_name(i)), OPTIONS_RUN);
        assert_int_equal(o.think.change, i);
    }
    assert_int_equal(PARSE(&o, GOOD, "--ack", "early"), OPTIONS_RUN);
    assert_false(o.think.late_ack);
}

static void what_a_machine_has_and_does_is_taken(void **state)
{
    (void)state;
    struct options o;
    assert_int_equal(PARSE(&o, GOOD), OPTIONS_RUN);
    assert_false(o.no_dump || o.dump_log || o.lenient || o.new_port || o.print_targets || o.json);
    assert_int_equal(PARSE(&o, GOOD, "--no-dump", "--dump-log", "--lenient", "--new-port", "--json", "--exit"),
                     OPTIONS_RUN);
    assert_true(o.no_dump && o.dump_log && o.lenient && o.new_port && o.json && o.exit_when_ended);
    assert_int_equal(PARSE(&o, GOOD, "--images", "40", "--cause", "0x1234", "--bugcheck", "0x3B", "--reboot-ms", "250"),
                     OPTIONS_RUN);
    assert_int_equal(o.images, 40);
    assert_int_equal(o.cause, 0x1234);
    assert_int_equal(o.bugcheck, 0x3b);
    assert_int_equal(o.reboot_ms, 250);
    assert_int_equal(PARSE(&o, GOOD, "--replay", "a.pcap", "--replay-key", "8.8.8.8", "--replay-gap-ms", "5"),
                     OPTIONS_RUN);
    assert_string_equal(o.replay, "a.pcap");
    assert_int_equal(o.replay_gap_ms, 5);
    assert_int_equal(PARSE(&o, "--key", "1.2.3.4", "--print-targets"), OPTIONS_RUN); /* nobody is reached */
    assert_true(o.print_targets);
}

static void mistakes_are_refused(void **state)
{
    (void)state;
    struct options o;
    assert_int_equal(PARSE(&o, GOOD, "--think", "long"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--think-profile", "slow"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--ack", "never"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--path-then-ms", "5"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--path-at-ms", "0"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--rate", "0"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--loss", "100"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--times", "0"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, "--key", "1.2.3.4"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, "--host", "127.0.0.1:5"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--key", "1.2.3"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--scenario", "nonsense"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--protocol", "6"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--count", "0"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--status", "0x100000000"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--machine", "mips"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--host", "localhost:5"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--host", "127.0.0.1"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--host", "127.0.0.1:0"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--bind", "[::1]:0"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--replay", "a.pcap"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--replay-key", "8.8.8.8"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--guidage", "12"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "left over"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--replay", "a", "--replay-key", "8.8.8.8", "--scenario", "int3"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--exit=now"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--coutn", "2"), OPTIONS_WRONG);
    assert_int_equal(PARSE(&o, GOOD, "--count"), OPTIONS_WRONG);
}

static void each_machine_has_a_key_of_its_own_unless_one_key(void **state)
{
    (void)state;
    struct options o;
    struct kdnet_key key;
    char text[KDNET_KEY_TEXT_SIZE];
    assert_int_equal(PARSE(&o, GOOD, "--count", "40"), OPTIONS_RUN);
    options_key(&o, 39, &key);
    kdnet_key_format(&key, text);
    assert_string_equal(text, "1.2.3.17"); /* 4 + 39 = 43, in base 36 */
    assert_int_equal(PARSE(&o, GOOD, "--count", "40", "--one-key"), OPTIONS_RUN);
    options_key(&o, 39, &key);
    kdnet_key_format(&key, text);
    assert_string_equal(text, "1.2.3.4");
}

static void keys_that_would_not_fit_are_refused(void **state)
{
    (void)state;
    struct options o;
    assert_int_equal(PARSE(&o, GOOD, "--key", "1.2.3.3w5e11264sgsf", "--count", "1"), OPTIONS_RUN);
    assert_int_equal(PARSE(&o, GOOD, "--key", "1.2.3.3w5e11264sgsf", "--count", "2"), OPTIONS_WRONG);
}

static void guidage_is_read_as_symbol_stores_write_it(void **state)
{
    (void)state;
    struct options o;
    char text[KDNET_GUIDAGE_SIZE];
    assert_int_equal(PARSE(&o, GOOD, "--guidage", "8E3373D6124E747F0E72EF8E02E676B31a"), OPTIONS_RUN);
    kdnet_pdb_guidage(&o.pdb, text);
    assert_string_equal(text, "8E3373D6124E747F0E72EF8E02E676B31A");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_one_idle_x64_machine),
        cmocka_unit_test(numbers_names_and_ipv6_are_taken),
        cmocka_unit_test(version_with_a_number_is_the_protocol),
        cmocka_unit_test(version_alone_is_the_programs),
        cmocka_unit_test(slowness_and_storms_are_taken),
        cmocka_unit_test(what_a_machine_has_and_does_is_taken),
        cmocka_unit_test(mistakes_are_refused),
        cmocka_unit_test(each_machine_has_a_key_of_its_own_unless_one_key),
        cmocka_unit_test(keys_that_would_not_fit_are_refused),
        cmocka_unit_test(guidage_is_read_as_symbol_stores_write_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
