/* SPDX-License-Identifier: Apache-2.0 */
#include "setup.h"

static void one_key_on_two_ports_is_two_machines(void **state)
{
    load_yaml(*state, "listen: ['0.0.0.0:1', '0.0.0.0:2', '[::]:2']\n"
                      "targets: [{name: a, key: 1.1.1.1, port: 1}, {name: b, key: 1.1.1.1, port: 2}]\n");
    expect_no_mistake(*state);
}

static void one_key_on_one_port_and_on_all_ports_clashes(void **state)
{
    static const char *const texts[] = {
        "listen: '0.0.0.0:1'\ntargets: [{name: a, key: 1.1.1.1, port: 1}, {name: b, key: 1.1.1.1}]\n",
        "listen: '0.0.0.0:1'\ntargets: [{name: a, key: 1.1.1.1}, {name: b, key: 1.1.1.1, port: 1}]\n",
        "listen: '0.0.0.0:1'\ntargets: [{name: a, key: 1.1.1.1, port: 1}, {name: b, key: 1.1.1.1, port: 1}]\n",
    };
    static const int columns[] = {52, 43, 52};
    for (size_t i = 0; i < 3; ++i) {
        char line[256];
        load_yaml(*state, texts[i]);
        (void)snprintf(
            line, sizeof line,
            "a.yaml:2:%d: key: b has the key of a (a.yaml:2:18) on the same port, and two machines with one key "
            "cannot be told apart; make a new one: kdnetctl keygen b",
            columns[i]);
        expect_mistake(*state, line);
    }
}

static void the_third_machine_of_a_key_clashes_with_the_one_of_its_port(void **state)
{
    load_yaml(*state, "listen: ['0.0.0.0:1', '0.0.0.0:2']\ntargets:\n- {name: a, key: 1.1.1.1, port: 1}\n"
                      "- {name: b, key: 1.1.1.1, port: 2}\n- {name: c, key: 1.1.1.1, port: 2}\n");
    expect_mistake(*state,
                   "a.yaml:5:10: key: c has the key of b (a.yaml:4:10) on the same port, and two machines with one "
                   "key cannot be told apart; make a new one: kdnetctl keygen c");
}

static void names_that_differ_in_case_are_two(void **state)
{
    load_yaml(*state, "targets: [{name: a, key: 1.1.1.1}, {name: A, key: 2.1.1.1}]\n");
    expect_no_mistake(*state);
}

static void one_rva_told_twice_alike_is_no_mistake(void **state)
{
    load_yaml(*state, "rva:\n- {guidage: 3844DBB920174967BE7AA4A2C20430FA2, symbol: nt!a, rva: 0x10}\n"
                      "- {guidage: 3844DBB920174967BE7AA4A2C20430FA2, symbol: a, rva: 16}\n");
    expect_no_mistake(*state);
}

static void a_reload_sees_what_changed_in_a_target(void **state)
{
    struct fixture *f = *state;
    load_yaml(
        f, "targets:\n- {name: a, key: 1.1.1.1}\n- {name: b, key: 2.1.1.1}\n- {name: c, key: 3.1.1.1, address: '::1'}\n"
           "- {name: d, key: 4.1.1.1, policy: {break: hold}}\n");
    struct config_target old[4];
    static const char *const names[] = {"a", "b", "c", "d"};
    for (size_t i = 0; i < 4; ++i)
        old[i] = *config_find_target(&f->config, names[i]);
    load_yaml(
        f, "targets:\n- {name: d, key: 4.1.1.1, policy: {break: reboot}}\n- {name: c, key: 3.1.1.1, address: '::2'}\n"
           "- {name: b, key: 2.1.1.2}\n- {name: a, key: 1.1.1.1}\n");
    for (size_t i = 0; i < 4; ++i)
        assert_int_equal(config_same_target(&old[i], config_find_target(&f->config, names[i])), i == 0);
}

static void clear_makes_the_struct_as_new(void **state)
{
    struct fixture *f = *state;
    load_yaml(f, "events: x\nprints: true\ntargets: [{name: a, key: 1.1.1.1}]\n");
    config_clear(&f->config);
    struct kdnetd_config fresh;
    config_init(&fresh);
    assert_null(f->config.targets);
    assert_null(f->config.events);
    assert_int_equal(f->config.prints, fresh.prints);
    assert_int_equal(f->config.source_count, 0);
    assert_null(config_find_target(&f->config, "a"));
}

