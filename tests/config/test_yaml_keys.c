/* SPDX-License-Identifier: Apache-2.0 */
/* Keys in a configuration: however they are written, and never shown. */
#include "setup.h"

#include "config/redact.h"
#include "tests/config/mistakes.h"

#define KEY_REMEDY "; write the key that bcdedit /dbgsettings shows on the machine"

#define KEY "29p34y6n3wd25.2q4f5zr37e3p3.12z8iq9y7jzb6.2cn6z43dvyrkt"

static void keys_are_read_however_they_are_written(void **state)
{
    struct fixture *f = *state;
    struct kdnet_key key;
    static const char *const texts[] = {
        "targets: [{name: a, key: " KEY "}]",
        "targets:\n- name: a\n  key: " KEY " # " KEY "\n",
        "targets: [{name: a, key: \"" KEY "\"}]",
        "targets: [{name: a, key: '" KEY "'}]",
        "targets: [{name: a, key: \"\\x329p34y6n3wd25.2q4f5zr37e3p3.12z8iq9y7jzb6.2cn6z43dvyrkt\"}]",
        "targets: [{name: a, key: \"\\\n  " KEY "\"}]",
        "targets:\n- name: a\n  key: >-\n    " KEY "\n",
    };
    assert_int_equal(kdnet_key_parse(KEY, strlen(KEY), &key, NULL, NULL), 0);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i) {
        load_yaml(f, texts[i]);
        expect_no_mistake(f);
        assert_memory_equal(f->config.targets[0].key.bytes, key.bytes, sizeof key.bytes);
    }
    load_yaml(f, "symbols: [" KEY "x/web17.rack4.dc1.example-HIDDE, 'a b.c.d.eeeeeeeeeeeeeee']\n");
    assert_string_equal(f->config.symbols.text[0], KEY "x/web17.rack4.dc1.example-HIDDE");
    assert_string_equal(f->config.symbols.text[1], "a b.c.d.eeeeeeeeeeeeeee");
    load_yaml(f, "symbols: [HIDDEN0000000000]\ntargets: [{name: a, key: " KEY "}]\n");
    expect_no_mistake(f);
    assert_string_equal(f->config.symbols.text[0], "HIDDEN0000000000");
}

static void old_keys_and_strict_addresses_are_read(void **state)
{
    struct fixture *f = *state;
    static const struct wrong_text texts[] = {
        {"targets:\n- {name: a, key: 1.1.1.1, key_old: [2.2.2.2, 1.1]}\n",
         "a.yaml:2:46: targets[0].key_old[1]: is not four parts with dots between them (w.x.y.z), at part "
         "3" KEY_REMEDY},
        {"targets:\n- {name: a, key: 1.1.1.1, key_old: 1.1.1.1}\n",
         "a.yaml:2:36: key_old: a has this key already; take it out here"},
        {"targets:\n- {name: a, key: 1.1.1.1, key_old: [2.2.2.2, 2.2.2.2]}\n",
         "a.yaml:2:46: key_old: a has this key already; take it out here"},
        {"targets:\n- {name: a, key: 1.1.1.1, key_old: 2.2.2.2}\n- {name: b, key: 2.2.2.2}\n",
         "a.yaml:2:36: key_old: a has the key of b (a.yaml:3:10) on the same port, new or old, and two machines with "
         "one key cannot be told apart; take it out of one of them"},
        {"targets:\n- {name: a, key: 1.1.1.1, key_old: [2.2.2.2, 3.3.3.3, 4.4.4.4, 5.5.5.5, 6.6.6.6]}\n",
         "a.yaml:2:73: targets[0].key_old[4]: is one old key more than the 4 that a target may have; leave out the "
         "oldest"},
        {"targets:\n- {name: a, key: 1.1.1.1, strict: true}\n",
         "a.yaml:2:35: targets[0].strict: needs an address that it is strict about; add address, or take this out"},
    };
    expect_each(f, texts, sizeof texts / sizeof texts[0]);
    load_yaml(f, "targets:\n- {name: a, key: 1.1.1.1, key_old: 2.2.2.2, address: 192.0.2.1, strict: true}\n"
                 "- {name: b, key: 3.3.3.3}\n- {name: c, key: 4.4.4.4, key_old: [5.5.5.5, 6.6.6.6]}\n");
    expect_no_mistake(f);
    const struct kdnetd_config *c = &f->config;
    assert_int_equal(config_key_count(c), 6);
    assert_true(c->targets[0].strict);
    assert_true(config_has_old_keys(c, 0) && !config_has_old_keys(c, 1) && config_has_old_keys(c, 2));
    static const size_t owners[] = {0, 1, 2, 0, 2, 2}, slots[] = {0, 0, 0, 1, 1, 2};
    for (size_t i = 0; i < 6; ++i) {
        assert_int_equal(config_key_target(c, i), owners[i]);
        assert_int_equal(config_key_slot(c, i), slots[i]);
        assert_int_equal(config_find_key(c, config_key(c, i), 0, "nobody"), i);
        assert_int_equal(config_find_key(c, config_key(c, i), 7, c->targets[owners[i]].name), i);
        assert_int_equal(config_find_key(c, config_key(c, i), 7, "nobody"), CONFIG_NO_KEY);
    }
}

static void libraries_see_no_key(void **state)
{
    struct config_redaction redaction;
    const char *text = "targets: [{name: a, key: " KEY "}, {name: b, key: \"" KEY "1\"}] # " KEY;
    (void)state;
    assert_true(config_redact(text, strlen(text), &redaction));
    assert_int_equal(strlen(redaction.text), strlen(text));
    assert_null(strstr(redaction.text, "29p34"));
    assert_null(strstr(redaction.text, "2cn6z43dvyrkt"));
    config_redact_restore(&redaction, redaction.text);
    assert_string_equal(redaction.text, text);
    config_redact_clear(&redaction);
}

static void bad_keys_are_named_with_their_part_and_never_shown(void **state)
{
    static const struct wrong_text texts[] = {
        {"targets:\n- name: a\n  key: 1.2.3\n",
         "a.yaml:3:8: targets[0].key: is not four parts with dots between them (w.x.y.z), at part 4" KEY_REMEDY},
        {"targets: [{name: a, key: 1..3.4}]\n",
         "a.yaml:1:26: targets[0].key: is not four parts with dots between them (w.x.y.z), at part 2" KEY_REMEDY},
        {"targets: [{name: a, key: 1.2.3.4.5}]\n",
         "a.yaml:1:26: targets[0].key: is not four parts with dots between them (w.x.y.z), at part 4" KEY_REMEDY},
        {"targets: [{name: a, key: 1.2.3-.4}]\n",
         "a.yaml:1:26: targets[0].key: has a character that is not 0-9 or a-z, at part 3" KEY_REMEDY},
        {"targets: [{name: a, key: 3w5e11264sgsg.2.3.4}]\n",
         "a.yaml:1:26: targets[0].key: has a part over 64 bits (the largest is 3w5e11264sgsf), at part 1" KEY_REMEDY},
    };
    EXPECT_EACH(state, texts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(keys_are_read_however_they_are_written),
        TEST(old_keys_and_strict_addresses_are_read),
        TEST(libraries_see_no_key),
        TEST(bad_keys_are_named_with_their_part_and_never_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
