/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that ask, in this process, against a kdnetd and a stream that are made up: each command as it is, and once
 * for each of its allocations, which then fails. What a command prints is whole, or it fails and says why. */
#include "service/kdnetctl/client_internal.h"
#include "service/kdnetctl/commands.h"
#include "service/kdnetctl/fleet.h"
#include "tests/kdnetctl/answers.h"
#include "tests/support/scarce.h"
#include "tests/support/system.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define WORDS_MAX 140
#define NOW_S     1764144000 /* 2025-11-26T08:00:00Z */
#define MOST      3000U      /* allocations of one command */
#define TEXT_SIZE 65536

/* --- a kdnetd that is made up ------------------------------------------------------------------------------------- */

static json_t *made[ANSWERS]; /* the answers; a command's allocations are its own ones */
static bool hangs;            /* /healthz says so */
static unsigned posted;       /* since the command began */
static char strange[256];     /* a path that the command should not have asked for */
static bool without_body;     /* one of them */

int __wrap_client_transport_open(struct client *client);
long __wrap_client_transport(struct client *client, const char *method, const char *path, const json_t *body,
                             json_t **answer);
long __wrap_client_transport_lines(struct client *client, const char *path, const char *last_id, client_line *line,
                                   void *user, json_t **answer);

int __wrap_client_transport_open(struct client *client)
{
    (void)client;
    return COMMAND_OK;
}

long __wrap_client_transport(struct client *client, const char *method, const char *path, const json_t *body,
                             json_t **answer)
{
    (void)client;
    if (strcmp(method, "POST") == 0) {
        ++posted;
        without_body = without_body || !body;
    }
    for (size_t i = 0; i < ANSWERS; ++i)
        if (strncmp(path, answers[i].path, strlen(answers[i].path)) == 0) {
            bool bad = hangs && strcmp(path, "/healthz") == 0;
            *answer = bad ? NULL : json_incref(made[i]);
            return bad ? 500 : answers[i].status;
        }
    (void)snprintf(strange, sizeof strange, "%s", path);
    return 0;
}

#define EVENT                                                                                                          \
    "{\"event\":\"crash_status\",\"id\":\"c1-1\",\"time\":\"" BEFORE "\",\"target\":\"web-1\",\"verdict\":\"failed\"}"

static unsigned streams; /* that the command has asked for */

/* Lines of stored events; a stream that ends, and is gone when it is asked for again. */
long __wrap_client_transport_lines(struct client *client, const char *path, const char *last_id, client_line *line,
                                   void *user, json_t **answer)
{
    static const char *const stored[] = {EVENT, "not JSON", EVENT};
    static const char *const streamed[] = {": ping",   "event: resync", "data: " EVENT, "",
                                           "id: c1-1", "event: x",      "data: " EVENT, ""};
    bool is_stream = strncmp(path, "/api/v1/stream", 14) == 0;
    const char *const *lines = is_stream ? streamed : stored;
    size_t count = is_stream ? sizeof streamed / sizeof streamed[0] : sizeof stored / sizeof stored[0];
    (void)client;
    *answer = NULL;
    if (is_stream && streams++ > 0) {
        if (!last_id || strcmp(last_id, "c1-1") != 0)
            (void)snprintf(strange, sizeof strange, "%s after the wrong event", path);
        *answer = json_incref(made[ANSWERS - 1]);
        return 410;
    }
    for (size_t i = 0; i < count && line(user, lines[i], strlen(lines[i])); ++i)
        ;
    return 200;
}

/* --- a stream of NATS that is made up ----------------------------------------------------------------------------- */

static int the_source;
static uint64_t now_us;
static bool is_broken; /* the stream */

int __wrap_fleet_source_open(struct fleet_source **out, const struct command *command, const struct config_nats *nats,
                             uint64_t since_us);
int __wrap_fleet_source_read(struct fleet_source *source, struct fleet_view *view, unsigned wait_ms);
void __wrap_fleet_source_close(struct fleet_source *source, int status);

int __wrap_fleet_source_open(struct fleet_source **out, const struct command *command, const struct config_nats *nats,
                             uint64_t since_us)
{
    (void)command, (void)since_us;
    if (nats->servers.count != 2)
        (void)snprintf(strange, sizeof strange, "%zu servers", nats->servers.count);
    *out = (struct fleet_source *)(void *)&the_source;
    return COMMAND_OK;
}

