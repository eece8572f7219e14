/* SPDX-License-Identifier: Apache-2.0 */
#include "setup.h"

#include "config/redact.h"

#define KEY_REMEDY "; write the key that bcdedit /dbgsettings shows on the machine"

static void expect_each(struct fixture *f, const struct wrong_text *texts, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        load_yaml(f, texts[i].text);
        expect_mistake(f, texts[i].line);
    }
}

#define EXPECT_EACH(state, texts) expect_each(*(state), texts, sizeof(texts) / sizeof(texts)[0])

static void everything_is_read(void **state)
{
    struct fixture *f = *state;
    static const uint8_t v4[16] = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = 7};
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 7};
    load_yaml(f,
              "listen: [ '192.0.2.7:50001', '[2001:db8::7]:50002' ]\n"
              "targets:\n"
              "- {name: web-1, key: 8.8.8.8, address: '192.0.2.7:51111', port: 50001}\n"
              "- name: web-2\n"
              "  key: 1.2.3.z\n"
              "  policy: {break: hold, bugcheck_second: reboot, hold_for: 1h}\n"
              "rva: [{guidage: 3844dbb920174967BE7AA4A2C20430FA2, symbol: nt!IopFinalCrashDumpStatus, rva: 0xC35DE0}]\n"
              "symbols: [cache, 'https://symbols.example/']\n"
              "symbols_ca_file: /etc/ca.pem\n"
              "reads: [{name: blamed, at: 'nt!KiBugCheckDriver*', as: unicode, when: always, once: true}]\n"
              "default_reads: false\n"
              "events: '-'\n"
              "http: 127.0.0.1:8650\n"
              "policy: {shutdown: hold, prompt: hold}\n"
              "read_deadline: 500ms\nlost_after: 10\ndump_for: 1h\nhold_for: 7d\nprints: true\nlog_level: debug\n"
              "workers: 3\n"
              "freebind: true\n"
              "collector: c-1.x_Y\n");
    expect_no_mistake(f);
    const struct kdnetd_config *c = &f->config;
    assert_int_equal(c->listen_count, 2);
    assert_memory_equal(c->listens[0].address.ip, v4, 16);
    assert_int_equal(c->listens[0].address.port, 50001);
    assert_memory_equal(c->listens[1].address.ip, v6, 16);
    assert_int_equal(c->target_count, 2);
    assert_string_equal(c->targets[0].name, "web-1");
    assert_int_equal(c->targets[0].key.bytes[24], 8);
    assert_true(c->targets[0].has_address);
    assert_memory_equal(c->targets[0].address.ip, v4, 16);
    assert_int_equal(c->targets[0].address.port, 51111);
    assert_int_equal(c->targets[0].port, 50001);
    assert_int_equal(c->targets[1].key.bytes[24], 35);
    assert_false(c->targets[1].has_address);
    assert_int_equal(c->targets[1].port, 0);
    assert_int_equal(c->rva_count, 1);
    assert_string_equal(c->rvas[0].guidage, "3844DBB920174967BE7AA4A2C20430FA2");
    assert_string_equal(c->rvas[0].symbol, "IopFinalCrashDumpStatus");
    assert_int_equal(c->rvas[0].rva, 0xC35DE0);
    assert_int_equal(c->read_count, 1);
    assert_string_equal(c->reads[0].read.name, "blamed");
    assert_int_equal(c->reads[0].read.kind, KDNET_READ_UNICODE);
    assert_true(c->reads[0].read.always && c->reads[0].read.once);
    assert_false(c->default_reads);
    assert_string_equal(c->symbols_ca_file, "/etc/ca.pem");
    assert_int_equal(c->symbols.count, 2);
    assert_string_equal(c->symbols.text[1], "https://symbols.example/");
    assert_string_equal(c->events, "-");
    assert_true(c->http.port);
    assert_int_equal(c->http.port, 8650);
    assert_int_equal(c->read_deadline_ms, 500);
    assert_int_equal(c->lost_after_ms, 10000);
    assert_int_equal(c->dump_for_ms, 3600000);
    assert_true(c->prints);
    assert_int_equal(c->log_level, CONFIG_LOG_DEBUG);
    assert_int_equal(c->workers, 3);
    assert_string_equal(c->collector, "c-1.x_Y");
    assert_true(c->freebind);
}

