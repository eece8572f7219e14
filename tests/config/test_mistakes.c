/* SPDX-License-Identifier: Apache-2.0 */
/* Mistakes in sinks, NATS, labels, reads and key files: each is told with its place and remedy, and with nothing else.
 */
#include "setup.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define TARGETS      "targets: [{name: a, key: 1.2.3.4}]\n"

static void expect_each(struct fixture *f, const struct wrong_text *texts, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        load_yaml(f, texts[i].text);
        expect_mistake(f, texts[i].line);
    }
}

static void nats_has_a_subject_that_a_server_takes(void **state)
{
    static const struct wrong_text texts[] = {
        {TARGETS "nats: {servers: [\"nats://h:1\"], subject: \"kdnet.{who}\"}\n",
         "a.yaml:2:42: nats.subject: has an unknown placeholder; write {collector} or {target}"},
        {TARGETS "nats: {servers: [\"nats://h:1\"], subject: \"kdnet.*\"}\n",
         "a.yaml:2:42: nats.subject: has a blank, a wildcard or another character that no subject has; write one as "
         "kdnet.crash.{collector}.{target}"},
        {TARGETS "nats: {servers: [\"nats://h:1\"], subject: \"kdnet crash\"}\n",
         "a.yaml:2:42: nats.subject: has a blank, a wildcard or another character that no subject has; write one as "
         "kdnet.crash.{collector}.{target}"},
        {TARGETS "nats: {servers: [\"nats://:4222\"]}\n",
         "a.yaml:2:18: nats.servers[0]: is no address of a NATS server; write nats://HOST:4222 or tls://HOST:4222"},
        {TARGETS "nats: {servers: [\"nats://[]:4222\"]}\n",
         "a.yaml:2:18: nats.servers[0]: is no address of a NATS server; write nats://HOST:4222 or tls://HOST:4222"},
        {TARGETS "nats: {servers: [\"nats://h:1\"]}\nsinks: [{name: nats, type: http, url: \"http://h:1\"}]\n",
         "a.yaml:3:16: sinks: nats is the name of the sink that the option nats makes; take another"},
    };
    expect_each(*state, texts, COUNT(texts));
}

static void a_subject_that_is_too_long_is_told(void **state)
{
    char text[1024];
    (void)snprintf(text, sizeof text, TARGETS "nats: {servers: [\"nats://h:1\"], subject: kdnet.%0600d}\n", 1);
    load_yaml(*state, text);
    expect_mistake(*state,
                   "a.yaml:2:42: nats.subject: is longer than the 512 bytes that a subject may have here; write a "
                   "shorter one");
}

static void sinks_have_what_their_type_needs(void **state)
{
    static const struct wrong_text texts[] = {
        {TARGETS "sinks: [{name: s, type: syslog}]\n",
         "a.yaml:2:16: sinks[0].address: is missing, and syslog needs one; write HOST:PORT"},
        {TARGETS "sinks: [{name: s, type: syslog, address: nowhere}]\n",
         "a.yaml:2:42: sinks[0].address: is no address; write HOST:PORT, an IPv6 address in brackets"},
        {TARGETS "sinks: [{name: s, type: http}]\n",
         "a.yaml:2:16: sinks[0].url: is missing, and http needs one; write an address with https:// or http://"},
        {TARGETS "sinks: [{name: s, type: http, url: \"ftp://h\"}]\n",
         "a.yaml:2:36: sinks[0].url: is no address; write one with https:// or http://"},
    };
    expect_each(*state, texts, COUNT(texts));
}

static void more_sinks_than_there_may_be_are_told(void **state)
{
    char text[2048];
    size_t length = (size_t)snprintf(text, sizeof text, TARGETS "sinks:\n");
    for (unsigned i = 0; i <= CONFIG_SINKS_MAX; ++i)
        length += (size_t)snprintf(text + length, sizeof text - length, "- {name: s%u, type: journal}\n", i);
    load_yaml(*state, text);
    expect_mistake(*state, "a.yaml:19:10: sinks: has more than 16 entries; leave out what is needed least");
}

static void sizes_and_labels_are_checked(void **state)
{
    static const struct wrong_text texts[] = {
        {TARGETS "retain: {size: much}\n",
         "a.yaml:2:16: retain.size: \"much\" is not a size; write a number and KiB, MiB, GiB or TiB, as 16MiB"},
        {TARGETS "retain: {size: 1KiB}\n", "a.yaml:2:16: retain.size: 1KiB is out of range; write 16MiB to 1024TiB"},
        {"targets: [{name: a, key: 1.2.3.4, labels: {[x]: y}}]\n",
         "a.yaml:1:44: targets[0].labels: has a list for a label's name; write name: value"},
    };
    expect_each(*state, texts, COUNT(texts));
}

static void a_place_to_read_that_is_too_long_is_told(void **state)
{
    char text[1024];
    (void)snprintf(text, sizeof text, TARGETS "reads: [{name: r, at: \"nt!N%0500d\"}]\n", 1);
    load_yaml(*state, text);
    expect_mistake(*state, "a.yaml:2:23: reads[0].at: is longer than 255 characters; write as nt!KiBugCheckDriver*");
}

/* Each set of labels is kept once, however many sets there are. */
static void thousands_of_label_sets_are_told_apart(void **state)
{
    enum { MANY = 3000 };
    struct fixture *f = *state;
    char *text = calloc(MANY, 80), *at = text;
    assert_non_null(text);
    for (unsigned i = 0; i < MANY; ++i)
        at += sprintf(at, "web-%u 1.2.3.%x rack=r%u site=s%u\n", i, 0x1000 + i, i / 2, i % 2);
    load_targets(f, text);
    free(text);
    assert_int_equal(f->report.count, 0);
    assert_int_equal(f->config.target_count, MANY);
    assert_int_equal(f->config.label_count, MANY);
}

/* --- key files ---------------------------------------------------------------------------------------------------- */

/* --target a=@FILE, whose content is `text`. NULL: no mistake, else what is told behind the path. */
static void read_key_file(struct fixture *f, const char *text, const char *wanted)
{
    char path[64], option[80], line[300], error[CONFIG_ERROR_SIZE] = "";
    (void)snprintf(path, sizeof path, "/tmp/kdnetd-key-%ld", (long)getpid());
    (void)snprintf(option, sizeof option, "a=@%s", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
    start_again(f);
    bool good = config_add(&f->config, "target", option, error);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(good, wanted == NULL);
    assert_int_equal(f->config.target_count, wanted ? 0 : 1);
    (void)snprintf(line, sizeof line, "%s%s", wanted ? path : "", wanted ? wanted : "");
    assert_string_equal(error, line);
}

static void a_key_file_has_one_line_with_a_key(void **state)
{
    struct fixture *f = *state;
    read_key_file(f, "# of web-17\n1.2.3.4\n", NULL);
    read_key_file(f, "1.2.3.4\n5.6.7.8\n", ":2:1: key: is in a second line; a key file has one: key [address]");
    read_key_file(f, "# nothing\n", ": has no key in it; write: key [address]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nats_has_a_subject_that_a_server_takes), TEST(a_subject_that_is_too_long_is_told),
        TEST(sinks_have_what_their_type_needs),       TEST(more_sinks_than_there_may_be_are_told),
        TEST(sizes_and_labels_are_checked),           TEST(a_place_to_read_that_is_too_long_is_told),
        TEST(thousands_of_label_sets_are_told_apart), TEST(a_key_file_has_one_line_with_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
