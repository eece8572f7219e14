/* SPDX-License-Identifier: Apache-2.0 */
#include "setup.h"

static void a_line_is_a_name_a_key_and_perhaps_an_address(void **state)
{
    struct fixture *f = *state;
    load_targets(f, "\xef\xbb\xbf# fleet\r\n"
                    "\n"
                    "web-1 8.8.8.8\r\n"
                    "  web-2\t1.2.3.4   192.0.2.7 # the second\n"
                    "web-3 1.2.3.5 [2001:db8::7]:51111#x\n"
                    "web-4 1.2.3.6 2001:db8::7");
    assert_int_equal(f->report.count, 1);
    assert_int_equal(f->config.target_count, 3);
    load_targets(f, "web-1 8.8.8.8\r\n  web-2\t1.2.3.4   192.0.2.7 # the second\nweb-3 1.2.3.5 [2001:db8::7]:51111\n"
                    "web-4 1.2.3.6 2001:db8::7");
    expect_no_mistake(f);
    const struct config_target *targets = f->config.targets;
    assert_int_equal(f->config.target_count, 4);
    assert_string_equal(targets[0].name, "web-1");
    assert_int_equal(targets[0].key.bytes[8], 8);
    assert_false(targets[0].has_address);
    assert_true(targets[1].has_address);
    assert_int_equal(targets[1].address.port, 0);
    assert_int_equal(targets[1].place.line, 2);
    assert_int_equal(targets[1].place.column, 3);
    assert_int_equal(targets[2].address.port, 51111);
    assert_memory_equal(targets[2].address.ip, targets[3].address.ip, 16);
}

