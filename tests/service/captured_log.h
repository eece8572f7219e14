/* SPDX-License-Identifier: Apache-2.0 */
/* captured_log: what the log says between two calls. Only for tests, one at a time. */
#ifndef TESTS_SERVICE_CAPTURED_LOG_H
#define TESTS_SERVICE_CAPTURED_LOG_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char captured_text[1 << 16];
static int captured_file, captured_before;

/* From now on standard error is a file. */
static inline void captured_begin(void)
{
    captured_file = memfd_create("log", 0);
    captured_before = dup(STDERR_FILENO);
    if (captured_file < 0 || captured_before < 0 || dup2(captured_file, STDERR_FILENO) < 0)
        abort();
}

/* Standard error is as it was. Returns what was written, which stays until the next call. */
static inline const char *captured_end(void)
{
    ssize_t length = pread(captured_file, captured_text, sizeof captured_text - 1, 0);
    if (length < 0 || dup2(captured_before, STDERR_FILENO) < 0)
        abort();
    captured_text[length] = '\0';
    (void)close(captured_before);
    (void)close(captured_file);
    return captured_text;
}

static inline unsigned captured_lines(const char *text)
{
    unsigned lines = 0;
    for (; *text != '\0'; ++text)
        lines += *text == '\n';
    return lines;
}

#endif