static void tell_event(struct fleet_view *view, unsigned number, const char *collector, const char *verdict)
{
    char text[512];
    int length = snprintf(text, sizeof text,
                          "{\"event\":\"crash_status\",\"id\":\"%u-%s\",\"collector\":\"%s\",\"crash\":\"%016x\","
                          "\"target\":\"web-%u\",\"verdict\":\"%s\",\"time\":\"2025-11-26T07:00:%02u.000000Z\"}",
                          number, verdict, collector, number, number, verdict, number);
    fleet_view_event(view, text, (size_t)length, now_us - 60000000);
}

/* The first time, all that the stream has; the view has no allocations of its own that a command could answer for. */
int __wrap_fleet_source_read(struct fleet_source *source, struct fleet_view *view, unsigned wait_ms)
{
    static const char beat[] = "{\"collector\":\"c2\",\"version\":\"0.2.0\"}";
    (void)source;
    now_us += wait_ms * 1000;
    if (is_broken)
        return COMMAND_UNREACHABLE;
    if (wait_ms > 0 || fleet_view_counts(view).events > 0)
        return COMMAND_OK;
    tell_event(view, 1, "c1", "failed");
    tell_event(view, 2, "c1", "written");
    tell_event(view, 2, "c2", "unknown");
    tell_event(view, 2, "c2", "unknown");
    fleet_view_event(view, "strange", 7, now_us);
    fleet_view_heartbeat(view, beat, strlen(beat), now_us);
    return COMMAND_OK;
}

void __wrap_fleet_source_close(struct fleet_source *source, int status)
{
    (void)source, (void)status;
}

/* --- a clock, and a computer, that are made up -------------------------------------------------------------------- */

static bool interrupts; /* a user's ^C while a command sleeps */

int __wrap_clock_gettime(clockid_t clock, struct timespec *out);
int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left);
unsigned __wrap_sleep(unsigned seconds);
FILE *__wrap_popen(const char *command, const char *mode);

int __wrap_clock_gettime(clockid_t clock, struct timespec *out)
{
    (void)clock;
    *out = (struct timespec){.tv_sec = (time_t)(now_us / 1000000), .tv_nsec = (long)(now_us % 1000000 * 1000)};
    return 0;
}

int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left)
{
    (void)left;
    now_us += (uint64_t)wanted->tv_sec * 1000000 + (uint64_t)wanted->tv_nsec / 1000;
    return interrupts ? raise(SIGINT) : 0;
}

unsigned __wrap_sleep(unsigned seconds)
{
    now_us += seconds * UINT64_C(1000000);
    return 0;
}

FILE *__wrap_popen(const char *command, const char *mode)
{
    (void)command, (void)mode;
    return NULL; /* no firewall is there to be asked */
}

/* --- keys --------------------------------------------------------------------------------------------------------- */

static bool no_random;

int __wrap_RAND_bytes(unsigned char *out, int length);
int __real_RAND_bytes(unsigned char *out, int length);

int __wrap_RAND_bytes(unsigned char *out, int length)
{
    return no_random ? 0 : __real_RAND_bytes(out, length);
}

/* --- running ------------------------------------------------------------------------------------------------------ */

struct said {
    int status;
    char out[TEXT_SIZE], complaint[TEXT_SIZE];
};

static int streams_of_test[2]; /* where standard output and standard error go while a command runs */

static void take(int descriptor, char text[static TEXT_SIZE])
{
    ssize_t length = pread(descriptor, text, TEXT_SIZE - 1, 0);
    assert_in_range(length, 0, TEXT_SIZE - 2);
    text[length] = '\0';
    assert_int_equal(ftruncate(descriptor, 0), 0);
    assert_int_equal(lseek(descriptor, 0, SEEK_SET), 0);
}

