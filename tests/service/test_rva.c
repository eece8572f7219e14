/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "service/symbols/rva.h"

#include <cmocka.h>

static const struct kdnet_pdb pdb = {
    .name = "ntkrnlmp.pdb",
    .guid = {0xb9, 0xdb, 0x44, 0x38, 0x17, 0x20, 0x67, 0x49, 0xbe, 0x7a, 0xa4, 0xa2, 0xc2, 0x04, 0x30, 0xfa},
    .age = 0x1b,
};

static int setup(void **state)
{
    static struct kdnetd_config config;
    static struct config_report report;
    char error[CONFIG_ERROR_SIZE];
    config_init(&config);
    config_report_init(&report);
    *state = &config;
    bool good = config_add(&config, "rva", "3844dbb920174967be7aa4a2c20430fa1b:nt!IopFinalCrashDumpStatus=0xC35DE0",
                           error) &&
                config_add(&config, "rva", "3844DBB920174967BE7AA4A2C20430FA2:IopFinalCrashDumpStatus=0x10", error) &&
                config_check(&config, &report);
    config_report_clear(&report);
    return good ? 0 : -1;
}

static int teardown(void **state)
{
    config_clear(*state);
    return 0;
}

static void a_symbol_is_found_with_and_without_its_module(void **state)
{
    static const char *const names[] = {"IopFinalCrashDumpStatus", "nt!IopFinalCrashDumpStatus"};
    for (int i = 0; i < 2; ++i) {
        uint32_t rva = 0;
        enum kdnet_source source = KDNET_SOURCE_NONE;
        assert_int_equal(rva_find(*state, &pdb, names[i], &rva, &source), KDNET_RVA_FOUND);
        assert_int_equal(rva, 0xc35de0);
        assert_int_equal(source, KDNET_SOURCE_RVA);
    }
}

static void what_nobody_told_is_not_known(void **state)
{
    uint32_t rva = 1;
    enum kdnet_source source = KDNET_SOURCE_NONE;
    struct kdnet_pdb other = pdb;
    other.age = 1;
    assert_int_equal(rva_find(*state, &other, "IopFinalCrashDumpStatus", &rva, &source), KDNET_RVA_NO_SYMBOLS);
    assert_int_equal(rva_find(*state, &pdb, "KiBugCheckActive", &rva, &source), KDNET_RVA_NO_SYMBOLS);
    assert_int_equal(rva, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_symbol_is_found_with_and_without_its_module, setup, teardown),
        cmocka_unit_test_setup_teardown(what_nobody_told_is_not_known, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