static void a_target_has_the_policy_for_all_but_where_its_own_differs(void **state)
{
    struct fixture *f = *state;
    load_yaml(
        f, "policy: {shutdown: hold}\nhold_for: 5m\n"
           "targets:\n- {name: a, key: 1.1.1.1}\n- {name: b, key: 2.2.2.2, policy: {break: hold, hold_for: none}}\n");
    expect_no_mistake(f);
    const struct kdnetd_config *c = &f->config;
    const struct config_target *a = config_find_target(c, "a"), *b = config_find_target(c, "b");
    assert_int_equal(config_action_for(c, a, CONFIG_BREAK_BREAK), CONFIG_ACTION_CONTINUE);
    assert_int_equal(config_action_for(c, b, CONFIG_BREAK_BREAK), CONFIG_ACTION_HOLD);
    assert_int_equal(config_action_for(c, b, CONFIG_BREAK_SHUTDOWN), CONFIG_ACTION_HOLD);
    assert_int_equal(config_action_for(c, NULL, CONFIG_BREAK_SHUTDOWN), CONFIG_ACTION_HOLD);
    assert_true(config_hold_for(c, a) == 300000);
    assert_true(config_hold_for(c, b) == CONFIG_HOLD_FOR_EVER);
}

static void labels_are_read_and_equal_sets_are_one(void **state)
{
    struct fixture *f = *state;
    load_yaml(f, "targets:\n- {name: a, key: 1.1.1.1, labels: {rack: b4, ort: 'K\xc3\xb6ln: 1'}}\n"
                 "- name: b\n  key: 2.2.2.2\n  labels:\n    ort: \"K\xc3\xb6ln: 1\"\n    rack: b4\n"
                 "- {name: c, key: 3.3.3.3, labels: {}}\n- {name: d, key: 4.4.4.4, labels: ~}\n"
                 "- {name: e, key: 5.5.5.5, labels: {version: 10.0.20348.1, port: 7, name: x}}\n");
    expect_no_mistake(f);
    const struct config_labels *labels = f->config.targets[0].labels;
    const char *key = config_next_label(labels, NULL);
    assert_string_equal(key, "ort");
    assert_string_equal(key + 4, "K\xc3\xb6ln: 1");
    key = config_next_label(labels, key);
    assert_string_equal(key, "rack");
    assert_null(config_next_label(labels, key));
    assert_ptr_equal(labels, f->config.targets[1].labels);
    assert_null(f->config.targets[2].labels);
    assert_null(f->config.targets[3].labels);
    assert_false(config_same_target(&f->config.targets[0], &f->config.targets[2]));
    assert_string_equal(config_next_label(f->config.targets[4].labels, NULL), "name");
}

static void labels_and_collectors_are_checked(void **state)
{
    static const struct wrong_text texts[] = {
        {"targets: [{name: a, key: 1.1.1.1, labels: rack}]\n",
         "a.yaml:1:43: targets[0].labels: is a single value; write fields with their values (name: value)"},
        {"targets: [{name: a, key: 1.1.1.1, labels: [rack]}]\n",
         "a.yaml:1:43: targets[0].labels: is a list; write fields with their values (name: value)"},
        {"targets: [{name: a, key: 1.1.1.1, labels: {Rack: b}}]\n",
         "a.yaml:1:44: targets[0].labels: is no name of a label; write 1 to 32 of a-z 0-9 _, a letter first, as "
         "rack=b4"},
        {"targets: [{name: a, key: 1.1.1.1, labels: {rack: [b]}}]\n",
         "a.yaml:1:50: targets[0].labels.rack: is a list; write a single value"},
        {"targets: [{name: a, key: 1.1.1.1, labels: {rack: }}]\n",
         "a.yaml:1:50: targets[0].labels.rack: has no value; write one, or take the line out"},
        {"targets: [{name: a, key: 1.1.1.1, labels: {rack: \"a\\nb\"}}]\n",
         "a.yaml:1:50: targets[0].labels.rack: has a control character, or is no UTF-8; write 1 to 64 bytes of text"},
        {"targets: [{name: a, key: 1.1.1.1, labels: {rack: a, rack: b}}]\n",
         "a.yaml:1:59: targets[0].labels.rack: rack is there already; write each label once"},
        {"targets: [{name: a, key: 1.1.1.1}]\ncollector: a/b\n",
         "a.yaml:2:12: collector: \"a/b\" has a character that a name cannot have; write 1 to 64 of A-Z a-z 0-9 . _ -"},
        {"targets: [{name: a, key: 1.1.1.1}]\ncollector: ''\n",
         "a.yaml:2:12: collector: is empty; write 1 to 64 of A-Z a-z 0-9 . _ -"},
    };
    EXPECT_EACH(state, texts);
}

