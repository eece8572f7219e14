/* SPDX-License-Identifier: Apache-2.0 */
/* Each call of the system by which a configuration is read is refused once: it is read whole, or a mistake names the
 * file and what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "tests/support/refused.h"

#include <cmocka.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64], path[96];

static const char *in_folder(const char *name)
{
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(in_folder(name), "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(in_folder(name), 0600), 0);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/kdnetd-refused-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    write_file("a.yaml", "include: [\"b*.yaml\"]\ntargets_file: targets\n");
    write_file("b1.yaml", "targets: [{name: web-1, key: 1.2.3.4}]\n");
    write_file("targets", "web-2 1.2.3.5 192.0.2.8\nweb-3 1.2.3.7\n");
    return 0;
}

static int tear_down(void **state)
{
    static const char *const files[] = {"a.yaml", "b1.yaml", "targets", "socket"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; ++i)
        (void)unlink(in_folder(files[i]));
    return rmdir(folder);
}

static void read_files(void *user)
{
    struct kdnetd_config config;
    struct config_report report;
    const int *error = user;
    config_init(&config);
    config_report_init(&report);
    (void)config_load(in_folder("a.yaml"), &config, &report);
    if (config_report_count(&report) == 0) {
        assert_int_equal(config.target_count, 3);
        assert_true(!refused_call() || *error == EINTR); /* a read that a signal ends is done again */
    } else {
        assert_non_null(refused_call());
        assert_non_null(strstr(config_report_line(&report, 0), folder));
        if (*error == EACCES)
            assert_non_null(strstr(config_report_line(&report, 0), "let the user that kdnetd runs as read it"));
    }
    config_clear(&config);
    config_report_clear(&report);
}

static void what_cannot_be_read_is_told(void **state)
{
    int errors[] = {EIO, EACCES, ENOENT};
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; ++i)
        assert_in_range(refused_each(errors[i], read_files, &errors[i]), 6, 100);
}

static void a_read_that_a_signal_ends_is_done_again(void **state)
{
    int error = EINTR;
    unsigned whole = 0;
    (void)state;
    for (size_t number = 0;; ++number) {
        refused_begin(number, error);
        read_files(&error);
        bool is_read = refused_is("read");
        const char *call = refused_end();
        if (!call)
            break;
        whole += is_read;
    }
    assert_in_range(whole, 3, 100); /* files */
}

static void a_socket_is_no_file(void **state)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct kdnetd_config config;
    struct config_report report;
    (void)state;
    (void)snprintf(name.sun_path, sizeof name.sun_path, "%s", in_folder("socket"));
    int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(descriptor, (const struct sockaddr *)&name, sizeof name), 0);
    config_init(&config);
    config_report_init(&report);
    assert_false(config_load(in_folder("socket"), &config, &report));
    assert_non_null(strstr(config_report_line(&report, 0), "is a socket; write its content into a file"));
    config_clear(&config);
    config_report_clear(&report);
    (void)close(descriptor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_cannot_be_read_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_read_that_a_signal_ends_is_done_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_socket_is_no_file, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
