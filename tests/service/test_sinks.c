/* SPDX-License-Identifier: Apache-2.0 */
/* Sinks without a receiver: what an answer means that is none of the receiver's kind, an address that nobody has, and
 * which sinks a reload keeps. Receivers are in tests/sinks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "service/sinks/datagram.h"
#include "service/sinks/format.h"
#include "service/sinks/sinks.h"

#ifndef _WIN32
#include <netinet/in.h>
#include <sys/socket.h>
#endif
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#define WAIT_MS 60000U

/* --- answers ------------------------------------------------------------------------------------------------------ */

/* What two events are told of by this body of a 2xx answer. */
static struct sink_answer judge(const struct sink_format *format, const char *reply, unsigned *done, unsigned *refusals)
{
    struct sink_event one = {.id = "one"}, two = {.id = "two"}, *events[] = {&one, &two};
    struct sink_answer answer = {.outcome = SINK_DONE};
    format->judge(reply, strlen(reply), events, 2, &answer);
    *done = (unsigned)one.done + (unsigned)two.done;
    *refusals = one.refusals + two.refusals;
    return answer;
}

static void an_answer_that_is_none_of_its_kind_is_asked_for_again(void **state)
{
    static const struct sink_format *const formats[] = {&format_hec, &format_bulk};
    static const char *const replies[] = {"",
                                          "<html>proxy</html>",
                                          "[]",
                                          "{}",
                                          "{\"code\":\"0\"}",
                                          "{\"items\":[]}",
                                          "{\"code\":7}",
                                          "{\"items\":[{\"create\":{\"status\":201}}]}"};
    unsigned done, refusals;
    (void)state;
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; ++f)
        for (size_t i = 0; i < sizeof replies / sizeof replies[0]; ++i) {
            struct sink_answer answer = judge(formats[f], replies[i], &done, &refusals);
            assert_int_equal(answer.outcome, SINK_AGAIN);
            assert_int_equal(done + refusals, 0);
            assert_non_null(strstr(answer.text, "its answer is not understood: "));
            assert_non_null(strstr(answer.text, replies[i]));
        }
}

static void an_answer_of_its_kind_counts(void **state)
{
    unsigned done, refusals;
    (void)state;
    assert_int_equal(judge(&format_hec, "{\"code\":0,\"text\":\"Success\"}", &done, &refusals).outcome, SINK_DONE);
    struct sink_answer answer = judge(
        &format_bulk,
        "{\"items\":[{\"create\":{\"status\":409}},{\"create\":{\"status\":400,\"error\":{\"reason\":\"bad\"}}}]}",
        &done, &refusals);
    assert_int_equal(answer.outcome, SINK_PARTLY);
    assert_int_equal(done, 1); /* it was there already */
    assert_int_equal(refusals, 1);
    assert_string_equal(answer.text, "item of two: status 400 bad");
    answer = judge(&format_bulk, "{\"items\":[{\"create\":{\"status\":429}},{\"create\":{\"status\":201}}]}", &done,
                   &refusals);
    assert_int_equal(done, 1);
    assert_int_equal(refusals, 0); /* it is busy: again */
    assert_int_equal(answer.after_s, 0);
    answer = judge(&format_bulk, "{\"items\":[{\"create\":{\"status\":403}},{\"create\":{\"status\":404}}]}", &done,
                   &refusals);
    assert_int_equal(done + refusals, 0); /* the index is read-only, or not made yet: nothing is given up */
    assert_int_equal(answer.after_s, SINK_PAUSE_S);
}

/* --- datagrams ---------------------------------------------------------------------------------------------------- */

static void an_address_that_nobody_has_is_told(void **state)
{
    char error[SINK_TEXT_SIZE] = "";
    (void)state;
    assert_null(datagram_open("[::zz]:514", error));
    assert_memory_equal(error, "[::zz]:514: ", 12);
    assert_true(strlen(error) > 12);
    struct datagram *datagram = datagram_open("127.0.0.1:9", error);
    assert_non_null(datagram);
    datagram_close(datagram);
}

#ifndef _WIN32
/* Nobody listens there: the system says so at the second datagram. */
static void a_datagram_that_is_refused_is_sent_again_later(void **state)
{
    static const char bytes[] = "x";
    char error[SINK_TEXT_SIZE] = "";
    (void)state;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof any;
    char address[32];
    int held = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(held, (const struct sockaddr *)(const void *)&any, sizeof any), 0);
    assert_int_equal(getsockname(held, (struct sockaddr *)(void *)&any, &length), 0);
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(any.sin_port));
    (void)close(held);
    struct datagram *datagram = datagram_open(address, error);
    assert_non_null(datagram);
    assert_true(datagram_send(datagram, bytes, 1, error));
    assert_false(datagram_send(datagram, bytes, 1, error));
    assert_string_equal(error, "Connection refused");
    datagram_close(datagram);

    char line[] = "{}";
    struct sink_event event = {.id = "one", .line = line, .length = 2}, *events[] = {&event, &event, &event};
    const struct config_sink config = {.transport = CONFIG_TRANSPORT_UDP, .address = address};
    struct sink_answer answer = {.text = ""};
    atomic_bool stop = false;
    struct sink_link *link = sink_syslog.open(&config, "c", &stop);
    assert_non_null(link);
    sink_syslog.deliver(link, events, 3, &answer);
    assert_int_equal(answer.outcome, SINK_PARTLY);
    assert_string_equal(answer.text, "Connection refused");
    assert_false(event.done);
    sink_syslog.close(link);
}

