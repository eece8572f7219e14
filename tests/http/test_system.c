/* SPDX-License-Identifier: Apache-2.0 */
/* What HTTP wants of the system: its Unix socket and whose it is, secrets that nobody else may read, and descriptors
 * that are left to machines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service/http/state_internal.h"
#include "service/http/system.h"
#include "service/net/address.h"
#include "tests/service/captured_log.h"

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/kdnetd-system-%ld", (long)getpid());
    return mkdir(folder, 0700);
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

static const char *in_folder(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* --- the Unix socket ---------------------------------------------------------------------------------------------- */

/* An endpoint of its own at that path; group NULL: the default one. */
static struct endpoint *endpoint_at(const char *path, const char *group)
{
    static struct http http;
    static struct endpoint endpoint;
    memset(&http, 0, sizeof http);
    endpoint = (struct endpoint){.http = &http, .local = true, .socket = -1};
    assert_true(strlen(path) < sizeof endpoint.path);
    (void)strcpy(endpoint.path, path);
    http.settings.group = (char *)(uintptr_t)group;
    return &endpoint;
}

static int connect_to(const char *path)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    (void)snprintf(name.sun_path, sizeof name.sun_path, "%s", path);
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(descriptor >= 0);
    if (connect(descriptor, (const struct sockaddr *)&name, sizeof name) == 0)
        return descriptor;
    (void)close(descriptor);
    return -1;
}

static void a_socket_that_nobody_listens_on_is_replaced_and_ours_is_removed_at_the_end(void **state)
{
    char error[HTTP_DETAIL_SIZE] = "", user[CALL_BY_SIZE];
    struct stat status;
    evutil_socket_t accepted;
    const char *path = in_folder("a.sock");
    (void)state;
    struct endpoint *endpoint = endpoint_at(path, NULL);
    endpoint->socket = system_listen_local(endpoint, error);
    assert_true(endpoint->socket >= 0);
    system_close(endpoint->socket); /* as a process that was killed: its file stays */
    endpoint->socket = system_listen_local(endpoint, error);
    assert_true(endpoint->socket >= 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0660);
    int client = connect_to(path);
    assert_true(client >= 0);
    assert_int_equal(system_accept(endpoint, &accepted), SYSTEM_ACCEPTED);
    system_name_user(accepted, user);
    assert_memory_equal(user, "local:", 6);
    system_close(accepted);
    (void)close(client);
    assert_int_equal(system_accept(endpoint, &accepted), SYSTEM_NONE_WAITS);
    system_close(endpoint->socket);
    system_unlink_local(endpoint);
    assert_int_equal(stat(path, &status), -1);
}

static void a_socket_that_another_process_listens_on_is_left_to_it(void **state)
{
    char error[HTTP_DETAIL_SIZE] = "";
    const char *path = in_folder("a.sock");
    (void)state;
    struct endpoint *endpoint = endpoint_at(path, NULL);
    int first = system_listen_local(endpoint, error);
    assert_true(first >= 0);
    assert_int_equal(system_listen_local(endpoint, error), -1);
    assert_non_null(strstr(error, "is another kdnetd running"));
    int client = connect_to(path);
    assert_true(client >= 0);
    (void)close(client);
    system_close(first);
    endpoint->inode = 0; /* the file is another's by now */
    system_unlink_local(endpoint);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(unlink(path), 0);
}

static void a_folder_that_is_not_there_is_told_with_what_to_do(void **state)
{
    char error[HTTP_DETAIL_SIZE] = "";
    (void)state;
    assert_int_equal(system_listen_local(endpoint_at("/nowhere/at/all.sock", NULL), error), -1);
    assert_non_null(strstr(error, "is its folder there"));
}

static void the_socket_is_given_to_the_group_that_was_named(void **state)
{
    char error[HTTP_DETAIL_SIZE] = "";
    struct stat status;
    const char *path = in_folder("a.sock");
    const struct group *group = getgrgid(getegid());
    (void)state;
    if (!group)
        skip();
    gid_t id = group->gr_gid;
    struct endpoint *endpoint = endpoint_at(path, group->gr_name);
    endpoint->socket = system_listen_local(endpoint, error);
    assert_true(endpoint->socket >= 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_gid, id);
    system_close(endpoint->socket);
    system_unlink_local(endpoint);
}