/* Runs a command line, words with blanks between them, whose allocation `number` fails. Returns whether one did. */
static bool run(const char *line, size_t number, struct said *said)
{
    char text[6000], *words[WORDS_MAX], *rest = NULL;
    int count = 0, kept[2] = {dup(STDOUT_FILENO), dup(STDERR_FILENO)};
    (void)snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok_r(text, " ", &rest); word && count < WORDS_MAX; word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    const struct command *command = command_find(words[0]);
    assert_non_null(command);
    posted = streams = 0;
    strange[0] = 0;
    without_body = false;
    now_us = NOW_S * UINT64_C(1000000);
    (void)fflush(NULL);
    for (int i = 0; i < 2; ++i)
        assert_int_equal(dup2(streams_of_test[i], i == 0 ? STDOUT_FILENO : STDERR_FILENO), i + 1);
    scarce_begin(number, 0);
    said->status = command->run(count, words);
    bool failed = scarce_end();
    (void)fflush(NULL);
    for (int i = 0; i < 2; ++i) {
        (void)dup2(kept[i], i == 0 ? STDOUT_FILENO : STDERR_FILENO);
        (void)close(kept[i]);
    }
    take(streams_of_test[0], said->out);
    take(streams_of_test[1], said->complaint);
    assert_string_equal(strange, "");
    return failed;
}

static struct said whole, now;

/* Runs it with each of its allocations failing once: what it prints is whole, or it says that it is not. */
static void starve(const char *line)
{
    size_t number = 0;
    (void)run(line, SIZE_MAX - 1, &whole);
    while (run(line, number, &now)) {
        bool same = now.status == whole.status && strcmp(now.out, whole.out) == 0;
        if (!same && (now.status == COMMAND_OK || now.complaint[0] == '\0'))
            fail_msg("%s, allocation %zu: status %d after \"%s\" and \"%s\"", line, number, now.status, now.out,
                     now.complaint);
        assert_in_range(++number, 1, MOST);
    }
    assert_int_equal(now.status, whole.status);
    assert_string_equal(now.out, whole.out);
    assert_string_equal(now.complaint, whole.complaint);
}

static int set_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < ANSWERS; ++i) {
        made[i] = json_loads(answers[i].text, JSON_DECODE_ANY, NULL);
        if (!made[i])
            return -1;
    }
    for (int i = 0; i < 2; ++i)
        streams_of_test[i] = memfd_create("said", MFD_CLOEXEC);
    return setenv("TZ", "UTC", 1);
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < ANSWERS; ++i)
        json_decref(made[i]);
    for (int i = 0; i < 2; ++i)
        (void)close(streams_of_test[i]);
    return 0;
}

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void what_is_asked_is_answered_whole(void **state)
{
    static const char *const lines[] = {"status",
                                        "health",
                                        "health --json",
                                        "unknown",
                                        "buckets",
                                        "targets",
                                        "targets --json",
                                        "show web-1",
                                        "show 15519032be73d58a",
                                        "show 2551903200000000",
                                        "show web-1 --json",
                                        "crashes",
                                        "crashes --json",
                                        "crashes --limit 1 --since 1h",
                                        "events",
                                        "events --json --since 1d",
                                        "events --follow --type crash_status",
                                        "watch --count 2",
                                        "watch --count 2 --json",
                                        "doctor",
                                        "doctor web-1",
                                        "doctor 192.0.2.9",
                                        "doctor 2001:db8::9",
                                        "doctor [2001:db8::9]:51111",
                                        "doctor [2001:db8::9",
                                        "doctor 1.2.3.4.5:6",
                                        "doctor --json"};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; ++i)
        starve(lines[i]);
}

static void what_is_done_is_done_or_it_is_said(void **state)
{
    static const char *const lines[] = {"reload",
                                        "reload --json",
                                        "drain",
                                        "drain --json",
                                        "drain --undo",
                                        "release web-1",
                                        "release web-1 --json",
                                        "ack 15519032be73d58a",
                                        "ack 15519032be73d58a --json",
                                        "republish --sink nats --since 2d",
                                        "republish --sink nats --since 2d --json",
                                        "reboot web-1",
                                        "read web-1"};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; ++i)
        starve(lines[i]);
}

/* A machine that is to go to a debugger would run on if the request came without its body. */
static void an_action_that_is_not_whole_is_none(void **state)
{
    static const char *const lines[] = {"release web-1 --to-debugger=5m", "read web-1 --break-in"};
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; ++i)
        for (size_t number = 0; run(lines[i], number, &now); ++number) {
            assert_false(without_body);
            assert_int_equal(posted, now.status == COMMAND_OK || strstr(now.out, "\n") ? 1 : 0);
        }
}

