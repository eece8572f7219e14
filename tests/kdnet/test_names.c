/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "kdnet/base/names.h"

#define HEADER      "/usr/share/mingw-w64/include/ntstatus.h"
#define EXIT_SKIP   77
#define MAX_COMMAND 4096

/* Counted once with grep in mingw-w64-common 10.0.0-3: distinct values of ((NTSTATUS)0x...) in all headers and of
 * HIDP_STATUS_* in hidpi.h; distinct values of ((ULONG)0x...) in bugcodes.h. */
#define STATUS_VALUES   (1932 + 19)
#define BUGCHECK_VALUES 179

extern char **environ;

typedef const char *(*lookup)(uint32_t value);

static void assert_names(lookup name_of, const struct kdnet_name *expected, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        const char *name = name_of(expected[i].value);
        if (name == NULL)
            fail_msg("%08X has no name, %s expected", (unsigned)expected[i].value, expected[i].name);
        assert_string_equal(name, expected[i].name);
    }
}

static void well_known_statuses_have_their_names(void **state)
{
    (void)state;
    static const struct kdnet_name expected[] = {
        {0x00000000, "STATUS_SUCCESS"},
        {0x00000102, "STATUS_TIMEOUT"},
        {0x00000103, "STATUS_PENDING"},
        {0x80000003, "STATUS_BREAKPOINT"},
        {0x80000004, "STATUS_SINGLE_STEP"},
        {0xC0000001, "STATUS_UNSUCCESSFUL"},
        {0xC0000005, "STATUS_ACCESS_VIOLATION"},
        {0xC000000D, "STATUS_INVALID_PARAMETER"},
        {0xC000000F, "STATUS_NO_SUCH_FILE"},
        {0xC0000022, "STATUS_ACCESS_DENIED"},
        {0xC000007F, "STATUS_DISK_FULL"},
        {0xC000009A, "STATUS_INSUFFICIENT_RESOURCES"},
        {0xC00000B5, "STATUS_IO_TIMEOUT"},
        {0xC0000185, "STATUS_IO_DEVICE_ERROR"},
        {0xC000021A, "STATUS_SYSTEM_PROCESS_TERMINATED"},
    };
    assert_names(kdnet_status_name, expected, sizeof expected / sizeof expected[0]);
}

static void statuses_of_other_prefixes_and_headers_have_names(void **state)
{
    (void)state;
    static const struct kdnet_name expected[] = {
        {0x00010001, "DBG_EXCEPTION_HANDLED"},
        {0x00010002, "DBG_CONTINUE"},
        {0x80010001, "DBG_EXCEPTION_NOT_HANDLED"},
        {0x4001000A, "DBG_PRINTEXCEPTION_WIDE_C"},
        {0xC0020001, "RPC_NT_INVALID_STRING_BINDING"},
        {0xC004002E, "IO_DUMP_INITIALIZATION_FAILURE"},
        {0xC0110001, "HIDP_STATUS_INVALID_PREPARSED_DATA"},
    };
    assert_names(kdnet_status_name, expected, sizeof expected / sizeof expected[0]);
}

static void shared_status_values_have_the_first_status_name(void **state)
{
    (void)state;
    static const struct kdnet_name expected[] = {
        {0x00000000, "STATUS_SUCCESS"},                       /* also STATUS_WAIT_0 */
        {0x00000080, "STATUS_ABANDONED"},                     /* also STATUS_ABANDONED_WAIT_0 */
        {0xC0220018, "STATUS_FWP_TOO_MANY_BOOTTIME_FILTERS"}, /* also STATUS_FWP_TOO_MANY_CALLOUTS */
    };
    assert_names(kdnet_status_name, expected, sizeof expected / sizeof expected[0]);
}

static void well_known_bugchecks_have_their_names(void **state)
{
    (void)state;
    static const struct kdnet_name expected[] = {
        {0x00000001, "APC_INDEX_MISMATCH"},
        {0x0000000A, "IRQL_NOT_LESS_OR_EQUAL"},
        {0x0000001A, "MEMORY_MANAGEMENT"},
        {0x0000001E, "KMODE_EXCEPTION_NOT_HANDLED"},
        {0x00000050, "PAGE_FAULT_IN_NONPAGED_AREA"},
        {0x0000007A, "KERNEL_DATA_INPAGE_ERROR"},
        {0x0000007B, "INACCESSIBLE_BOOT_DEVICE"},
        {0x0000007E, "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED"},
        {0x0000007F, "UNEXPECTED_KERNEL_MODE_TRAP"},
        {0x00000080, "NMI_HARDWARE_FAILURE"},
        {0x000000C2, "BAD_POOL_CALLER"},
        {0x000000D1, "DRIVER_IRQL_NOT_LESS_OR_EQUAL"},
        {0x000000E2, "MANUALLY_INITIATED_CRASH"},
        {0x000000EF, "CRITICAL_PROCESS_DIED"},
        {0x000000F4, "CRITICAL_OBJECT_TERMINATION"},
        {0x000000FC, "ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY"},
    };
    assert_names(kdnet_bugcheck_name, expected, sizeof expected / sizeof expected[0]);
}

