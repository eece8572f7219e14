/* SPDX-License-Identifier: Apache-2.0 */
#include "setup.h"

static void add(struct fixture *f, const char *option, const char *text)
{
    char error[CONFIG_ERROR_SIZE] = "";
    if (!config_add(&f->config, option, text, error))
        fail_msg("--%s %s: %s", option, text, error);
}

static void options_say_what_a_file_says(void **state)
{
    struct fixture *f = *state;
    add(f, "listen", "127.0.0.1:7");
    add(f, "listen", "[::1]:8");
    add(f, "target", "web-1=8.8.8.8");
    add(f, "target", "web-2=1.2.3.4@192.0.2.7");
    add(f, "target", "web-3=1.2.3.5@[2001:db8::7]:51111");
    add(f, "symbols", "cache");
    add(f, "rva", "3844DBB920174967BE7AA4A2C20430FA2:nt!IopFinalCrashDumpStatus=0xC35DE0");
    add(f, "read", "plain=nt!IopAutoReboot");
    add(f, "read", "blamed=nt!KiBugCheckDriver*:unicode");
    add(f, "read", "deep=crashdmp!Context+0x10*+8*+0x20:8");
    add(f, "read", "starred=**nt!A+4:pointer");
    add(f, "events", "-");
    add(f, "http", "[::1]:8650");
    add(f, "policy", "bugcheck_second=reboot");
    assert_true(config_check(&f->config, &f->report));
    const struct kdnetd_config *c = &f->config;
    uint32_t rva = 0;
    assert_int_equal(c->listen_count, 2);
    assert_int_equal(c->target_count, 3);
    assert_false(c->targets[0].has_address);
    assert_int_equal(c->targets[1].address.ip[15], 7);
    assert_int_equal(c->targets[2].address.port, 51111);
    assert_string_equal(c->symbols.text[0], "cache");
    assert_true(config_find_rva(c, "3844dbb920174967be7aa4a2c20430fa2", "IopFinalCrashDumpStatus", &rva));
    assert_int_equal(rva, 0xC35DE0);
    assert_false(config_find_rva(c, "3844dbb920174967be7aa4a2c20430fa2", "KiBugCheckData", &rva));
    assert_false(config_find_rva(c, "3844dbb920174967be7aa4a2c20430fa3", "IopFinalCrashDumpStatus", &rva));
    assert_int_equal(c->read_count, 4);
    assert_string_equal(c->reads[0].read.symbol, "IopAutoReboot");
    assert_int_equal(c->reads[0].read.kind, KDNET_READ_U32);
    assert_int_equal(c->reads[1].read.steps, 1);
    assert_int_equal(c->reads[1].read.kind, KDNET_READ_UNICODE);
    assert_string_equal(c->reads[2].read.module, "crashdmp");
    assert_int_equal(c->reads[2].read.steps, 2);
    assert_int_equal(c->reads[2].read.offset[0], 0x10);
    assert_int_equal(c->reads[2].read.offset[1], 8);
    assert_int_equal(c->reads[2].read.offset[2], 0x20);
    assert_int_equal(c->reads[3].read.steps, 2);
    assert_int_equal(c->reads[3].read.offset[0], 4);
    assert_int_equal(c->reads[3].read.offset[2], 0);
    assert_string_equal(c->events, "-");
    assert_int_equal(c->http.port, 8650);
    assert_int_equal(config_action_for(c, NULL, CONFIG_BREAK_BUGCHECK_SECOND), CONFIG_ACTION_REBOOT);
}

