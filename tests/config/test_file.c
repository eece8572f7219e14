/* SPDX-License-Identifier: Apache-2.0 */
#include "setup.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define REMEDY_PATH "; check the path"

/* Each test works in a folder of its own, so that messages have short paths. */
static int enter_folder(void **state)
{
    char folder[] = "/tmp/kdnetd-test-XXXXXX";
    return set_up(state) != 0 || !mkdtemp(folder) || chdir(folder) != 0 || mkdir("conf.d", 0755) != 0 ? -1 : 0;
}

static int leave_folder(void **state)
{
    char folder[256];
    static const char *const files[] = {"a.yaml",        "conf.d/b.yaml", "conf.d/c.yaml",  "conf.d/d.yaml",
                                        "conf.d/e.yaml", "targets",       "conf.d/targets", "conf.d/.hidden"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; ++i)
        (void)unlink(files[i]);
    (void)rmdir("conf.d");
    bool good = getcwd(folder, sizeof folder) && chdir("/") == 0 && rmdir(folder) == 0;
    return tear_down(state) == 0 && good ? 0 : -1;
}

int __wrap_fstat(int descriptor, struct stat *status);
int __real_fstat(int descriptor, struct stat *status);

static int growing;       /* the file to which lines come once it was measured */
static unsigned grown_by; /* how many */

int __wrap_fstat(int descriptor, struct stat *status)
{
    int result = __real_fstat(descriptor, status);
    for (; grown_by > 0; --grown_by)
        assert_true(dprintf(growing, "web-%u 1.1.1.%u\n", grown_by, grown_by) > 0);
    return result;
}

#define FOLDER_TEST(name) cmocka_unit_test_setup_teardown(name, enter_folder, leave_folder)

static void write_file(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void load(struct fixture *f)
{
    start_again(f);
    (void)config_load("a.yaml", &f->config, &f->report);
    (void)config_check(&f->config, &f->report);
}

static void files_are_included_in_the_order_of_their_names(void **state)
{
    struct fixture *f = *state;
    write_file("a.yaml", "include: 'conf.d/*.yaml'\ntargets_file: targets\n", 0644);
    write_file("conf.d/c.yaml", "targets: [{name: c, key: 3.3.3.3}]\ntargets_file: [targets]\n", 0640);
    write_file("conf.d/b.yaml", "# nothing yet\n", 0644);
    write_file("conf.d/d.yaml", "rva: []\nsymbols: d\nprints: true\n", 0644);
    write_file("conf.d/.hidden", "oops: 1\n", 0644);
    write_file("targets", "a 1.1.1.1\n", 0600);
    write_file("conf.d/targets", "b 2.2.2.2\n", 0660);
    load(f);
    expect_no_mistake(f);
    assert_int_equal(f->config.target_count, 3);
    assert_string_equal(f->config.targets[0].name, "a");
    assert_string_equal(f->config.targets[1].name, "c");
    assert_string_equal(f->config.targets[2].name, "b");
    assert_string_equal(f->config.sources[f->config.targets[2].place.source], "conf.d/targets");
    assert_true(f->config.prints);
}

static void files_that_are_not_there_are_named_where_they_are_wanted(void **state)
{
    struct fixture *f = *state;
    load(f);
    expect_mistake(f, "a.yaml: cannot be read: No such file or directory" REMEDY_PATH);
    write_file("a.yaml", "include: [conf.d/b.yaml]\n", 0644);
    load(f);
    expect_mistake(f, "a.yaml:1:11: include[0]: conf.d/b.yaml cannot be read: No such file or directory" REMEDY_PATH);
    write_file("a.yaml", "prints: true\ntargets_file: conf.d/targets\n", 0644);
    load(f);
    expect_mistake(f,
                   "a.yaml:2:15: targets_file: conf.d/targets cannot be read: No such file or directory" REMEDY_PATH);
    write_file("a.yaml", "include: ['nowhere/*.yaml', 'conf.d/*.yaml']\n", 0644);
    load(f);
    expect_no_mistake(f);
    assert_false(config_load_targets("nowhere/x", &f->config, &f->report));
    expect_mistake(f, "nowhere/x: cannot be read: No such file or directory" REMEDY_PATH);
}

static void a_folder_is_no_file(void **state)
{
    struct fixture *f = *state;
    write_file("a.yaml", "include: conf.d\n", 0644);
    load(f);
    expect_mistake(f, "a.yaml:1:10: include: conf.d is a directory; name a file in it");
}

/* Whoever opens them to read waits, or reads for ever. */
static void what_is_no_ordinary_file_is_refused_without_a_wait(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *path, *what;
    } files[] = {
        {"conf.d/b.yaml", "is a pipe"},
        {"/dev/zero", "is a device"},
        {"/dev/null", "is a device"},
        {"/proc/self/status", "is made by the kernel and is no file on a disk"},
    };
    assert_int_equal(mkfifo("conf.d/b.yaml", 0600), 0);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; ++i) {
        char text[256], line[512];
        start_again(f);
        (void)config_load(files[i].path, &f->config, &f->report);
        (void)snprintf(line, sizeof line, "%s: %s; write its content into a file, and name that one", files[i].path,
                       files[i].what);
        expect_mistake(f, line);
        static const char *const fields[] = {"include", "targets_file"};
        for (size_t j = 0; j < 2; ++j) {
            (void)snprintf(text, sizeof text, "%s: %s\n", fields[j], files[i].path);
            write_file("a.yaml", text, 0600);
            load(f);
            (void)snprintf(line, sizeof line,
                           "a.yaml:1:%zu: %s: %s %s; write its content into a file, and name that one",
                           strlen(fields[j]) + 3, fields[j], files[i].path, files[i].what);
            expect_mistake(f, line);
        }
    }
}

