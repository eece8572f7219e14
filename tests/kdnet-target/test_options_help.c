/* SPDX-License-Identifier: Apache-2.0 */
/* The help of kdnet-target, as the program prints it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "service/kdnet-target/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Prints the help into a file; returns its text. */
static const char *help(void)
{
    static char text[16384];
    char name[] = "kdnet-target", option[] = "--help";
    char *argv[] = {name, option, NULL};
    struct options o;
    FILE *file = tmpfile();
    assert_non_null(file);
    optind = 0; /* getopt begins anew */
    (void)fflush(stdout);
    int out = dup(STDOUT_FILENO);
    assert_int_equal(dup2(fileno(file), STDOUT_FILENO), STDOUT_FILENO);
    enum options_result result = options_parse(&o, 2, argv);
    (void)fflush(stdout);
    assert_int_equal(dup2(out, STDOUT_FILENO), STDOUT_FILENO);
    (void)close(out);
    assert_int_equal(result, OPTIONS_HELP);
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    (void)fclose(file);
    return text;
}

static void the_help_names_options_scenarios_and_where_the_status_lies(void **state)
{
    (void)state;
    const char *text = help();
    static const char *const options[] = {"--host ADDR:PORT", "--key w.x.y.z", "--count N",        "--scenario NAME",
                                          "--status 0xN",     "--no-dump",     "--dump-log",       "--images N",
                                          "--think N",        "--protocol N",  "--replay CAPTURE", "--json"};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; ++i)
        if (!strstr(text, options[i]))
            fail_msg("the help does not name %s", options[i]);
    for (size_t i = 0; machine_scenario_name(i); ++i)
        if (!strstr(text, machine_scenario_name(i)))
            fail_msg("the help does not name the scenario %s", machine_scenario_name(i));
    assert_non_null(strstr(text, "--rva " MACHINE_GUIDAGE ":IopFinalCrashDumpStatus=0x3010"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_help_names_options_scenarios_and_where_the_status_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