static void what_is_not_said_has_its_default(void **state)
{
    struct fixture *f = *state;
    load_yaml(f, "targets: [{name: a, key: 1.1.1.1}]\n");
    expect_no_mistake(f);
    const struct kdnetd_config *c = &f->config;
    assert_int_equal(c->listen_count, 2);
    assert_int_equal(c->listens[0].address.port, 50000);
    assert_int_equal(c->listens[1].address.port, 50000);
    assert_memory_not_equal(c->listens[0].address.ip, c->listens[1].address.ip, 16);
    for (int i = 0; i < CONFIG_BREAKS; ++i)
        assert_int_equal(c->policy.action[i],
                         i == CONFIG_BREAK_BUGCHECK_SECOND ? CONFIG_ACTION_HOLD : CONFIG_ACTION_CONTINUE);
    assert_int_equal(c->read_deadline_ms, 2000);
    assert_int_equal(c->lost_after_ms, 30000);
    assert_int_equal(c->dump_for_ms, 1800000);
    assert_true(config_hold_for(c, NULL) == CONFIG_HOLD_FOR_EVER);
    assert_false(c->prints || c->events);
    assert_int_equal(c->http.port, 9471);
    assert_false(config_is_set(c, CONFIG_SET_http));
    assert_int_equal(c->log_level, CONFIG_LOG_NOTICE);
    assert_int_equal(c->workers, 0);
    assert_false(c->freebind);
}

static void one_value_where_a_list_may_stand_is_a_list_of_one(void **state)
{
    struct fixture *f = *state;
    load_yaml(f, "listen: 0.0.0.0:7\nsymbols: cache\ntargets:\nrva: []\npolicy:\n");
    expect_no_mistake(f);
    assert_int_equal(f->config.listen_count, 1);
    assert_int_equal(f->config.symbols.count, 1);
}

static void values_with_quotes_colons_and_control_characters_arrive_as_they_are(void **state)
{
    struct fixture *f = *state;
    load_yaml(f, "symbols: [\"a:\\\"b\\\\\\tc\\u00e4\\x7f\", '12:13:x', \"\\e\\n#\"]\n");
    expect_no_mistake(f);
    assert_string_equal(f->config.symbols.text[0], "a:\"b\\\tc\xc3\xa4\x7f");
    assert_string_equal(f->config.symbols.text[1], "12:13:x");
    assert_string_equal(f->config.symbols.text[2], "\x1b\n#");
}

static void aliases_are_followed(void **state)
{
    struct fixture *f = *state;
    load_yaml(f, "targets:\n- {name: a, key: 1.1.1.1, policy: &calm {break: hold}}\n"
                 "- {name: b, key: 2.2.2.2, policy: *calm}\n");
    expect_no_mistake(f);
    assert_int_equal(f->config.targets[1].policy.action[CONFIG_BREAK_BREAK], CONFIG_ACTION_HOLD);
}

static void aliases_that_unfold_without_end_are_refused(void **state)
{
    struct fixture *f = *state;
    const size_t entries = 3000, length = 200000;
    char *text = malloc(length * 2), *at = text;
    at += sprintf(at, "symbols: [&a \"");
    memset(at, 'x', length);
    at += length;
    at += sprintf(at, "\"");
    for (size_t i = 0; i < entries; ++i)
        at += sprintf(at, ", *a");
    (void)sprintf(at, "]\n");
    load_yaml(f, text);
    free(text);
    expect_mistake(f, "a.yaml:1:11: unfolds to too much; use fewer aliases (*name)");
}

/* `text` `count` times. */
static char *repeat(const char *text, size_t count)
{
    size_t length = strlen(text);
    char *all = malloc(length * count + 1);
    for (size_t i = 0; i < count; ++i)
        memcpy(all + i * length, text, length);
    all[length * count] = '\0';
    return all;
}

/* Without the bound, each of these takes minutes. */
static void texts_that_keep_the_parser_busy_are_refused_at_once(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *part, *line;
        size_t count;
    } texts[] = {
        {"[", "a.yaml:1:33: is nested more than 32 deep", 2000000},
        {"{a: ", "a.yaml:1:129: is nested more than 32 deep", 500000},
        {"- ", "a.yaml:1:65: is nested more than 32 deep", 1000000},
        {"? ", "a.yaml:1:65: is nested more than 32 deep", 1000000},
        {"%TAG !a! x\n", "a.yaml:17:1: is one %TAG too many", 1000000},
        {"---\n", "a.yaml:17:1: is one document more than can be", 1000000},
        {"- &a 1\n", "a.yaml:257:3: is one anchor (&name) more than the 256 that a file may have", 1000000},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; ++i) {
        char *text = repeat(texts[i].part, texts[i].count);
        load_yaml(f, text);
        free(text);
        assert_int_equal(f->report.count, 1);
        assert_memory_equal(config_report_line(&f->report, 0), texts[i].line, strlen(texts[i].line));
    }
}

