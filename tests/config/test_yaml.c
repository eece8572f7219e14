/* SPDX-License-Identifier: Apache-2.0 */
/* Text as YAML: all of it is read, what is wrong is named with its place, and no text keeps the parser busy. */
#include "setup.h"
#include "tests/config/mistakes.h"

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
        {"prints: true\n---\nevents: [a\n",
         "a.yaml:4:1: is not YAML: did not find expected ',' or ']' while parsing a flow sequence; check the "
         "indentation, dashes, colons and quotes here and in the line above"},
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
        TEST(what_is_not_said_has_its_default),
        TEST(one_value_where_a_list_may_stand_is_a_list_of_one),
        TEST(values_with_quotes_colons_and_control_characters_arrive_as_they_are),
        TEST(aliases_are_followed),
        TEST(aliases_that_unfold_without_end_are_refused),
        TEST(texts_that_keep_the_parser_busy_are_refused_at_once),
        TEST(aliases_of_aliases_are_refused),
        TEST(the_deepest_text_that_is_right_is_read),
        TEST(what_a_target_lacks_is_named_at_its_entry),
        TEST(unknown_fields_are_named_with_what_was_probably_meant),
        TEST(what_is_not_yaml_is_named_with_its_place),
        TEST(all_mistakes_are_reported_in_the_order_of_the_text),
        TEST(after_a_hundred_mistakes_the_rest_is_counted),
        TEST(no_value_can_write_to_the_terminal_through_a_message),
        TEST(a_text_over_its_limit_is_refused),
        TEST(every_beginning_of_a_good_text_is_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