static void wrong_options_change_nothing_and_say_why(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *option, *text, *error;
    } wrong[] = {
        {"listen", "50000", "\"50000\" is not an IP address and host names are not looked up; write the IP address"},
        {"listen", "[::1:5", "\"[::1:5\" has no address between brackets; write [ADDRESS]:PORT"},
        {"listen", "[fe80::1%eth0]:5",
         "\"[fe80::1%eth0]:5\" has a zone (%…), which cannot be used; write an address "
         "without one"},
        {"listen", "", "\"\" is not an IP address; write one, as 192.0.2.7 or [2001:db8::7]"},
        {"target", "1.2.3.4", "is not NAME=KEY; write NAME=@FILE, NAME=w.x.y.z or NAME=w.x.y.z@ADDRESS"},
        {"target", "=1.2.3.4", "is empty; write 1 to 64 of A-Z a-z 0-9 . _ -"},
        {"target", "a=1.2.3.!",
         "has a character that is not 0-9 or a-z, at part 4; write the key that bcdedit /dbgsettings "
         "shows on the machine"},
        {"target", "a=1.2.3.4@", "\"\" is not an IP address; write one, as 192.0.2.7 or [2001:db8::7]"},
        {"symbols", "", "is empty; write a folder or the address of a symbol server"},
        {"rva", "a=1", "is not GUIDAGE:SYMBOL=RVA; write as 3844DBB920174967BE7AA4A2C20430FA2:NAME=0xC35DE0"},
        {"rva", "3844DBB920174967BE7AA4A2C20430FA2:a=0x",
         "\"0x\" is no RVA; write the distance from the kernel's base, as 0xC35DE0, below 2^32"},
        {"read", "nt!A", "is not NAME=MODULE!SYMBOL; write as dumps=nt!IopAutoReboot:4"},
        {"read", "Big=nt!A", "\"Big\" is no name for a result; write 1 to 39 of a-z 0-9 _, as dump_state"},
        {"read", "break_status=nt!A", "break_status is the name of what every result has; write another one"},
        {"read", "a=IopAutoReboot", "\"IopAutoReboot\" has no module; write MODULE!SYMBOL, as nt!IopAutoReboot"},
        {"read", "a=crash.sys!A",
         "\"crash.sys\" is no image's name; write nt, or one without its extension, as crashdmp (1 to 31 of A-Z a-z "
         "0-9 _ -)"},
        {"read", "a=nt!A+x", "\"x\" is no offset; write a number below 2^32, as +0x18 or +24"},
        {"read", "a=nt!A****",
         "follows more than 3 pointers, and each costs a round trip while the machine stands still; read the pointer "
         "itself"},
        {"read", "a=nt!A*B", "\"B\" is not understood; write as nt!KiBugCheckDriver*, or nt!NAME+0x10*+8"},
        {"read", "a=nt!A:3", "\"3\" is nothing that can be read; write one of 1, 2, 4, 8, pointer, string, unicode"},
        {"read", "a=nt!", "\"\" has no name of 1 to 127 characters; write one, as IopFinalCrashDumpStatus"},
        {"events", "", "is empty; write a file's path, or - for standard output"},
        {"http", "1.2.3.4", "\"1.2.3.4\" has no port; write ADDRESS:PORT, an IPv6 address in brackets"},
        {"policy", "hold", "is not BREAK=ACTION; write as break=hold"},
        {"policy", "brake=hold",
         "\"brake\" is not a kind of break; write one of bugcheck_first, "
         "bugcheck_second, shutdown, break, exception, load_symbols, prompt; did you mean break?"},
        {"policy", "break=wait", "\"wait\" is not an action; write one of continue, hold, reboot"},
        {"colour", "red", "is no option that the configuration knows; see --help"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; ++i) {
        char error[CONFIG_ERROR_SIZE] = "";
        assert_false(config_add(&f->config, wrong[i].option, wrong[i].text, error));
        assert_string_equal(error, wrong[i].error);
    }
    const struct kdnetd_config *c = &f->config;
    assert_int_equal(c->listen_count + c->target_count + c->symbols.count + c->rva_count + c->read_count, 0);
    assert_null(c->events);
    assert_false(config_is_set(c, CONFIG_SET_http));
    assert_int_equal(c->policy.action[CONFIG_BREAK_BREAK], CONFIG_ACTION_CONTINUE);
}

static void an_option_that_is_too_long_is_refused(void **state)
{
    struct fixture *f = *state;
    char text[2048], error[CONFIG_ERROR_SIZE];
    static const char *const options[] = {"listen", "target", "rva", "http", "policy"};
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    text[10] = '=';
    for (size_t i = 0; i < sizeof options / sizeof options[0]; ++i)
        assert_false(config_add(&f->config, options[i], text, error));
}

static void an_option_goes_before_the_file_whichever_comes_first(void **state)
{
    struct fixture *f = *state;
    static const char text[] =
        "events: file\nhttp: 1.1.1.1:1\npolicy: {break: hold, shutdown: hold}\nlisten: ['1.1.1.1:1']\n";
    for (int is_option_first = 0; is_option_first < 2; ++is_option_first) {
        start_again(f);
        if (!is_option_first)
            assert_true(config_load_text(text, sizeof text - 1, "a.yaml", &f->config, &f->report));
        add(f, "events", "option");
        add(f, "http", "2.2.2.2:2");
        add(f, "policy", "break=reboot");
        add(f, "listen", "2.2.2.2:2");
        if (is_option_first)
            assert_true(config_load_text(text, sizeof text - 1, "a.yaml", &f->config, &f->report));
        assert_true(config_check(&f->config, &f->report));
        assert_string_equal(f->config.events, "option");
        assert_int_equal(f->config.http.port, 2);
        assert_int_equal(f->config.policy.action[CONFIG_BREAK_BREAK], CONFIG_ACTION_REBOOT);
        assert_int_equal(f->config.policy.action[CONFIG_BREAK_SHUTDOWN], CONFIG_ACTION_HOLD);
        assert_int_equal(f->config.listen_count, 2);
    }
}

static void doubles_between_options_and_files_are_found(void **state)
{
    struct fixture *f = *state;
    static const char text[] = "targets: [{name: a, key: 1.1.1.1}]\n";
    assert_true(config_load_text(text, sizeof text - 1, "a.yaml", &f->config, &f->report));
    add(f, "target", "a=2.2.2.2");
    assert_false(config_check(&f->config, &f->report));
    expect_mistake(f,
                   "command line: name: a is the name of the target at a.yaml:1:18 already; give each machine its own "
                   "name");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(options_say_what_a_file_says),
        TEST(wrong_options_change_nothing_and_say_why),
        TEST(an_option_that_is_too_long_is_refused),
        TEST(an_option_goes_before_the_file_whichever_comes_first),
        TEST(doubles_between_options_and_files_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
