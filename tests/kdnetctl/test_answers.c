/* SPDX-License-Identifier: Apache-2.0 */
/* kdnetctl's HTTP against a socket that says what a test wants: what becomes of its answer, and why nobody answered. It
 * is a Unix socket where there are any. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/kdnetctl/client_internal.h"
#include "tests/service/captured_log.h"
#include "tests/support/scarce.h"
#include "tests/support/sockets.h"
#include "tests/support/system.h"

#include <curl/curl.h>

#include <cmocka.h>

#define LINE_MAX_BYTES ((size_t)1 << 20) /* client_curl.c's bound of a line */

/* --- libcurl, which fails ----------------------------------------------------------------------------------------- */

static bool no_library, no_handle;
static long os_error = -1; /* why a connection failed; -1: as it is */

CURLcode __real_curl_global_init(long flags);
CURLcode __wrap_curl_global_init(long flags);
CURL *__real_curl_easy_init(void);
CURL *__wrap_curl_easy_init(void);
CURLcode __real_curl_easy_getinfo(CURL *curl, CURLINFO info, ...);
CURLcode __wrap_curl_easy_getinfo(CURL *curl, CURLINFO info, ...);

CURLcode __wrap_curl_global_init(long flags)
{
    return no_library ? CURLE_FAILED_INIT : __real_curl_global_init(flags);
}

CURL *__wrap_curl_easy_init(void)
{
    return no_handle ? NULL : __real_curl_easy_init();
}

CURLcode __wrap_curl_easy_getinfo(CURL *curl, CURLINFO info, ...)
{
    va_list rest;
    va_start(rest, info);
    void *out = va_arg(rest, void *);
    va_end(rest);
    CURLcode code = __real_curl_easy_getinfo(curl, info, out);
    if (info == CURLINFO_OS_ERRNO && os_error >= 0)
        *(long *)out = os_error;
    return code;
}

/* --- the socket --------------------------------------------------------------------------------------------------- */

static const struct command command = {.name = "test"};

static struct world {
    struct client client;
    char folder[64];
    int listener;
    uint16_t port; /* of TCP */
    pthread_t thread;
    const char *head; /* of the answer */
    char *body;
    size_t length;
    char lines[256]; /* that came, each with a | */
    unsigned most;   /* lines that are wanted */
} world;

/* Answers one request, and ends. */
static void *serve(void *user)
{
    char request[4096] = "";
    size_t length = 0;
    int fd = sockets_accept(world.listener);
    (void)user;
    while (fd >= 0 && !strstr(request, "\r\n\r\n") && length < sizeof request - 1) {
        ssize_t got = sockets_receive(fd, request + length, sizeof request - 1 - length);
        if (got <= 0)
            break;
        length += (size_t)got;
        request[length] = '\0';
    }
    (void)sockets_send(fd, world.head, strlen(world.head));
    for (size_t sent = 0; sent < world.length;) {
        ssize_t more = sockets_send(fd, world.body + sent, world.length - sent);
        if (more <= 0)
            break; /* the client has had enough */
        sent += (size_t)more;
    }
    sockets_close(fd);
    return NULL;
}

static int setup(void **state)
{
    memset(&world, 0, sizeof world);
    world.client = (struct client){.command = &command, .by_socket = system_is_posix()};
    world.most = UINT32_MAX;
    (void)snprintf(world.folder, sizeof world.folder, "/tmp/kdnetctl-client-XXXXXX");
    if (!mkdtemp(world.folder) || client_transport_open(&world.client) != COMMAND_OK)
        return -1;
    (void)snprintf(world.client.place, sizeof world.client.place, "%s/socket", world.folder);
    world.listener = sockets_listen(world.client.by_socket ? world.client.place : NULL, &world.port);
    if (!world.client.by_socket)
        (void)snprintf(world.client.place, sizeof world.client.place, "http://127.0.0.1:%u", world.port);
    *state = &world;
    return world.listener < 0 ? -1 : 0;
}

static void stop_listening(void)
{
    if (world.listener >= 0)
        sockets_close(world.listener);
    world.listener = -1;
}

