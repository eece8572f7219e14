/* SPDX-License-Identifier: Apache-2.0 */
/* What the service's user may not read or write is told to root; "nobody" stands in for that user. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/platform/platform.h"
#include "service/server/surroundings.h"

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], said[8192];
static struct kdnetd_config config;
static struct config_report report;

void __real_platform_as_service_user(const char *name, void (*call)(void *user), void *user);
void __wrap_platform_as_service_user(const char *name, void (*call)(void *user), void *user);

void __wrap_platform_as_service_user(const char *name, void (*call)(void *user), void *user)
{
    assert_string_equal(name, "kdnetd");
    __real_platform_as_service_user("nobody", call, user);
}

static const char *in_folder(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    FILE *file = fopen(in_folder(name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(in_folder(name), mode), 0);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/kdnetd-around-XXXXXX");
    if (!mkdtemp(folder) || chmod(folder, 0755) != 0)
        return -1;
    assert_int_equal(mkdir(in_folder("open"), 0777), 0);
    assert_int_equal(chmod(in_folder("open"), 0777), 0);
    assert_int_equal(mkdir(in_folder("closed"), 0700), 0);
    write_file("results", "", 0600);
    config_init(&config);
    config_report_init(&report);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const files[] = {"results", "targets", "kdnetd.yaml"};
    (void)state;
    config_clear(&config);
    config_report_clear(&report);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; ++i)
        (void)unlink(in_folder(files[i]));
    (void)rmdir(in_folder("open"));
    (void)rmdir(in_folder("closed"));
    return rmdir(folder);
}

/* What root is told of a configuration whose results go to `events` in the folder. */
static const char *warnings_of(const char *events, mode_t targets)
{
    char text[1024];
    write_file("targets", "web-1 1.2.3.4\n", targets);
    (void)snprintf(text, sizeof text, "targets_file: targets\nevents: \"%s/%s\"\nsymbols: [\"%s/%s\"]\n", folder,
                   events, folder, targets == 0644 ? "open" : "closed");
    write_file("kdnetd.yaml", text, targets);
    config_clear(&config);
    config_init(&config);
    (void)config_load(in_folder("kdnetd.yaml"), &config, &report);
    assert_int_equal(config.target_count, 1);
    FILE *out = tmpfile();
    assert_non_null(out);
    surroundings_warn(&config, out);
    rewind(out);
    said[fread(said, 1, sizeof said - 1, out)] = '\0';
    (void)fclose(out);
    return said;
}

static void what_the_services_user_may_not_use_is_told(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    const char *text = warnings_of("closed/events.jsonl", 0600);
    if (text[0] == '\0')
        skip(); /* there is no such user, or we may not become it */
    assert_non_null(strstr(text, "/targets cannot be read by the service's user kdnetd"));
    assert_non_null(strstr(text, "/closed cannot be read by the service's user kdnetd"));
    assert_non_null(strstr(text, "events: as the service's user kdnetd: no file can be made in "));
    text = warnings_of("results", 0600);
    assert_non_null(strstr(text, "/results cannot be written: permission denied; let kdnetd's user write it"));
    text = warnings_of("open/events.jsonl", 0644);
    assert_string_equal(text, "");
    text = warnings_of("nowhere/events.jsonl", 0644);
    assert_non_null(strstr(text, "/nowhere is not there; make it"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_the_services_user_may_not_use_is_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
