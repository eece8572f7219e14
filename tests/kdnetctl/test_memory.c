/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that runs out at any one allocation of kdnetctl: a list of machines is read whole or refused, a table has
 * whole rows, and a view of the fleet counts what it has no room for. */
#include "kdnet/error.h"
#include "service/kdnetctl/commands.h"
#include "service/kdnetctl/fleet_view.h"
#include "service/kdnetctl/machine_list.h"
#include "service/kdnetctl/opener.h"
#include "service/kdnetctl/table.h"
#include "tests/support/scarce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MOST 2000U

/* --- lists of machines -------------------------------------------------------------------------------------------- */

static void read_list(void *user)
{
    struct machine_list list = {.count = 0};
    int status = machine_list_read(&list, &command_import, user, true);
    if (!scarce_failed())
        assert_int_equal(status, COMMAND_OK);
    if (status == COMMAND_OK) {
        assert_int_equal(list.count, 3);
        assert_string_equal(list.machines[2].column[MACHINE_NAME], "web-3");
        assert_string_equal(list.machines[0].labels, " rack=b4");
    }
    machine_list_clear(&list);
}

static void a_list_of_machines_is_read_whole_or_refused(void **state)
{
    char path[64];
    (void)state;
    (void)snprintf(path, sizeof path, "/tmp/kdnetctl-memory-%ld.csv", (long)getpid());
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("name,key,address,rack\nweb-1,1.2.3.4,192.0.2.1,b4\nweb-2,1.2.3.5,,\"b5\"\nweb-3,1.2.3.6,192.0.2.3,\n",
                file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
    int out = dup(STDERR_FILENO);
    assert_non_null(freopen("/dev/null", "w", stderr));
    size_t times = scarce_each(read_list, path);
    (void)fflush(stderr);
    assert_true(dup2(out, STDERR_FILENO) >= 0);
    (void)close(out);
    assert_int_equal(unlink(path), 0);
    assert_in_range(times, 5, MOST);
}

/* --- tables ------------------------------------------------------------------------------------------------------- */

static void print_table(void *user)
{
    static const struct table_column columns[] = {{"NAME", 4, false}, {"COUNT", 5, true}};
    static const char *const rows[][2] = {{"web-1", "7"}, {"web-2", NULL}};
    const struct screen screen = {.width = 40, .height = 25};
    char text[512] = "";
    (void)user;
    FILE *out = fmemopen(text, sizeof text, "w");
    struct table *table = table_new(columns, 2);
    bool good = table && table_add(table, rows[0]) && table_add(table, rows[1]);
    size_t count = table ? table_rows(table) : 0;
    if (table)
        table_print(table, &screen, count, out);
    table_free(table);
    (void)fclose(out);
    assert_int_equal(good, !scarce_failed() || count == 2);
    if (count > 0)
        assert_non_null(strstr(text, "web-1"));
    assert_int_equal(strstr(text, "web-2") != NULL, count == 2);
}

static void a_table_has_whole_rows(void **state)
{
    (void)state;
    assert_in_range(scarce_each(print_table, NULL), 2, MOST);
}

/* --- the view of a fleet ------------------------------------------------------------------------------------------ */

static void view_fleet(void *user)
{
    char text[512];
    (void)user;
    struct fleet_view *view = fleet_view_new();
    if (!view) {
        assert_true(scarce_failed());
        return;
    }
    for (unsigned i = 0; i < 4; ++i) {
        int length = snprintf(text, sizeof text,
                              "{\"event\":\"crash_status\",\"id\":\"%u\",\"collector\":\"c1\",\"crash\":\"%016x\","
                              "\"target\":\"web-%u\",\"verdict\":\"written\",\"time\":\"2026-11-25T10:00:00.000000Z\"}",
                              i, i, i);
        fleet_view_event(view, text, (size_t)length, 1000000);
    }
    struct fleet_view_counts counts = fleet_view_counts(view);
    json_t *targets = fleet_view_targets(view), *crashes = fleet_view_crashes(view);
    if (!scarce_failed()) {
        assert_int_equal(counts.events, 4);
        assert_int_equal(json_array_size(targets), 4);
        assert_int_equal(json_array_size(crashes), 4);
    }
    assert_int_equal(counts.doubles + counts.strange, 0);
    json_decref(targets);
    json_decref(crashes);
    fleet_view_free(view);
}

static void a_view_of_the_fleet_is_no_more_than_incomplete(void **state)
{
    (void)state;
    assert_in_range(scarce_each(view_fleet, NULL), 3, MOST);
}

/* --- captures ----------------------------------------------------------------------------------------------------- */

static void open_captures(void *user)
{
    struct kdnet_key key = {.bytes = {1}};
    (void)user;
    struct opener *opener = opener_new();
    int added = opener ? opener_add_key(opener, &key) : KDNET_ERR_MEMORY;
    if (!scarce_failed())
        assert_int_equal(added, KDNET_OK);
    else
        assert_int_equal(added, KDNET_ERR_MEMORY);
    opener_free(opener);
}

static void a_key_is_added_or_memory_is_out(void **state)
{
    (void)state;
    assert_in_range(scarce_each(open_captures, NULL), 2, MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_machines_is_read_whole_or_refused),
        cmocka_unit_test(a_table_has_whole_rows),
        cmocka_unit_test(a_view_of_the_fleet_is_no_more_than_incomplete),
        cmocka_unit_test(a_key_is_added_or_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