static int teardown(void **state)
{
    (void)state;
    os_error = -1;
    client_transport_close(&world.client);
    stop_listening();
    (void)unlink(world.client.place);
    return rmdir(world.folder);
}

static void begin(const char *head, const char *body, size_t length)
{
    world.head = head;
    world.length = length;
    world.body = malloc(length + 1);
    assert_non_null(world.body);
    if (body)
        memcpy(world.body, body, length);
    else
        memset(world.body, 'x', length);
    assert_int_equal(pthread_create(&world.thread, NULL, serve, NULL), 0);
}

static void end(void)
{
    assert_int_equal(pthread_join(world.thread, NULL), 0);
    free(world.body);
}

static bool take_line(void *user, const char *line, size_t length)
{
    (void)user;
    assert_int_equal(strlen(line), length);
    (void)strncat(world.lines, line, 32);
    (void)strcat(world.lines, "|");
    return --world.most > 0;
}

static long ask(const char *head, const char *body, json_t **answer)
{
    begin(head, body, strlen(body));
    long status = client_transport(&world.client, "GET", "/x", NULL, answer);
    end();
    return status;
}

static long ask_lines(const char *head, const char *body, size_t length, json_t **answer)
{
    begin(head, body, length);
    long status = client_transport_lines(&world.client, "/x", NULL, take_line, NULL, answer);
    end();
    return status;
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"

/* --- tests -------------------------------------------------------------------------------------------------------- */

static void without_libcurl_nothing_is_opened(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; ++i) {
        struct client client = {.command = &command};
        no_library = i == 0;
        no_handle = i == 1;
        captured_begin();
        int status = client_transport_open(&client);
        const char *said = captured_end();
        no_library = no_handle = false;
        assert_int_equal(status, COMMAND_FAILED);
        assert_string_equal(said, "kdnetctl test: libcurl cannot be used: out of memory\n");
        assert_null(client.transport);
    }
}

static void an_answer_is_json_or_a_text(void **state)
{
    json_t *answer = NULL;
    (void)state;
    assert_int_equal(ask(OK_HEAD, "{\"a\":1}", &answer), 200);
    assert_int_equal(json_integer_value(json_object_get(answer, "a")), 1);
    json_decref(answer);
    assert_int_equal(ask("HTTP/1.1 502 Bad\r\nConnection: close\r\n\r\n", "a proxy", &answer), 502);
    assert_string_equal(json_string_value(answer), "a proxy");
    json_decref(answer);
    assert_int_equal(ask(OK_HEAD, "", &answer), 200);
    assert_null(answer);
    assert_string_equal(world.client.fault, "");
}

static void lines_come_one_by_one_whatever_ends_them(void **state)
{
    static const char body[] = "one\r\n\ntwo\nlast";
    json_t *answer = NULL;
    (void)state;
    assert_int_equal(ask_lines(OK_HEAD, body, strlen(body), &answer), 200);
    assert_string_equal(world.lines, "one||two|last|");
    assert_null(answer);
}

static void a_reader_may_have_had_enough(void **state)
{
    static const char body[] = "one\ntwo\nthree\n";
    json_t *answer = NULL;
    (void)state;
    world.most = 2;
    assert_int_equal(ask_lines(OK_HEAD, body, strlen(body), &answer), 200);
    assert_string_equal(world.lines, "one|two|");
}

static void an_error_in_place_of_lines_is_an_answer(void **state)
{
    static const char body[] = "{\"error\":\"no\"}\n";
    json_t *answer = NULL;
    (void)state;
    assert_int_equal(ask_lines("HTTP/1.1 404 No\r\nConnection: close\r\n\r\n", body, strlen(body), &answer), 404);
    assert_string_equal(world.lines, "");
    assert_string_equal(json_string_value(json_object_get(answer, "error")), "no");
    json_decref(answer);
}