static void a_file_that_may_not_be_read_is_named(void **state)
{
    struct fixture *f = *state;
    write_file("a.yaml", "prints: true\n", 0000);
    /* Root may read everything, so it is somebody else for this. */
    bool is_root = geteuid() == 0;
    if (is_root)
        assert_int_equal(seteuid(65534), 0);
    load(f);
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    expect_mistake(f, "a.yaml: cannot be read: Permission denied; let the user that kdnetd runs as read it");
}

static void an_empty_file_is_a_mistake(void **state)
{
    struct fixture *f = *state;
    write_file("a.yaml", "", 0644);
    load(f);
    expect_mistake(f, "a.yaml: is empty; write at least one target, as in the example configuration");
}

static void keys_that_everyone_may_read_are_refused(void **state)
{
    struct fixture *f = *state;
    static const mode_t modes[] = {0644, 0604, 0602, 0601};
    for (size_t i = 0; i < 4; ++i) {
        char line[256];
        write_file("a.yaml", "targets_file: targets\n", 0644);
        write_file("targets", "a 1.1.1.1\n", modes[i]);
        load(f);
        (void)snprintf(line, sizeof line,
                       "targets: holds keys and is open to every user of this machine (mode %04o); "
                       "chmod o-rwx targets",
                       (unsigned)modes[i]);
        expect_mistake(f, line);
        write_file("a.yaml", "targets: [{name: a, key: 1.1.1.1}]\n", modes[i]);
        load(f);
        (void)snprintf(line, sizeof line,
                       "a.yaml: holds keys and is open to every user of this machine (mode %04o); "
                       "chmod o-rwx a.yaml",
                       (unsigned)modes[i]);
        expect_mistake(f, line);
    }
}

static bool say_open(const char *path, void *context)
{
    return strcmp(path, context) == 0;
}

static void the_question_who_may_read_can_be_answered_by_a_test(void **state)
{
    struct fixture *f = *state;
    char name[] = "a.yaml";
    f->config.access.open_to_others = say_open;
    f->config.access.context = name;
    write_file("a.yaml", "targets_file: targets\ntargets: [{name: a, key: 1.1.1.1}]\n", 0600);
    write_file("targets", "b 2.1.1.1\n", 0644);
    load(f);
    expect_mistake(f, "a.yaml: holds keys and is open to every user of this machine (mode 0600); chmod o-rwx a.yaml");
}

static void a_setting_in_two_files_is_named_with_both(void **state)
{
    struct fixture *f = *state;
    write_file("a.yaml", "include: 'conf.d/*'\nlost_after: 10s\npolicy: {break: hold, prompt: hold}\n", 0644);
    write_file("conf.d/b.yaml", "lost_after: 10s\npolicy: {break: hold, shutdown: hold}\n", 0644);
    load(f);
    assert_int_equal(f->report.count, 2);
    assert_string_equal(config_report_line(&f->report, 0),
                        "conf.d/b.yaml:1:13: lost_after: is set at a.yaml:2:13 already; set it in one place");
    assert_string_equal(config_report_line(&f->report, 1),
                        "conf.d/b.yaml:2:17: policy.break: is set at a.yaml:3:17 already; set it in one place");
}

static void a_file_is_read_once(void **state)
{
    struct fixture *f = *state;
    write_file("a.yaml", "include: a.yaml\n", 0644);
    load(f);
    expect_mistake(f, "a.yaml:1:10: include: a.yaml was read already, as a.yaml; name it once");
    write_file("a.yaml", "include: [conf.d/b.yaml, 'conf.d/../conf.d/b.y*']\n", 0644);
    write_file("conf.d/b.yaml", "prints: true\n", 0644);
    load(f);
    expect_mistake(f,
                   "a.yaml:1:26: include[1]: conf.d/../conf.d/b.yaml was read already, as conf.d/b.yaml; name it once");
}