static void all_machines_are_released_or_none_is(void **state)
{
    (void)state;
    starve("release --all --state held --yes");
    for (size_t number = 0; run("release --all --state held --yes", number, &now); ++number) {
        assert_true(posted == 0 || posted == 2);
        assert_null(strstr(now.complaint, "no machine is held"));
    }
}

static void what_the_fleet_has_told_is_whole(void **state)
{
    static const char *const lines[] = {"targets",
                                        "targets --json",
                                        "crashes",
                                        "crashes --verdict failed",
                                        "crashes --target web-7",
                                        "collectors",
                                        "watch --count 2 --interval 200ms",
                                        "watch --count 2 --json"};
    char line[200];
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; ++i) {
        (void)snprintf(line, sizeof line, "fleet %s --servers nats://192.0.2.1:4222,nats://192.0.2.2:4222", lines[i]);
        starve(line);
    }
}

static void the_fleet_in_words(void **state)
{
    (void)state;
    assert_false(run("fleet targets --servers nats://a,nats://b", SIZE_MAX - 1, &now));
    assert_int_equal(now.status, COMMAND_OK);
    assert_non_null(strstr(now.out, "web-2   c1         newer")); /* or c2: as new */
    assert_non_null(strstr(now.out, "older"));
    assert_non_null(strstr(now.complaint, "the collector c1 has been silent for 60 s"));
    assert_non_null(strstr(now.complaint, "1 messages in the stream are no events"));
    assert_false(run("fleet watch --count 2 --servers nats://a,nats://b", SIZE_MAX - 1, &now));
    assert_non_null(strstr(now.out, "silent for 60 s"));
    assert_non_null(strstr(now.out, "silent for 62 s"));
    assert_non_null(strstr(now.out, "4 events, 1 told twice, 1 that are none"));
    is_broken = true;
    static const char *const lines[] = {"fleet watch --servers nats://a,nats://b",
                                        "fleet targets --servers nats://a,nats://b"};
    for (size_t i = 0; i < 2; ++i) {
        assert_false(run(lines[i], SIZE_MAX - 1, &now));
        assert_int_equal(now.status, COMMAND_UNREACHABLE);
        assert_string_equal(now.out, "");
    }
    is_broken = false;
}

static void watch_ends_when_the_user_wants_it(void **state)
{
    (void)state;
    interrupts = true;
    assert_false(run("watch", SIZE_MAX - 1, &now));
    interrupts = false;
    assert_int_equal(now.status, COMMAND_OK);
    assert_non_null(strstr(now.out, "cannot open the file x.creds"));
}

static void a_kdnetd_that_hangs_is_told_of(void **state)
{
    (void)state;
    hangs = true;
    assert_false(run("doctor web-1", SIZE_MAX - 1, &now));
    hangs = false;
    assert_int_equal(now.status, COMMAND_FAILED);
    assert_non_null(strstr(now.out, "kdnetd 0.2.0 runs, but hangs: see /healthz"));
    assert_non_null(strstr(now.out, "Next step: Restart it"));
}

static void the_stream_that_misses_events_is_told_of(void **state)
{
    (void)state;
    assert_false(run("events --follow", SIZE_MAX - 1, &now));
    assert_non_null(strstr(now.complaint, "events are missing here"));
    assert_non_null(strstr(now.complaint, "asking again"));
}

/* A command line of words; a word of blanks alone could not be there. */
static void expect_misuse(const char *line, const char *complaint)
{
    assert_false(run(line, SIZE_MAX - 1, &now));
    assert_int_equal(now.status, COMMAND_USAGE);
    if (!strstr(now.complaint, complaint))
        fail_msg("%s: %s", line, now.complaint);
    assert_int_equal(posted, 0);
}