static void a_group_that_is_not_there_is_told_and_the_socket_serves(void **state)
{
    char error[HTTP_DETAIL_SIZE] = "";
    const char *path = in_folder("a.sock");
    (void)state;
    struct endpoint *endpoint = endpoint_at(path, "no-such-group-here");
    captured_begin();
    endpoint->socket = system_listen_local(endpoint, error);
    const char *said = captured_end();
    assert_non_null(strstr(said, "there is no such group; make it, or name another"));
    assert_non_null(strstr(said, "group=no-such-group-here"));
    assert_true(endpoint->socket >= 0);
    int client = connect_to(path);
    assert_true(client >= 0);
    (void)close(client);
    system_close(endpoint->socket);
    system_unlink_local(endpoint);
}

/* --- a group that the user may not give, and a user without a name */

static bool no_right, no_user;

int __wrap_getgrnam_r(const char *name, struct group *entry, char *buffer, size_t size, struct group **found);
int __real_getgrnam_r(const char *name, struct group *entry, char *buffer, size_t size, struct group **found);
int __wrap_chown(const char *path, uid_t user, gid_t group);
int __real_chown(const char *path, uid_t user, gid_t group);
int __wrap_getpwuid_r(uid_t user, struct passwd *entry, char *buffer, size_t size, struct passwd **found);
int __real_getpwuid_r(uid_t user, struct passwd *entry, char *buffer, size_t size, struct passwd **found);

/* Then there is every group. */
int __wrap_getgrnam_r(const char *name, struct group *entry, char *buffer, size_t size, struct group **found)
{
    if (!no_right)
        return __real_getgrnam_r(name, entry, buffer, size, found);
    *entry = (struct group){.gr_gid = 12345};
    *found = entry;
    return 0;
}

int __wrap_chown(const char *path, uid_t user, gid_t group)
{
    if (!no_right)
        return __real_chown(path, user, group);
    assert_int_equal(group, 12345);
    errno = EPERM;
    return -1;
}

int __wrap_getpwuid_r(uid_t user, struct passwd *entry, char *buffer, size_t size, struct passwd **found)
{
    if (!no_user)
        return __real_getpwuid_r(user, entry, buffer, size, found);
    *found = NULL;
    return 0;
}

static bool is_told_of_the_group(const char *path, const char *group)
{
    char error[HTTP_DETAIL_SIZE] = "";
    struct endpoint *endpoint = endpoint_at(path, group);
    no_right = true;
    captured_begin();
    endpoint->socket = system_listen_local(endpoint, error);
    const char *said = captured_end();
    no_right = false;
    assert_true(endpoint->socket >= 0);
    assert_string_equal(error, "");
    system_close(endpoint->socket);
    system_unlink_local(endpoint);
    return strstr(said, "the socket cannot be given to this group; make kdnetd's user a member of it") != NULL;
}

/* A folder that gives its group to what is made in it, as the package's does, needs no such right. */
static void a_group_that_cannot_be_given_is_told_unless_the_folder_gives_one(void **state)
{
    char shared[128], path[160];
    (void)state;
    assert_true(is_told_of_the_group(in_folder("a.sock"), NULL));
    (void)snprintf(shared, sizeof shared, "%s", in_folder("shared"));
    (void)snprintf(path, sizeof path, "%s/a.sock", shared);
    assert_int_equal(mkdir(shared, 0700), 0);
    assert_int_equal(chmod(shared, 02750), 0);
    assert_false(is_told_of_the_group(path, NULL));
    assert_true(is_told_of_the_group(path, "operators")); /* that one was wanted */
    assert_int_equal(rmdir(shared), 0);
}

