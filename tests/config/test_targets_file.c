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
        {"a 1.1.1.1 Color=red\n", "targets:1:11: labels: is no name of a label; write 1 to 32 of a-z 0-9 _, a letter "
                                  "first, as rack=b4"},
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

#define MEANT(field) "unknown field; did you mean " field "? A label of this name is written in targets"
#define IN_LINE                                                                                                        \
    "is not written so in a line; write: name key [address] [key_old=KEY] [strict=true] [port=N] [LABEL=VALUE]"

static void mistyped_fields_are_no_labels(void **state)
{
    struct fixture *f = *state;
    static const struct wrong_text texts[] = {
        {"a 1.1.1.1 192.0.2.1 strickt=true\n", "targets:1:21: strickt: " MEANT("strict")},
        {"a 1.1.1.1 192.0.2.1 stirct=true\n", "targets:1:21: stirct: " MEANT("strict")},
        {"a 1.1.1.1 192.0.2.1 Strict=true\n", "targets:1:21: labels: " MEANT("strict")},
        {"a 1.1.1.1 prot=50000\n", "targets:1:11: prot: " MEANT("port")},
        {"a 1.1.1.1 label=rack\n", "targets:1:11: label: " MEANT("labels")},
        {"a 1.1.1.1 polcy=hold\n", "targets:1:11: polcy: " MEANT("policy")},
        {"a 1.1.1.1 adress=192.0.2.1\n", "targets:1:11: adress: " MEANT("address")},
        {"a 1.1.1.1 keyold=1m770ts6ru0p.3671pemyie4i.2b8djy3wt5et.1p99ir125v4q\n",
         "targets:1:11: keyold: " MEANT("key_old")},
        {"a 1.1.1.1 address=192.0.2.1\n", "targets:1:11: address: " IN_LINE},
        {"a 1.1.1.1 labels=x\n", "targets:1:11: labels: " IN_LINE},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i) {
        load_targets(f, texts[i].text);
        expect_mistake(f, texts[i].line);
    }
    load_targets(f, "a 1.1.1.1 ort=x host=web-1 pod=p7 part=b site=c env=d game=e role=f\n");
    expect_no_mistake(f);
}

static void expect_labels(const struct config_target *target, const char *wanted)
{
    char text[2048] = "";
    for (const char *key = config_next_label(target->labels, NULL); key; key = config_next_label(target->labels, key))
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%s=%s ", key, key + strlen(key) + 1);
    assert_string_equal(text, wanted);
}

static void other_words_are_labels_and_equal_sets_are_one(void **state)
{
    struct fixture *f = *state;
    load_targets(f, "a 1.1.1.1 rack=b4 10.0.0.1 os=10.0.20348.1 port=50000\nb 2.2.2.2 os=10.0.20348.1 rack=b4\n"
                    "c 3.3.3.3 rack=b5\nd 4.4.4.4\ne 5.5.5.5 ort=K\xc3\xb6ln a=b=c\n");
    expect_no_mistake(f);
    expect_labels(&f->config.targets[0], "os=10.0.20348.1 rack=b4 ");
    assert_ptr_equal(f->config.targets[0].labels, f->config.targets[1].labels);
    expect_labels(&f->config.targets[2], "rack=b5 ");
    assert_null(f->config.targets[3].labels);
    expect_labels(&f->config.targets[4], "a=b=c ort=K\xc3\xb6ln ");
    assert_int_equal(f->config.label_count, 3);
}

static void wrong_labels_are_named(void **state)
{
    struct fixture *f = *state;
    static const struct wrong_text texts[] = {
        {"a 1.1.1.1 rack=\n",
         "targets:1:11: labels.rack: is empty; write 1 to 64 bytes of text, as rack=b4, or leave the "
         "label out"},
        {"a 1.1.1.1 rack=b4 rack=b5\n", "targets:1:19: labels.rack: rack is there already; write each label once"},
        {"a 1.1.1.1 9=x\n",
         "targets:1:11: labels: is no name of a label; write 1 to 32 of a-z 0-9 _, a letter first, as "
         "rack=b4"},
        {"a 1.1.1.1 x=\xff\n",
         "targets:1:11: labels.x: has a control character, or is no UTF-8; write 1 to 64 bytes of "
         "text"},
        {"a 1.1.1.1 x=\xc2\x85\n",
         "targets:1:11: labels.x: has a control character, or is no UTF-8; write 1 to 64 bytes "
         "of text"},
        {"a 1.1.1.1 former=1m770ts6ru0p.3671pemyie4i.2b8djy3wt5et.1p99ir125v4q\n",
         "targets:1:11: labels.former: is a key of a machine, and labels are for everyone to see; a former key is a "
         "key_old"},
        {"a 1.1.1.1 a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1 j=1 k=1 l=1 m=1 n=1 o=1 p=1 q=1\n",
         "targets:1:75: labels.q: is one label more than the 16 that a target may have; leave one out"},
        {"a 1.1.1.1 a23456789012345678901234567890123=x\n",
         "targets:1:11: labels: is no name of a label; write 1 to 32 of a-z 0-9 _, a letter first, as rack=b4"},
        {"a 1.1.1.1 x=1234567890123456789012345678901234567890123456789012345678901234"
         "5\n",
         "targets:1:11: labels.x: is too long; write 1 to 64 bytes of text"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i) {
        load_targets(f, texts[i].text);
        expect_mistake(f, texts[i].line);
    }
    load_targets(f, "a 1.1.1.1 a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1 j=1 k=1 l=1 m=1 n=1 o=1 "
                    "a2345678901234567890123456789012="
                    "1234567890123456789012345678901234567890123456789012345678901234\n");
    expect_no_mistake(f);
}

static void a_text_over_its_limit_is_refused(void **state)
{
    struct fixture *f = *state;
    assert_false(config_load_targets_text("a 1.1.1.1\n", CONFIG_TARGETS_LIMIT + 1, "targets", &f->config, &f->report));
    expect_mistake(f, "targets: is larger than 256 MiB; divide it into several files");
    assert_int_equal(f->config.target_count, 0);
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
        TEST(mistyped_fields_are_no_labels),
        TEST(other_words_are_labels_and_equal_sets_are_one),
        TEST(wrong_labels_are_named),
        TEST(a_text_over_its_limit_is_refused),
        TEST(mistakes_do_not_stop_the_reading),
        TEST(names_are_up_to_64_characters),
        TEST(a_nul_byte_is_no_end),
        TEST(a_hundred_thousand_targets_are_found_by_name),
        TEST(every_beginning_of_a_good_text_is_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
