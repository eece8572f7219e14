/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/successor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define VARIABLE    "KDNETD_PREDECESSOR" /* CHANNEL:DESCRIPTOR=NAME:DESCRIPTOR=NAME... */
#define SEND_WAIT_S 2
#define TEXT_MAX    ((size_t)1 << 30)
#define ENVIRONMENT 5U  /* variables of the service manager that are for one process */
#define HEAD_LENGTH 20U /* the last words begin with their length, in as many digits */
#define READY_MAX   32
#define ENTRY_SIZE  (SUCCESSOR_NAME_SIZE + 16)

extern char **environ;

static char **arguments;
static int waiting_channel = -1; /* of a successor that may not begin yet */
static int predecessor = -1;     /* the channel of one that may begin: ends with the predecessor */
static char *sockets_text;
static pid_t first_process; /* of the successor; it ends at once */

/* The successor */

/* The predecessor ends soon: without this, the service manager would not be told of our end. */
static void become_child_of_manager(void)
{
    pid_t child = fork();
    if (child > 0)
        _exit(EXIT_SUCCESS);
}

void successor_take(int argc, char **argv)
{
    char *text = getenv(VARIABLE), *end = NULL;
    arguments = argc > 0 ? argv : NULL;
    if (!text)
        return;
    long channel = strtol(text, &end, 10);
    if (end != text && (*end == ':' || *end == '\0') && channel > 2 && channel < INT32_MAX) {
        waiting_channel = (int)channel;
        (void)fcntl(waiting_channel, F_SETFD, FD_CLOEXEC);
        sockets_text = strdup(*end == ':' ? end + 1 : end);
        become_child_of_manager();
    }
    (void)unsetenv(VARIABLE);
}

bool successor_waits(void)
{
    return waiting_channel >= 0;
}

const char *successor_sockets(void)
{
    return sockets_text;
}

/* Reads all of `length` bytes. False: the predecessor is gone. */
static bool read_all(int channel, char *text, size_t length)
{
    while (length > 0) {
        ssize_t got = read(channel, text, length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        text += got;
        length -= (size_t)got;
    }
    return true;
}

/* NULL: the turn did not come, or memory is out. */
static char *read_last_words(int channel, size_t *length)
{
    char head[HEAD_LENGTH + 1] = "";
    if (!read_all(channel, head, HEAD_LENGTH))
        return NULL;
    *length = (size_t)strtoull(head, NULL, 10);
    char *text = *length <= TEXT_MAX ? malloc(*length + 1) : NULL;
    if (text && read_all(channel, text, *length)) {
        text[*length] = '\0';
        return text;
    }
    free(text);
    return NULL;
}

bool successor_wait(char **text, size_t *length)
{
    char ready[READY_MAX];
    int count = snprintf(ready, sizeof ready, "%ld\n", (long)getpid());
    *text = NULL;
    *length = 0;
    if (send(waiting_channel, ready, (size_t)count, MSG_NOSIGNAL) == count)
        *text = read_last_words(waiting_channel, length);
    if (*text)
        predecessor = waiting_channel;
    else
        (void)close(waiting_channel);
    waiting_channel = -1;
    return *text != NULL;
}

int successor_predecessor(void)
{
    return predecessor;
}

void successor_predecessor_ended(void)
{
    (void)close(predecessor);
    predecessor = -1;
}

/* The predecessor */

static bool is_for_one_process(const char *variable)
{
    static const char *const names[ENVIRONMENT] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID",
                                                   VARIABLE};
    for (size_t i = 0; i < ENVIRONMENT; ++i) {
        size_t length = strlen(names[i]);
        if (strncmp(variable, names[i], length) == 0 && variable[length] == '=')
            return true;
    }
    return false;
}

/* Our environment, with `added`. The array is malloc'd, the strings are not. */
static char **make_environment(char *added)
{
    size_t count = 0, kept = 0;
    while (environ[count])
        ++count;
    char **made = calloc(count + 2, sizeof *made);
    for (size_t i = 0; made && i < count; ++i)
        if (!is_for_one_process(environ[i]))
            made[kept++] = environ[i];
    if (made)
        made[kept] = added;
    return made;
}

static char *make_variable(int channel, const struct successor_socket *sockets, size_t count)
{
    size_t size = sizeof VARIABLE + ENTRY_SIZE + count * ENTRY_SIZE;
    char *text = malloc(size);
    size_t at = text ? (size_t)snprintf(text, size, VARIABLE "=%d", channel) : 0;
    for (size_t i = 0; text && i < count; ++i)
        at += (size_t)snprintf(text + at, size - at, ":%d=%s", sockets[i].socket, sockets[i].name);
    return text;
}

/* Spawns it, with the same number for each descriptor. The first process ends at once: see become_child_of_manager. */
static int spawn(int channel, const struct successor_socket *sockets, size_t count, char **environment)
{
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0)
        return error;
    error = posix_spawn_file_actions_adddup2(&actions, channel, channel);
    for (size_t i = 0; i < count && error == 0; ++i)
        error = posix_spawn_file_actions_adddup2(&actions, sockets[i].socket, sockets[i].socket);
    if (error == 0)
        error = posix_spawnp(&first_process, arguments[0], &actions, NULL, arguments, environment);
    (void)posix_spawn_file_actions_destroy(&actions);
    return error;
}

int successor_start(const struct successor_socket *sockets, size_t count)
{
    int ends[2];
    if (!arguments)
        return UV_ENOTSUP;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return uv_translate_sys_error(errno);
    char *variable = make_variable(ends[1], sockets, count);
    char **environment = variable ? make_environment(variable) : NULL;
    int error = environment ? spawn(ends[1], sockets, count, environment) : ENOMEM;
    free(environment);
    free(variable);
    (void)close(ends[1]);
    if (error == 0)
        return ends[0];
    (void)close(ends[0]);
    return uv_translate_sys_error(error);
}

int64_t successor_ready(int channel)
{
    char text[READY_MAX];
    (void)waitpid(first_process, NULL, WNOHANG);
    ssize_t got = recv(channel, text, sizeof text - 1, MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : uv_translate_sys_error(errno);
    text[got] = '\0';
    int64_t process = strtoll(text, NULL, 10);
    return process > 1 ? process : UV_EOF;
}

static bool send_all(int channel, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(channel, text, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        text += sent;
        length -= (size_t)sent;
    }
    return true;
}

bool successor_begin(int channel, const char *text, size_t length)
{
    const struct timeval wait = {.tv_sec = SEND_WAIT_S};
    char head[HEAD_LENGTH + 1];
    (void)snprintf(head, sizeof head, "%0*zu", (int)HEAD_LENGTH, length);
    (void)setsockopt(channel, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    return send_all(channel, head, HEAD_LENGTH) && send_all(channel, text, length);
}

void successor_drop(int channel)
{
    (void)close(channel);
}