/* With its end, and before any. */
static void a_line_that_is_too_long_is_none_of_kdnetd(void **state)
{
    json_t *answer = NULL;
    (void)state;
    for (unsigned ended = 0; ended < 2; ++ended) {
        size_t length = ended ? LINE_MAX_BYTES + 11 : LINE_MAX_BYTES + 65536;
        char *body = malloc(length);
        assert_non_null(body);
        memset(body, 'x', length);
        if (ended)
            body[length - 1] = '\n';
        world.client.fault[0] = '\0';
        assert_int_equal(ask_lines(OK_HEAD, body, length, &answer), 0);
        free(body);
        assert_string_equal(world.client.fault, "its answer is too long for a kdnetd");
        assert_string_equal(world.lines, "");
    }
}

/* Not half of it. */
static void an_answer_without_memory_is_none(void **state)
{
    json_t *answer = NULL;
    (void)state;
    begin(OK_HEAD, "{\"a\":1}", 7);
    scarce_begin(0, 0);
    long status = client_transport(&world.client, "GET", "/x", NULL, &answer);
    assert_true(scarce_end());
    sockets_close(
        sockets_connect(world.client.by_socket ? world.client.place : NULL, world.port)); /* if nothing was asked */
    end();
    assert_int_equal(status, 0);
    assert_null(answer);
    assert_string_not_equal(world.client.fault, "");
}

static void each_fault_of_the_socket_has_its_words(void **state)
{
    static const struct {
        long error;
        const char *words;
    } faults[] = {
        {ENOENT, "there is no such socket: no kdnetd runs here"},
        {ECONNREFUSED, "no kdnetd listens at this socket any more"},
        {EACCES, "this user may not open the socket: be in the group kdnetd-operators"},
        {EPERM, "this user may not open the socket: be in the group kdnetd-operators"},
        {ENOTSOCK, "this is no socket"},
        {ENAMETOOLONG, "the path is too long for a socket"},
        {0, "no kdnetd listens at this socket"},
        {EIO, "Input/output error"},
    };
    json_t *answer = NULL;
    (void)state;
    if (!system_is_posix())
        skip();
    (void)unlink(world.client.place);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; ++i) {
        os_error = faults[i].error;
        assert_int_equal(client_transport(&world.client, "GET", "/x", NULL, &answer), 0);
        assert_null(answer);
        assert_ptr_equal(strstr(world.client.fault, faults[i].words), world.client.fault);
    }
}

static void a_socket_that_is_not_there_is_said(void **state)
{
    json_t *answer = NULL;
    (void)state;
    if (!system_is_posix())
        skip();
    stop_listening();
    assert_int_equal(client_transport(&world.client, "GET", "/x", NULL, &answer), 0);
    assert_string_equal(world.client.fault, "no kdnetd listens at this socket any more");
    (void)unlink(world.client.place);
    assert_int_equal(client_transport(&world.client, "GET", "/x", NULL, &answer), 0);
    assert_ptr_equal(strstr(world.client.fault, "there is no such socket"), world.client.fault);
}

/* In libcurl's words, which name the address. */
static void an_address_where_nobody_listens_is_said(void **state)
{
    json_t *answer = NULL;
    (void)state;
    stop_listening();
    (void)unlink(world.client.place);
    world.client.by_socket = false;
    (void)snprintf(world.client.place, sizeof world.client.place, "http://127.0.0.1:%u", sockets_free_port());
    assert_int_equal(client_transport(&world.client, "GET", "/x", NULL, &answer), 0);
    assert_null(answer);
    assert_non_null(strstr(world.client.fault, "127.0.0.1"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_libcurl_nothing_is_opened),        TEST(an_answer_is_json_or_a_text),
        TEST(lines_come_one_by_one_whatever_ends_them), TEST(a_reader_may_have_had_enough),
        TEST(an_error_in_place_of_lines_is_an_answer),  TEST(a_line_that_is_too_long_is_none_of_kdnetd),
        TEST(an_answer_without_memory_is_none),         TEST(each_fault_of_the_socket_has_its_words),
        TEST(a_socket_that_is_not_there_is_said),       TEST(an_address_where_nobody_listens_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
