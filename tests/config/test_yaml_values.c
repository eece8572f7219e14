/* SPDX-License-Identifier: Apache-2.0 */
/* Values in a configuration: labels, addresses, durations, reads, sinks, RVAs. */
#include "setup.h"
#include "tests/config/mistakes.h"

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
        {"lost_after: 99999999999s\n",
         "a.yaml:1:13: lost_after: \"99999999999s\" is not a duration; write a number and ms, s, m, h or d, as 4s"},
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
    copy.verdicts.text[0][0] = 'F'; /* of as many */
    assert_false(config_same_sink(&sinks[0], &copy));
    copy.verdicts.text[0][0] = 'f';
    assert_true(config_same_sink(&sinks[0], &copy));
    free(copy.events.text[--copy.events.count]);
    assert_false(config_same_sink(&sinks[0], &copy));
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
        {"sinks: [{name: a, type: kafka, address: 'k1:9092,k2'}]\n",
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(labels_are_read_and_equal_sets_are_one),
        TEST(labels_and_collectors_are_checked),
        TEST(values_of_the_wrong_shape_are_named),
        TEST(addresses_and_ports_are_checked),
        TEST(words_and_durations_are_checked),
        TEST(reads_are_checked),
        TEST(sinks_are_read),
        TEST(sinks_are_checked),
        TEST(too_many_reads_and_images_are_mistakes),
        TEST(rvas_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