static void expect_advice(struct fixture *f, const char *text, size_t count, const char *first)
{
    load_yaml(f, text);
    expect_no_mistake(f);
    config_advise(&f->config, &f->report);
    assert_int_equal(f->report.count, count);
    if (first)
        assert_non_null(strstr(config_report_line(&f->report, 0), first));
}

static void policies_that_cannot_work_are_told_and_are_no_mistake(void **state)
{
    struct fixture *f = *state;
    expect_advice(f, "policy: {bugcheck_first: hold}\n", 1, "a.yaml:1:");
    expect_advice(f, "policy: {bugcheck_first: hold}\n", 1, "no dump is written");
    expect_advice(f, "policy: {bugcheck_first: reboot}\n", 1, "no dump is ever written");
    expect_advice(f, "policy: {bugcheck_second: continue}\n", 1, "break in again at once");
    expect_advice(f, "policy: {load_symbols: reboot}\n", 1, "never boots");
    expect_advice(f, "policy: {load_symbols: hold, shutdown: hold}\n", 2, NULL);
    expect_advice(f, "hold_for: 10s\npolicy: {bugcheck_first: hold, shutdown: hold}\n", 0, NULL);
    expect_advice(f, "policy: {break: hold, exception: reboot, prompt: hold}\n", 0, NULL);
    expect_advice(f,
                  "targets:\n- {name: a, key: 1m770ts6ru0p.3671pemyie4i.2b8djy3wt5et.1p99ir125v4q, policy: "
                  "{bugcheck_first: hold}}\n",
                  1, "a.yaml:2:");
}

static void keys_that_can_be_guessed_are_told_once(void **state)
{
    struct fixture *f = *state;
    expect_advice(f,
                  "targets:\n- {name: a, key: 1m770ts6ru0p.3671pemyie4i.2b8djy3wt5et.1p99ir125v4q}\n- {name: b, key: "
                  "8.8.8.8}\n- {name: c, key: 1.2.3.4}\n",
                  1, "a.yaml:3:");
    expect_advice(f, "targets:\n- {name: a, key: 1.2.3.4}\n", 1, "1 of 1");
}

static void http_that_stays_closed_or_is_too_open_is_told(void **state)
{
    struct fixture *f = *state;
    expect_advice(f, "http: 0.0.0.0:9471\n", 2, "a.yaml:1:");
    expect_advice(f, "http: 0.0.0.0:9471\n", 2, "there is no certificate");
    expect_advice(f, "http: 192.0.2.1:9471\nhttp_tls_cert: /a\nhttp_tls_key: /b\n", 1, "set http_tokens");
    expect_advice(f, "http: '[2001:db8::1]:9471'\nhttp_tls_cert: /a\nhttp_tls_key: /b\nhttp_tokens: /c\n", 0, NULL);
    expect_advice(f, "http: 0.0.0.0:1\nhttp_tls_cert: /a\nhttp_tls_key: /b\nhttp_read: open\n", 1, "kernel addresses");
    expect_advice(f, "http_tls_cert: /a\n", 1, "set http_tls_key");
    expect_advice(f, "http_tls_key: /a\n", 1, "set http_tls_cert");
    expect_advice(f, "http_client_ca: /a\n", 1, "http_tls_cert");
    expect_advice(f, "http_read: token\n", 1, "a.yaml:1:");
    expect_advice(f, "http: 127.0.0.1:9471\nhttp_read: open\n", 0, NULL);
    expect_advice(f, "http: none\nhttp_read: token\n", 0, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_key_on_two_ports_is_two_machines),
        TEST(one_key_on_one_port_and_on_all_ports_clashes),
        TEST(the_third_machine_of_a_key_clashes_with_the_one_of_its_port),
        TEST(names_that_differ_in_case_are_two),
        TEST(one_rva_told_twice_alike_is_no_mistake),
        TEST(a_reload_sees_what_changed_in_a_target),
        TEST(clear_makes_the_struct_as_new),
        TEST(policies_that_cannot_work_are_told_and_are_no_mistake),
        TEST(keys_that_can_be_guessed_are_told_once),
        TEST(http_that_stays_closed_or_is_too_open_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