static void bugchecks_that_the_headers_lack_have_documented_names(void **state)
{
    (void)state;
    static const struct kdnet_name expected[] = {
        {0x0000003B, "SYSTEM_SERVICE_EXCEPTION"},      {0x0000009F, "DRIVER_POWER_STATE_FAILURE"},
        {0x00000101, "CLOCK_WATCHDOG_TIMEOUT"},        {0x00000109, "CRITICAL_STRUCTURE_CORRUPTION"},
        {0x00000124, "WHEA_UNCORRECTABLE_ERROR"},      {0x00000133, "DPC_WATCHDOG_VIOLATION"},
        {0x00000139, "KERNEL_SECURITY_CHECK_FAILURE"}, {0x00000154, "UNEXPECTED_STORE_EXCEPTION"},
    };
    assert_names(kdnet_bugcheck_name, expected, sizeof expected / sizeof expected[0]);
}

static void bugcheck_that_is_a_status_has_the_name_of_the_status(void **state)
{
    (void)state;
    static const struct kdnet_name expected[] = {
        {0xC0000218, "STATUS_CANNOT_LOAD_REGISTRY_FILE"},
        {0xC000021A, "STATUS_SYSTEM_PROCESS_TERMINATED"},
        {0xC0000221, "STATUS_IMAGE_CHECKSUM_MISMATCH"},
    };
    assert_names(kdnet_bugcheck_name, expected, sizeof expected / sizeof expected[0]);
    assert_non_null(kdnet_status_name(0x80000003));
    assert_null(kdnet_bugcheck_name(0x80000003)); /* a warning stops no kernel */
    assert_null(kdnet_bugcheck_name(0x40010005));
    assert_string_equal(kdnet_bugcheck_name(0x00000103), "MUP_FILE_SYSTEM"); /* as a status: STATUS_PENDING */
}

static void unknown_values_have_no_name(void **state)
{
    (void)state;
    static const uint32_t unknown[] = {0xFFFFFFFF, 0xFFFFFFFE, 0xC0FFEE00, 0xDEADBEEF, 0x7FFFFFFF, 0x12345678};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; ++i) {
        assert_null(kdnet_status_name(unknown[i]));
        assert_null(kdnet_bugcheck_name(unknown[i]));
    }
    assert_null(kdnet_status_name(4)); /* between WAIT_3 and WAIT_63 */
}

static void assert_table(lookup name_of, const struct kdnet_name *names, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        if (i > 0 && names[i - 1].value >= names[i].value)
            fail_msg("%s (%08X) is not above the entry before it", names[i].name, (unsigned)names[i].value);
        assert_ptr_equal(name_of(names[i].value), names[i].name);
        size_t length = strlen(names[i].name);
        assert_true(length > 0);
        assert_int_equal(strspn(names[i].name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"),
                         length);
    }
}

static void tables_ascend_strictly_and_each_entry_is_found(void **state)
{
    (void)state;
    assert_table(kdnet_status_name, kdnet_status_names, kdnet_status_name_count);
    assert_table(kdnet_bugcheck_name, kdnet_bugcheck_names, kdnet_bugcheck_name_count);
}

static void first_and_last_entries_are_found(void **state)
{
    (void)state;
    assert_int_equal(kdnet_status_names[0].value, 0);
    assert_string_equal(kdnet_status_name(0), "STATUS_SUCCESS");
    assert_int_equal(kdnet_status_names[kdnet_status_name_count - 1].value, 0xC03A0019);
    assert_string_equal(kdnet_status_name(0xC03A0019), "STATUS_VHD_DIFFERENCING_CHAIN_ERROR_IN_PARENT");
    assert_int_equal(kdnet_bugcheck_names[0].value, 0);
    assert_string_equal(kdnet_bugcheck_name(0), "UNDEFINED_BUG_CODE");
    assert_int_equal(kdnet_bugcheck_names[kdnet_bugcheck_name_count - 1].value, 0xDEADDEAD);
    assert_string_equal(kdnet_bugcheck_name(0xDEADDEAD), "MANUALLY_INITIATED_CRASH1");
}

static void tables_hold_every_value_of_the_headers(void **state)
{
    (void)state;
    assert_true(kdnet_status_name_count >= STATUS_VALUES);
    assert_true(kdnet_bugcheck_name_count >= BUGCHECK_VALUES);
}

static void table_is_what_the_installed_headers_give(void **state)
{
    (void)state;
    const char *source = getenv("KDNETD_SOURCE");
    char script[MAX_COMMAND];
    if (source == NULL || access(HEADER, R_OK) != 0) {
        print_message("skipped: needs KDNETD_SOURCE and %s (package mingw-w64-common)\n", HEADER);
        skip();
    }
    assert_true((size_t)snprintf(script, sizeof script, "%s/kdnet/base/generate_names.py", source) < sizeof script);
    char python[] = "python3", check[] = "--check", same_version[] = "--same-version";
    char *arguments[] = {python, script, check, same_version, NULL};
    pid_t child;
    if (posix_spawnp(&child, python, NULL, NULL, arguments, environ) != 0) {
        print_message("skipped: python3 is missing\n");
        skip();
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == EXIT_SKIP)
        skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_known_statuses_have_their_names),
        cmocka_unit_test(statuses_of_other_prefixes_and_headers_have_names),
        cmocka_unit_test(shared_status_values_have_the_first_status_name),
        cmocka_unit_test(well_known_bugchecks_have_their_names),
        cmocka_unit_test(bugchecks_that_the_headers_lack_have_documented_names),
        cmocka_unit_test(bugcheck_that_is_a_status_has_the_name_of_the_status),
        cmocka_unit_test(unknown_values_have_no_name),
        cmocka_unit_test(tables_ascend_strictly_and_each_entry_is_found),
        cmocka_unit_test(first_and_last_entries_are_found),
        cmocka_unit_test(tables_hold_every_value_of_the_headers),
        cmocka_unit_test(table_is_what_the_installed_headers_give),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
