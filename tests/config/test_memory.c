/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that runs out at any one allocation while the configuration is read: the mistake is told, nothing is lost or
 * half there, and a configuration that was read before stays as it is. */
#include "setup.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/scarce.h"

#define KEY "1.2.3.4"

static const char whole[] =
    "listen: [\"127.0.0.1:50000\", \"[::1]:50001\"]\n"
    "targets:\n"
    "  - {name: web-1, key: 1.2.3.4, key_old: 5.6.7.8, address: 192.0.2.7, labels: {rack: b4},\n"
    "     policy: {bugcheck_first: hold, hold_for: 1h}}\n"
    "  - {name: web-2, key: 1.2.3.5, address: 192.0.2.8, strict: true}\n"
    "rva:\n"
    "  - {guidage: 8E3373D6124E747F0E72EF8E02E676B31, symbol: IopFinalCrashDumpStatus, rva: 0x10}\n"
    "reads:\n"
    "  - {name: mine, at: nt!KeNumberProcessors}\n"
    "symbols: [/srv/symbols, \"srv*/var/cache/symbols*https://symbols.example/\"]\n"
    "events: /var/log/kdnetd/events.jsonl\n"
    "collector: c1\n"
    "sinks:\n"
    "  - {name: loki, type: http, format: loki, url: \"http://127.0.0.1:3100\", label: [site=a]}\n"
    "nats: {servers: [\"nats://127.0.0.1:4222\"]}\n"
    "http: 127.0.0.1:9471\n"
    "http_names: [kdnetd.example]\n";

/* The text is read: whole, or not at all and with a mistake that says why. */
static void read_whole(void *user)
{
    struct kdnetd_config config;
    struct config_report report;
    (void)user;
    config_init(&config);
    config.access.memory_only = true;
    config_report_init(&report);
    bool good = config_load_text(whole, sizeof whole - 1, "a.yaml", &config, &report);
    good = config_check(&config, &report) && good;
    if (!scarce_failed() && config_report_count(&report) > 0)
        config_report_print(&report, stderr);
    if (!scarce_failed())
        assert_int_equal(config_report_count(&report), 0);
    assert_int_equal(good, config_report_count(&report) == 0);
    if (config_report_count(&report) == 0) {
        assert_int_equal(config.target_count, 2);
        assert_int_equal(config.listen_count, 2);
        assert_int_equal(config.rva_count, 1);
        assert_int_equal(config.read_count, 1);
        assert_int_equal(config.symbols.count, 2);
        assert_int_equal(config.nats.servers.count, 1);
    }
    config_clear(&config);
    config_report_clear(&report);
}

static void a_configuration_is_read_whole_or_a_mistake_is_told(void **state)
{
    (void)state;
    assert_in_range(scarce_each(read_whole, NULL), 30, 1000);
}

static const char *folder_of_test(void)
{
    static char folder[64];
    (void)snprintf(folder, sizeof folder, "/tmp/kdnetd-memory-%ld", (long)getpid());
    return folder;
}

static void write_file(const char *name, const char *text)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder_of_test(), name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static void remove_file(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder_of_test(), name);
    assert_int_equal(unlink(path), 0);
}

/* A file that includes others, with a file of targets. */
static void read_files(void *user)
{
    struct kdnetd_config config;
    struct config_report report;
    char path[128];
    (void)user;
    config_init(&config);
    config_report_init(&report);
    (void)snprintf(path, sizeof path, "%s/a.yaml", folder_of_test());
    bool good = config_load(path, &config, &report);
    if (!scarce_failed())
        assert_int_equal(config_report_count(&report), 0);
    if (good && config_report_count(&report) == 0)
        assert_int_equal(config.target_count, 3);
    config_clear(&config);
    config_report_clear(&report);
}

static void files_are_read_whole_or_a_mistake_is_told(void **state)
{
    (void)state;
    assert_int_equal(mkdir(folder_of_test(), 0700), 0);
    write_file("a.yaml", "include: [\"b*.yaml\"]\ntargets_file: targets\n");
    write_file("b1.yaml", "targets: [{name: web-1, key: " KEY "}]\n");
    write_file("targets", "web-2 1.2.3.5 192.0.2.8 key_old=1.2.3.6 rack=b4\nweb-3 1.2.3.7 port=50000\n");
    size_t times = scarce_each(read_files, NULL);
    remove_file("a.yaml");
    remove_file("b1.yaml");
    remove_file("targets");
    assert_int_equal(rmdir(folder_of_test()), 0);
    assert_in_range(times, 10, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_configuration_is_read_whole_or_a_mistake_is_told),
        cmocka_unit_test(files_are_read_whole_or_a_mistake_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