static void includes_end_at_four_files(void **state)
{
    struct fixture *f = *state;
    write_file("a.yaml", "include: conf.d/b.yaml\n", 0644);
    write_file("conf.d/b.yaml", "include: c.yaml\n", 0644);
    write_file("conf.d/c.yaml", "include: d.yaml\n", 0644);
    write_file("conf.d/d.yaml", "prints: true\n", 0644);
    load(f);
    expect_no_mistake(f);
    assert_true(f->config.prints);
    write_file("conf.d/d.yaml", "include: e.yaml\n", 0644);
    write_file("conf.d/e.yaml", "prints: true\n", 0644);
    load(f);
    expect_mistake(f, "conf.d/d.yaml:1:10: include: is deeper than 4 files; include it from a file further up");
}

static void names_doubled_in_two_files_are_named_with_both(void **state)
{
    struct fixture *f = *state;
    write_file("a.yaml", "targets_file: [targets, conf.d/targets]\n", 0644);
    write_file("targets", "a 1.1.1.1\nb 2.1.1.1\n", 0600);
    write_file("conf.d/targets", "\nb 3.1.1.1\n", 0600);
    load(f);
    expect_mistake(
        f, "conf.d/targets:2:1: name: b is the name of the target at targets:2:1 already; give each machine its "
           "own name");
}

static void a_file_over_its_limit_is_refused(void **state)
{
    struct fixture *f = *state;
    write_file("a.yaml", "prints: true\n", 0644);
    assert_int_equal(truncate("a.yaml", CONFIG_YAML_LIMIT + 1), 0);
    load(f);
    expect_mistake(f, "a.yaml: is larger than 16 MiB; divide it into several files");
    write_file("targets", "a 1.1.1.1\n", 0600);
    assert_int_equal(truncate("targets", CONFIG_TARGETS_LIMIT + 1), 0);
    start_again(f);
    assert_false(config_load_targets("targets", &f->config, &f->report));
    expect_mistake(f, "targets: is larger than 256 MiB; divide it into several files");
}

/* It was measured before. */
static void a_file_that_grows_while_it_is_read_is_read_whole(void **state)
{
    struct fixture *f = *state;
    write_file("targets", "web-0 1.1.1.0\n", 0600);
    growing = open("targets", O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_true(growing >= 0);
    grown_by = 40;
    assert_true(config_load_targets("targets", &f->config, &f->report));
    assert_true(config_check(&f->config, &f->report));
    assert_int_equal(f->config.target_count, 41);
    assert_non_null(config_find_target(&f->config, "web-1"));
    assert_int_equal(close(growing), 0);
}

/* What was small enough when it was measured. */
static void a_file_that_grows_over_its_limit_is_refused(void **state)
{
    struct fixture *f = *state;
    write_file("a.yaml", "prints: true\n", 0644);
    assert_int_equal(truncate("a.yaml", CONFIG_YAML_LIMIT), 0);
    growing = open("a.yaml", O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_true(growing >= 0);
    grown_by = 1;
    load(f);
    expect_mistake(f, "a.yaml: is larger than 16 MiB; divide it into several files");
    assert_int_equal(close(growing), 0);
}

static void memory_only_opens_no_file(void **state)
{
    struct fixture *f = *state;
    f->config.access.memory_only = true;
    load_yaml(f, "include: nowhere.yaml\ntargets_file: [nowhere, a]\n");
    expect_no_mistake(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(files_are_included_in_the_order_of_their_names),
        FOLDER_TEST(files_that_are_not_there_are_named_where_they_are_wanted),
        FOLDER_TEST(a_folder_is_no_file),
        FOLDER_TEST(what_is_no_ordinary_file_is_refused_without_a_wait),
        FOLDER_TEST(a_file_that_may_not_be_read_is_named),
        FOLDER_TEST(an_empty_file_is_a_mistake),
        FOLDER_TEST(keys_that_everyone_may_read_are_refused),
        FOLDER_TEST(the_question_who_may_read_can_be_answered_by_a_test),
        FOLDER_TEST(a_setting_in_two_files_is_named_with_both),
        FOLDER_TEST(a_file_is_read_once),
        FOLDER_TEST(includes_end_at_four_files),
        FOLDER_TEST(names_doubled_in_two_files_are_named_with_both),
        FOLDER_TEST(a_file_over_its_limit_is_refused),
        FOLDER_TEST(a_file_that_grows_while_it_is_read_is_read_whole),
        FOLDER_TEST(a_file_that_grows_over_its_limit_is_refused),
        FOLDER_TEST(memory_only_opens_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