/* --- streams ------------------------------------------------------------------------------------------------------ */

/* A receiver that reads nothing: the sink that is to end does not wait until it does. */
static void a_stream_that_takes_nothing_keeps_no_end_waiting(void **state)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sink_event event = {.id = "one", .length = SINK_BATCH_BYTES}, *events[32];
    socklen_t length = sizeof any;
    struct sink_answer answer = {.text = ""};
    char address[32];
    (void)state;
    event.line = malloc(SINK_BATCH_BYTES);
    assert_non_null(event.line);
    memset(event.line, 'x', SINK_BATCH_BYTES);
    for (size_t i = 0; i < sizeof events / sizeof events[0]; ++i)
        events[i] = &event;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)(const void *)&any, sizeof any), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)(void *)&any, &length), 0);
    (void)snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(any.sin_port));
    const struct config_sink config = {.transport = CONFIG_TRANSPORT_TCP, .address = address};
    atomic_bool stop = true;
    struct sink_link *link = sink_syslog.open(&config, "c", &stop);
    assert_non_null(link);
    uint64_t since = uv_hrtime();
    sink_syslog.deliver(link, events, sizeof events / sizeof events[0], &answer);
    assert_true(uv_hrtime() - since < (uint64_t)SINK_ANSWER_S * 1000000000);
    assert_int_equal(answer.outcome, SINK_AGAIN);
    assert_string_equal(answer.text, "it takes nothing");
    (void)close(listener);
    answer.text[0] = '\0';
    sink_syslog.deliver(link, events, 1, &answer); /* a new connection: nobody is there now */
    assert_int_equal(answer.outcome, SINK_AGAIN);
    assert_true(answer.text[0] != '\0');
    sink_syslog.close(link);
    free(event.line);
}
#endif

/* --- reloads ------------------------------------------------------------------------------------------------------ */

static char names[256];

static void note_sink(void *user, const struct sinks_status *status)
{
    (void)user;
    size_t length = strlen(names);
    (void)snprintf(names + length, sizeof names - length, "%s:%s:%llu ", status->name, status->type,
                   (unsigned long long)status->dropped);
}

static const char *names_of(struct sinks *sinks)
{
    names[0] = '\0';
    sinks_each(sinks, note_sink, NULL);
    return names;
}

static void configure(struct sinks *sinks, const char *lines)
{
    char text[1024];
    struct kdnetd_config config;
    struct config_report report;
    config_init(&config);
    config_report_init(&report);
    int length = snprintf(text, sizeof text, "targets: [{name: a, key: 1.2.3.4}]\nsinks: [%s]\n", lines);
    (void)config_load_text(text, (size_t)length, "a.yaml", &config, &report);
    (void)config_check(&config, &report);
    config_report_print(&report, stderr);
    assert_int_equal(config_report_count(&report), 0);
    assert_true(sinks_configure(sinks, NULL, &config));
    config_report_clear(&report);
    config_clear(&config);
}

#define WEB   "{name: web, type: http, url: \"http://127.0.0.1:9\"}"
#define OTHER "{name: web, type: http, url: \"http://127.0.0.1:10\"}"
#define LOG   "{name: log, type: syslog, address: \"127.0.0.1:9\"}"

static void a_reload_keeps_the_sinks_that_it_does_not_change(void **state)
{
    (void)state;
    struct sinks *sinks = sinks_open();
    assert_non_null(sinks);
    configure(sinks, WEB ", " LOG);
    sinks_count_dropped(sinks, "web", 7);
    sinks_count_dropped(sinks, "nobody", 9);
    assert_non_null(strstr(names_of(sinks), "web:http:7 "));
    configure(sinks, LOG ", " WEB);
    assert_non_null(strstr(names_of(sinks), "web:http:7 ")); /* the same sink, with its counts */
    configure(sinks, OTHER);
    assert_string_equal(names_of(sinks), "web:http:0 "); /* another sink of that name */
    assert_false(sinks_republish(sinks, "log", 1));
    assert_true(sinks_republish(sinks, "web", 1));
    configure(sinks, "");
    assert_string_equal(names_of(sinks), "");
    assert_true(sinks_close(sinks, WAIT_MS));
}

int main(void)
{
    (void)uv_default_loop(); /* makes sockets usable on Windows, as the server does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_that_is_none_of_its_kind_is_asked_for_again),
        cmocka_unit_test(an_answer_of_its_kind_counts),
        cmocka_unit_test(an_address_that_nobody_has_is_told),
#ifndef _WIN32
        cmocka_unit_test(a_datagram_that_is_refused_is_sent_again_later),
        cmocka_unit_test(a_stream_that_takes_nothing_keeps_no_end_waiting),
#endif
        cmocka_unit_test(a_reload_keeps_the_sinks_that_it_does_not_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
