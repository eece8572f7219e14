/* SPDX-License-Identifier: Apache-2.0 */
/* asking: one request to an HTTP in this process, by its Unix socket or by TCP, and its answer. Only for tests, one at
 * a time. */
#ifndef TESTS_HTTP_ASKING_H
#define TESTS_HTTP_ASKING_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/http/http.h"
#include "tests/support/sockets.h"

#include <cmocka.h>

#define PATIENCE_S 60
#define TOKEN      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct {
    bool by_tcp;
    char folder[64];
    char path[80];      /* of the Unix socket; by TCP of the file with a token that may act */
    uint16_t port;      /* of TCP */
    char answer[65536]; /* the last, whole */
} asked;

/* Makes the place, and names it in the options. False: failed. */
static inline bool asking_begin(struct http_options *options, bool by_tcp)
{
    static const uint8_t loopback[16] = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1};
    static const char line[] = "tests act " TOKEN "\n";
    (void)snprintf(asked.folder, sizeof asked.folder, "/tmp/kdnetd-asking-XXXXXX");
    asked.by_tcp = by_tcp;
    if (!mkdtemp(asked.folder))
        return false;
    (void)snprintf(asked.path, sizeof asked.path, "%s/%s", asked.folder, by_tcp ? "tokens" : "socket");
    if (!by_tcp) {
        options->socket = asked.path;
        return true;
    }
    int tokens = open(asked.path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (tokens < 0 || write(tokens, line, strlen(line)) != (ssize_t)strlen(line) || close(tokens) != 0)
        return false;
    asked.port = sockets_free_port();
    options->socket = "none";
    options->tokens = asked.path;
    options->address.port = asked.port;
    options->address_told = true;
    memcpy(options->address.ip, loopback, sizeof loopback);
    return asked.port != 0;
}

static inline bool asking_end(void)
{
    return (!asked.by_tcp || unlink(asked.path) == 0) && rmdir(asked.folder) == 0;
}

static inline int asking_connect(void)
{
    for (unsigned tries = 0; tries < PATIENCE_S * 100; ++tries) {
        int client = sockets_connect(asked.by_tcp ? NULL : asked.path, asked.port);
        if (client >= 0)
            return client;
        (void)usleep(10000); /* it is opened by HTTP's thread */
    }
    fail_msg("nobody listens at %s, port %u", asked.path, asked.port);
    return -1;
}

/* By TCP with the token behind the first line. */
static inline void asking_send(int client, const char *request)
{
    static const char token[] = "Authorization: Bearer " TOKEN "\r\n";
    static char whole[16384];
    size_t first = asked.by_tcp ? strcspn(request, "\n") + 1 : 0;
    int length = snprintf(whole, sizeof whole, "%.*s%s%s", (int)first, request, asked.by_tcp ? token : "",
                          request + first);
    assert_in_range(length, 1, sizeof whole - 1);
    (void)sockets_send(client, whole, (size_t)length);
}

/* The status of the answer; 0: the connection ended without one. Reads it to its end, or to the first `until`. */
static inline unsigned ask_until(const char *request, const char *until)
{
    size_t length = 0;
    int client = asking_connect();
    assert_true(sockets_set_patience(client, PATIENCE_S));
    asking_send(client, request);
    for (ssize_t n; (n = sockets_receive(client, asked.answer + length, sizeof asked.answer - 1 - length)) != 0;
         length += (size_t)n) {
        if (n < 0 && sockets_was_reset())
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
    sockets_close(client);
    if (length > 0 && strncmp(asked.answer, "HTTP/1.1 ", 9) != 0)
        fail_msg("no answer of HTTP: %s", asked.answer);
    return length > 0 ? (unsigned)strtoul(asked.answer + 9, NULL, 10) : 0;
}

static inline unsigned ask(const char *request)
{
    return ask_until(request, NULL);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

#endif