static void each_mistake_of_a_line_is_named_with_its_column(void **state)
{
    struct fixture *f = *state;
    static const struct wrong_text texts[] = {
        {"web-1\n", "targets:1:1: key: has no key; write: name key [address]"},
        {"# x\n web/1 1.2.3.4\n",
         "targets:2:2: name: \"web/1\" has a character that a name cannot have; write 1 to 64 of "
         "A-Z a-z 0-9 . _ -"},
        {"web-1 1.2.3\n",
         "targets:1:7: key: is not four parts with dots between them (w.x.y.z), at part 4; write the key "
         "that bcdedit /dbgsettings shows on the machine"},
        {"web-1 1.2.3.4 web\n", "targets:1:15: address: \"web\" is not an IP address and host names are not looked up; "
                                "write the IP address"},
        {"web-1 1.2.3.4 ::1 y\n",
         "targets:1:19: address: is too much; write: name key [address], and # before a comment"},
        {"1.2.3.4 web-1\n", "targets:1:1: name: is a key; write the name before the key: name key [address]"},
        {"", "targets: has no targets in it; write one a line: name key [address]"},
        {"# a 1.2.3.4\n", "targets: has no targets in it; write one a line: name key [address]"},
        {"\xff\xfe"
         "a",
         "targets: is UTF-16 text; save it as UTF-8"},
        {"a 1.1.1.1\na 2.2.2.2\n",
         "targets:2:1: name: a is the name of the target at targets:1:1 already; give each machine its own name"},
        {"a 1.1.1.1\nb 01.1.1.1\n", "targets:2:1: key: b has the key of a (targets:1:1) on the same port, and two "
                                    "machines with one key cannot be told "
                                    "apart; make a new one: kdnetctl keygen b"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i) {
        load_targets(f, texts[i].text);
        expect_mistake(f, texts[i].line);
    }
}

static void further_fields_have_their_names(void **state)
{
    struct fixture *f = *state;
    static const struct wrong_text texts[] = {
        {"a 1.1.1.1 key_old=1.1\n",
         "targets:1:11: key_old: is not four parts with dots between them (w.x.y.z), at part 3; "
         "write the key that bcdedit /dbgsettings shows on the machine"},
        {"a 1.1.1.1 key_old=2.2.2.2,3.3.3.3,4.4.4.4,5.5.5.5,6.6.6.6\n",
         "targets:1:11: key_old: has more than 4 keys; leave out the oldest"},
        {"a 1.1.1.1 strict=true\n",
         "targets:1:3: strict: needs an address that it is strict about; add it, or take strict out"},
        {"a 1.1.1.1 color=red\n", "targets:1:11: name: is no field of a line; write name key [address] [key_old=K] "
                                  "[strict=true] [port=N]"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i) {
        load_targets(f, texts[i].text);
        expect_mistake(f, texts[i].line);
    }
    load_targets(f,
                 "a 1.1.1.1 port=50000 192.0.2.1 key_old=2.2.2.2,3.3.3.3 strict=true # x\nb 4.4.4.4 key_old=5.5.5.5\n");
    expect_no_mistake(f);
    assert_int_equal(f->config.targets[0].port, 50000);
    assert_true(f->config.targets[0].strict && f->config.targets[0].has_address);
    assert_int_equal(f->config.old_key_count, 3);
    assert_int_equal(f->config.old_keys[2].target, 1);
}

static void mistakes_do_not_stop_the_reading(void **state)
{
    struct fixture *f = *state;
    load_targets(f, "a/b 1.2 x y\ngood 1.2.3.4\nbad\n");
    assert_int_equal(f->report.count, 5);
    assert_int_equal(f->config.target_count, 1);
}

static void names_are_up_to_64_characters(void **state)
{
    struct fixture *f = *state;
    char text[128];
    (void)snprintf(text, sizeof text, "%064d 1.2.3.4\n", 7);
    load_targets(f, text);
    expect_no_mistake(f);
    (void)snprintf(text, sizeof text, "%065d 1.2.3.4\n", 7);
    load_targets(f, text);
    expect_mistake(f,
                   "targets:1:1: name: \"0000000000000000000000000000000000000000…\" has 65 characters; write 1 to 64");
}

static void a_nul_byte_is_no_end(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "a 1.2.3.4\nb\0c 1.2.3.5\nd 1.2.3.6 ::1\0\n";
    assert_false(config_load_targets_text(text, sizeof text - 1, "targets", &f->config, &f->report));
    assert_int_equal(f->report.count, 2);
    assert_int_equal(f->config.target_count, 1);
}

static void a_hundred_thousand_targets_are_found_by_name(void **state)
{
    struct fixture *f = *state;
    const size_t count = 100000, line = 48;
    char *text = malloc(count * line), *at = text, name[32];
    assert_non_null(text);
    for (size_t i = 0; i < count; ++i)
        at += sprintf(at, "server-%zu 1.2.3.%zu 10.0.%zu.%zu\n", i, i, i >> 8 & 255, i & 255);
    assert_true(config_load_targets_text(text, (size_t)(at - text), "targets", &f->config, &f->report));
    free(text);
    assert_true(config_check(&f->config, &f->report));
    for (size_t i = 0; i < count; i += 997) {
        (void)snprintf(name, sizeof name, "server-%zu", i);
        assert_ptr_equal(config_find_target(&f->config, name), &f->config.targets[i]);
    }
    assert_null(config_find_target(&f->config, "server-100000"));
    assert_null(config_find_target(&f->config, ""));
}

static void every_beginning_of_a_good_text_is_read_or_refused(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "web-1 8.8.8.8 [2001:db8::7]:51111 # x\r\n\tb 1.2.3.4\t192.0.2.7:5\n";
    for (size_t length = 0; length < sizeof text; ++length) {
        /* On the heap, at its exact length: the sanitizer sees a byte read too far. */
        char *copy = malloc(length > 0 ? length : 1);
        memcpy(copy, text, length);
        start_again(f);
        bool good = config_load_targets_text(copy, length, "targets", &f->config, &f->report);
        assert_int_equal(good, f->report.count == 0);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_line_is_a_name_a_key_and_perhaps_an_address),
        TEST(each_mistake_of_a_line_is_named_with_its_column),
        TEST(further_fields_have_their_names),
        TEST(mistakes_do_not_stop_the_reading),
        TEST(names_are_up_to_64_characters),
        TEST(a_nul_byte_is_no_end),
        TEST(a_hundred_thousand_targets_are_found_by_name),
        TEST(every_beginning_of_a_good_text_is_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