static void a_user_without_a_name_is_told_by_number(void **state)
{
    char by[CALL_BY_SIZE], expected[CALL_BY_SIZE];
    int ends[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    no_user = true;
    system_name_user(ends[0], by);
    no_user = false;
    (void)snprintf(expected, sizeof expected, "local:%lu", (unsigned long)geteuid());
    assert_string_equal(by, expected);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void the_default_path_is_in_the_first_folder_that_is_there(void **state)
{
    char path[HTTP_PATH_SIZE];
    (void)state;
    assert_int_equal(setenv("RUNTIME_DIRECTORY", folder, 1), 0);
    assert_true(system_local_path(path));
    assert_string_equal(path, in_folder("kdnetd.sock"));
    assert_int_equal(unsetenv("RUNTIME_DIRECTORY"), 0);
    assert_int_equal(setenv("XDG_RUNTIME_DIR", folder, 1), 0);
    assert_true(system_local_path(path)); /* or /run/kdnetd, where kdnetd is installed */
    assert_non_null(strstr(path, "/kdnetd.sock"));
}

/* --- TCP ---------------------------------------------------------------------------------------------------------- */

static void an_address_that_is_taken_is_told_with_what_to_do(void **state)
{
    char error[HTTP_DETAIL_SIZE] = "";
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof name;
    (void)state;
    evutil_socket_t first = system_listen((const struct sockaddr *)&name, error);
    assert_true(first >= 0);
    assert_int_equal(getsockname(first, (struct sockaddr *)&name, &length), 0);
    assert_int_equal(system_listen((const struct sockaddr *)&name, error), -1);
    assert_non_null(strstr(error, "is another kdnetd running"));
    assert_non_null(strstr(error, "`http: none`"));
    system_close(first);
}

/* --- descriptors -------------------------------------------------------------------------------------------------- */

static void half_of_the_descriptors_are_left_to_machines(void **state)
{
    struct rlimit before, few = {.rlim_cur = 100, .rlim_max = 100};
    struct http_limits limits = {.connections = 1000, .local = 64, .streams = 500};
    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few.rlim_max = before.rlim_max;
    if (before.rlim_max < 4096)
        skip();
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    system_leave_files(&limits); /* may raise the limit, and does */
    assert_int_equal(limits.connections, 1000);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &few), 0);
    assert_true(few.rlim_cur >= 2128);
    assert_true(system_has_files());
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* In a process of its own, for a limit that was lowered for good. */
static void the_limits_shrink_where_no_more_descriptors_are_permitted(void **state)
{
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit few = {.rlim_cur = 40, .rlim_max = 40};
        struct http_limits limits = {.connections = 1000, .local = 64, .streams = 500};
        if (setrlimit(RLIMIT_NOFILE, &few) != 0)
            _exit(2);
        system_leave_files(&limits);
        _exit(limits.connections == 20 && limits.streams == 20 && !system_has_files() ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* --- secrets ------------------------------------------------------------------------------------------------------ */

static void write_secret(const char *path, mode_t mode, size_t length)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    for (size_t i = 0; i < length; ++i)
        assert_int_equal(write(file, "x", 1), 1);
    assert_int_equal(fchmod(file, mode), 0);
    (void)close(file);
}

static void a_secret_is_read_when_nobody_else_can_read_it_and_it_is_no_larger(void **state)
{
    char text[8], error[SYSTEM_ERROR_SIZE];
    size_t length = 7;
    const char *path = in_folder("tokens");
    (void)state;
    write_secret(path, 0640, 5);
    assert_true(system_read_secret(path, text, sizeof text, &length, error));
    assert_int_equal(length, 5);
    write_secret(path, 0644, 5);
    assert_false(system_read_secret(path, text, sizeof text, &length, error));
    assert_non_null(strstr(error, "can be read or changed by others (mode 644); chmod 640 it"));
    write_secret(path, 0600, sizeof text);
    assert_false(system_read_secret(path, text, sizeof text, &length, error));
    assert_non_null(strstr(error, "is larger than"));
    assert_int_equal(unlink(path), 0);
    assert_false(system_read_secret(path, text, sizeof text, &length, error));
    assert_non_null(strstr(error, "cannot be opened: No such file or directory"));
    assert_false(system_read_secret(folder, text, sizeof text, &length, error));
    assert_non_null(strstr(error, "is no ordinary file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_that_nobody_listens_on_is_replaced_and_ours_is_removed_at_the_end),
        cmocka_unit_test(a_socket_that_another_process_listens_on_is_left_to_it),
        cmocka_unit_test(a_folder_that_is_not_there_is_told_with_what_to_do),
        cmocka_unit_test(the_socket_is_given_to_the_group_that_was_named),
        cmocka_unit_test(a_group_that_is_not_there_is_told_and_the_socket_serves),
        cmocka_unit_test(a_group_that_cannot_be_given_is_told_unless_the_folder_gives_one),
        cmocka_unit_test(a_user_without_a_name_is_told_by_number),
        cmocka_unit_test(the_default_path_is_in_the_first_folder_that_is_there),
        cmocka_unit_test(an_address_that_is_taken_is_told_with_what_to_do),
        cmocka_unit_test(half_of_the_descriptors_are_left_to_machines),
        cmocka_unit_test(the_limits_shrink_where_no_more_descriptors_are_permitted),
        cmocka_unit_test(a_secret_is_read_when_nobody_else_can_read_it_and_it_is_no_larger),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