static void names_and_options_that_cannot_be_are_refused(void **state)
{
    char line[6000] = "crashes", name[4100] = "";
    (void)state;
    for (int i = 0; i < 65; ++i)
        (void)strcat(line, " --code 1");
    expect_misuse(line, "too many options");
    memset(name, '~', sizeof name - 1);
    (void)snprintf(line, sizeof line, "status %s%s", system_is_posix() ? "--socket " : "--url http://", name);
    expect_misuse(line, "this place is too long");
    (void)snprintf(line, sizeof line, "crashes --code %s", name);
    expect_misuse(line, "the options are too long");
    (void)snprintf(line, sizeof line, "events --follow --type %s", name);
    expect_misuse(line, "the options are too long");
    (void)snprintf(line, sizeof line, "events --since 1d --type %s", name);
    expect_misuse(line, "the options are too long");
    for (size_t i = 0; i < 4; ++i) {
        static const char *const commands[] = {"show", "release", "ack", "doctor"};
        (void)snprintf(line, sizeof line, "%s %s", commands[i], name);
        expect_misuse(line, "no target or crash has a name like");
    }
    name[4096 - sizeof "/api/v1/crashes?code="] = '\0'; /* there is room for the option, and none for the page */
    (void)snprintf(line, sizeof line, "crashes --code %s", name);
    expect_misuse(line, "the options are too long");
    expect_misuse("fleet targets --servers ,", "this is none");
    expect_misuse("fleet targets --servers nats://a,nats://b --stream a.b", "--stream takes the name of a stream");
    expect_misuse("fleet watch --servers nats://a,nats://b --interval 1ms", "--interval takes a duration");
    expect_misuse("fleet watch --servers nats://a,nats://b --count 0", "--count is a number");
    expect_misuse("ack " CRASH_NAME " --note \xff", "--note is text in UTF-8");
    expect_misuse("republish --sink nats", "name a sink and since when");
}

static void keys_and_options_that_cannot_be_are_refused(void **state)
{
    char line[6000], folder[5000] = "";
    char list[] = "/tmp/kdnetctl-list-XXXXXX";
    (void)state;
    expect_misuse("keygen --from a.csv --out b web-1", "--from names the machines; leave out");
    expect_misuse("keygen --from a.csv", "--from FILE.csv and --out FOLDER go together");
    expect_misuse("keygen --from a.csv --out b --ps1", "--from makes scripts in any case; leave out --ps1");
    expect_misuse("keygen --from a.csv --out b --port 0", "--port is not a number from 1 to 65535");
    if (!system_is_posix()) /* whose paths are shorter */
        return;
    int descriptor = mkstemp(list);
    FILE *file = descriptor >= 0 ? fdopen(descriptor, "w") : NULL;
    assert_non_null(file);
    assert_true(fputs("name\nweb-1\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    memset(folder, 'a', 4093);
    (void)snprintf(line, sizeof line, "keygen --from %s --host-ip 192.0.2.10 --out %s", list, folder);
    expect_misuse(line, "--out is too long");
    (void)unlink(list);
}

/* Where no key or token can be made there is none, and nothing looks like one. */
static void without_random_bytes_no_key_is_made(void **state)
{
    static const char line[] = "keygen web-1 --host-ip 192.0.2.10 --port 50000";
    (void)state;
    assert_false(run(line, SIZE_MAX - 1, &whole));
    assert_int_equal(whole.status, COMMAND_OK);
    no_random = true;
    assert_false(run(line, SIZE_MAX - 1, &now));
    no_random = false;
    assert_int_equal(now.status, COMMAND_FAILED);
    assert_string_equal(now.out, "");
    assert_non_null(strstr(now.complaint, "OpenSSL has no random bytes; no key was made"));

    char folder[] = "/tmp/kdnetctl-token-XXXXXX", path[64], add[128];
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof path, "%s/tokens", folder);
    (void)snprintf(add, sizeof add, "token add ann --file %s", path);
    no_random = true;
    assert_false(run(add, SIZE_MAX - 1, &now));
    no_random = false;
    assert_int_equal(now.status, COMMAND_FAILED);
    assert_string_equal(now.out, "");
    assert_non_null(strstr(now.complaint, "OpenSSL has no random bytes; no token was made"));
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_is_answered_whole),
        cmocka_unit_test(what_is_done_is_done_or_it_is_said),
        cmocka_unit_test(an_action_that_is_not_whole_is_none),
        cmocka_unit_test(all_machines_are_released_or_none_is),
        cmocka_unit_test(what_the_fleet_has_told_is_whole),
        cmocka_unit_test(the_fleet_in_words),
        cmocka_unit_test(watch_ends_when_the_user_wants_it),
        cmocka_unit_test(a_kdnetd_that_hangs_is_told_of),
        cmocka_unit_test(the_stream_that_misses_events_is_told_of),
        cmocka_unit_test(names_and_options_that_cannot_be_are_refused),
        cmocka_unit_test(keys_and_options_that_cannot_be_are_refused),
        cmocka_unit_test(without_random_bytes_no_key_is_made),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