static void aliases_of_aliases_are_refused(void **state)
{
    struct fixture *f = *state;
    char text[4096], *at = text;
    at += sprintf(at, "symbols: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 9; ++i)
        at += sprintf(at, "x%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1,
                      i - 1, i - 1, i - 1, i - 1, i - 1);
    load_yaml(f, text);
    assert_int_equal(f->report.count, 8); /* fields that are not there: nothing of them is unfolded */
}

static void the_deepest_text_that_is_right_is_read(void **state)
{
    struct fixture *f = *state;
    load_yaml(f, "targets: [{name: a, key: 1.1.1.1, policy: {break: hold}}]\n");
    expect_no_mistake(f);
}

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

static void what_a_target_lacks_is_named_at_its_entry(void **state)
{
    static const struct wrong_text texts[] = {
        {"targets:\n- name: a\n", "a.yaml:2:3: targets[0]: has no key; add one"},
        {"targets:\n- key: 1.2.3.4\n", "a.yaml:2:3: targets[0]: has no name; add one"},
        {"rva:\n- {guidage: 3844DBB920174967BE7AA4A2C20430FA2, symbol: a}\n",
         "a.yaml:2:3: rva[0]: has no rva; add one"},
        {"rva:\n- {guidage: 3844DBB920174967BE7AA4A2C20430FA2, rva: 1}\n",
         "a.yaml:2:3: rva[0]: has no symbol; add one"},
        {"rva:\n- {symbol: a, rva: 1}\n", "a.yaml:2:3: rva[0]: has no guidage; add one"},
    };
    EXPECT_EACH(state, texts);
}

static void unknown_fields_are_named_with_what_was_probably_meant(void **state)
{
    static const struct wrong_text texts[] = {
        {"listens: []\n", "a.yaml:1:1: listens: unknown field; did you mean listen?"},
        {"targets: [{name: a, key: 1.1.1.1, adress: x}]\n",
         "a.yaml:1:35: targets[0].adress: unknown field; did you mean address?"},
        {"policy: {bugcheck_frist: hold}\n",
         "a.yaml:1:10: policy.bugcheck_frist: unknown field; did you mean bugcheck_first?"},
        {"colour: red\n",
         "a.yaml:1:1: colour: unknown field; take it out, or see the example configuration for all fields"},
        {"'@': red\n", "a.yaml:1:1: @: unknown field; take it out, or see the example configuration for all fields"},
    };
    EXPECT_EACH(state, texts);
}

static void values_of_the_wrong_shape_are_named(void **state)
{
    static const struct wrong_text texts[] = {
        {"- a\n", "a.yaml:1:1: is a list; write fields with their values (name: value)"},
        {"hello\n", "a.yaml:1:1: is a single value; write fields with their values (name: value)"},
        {"targets: many\n", "a.yaml:1:10: targets: is a single value; write a list, each entry after a dash"},
        {"targets: {a: 1.1.1.1}\n",
         "a.yaml:1:10: targets: is a group of fields; write a list, each entry after a dash"},
        {"targets: [a]\n", "a.yaml:1:11: targets[0]: is a single value; write fields with their values (name: value)"},
        {"listen: [[a]]\n", "a.yaml:1:10: listen[0]: is a list; write a single value"},
        {"listen: {a: b}\n", "a.yaml:1:9: listen: is a group of fields; write a single value"},
        {"events: [a]\n", "a.yaml:1:9: events: is a list; write a single value"},
        {"policy: [a]\n", "a.yaml:1:9: policy: is a list; write fields with their values (name: value)"},
        {"policy: hold\n", "a.yaml:1:9: policy: is a single value; write fields with their values (name: value)"},
        {"events:\nprints: true\n", "a.yaml:1:8: events: has no value; write one, or take the line out"},
        {"symbols: [~]\n", "a.yaml:1:11: symbols[0]: has no value; write one, or take the line out"},
        {"events: \"a\\0b\"\n", "a.yaml:1:9: events: has a NUL character in it; take it out"},
        {"? [a]\n: b\n", "a.yaml:1:3: has a list for a field's name; write name: value"},
        {"prints: true\nprints: false\n", "a.yaml:2:1: prints: is in line 1 already; write it once"},
        {"events: ''\n", "a.yaml:1:9: events: is empty; write a file's path, or - for standard output"},
        {"symbols: ''\n", "a.yaml:1:10: symbols: is empty; write a folder or the address of a symbol server"},
        {"include: ''\n", "a.yaml:1:10: include: is empty; write a file's path"},
        {"targets_file: ''\n", "a.yaml:1:15: targets_file: is empty; write a file's path"},
    };
    EXPECT_EACH(state, texts);
}

static void addresses_and_ports_are_checked(void **state)
{
    static const struct wrong_text texts[] = {
        {"listen: ['0.0.0.0']\n",
         "a.yaml:1:10: listen[0]: \"0.0.0.0\" has no port; write ADDRESS:PORT, an IPv6 address in brackets"},
        {"listen: ['::1']\n",
         "a.yaml:1:10: listen[0]: \"::1\" has no port; write ADDRESS:PORT, an IPv6 address in brackets"},
        {"listen: ['1.2.3.4:0']\n", "a.yaml:1:10: listen[0]: port 0 is out of range; write one from 1 to 65535"},
        {"listen: ['1.2.3.4:65536']\n",
         "a.yaml:1:10: listen[0]: port 65536 is out of range; write one from 1 to 65535"},
        {"listen: ['1.2.3.4:kd']\n", "a.yaml:1:10: listen[0]: port \"kd\" is not a number; write one from 1 to 65535"},
        {"http: localhost:80\n",
         "a.yaml:1:7: http: \"localhost\" is not an IP address and host names are not looked up; "
         "write the IP address"},
        {"targets: [{name: a, key: 1.1.1.1, address: web.example}]\n",
         "a.yaml:1:44: targets[0].address: \"web.example\" is not an IP address and host names are not looked up; "
         "write the IP address"},
        {"targets: [{name: a, key: 1.1.1.1, address: 0.0.0.0}]\n",
         "a.yaml:1:44: targets[0].address: \"0.0.0.0\" is no machine's address; leave it out and it is learnt from the "
         "machine"},
        {"targets: [{name: a, key: 1.1.1.1, port: many}]\n",
         "a.yaml:1:41: targets[0].port: port \"many\" is not a number; write one from 1 to 65535"},
        {"targets: [{name: a, key: 1.1.1.1, port: 50001}]\n",
         "a.yaml:1:18: port: a belongs to port 50001, on which nothing listens; add it to listen, or take it out"},
        {"listen: ['1.2.3.4:5', '1.2.3.4:5']\n",
         "a.yaml:1:23: listen: is listened on through a.yaml:1:10 already; write it once"},
    };
    EXPECT_EACH(state, texts);
}

static void words_and_durations_are_checked(void **state)
{
    static const struct wrong_text texts[] = {
        {"prints: maybe\n", "a.yaml:1:9: prints: \"maybe\" is neither; write true or false"},
        {"log_level: loud\n",
         "a.yaml:1:12: log_level: \"loud\" is not a log level; write one of error, warning, notice, "
         "info, debug"},
        {"policy: {break: hol}\n", "a.yaml:1:17: policy.break: \"hol\" is not an action; write one of "
                                   "continue, hold, reboot; did you mean hold?"},
        {"policy: {prompt: reboot}\n", "a.yaml:1:18: policy.prompt: a machine that asks cannot be told to reboot "
                                       "before it is answered; write continue "
                                       "or hold"},
        {"read_deadline: 99ms\n", "a.yaml:1:16: read_deadline: 99ms is out of range; write 100ms to 60s"},
        {"read_deadline: 61\n", "a.yaml:1:16: read_deadline: 61 is out of range; write 100ms to 60s"},
        {"lost_after: 3s\n", "a.yaml:1:13: lost_after: 3s is out of range; write 4s to 24h"},
        {"dump_for: 59s\n", "a.yaml:1:11: dump_for: 59s is out of range; write 1m to 24h"},
        {"hold_for: 8d\n", "a.yaml:1:11: hold_for: 8d is out of range; write 1s to 7d"},
        {"policy: {hold_for: 0}\n", "a.yaml:1:20: policy.hold_for: 0 is out of range; write 1s to 7d"},
        {"workers: 0\n",
         "a.yaml:1:10: workers: 0 is out of range; write one from 1 to 64, or leave it out: one for each "
         "core"},
        {"workers: 65\n", "a.yaml:1:10: workers: 65 is out of range; write one from 1 to 64, or leave it out: one for "
                          "each core"},
        {"workers: all\n",
         "a.yaml:1:10: workers: \"all\" is not a number; write one from 1 to 64, or leave it out: one "
         "for each core"},
        {"lost_after: soon\n",
         "a.yaml:1:13: lost_after: \"soon\" is not a duration; write a number and ms, s, m, h or d, as 4s"},
        {"hold_for: 1h\npolicy: {hold_for: 2h}\n",
         "a.yaml:2:20: policy.hold_for: is set at a.yaml:1:11 already; set it in one place"},
    };
    EXPECT_EACH(state, texts);
}

static void reads_are_checked(void **state)
{
    static const struct wrong_text texts[] = {
        {"reads:\n- {at: nt!A}\n", "a.yaml:2:3: reads[0]: has no name; add one"},
        {"reads:\n- {name: a}\n", "a.yaml:2:3: reads[0]: has no at; add one"},
        {"reads: [{name: a, at: A}]\n",
         "a.yaml:1:23: reads[0].at: \"A\" has no module; write MODULE!SYMBOL, as nt!IopAutoReboot"},
        {"reads: [{name: a, at: nt!A, as: 3}]\n",
         "a.yaml:1:33: reads[0].as: \"3\" is nothing that can be read; write one of 1, 2, 4, 8, pointer, string, "
         "unicode"},
        {"reads: [{name: a, at: nt!A, when: now}]\n",
         "a.yaml:1:35: reads[0].when: \"now\" is no time to read; write crash or always"},
        {"reads: [{name: a, at: nt!A, once: maybe}]\n",
         "a.yaml:1:35: reads[0].once: \"maybe\" is neither; write true or false"},
        {"reads:\n- {name: a, at: nt!A}\n- {name: a, at: nt!B}\n",
         "a.yaml:3:3: reads: a is the name of the read at a.yaml:2:3 already; give each its own"},
        {"default_reads: none\n", "a.yaml:1:16: default_reads: \"none\" is neither; write true or false"},
        {"symbols_ca_file: ''\n",
         "a.yaml:1:18: symbols_ca_file: is empty; write the path of a file with certificates, PEM"},
    };
    EXPECT_EACH(state, texts);
}

static void sinks_are_read(void **state)
{
    struct fixture *f = *state;
    load_yaml(f,
              "sinks:\n- {name: soc, type: http, format: loki, url: 'https://x/', gzip: true, batch: 7, events: [lost, "
              "crash_status], verdict: failed, label: [rack=b4]}\n"
              "- {name: log, type: syslog, address: 'host:6514', transport: tls, facility: local0}\n"
              "- {name: sd, type: journal}\n");
    expect_no_mistake(f);
    const struct config_sink *sinks = f->config.sinks;
    assert_int_equal(f->config.sink_count, 3);
    assert_int_equal(sinks[0].format, CONFIG_FORMAT_LOKI);
    assert_string_equal(sinks[0].url, "https://x/");
    assert_true(sinks[0].gzip && sinks[0].batch == 7);
    assert_int_equal(sinks[0].events.count, 2);
    assert_string_equal(sinks[0].verdicts.text[0], "failed");
    assert_int_equal(sinks[1].transport, CONFIG_TRANSPORT_TLS);
    assert_int_equal(sinks[1].facility, 16);
    assert_int_equal(sinks[2].batch, 500);
    struct config_sink copy;
    assert_true(config_copy_sink(&sinks[0], &copy));
    assert_true(config_same_sink(&sinks[0], &copy));
    assert_false(config_same_sink(&sinks[1], &copy));
    config_clear_sink(&copy);
}

static void sinks_are_checked(void **state)
{
    static const struct wrong_text texts[] = {
        {"sinks: [{name: a}]\n", "a.yaml:1:9: sinks[0]: has no type; add one"},
        {"sinks: [{name: a, type: mail}]\n",
         "a.yaml:1:25: sinks[0].type: \"mail\" is not a type of sink; write one of http, syslog, journal, kafka"},
        {"sinks: [{name: a, type: http}]\n",
         "a.yaml:1:16: sinks[0].url: is missing, and http needs one; write an address with https:// or http://"},
        {"sinks: [{name: a, type: http, url: 'ftp://x'}]\n",
         "a.yaml:1:36: sinks[0].url: is no address; write one with https:// or http://"},
        {"sinks: [{name: a, type: syslog, address: '::1'}]\n",
         "a.yaml:1:42: sinks[0].address: is no address; write HOST:PORT, an IPv6 address in brackets"},
        {"sinks: [{name: a, type: kafka}]\n",
         "a.yaml:1:16: sinks[0].address: is missing, and kafka needs one; write HOST:PORT[,HOST:PORT]..."},
        {"sinks: [{name: a, type: kafka, address: 'k1:9092,,k2:9092'}]\n",
         "a.yaml:1:41: sinks[0].address: is no list of addresses; write HOST:PORT[,HOST:PORT]..."},
        {"sinks: [{name: a, type: kafka, address: 'k1:9092,k2:9092', transport: udp}]\n",
         "a.yaml:1:71: sinks[0].transport: is udp, by which kafka is not reached; write tcp or tls"},
        {"sinks: [{name: a, type: journal, verdict: [fialed]}]\n",
         "a.yaml:1:44: sinks[0].verdict[0]: \"fialed\" is not a verdict; write one of written, failed, not_started, "
         "unknown; did you mean failed?"},
        {"sinks: [{name: a, type: journal, label: [rack]}]\n",
         "a.yaml:1:41: sinks[0].label: \"rack\" is not LABEL=VALUE; write as rack=b4"},
        {"sinks: [{name: a, type: journal}, {name: a, type: journal}]\n",
         "a.yaml:1:42: sinks: a is the name of the sink at a.yaml:1:16 already; give each its own"},
    };
    EXPECT_EACH(state, texts);
}

static void too_many_reads_and_images_are_mistakes(void **state)
{
    struct fixture *f = *state;
    char text[4096] = "reads:\n";
    for (int i = 0; i < 20; ++i)
        (void)snprintf(text + strlen(text), sizeof text - strlen(text), "- {name: r%d, at: m%d!A}\n", i, i % 7);
    load_yaml(f, text);
    expect_no_mistake(f);
    (void)snprintf(text + strlen(text), sizeof text - strlen(text), "- {name: last, at: m1!A}\n");
    load_yaml(f, text);
    expect_mistake(f, "a.yaml:22:3: reads: has more than 20 entries, and each may cost a round trip while a machine "
                      "stands still; leave out the least telling");
    load_yaml(f, "reads: [{name: a, at: a!A}, {name: b, at: b!A}, {name: c, at: c!A}, {name: d, at: d!A},\n"
                 "{name: e, at: e!A}, {name: f, at: f!A}, {name: g, at: g!A}, {name: h, at: h!A}]\n");
    expect_mistake(f, "a.yaml:2:61: reads: h is of one image more than the 7 that are looked for; take it out");
}

static void rvas_are_checked(void **state)
{
    static const struct wrong_text texts[] = {
        {"rva: [{guidage: 3844DBB9, symbol: a, rva: 1}]\n",
         "a.yaml:1:17: rva[0].guidage: \"3844DBB9\" has 8 characters; write the GUID's 32 hex digits without dashes, "
         "then 1 "
         "to 8 of age"},
        {"rva: [{guidage: 3844DBB920174967BE7AA4A2C20430FAx, symbol: a, rva: 1}]\n",
         "a.yaml:1:17: rva[0].guidage: \"3844DBB920174967BE7AA4A2C20430FAx\" has a character that is no hex digit; "
         "write 32 "
         "of GUID, then 1 to 8 of age"},
        {"rva: [{guidage: 3844DBB920174967BE7AA4A2C20430FA2, symbol: 'a b', rva: 1}]\n",
         "a.yaml:1:60: rva[0].symbol: \"a b\" is no symbol of the kernel; write one, as IopFinalCrashDumpStatus"},
        {"rva: [{guidage: 3844DBB920174967BE7AA4A2C20430FA2, symbol: a, rva: 0x100000000}]\n",
         "a.yaml:1:68: rva[0].rva: \"0x100000000\" is no RVA; write the distance from the kernel's base, as 0xC35DE0, "
         "below 2^32"},
        {"rva:\n- {guidage: 3844DBB920174967BE7AA4A2C20430FA2, symbol: nt!a, rva: 1}\n"
         "- {guidage: 3844dbb920174967be7aa4a2c20430fa02, symbol: a, rva: 2}\n",
         "a.yaml:3:3: rva: a of 3844DBB920174967BE7AA4A2C20430FA2 is 0x2 here and 0x1 at a.yaml:2:3; keep the right "
         "one"},
    };
    EXPECT_EACH(state, texts);
}

static void what_is_not_yaml_is_named_with_its_place(void **state)
{
    static const struct wrong_text texts[] = {
        {"prints: true\n\tevents: a\n",
         "a.yaml:2:1: is not YAML: found a tab character that violates indentation while scanning a plain scalar; "
         "indent with spaces, not tabs"},
        {"listen: [a\n",
         "a.yaml:2:1: is not YAML: did not find expected ',' or ']' while parsing a flow sequence; check the "
         "indentation, dashes, colons and quotes here and in the line above"},
        {"events: *nowhere\n",
         "a.yaml:1:9: is not YAML: found undefined alias; define each anchor (&name) once, before "
         "its alias (*name)"},
        {"events: a\xff\n", "a.yaml:1:10: is not UTF-8 text: invalid leading UTF-8 octet; save it as UTF-8"},
        {"prints: true\n---\nprints: true\n", "a.yaml:3:1: a second document starts here; take the line --- out"},
        {"", "a.yaml: is empty; write at least one target, as in the example configuration"},
        {"# nothing\n", "a.yaml: is empty; write at least one target, as in the example configuration"},
    };
    EXPECT_EACH(state, texts);
}

static void all_mistakes_are_reported_in_the_order_of_the_text(void **state)
{
    struct fixture *f = *state;
    load_yaml(f, "listenn: []\n"
                 "targets:\n"
                 "- {name: a, key: 1.1.1.1}\n"
                 "- {name: a, key: 2.2.2.2}\n"
                 "- {name: 'b c', key: 3.3.3, port: 0}\n"
                 "- oops\n"
                 "prints: 1\n");
    static const char *const places[] = {"a.yaml:1:1: ",  "a.yaml:4:10: ", "a.yaml:5:10: ", "a.yaml:5:22: ",
                                         "a.yaml:5:35: ", "a.yaml:6:3: ",  "a.yaml:7:9: "};
    assert_int_equal(f->report.count, 7);
    for (size_t i = 0; i < 7; ++i)
        assert_memory_equal(config_report_line(&f->report, i), places[i], strlen(places[i]));
}

static void after_a_hundred_mistakes_the_rest_is_counted(void **state)
{
    struct fixture *f = *state;
    char text[4096] = "symbols: [''", printed[256] = "";
    for (int i = 1; i < 250; ++i)
        (void)strcat(text, ", ''");
    (void)strcat(text, "]\n");
    load_yaml(f, text);
    assert_int_equal(config_report_count(&f->report), 250);
    assert_non_null(config_report_line(&f->report, 99));
    assert_null(config_report_line(&f->report, 100));
    FILE *out = tmpfile();
    config_report_print(&f->report, out);
    (void)fseek(out, -13, SEEK_END);
    size_t length = fread(printed, 1, sizeof printed - 1, out);
    (void)fclose(out);
    printed[length] = '\0';
    assert_string_equal(printed, "and 150 more\n");
}

static void no_value_can_write_to_the_terminal_through_a_message(void **state)
{
    struct fixture *f = *state;
    load_yaml(f, "prints: \"\\e[2J\\n\"\n");
    expect_mistake(f, "a.yaml:1:9: prints: \"?[2J?\" is neither; write true or false");
}

static void a_text_over_its_limit_is_refused(void **state)
{
    struct fixture *f = *state;
    char *text = calloc(1, CONFIG_YAML_LIMIT + 1);
    assert_false(config_load_text(text, CONFIG_YAML_LIMIT + 1, "a.yaml", &f->config, &f->report));
    free(text);
    expect_mistake(f, "a.yaml: is larger than 16 MiB; divide it into several files");
}

static void every_beginning_of_a_good_text_is_read_or_refused(void **state)
{
    struct fixture *f = *state;
    static const char text[] =
        "listen: [\"0.0.0.0:50000\"]\ntargets:\n  - {name: a, key: 1.2.3.4, policy: &p {break: hold}}\n"
        "  - {name: b, key: 2.2.3.4, policy: *p}\nrva:\n- guidage: 3844DBB920174967BE7AA4A2C20430FA2\n"
        "  symbol: a\n  rva: 0x1\npolicy:\n  break: hold\n";
    for (size_t length = 0; length < sizeof text; ++length) {
        /* On the heap, at its exact length: the sanitizer sees a byte read too far. */
        char *copy = malloc(length > 0 ? length : 1);
        memcpy(copy, text, length);
        start_again(f);
        bool good = config_load_text(copy, length, "a.yaml", &f->config, &f->report);
        assert_int_equal(good, f->report.count == 0);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everything_is_read),
        TEST(a_target_has_the_policy_for_all_but_where_its_own_differs),
        TEST(labels_are_read_and_equal_sets_are_one),
        TEST(labels_and_collectors_are_checked),
        TEST(what_is_not_said_has_its_default),
        TEST(one_value_where_a_list_may_stand_is_a_list_of_one),
        TEST(values_with_quotes_colons_and_control_characters_arrive_as_they_are),
        TEST(aliases_are_followed),
        TEST(aliases_that_unfold_without_end_are_refused),
        TEST(texts_that_keep_the_parser_busy_are_refused_at_once),
        TEST(aliases_of_aliases_are_refused),
        TEST(the_deepest_text_that_is_right_is_read),
        TEST(keys_are_read_however_they_are_written),
        TEST(old_keys_and_strict_addresses_are_read),
        TEST(libraries_see_no_key),
        TEST(bad_keys_are_named_with_their_part_and_never_shown),
        TEST(what_a_target_lacks_is_named_at_its_entry),
        TEST(unknown_fields_are_named_with_what_was_probably_meant),
        TEST(values_of_the_wrong_shape_are_named),
        TEST(addresses_and_ports_are_checked),
        TEST(words_and_durations_are_checked),
        TEST(reads_are_checked),
        TEST(sinks_are_read),
        TEST(sinks_are_checked),
        TEST(too_many_reads_and_images_are_mistakes),
        TEST(rvas_are_checked),
        TEST(what_is_not_yaml_is_named_with_its_place),
        TEST(all_mistakes_are_reported_in_the_order_of_the_text),
        TEST(after_a_hundred_mistakes_the_rest_is_counted),
        TEST(no_value_can_write_to_the_terminal_through_a_message),
        TEST(a_text_over_its_limit_is_refused),
        TEST(every_beginning_of_a_good_text_is_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
