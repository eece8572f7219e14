/* SPDX-License-Identifier: Apache-2.0 */
/* asking: one request at the Unix socket of an HTTP in this process, and its answer. Only for tests, one at a time. */
#ifndef TESTS_HTTP_ASKING_H
#define TESTS_HTTP_ASKING_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_S 60

static struct {
    char path[64];      /* of the socket */
    char answer[65536]; /* the last, whole */
} asked;

/* The status of the answer; 0: the connection ended without one. Reads it to its end, or to the first `until`. */
static inline unsigned ask_until(const char *request, const char *until)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    size_t length = 0;
    (void)snprintf(name.sun_path, sizeof name.sun_path, "%s", asked.path);
    int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client >= 0);
    assert_int_equal(setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    for (unsigned tries = 0; connect(client, (const struct sockaddr *)&name, sizeof name) != 0; ++tries) {
        if (tries == PATIENCE_S * 100)
            fail_msg("%s: %s", asked.path, strerror(errno)); /* it is opened by HTTP's thread */
        (void)usleep(10000);
    }
    (void)send(client, request, strlen(request), MSG_NOSIGNAL);
    for (ssize_t n; (n = recv(client, asked.answer + length, sizeof asked.answer - 1 - length, 0)) != 0;
         length += (size_t)n) {
        if (n < 0 && errno == ECONNRESET)
            break;
        if (n < 0)
            fail_msg("no answer in %d s to: %s", PATIENCE_S, request);
        asked.answer[length + (size_t)n] = '\0';
        if (until && strstr(asked.answer, until)) {
            length += (size_t)n;
            break;
        }
    }
    asked.answer[length] = '\0';
    (void)close(client);
    unsigned status = 0;
    if (length > 0 && sscanf(asked.answer, "HTTP/1.1 %u", &status) != 1)
        fail_msg("no answer of HTTP: %s", asked.answer);
    return status;
}

static inline unsigned ask(const char *request)
{
    return ask_until(request, NULL);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

#endif
