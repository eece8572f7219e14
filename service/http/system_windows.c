/* SPDX-License-Identifier: Apache-2.0 */
/* There is no Unix socket: kdnetctl asks by TCP on this computer, with a token. */
#include "config/file.h"
#include "service/http/system.h"
#include "service/http/state_internal.h"
#include "service/net/address.h"
#include "config/text_windows.h"

#include <psapi.h>
#include <stdio.h>
#include <string.h>
#include <windows.h>

#define BACKLOG     512
#define TICKS       10000000.0 /* of a FILETIME, a second */
#define EPOCH_TICKS 116444736000000000.0

/* Limits. */

bool system_has_files(void)
{
    return true;
}

void system_leave_files(struct http_limits *limits)
{
    (void)limits;
}

void system_yield(void)
{
    (void)SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_BELOW_NORMAL);
}

/* Waking. */

bool system_open_wakeup(evutil_socket_t ends[2])
{
    if (evutil_socketpair(AF_INET, SOCK_STREAM, 0, ends) != 0) {
        ends[0] = ends[1] = -1;
        return false;
    }
    (void)evutil_make_socket_nonblocking(ends[0]);
    (void)evutil_make_socket_nonblocking(ends[1]);
    return true;
}

void system_wake(const evutil_socket_t ends[2])
{
    (void)send((SOCKET)ends[1], "", 1, 0);
}

void system_take_wakeup(const evutil_socket_t ends[2])
{
    char bytes[256];
    while (recv((SOCKET)ends[0], bytes, sizeof bytes, 0) > 0)
        ;
}

void system_close_wakeup(evutil_socket_t ends[2])
{
    for (int i = 0; i < 2; ++i)
        if (ends[i] >= 0)
            system_close(ends[i]);
}

/* Listening. */

static evutil_socket_t fail(SOCKET socket, const char *what, const char *remedy, char *error)
{
    char reason[TEXT_ERROR_SIZE];
    (void)snprintf(error, HTTP_DETAIL_SIZE, "%s: %s; %s", what, text_of_error((DWORD)WSAGetLastError(), reason),
                   remedy);
    if (socket != INVALID_SOCKET)
        (void)closesocket(socket);
    return -1;
}

/* Exclusive: otherwise any program of this computer could take the address, and the tokens sent to it. */
evutil_socket_t system_listen(const struct sockaddr *name, char *error)
{
    const DWORD on = 1;
    SOCKET socket = WSASocketW(name->sa_family, SOCK_STREAM, IPPROTO_TCP, NULL, 0,
                               WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (socket == INVALID_SOCKET)
        return fail(socket, "no socket", "look for filters of other makers", error);
    (void)setsockopt(socket, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, &on, sizeof on);
    if (name->sa_family == AF_INET6)
        (void)setsockopt(socket, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(socket, name, address_socket_length(name)) != 0 || listen(socket, BACKLOG) != 0)
        return fail(socket, "cannot be listened on",
                    "is another kdnetd running, or the address of another computer? Set `http: none` where it is not "
                    "needed",
                    error);
    (void)evutil_make_socket_nonblocking((evutil_socket_t)socket);
    return (evutil_socket_t)socket;
}

evutil_socket_t system_listen_local(struct endpoint *endpoint, char *error)
{
    (void)endpoint;
    (void)snprintf(error, HTTP_DETAIL_SIZE,
                   "Windows has no Unix sockets for it; take `http_socket` out: kdnetctl uses `http` and a token");
    return -1;
}

void system_unlink_local(const struct endpoint *endpoint)
{
    (void)endpoint;
}

void system_close(evutil_socket_t socket)
{
    (void)closesocket((SOCKET)socket);
}

bool system_local_path(char out[static HTTP_PATH_SIZE])
{
    (void)out;
    return false;
}

enum system_accepted system_accept(const struct endpoint *endpoint, evutil_socket_t *out)
{
    const DWORD on = 1;
    SOCKET socket = accept((SOCKET)endpoint->socket, NULL, NULL);
    if (socket == INVALID_SOCKET) {
        int error = WSAGetLastError();
        if (error == WSAEMFILE || error == WSAENOBUFS)
            return SYSTEM_NO_DESCRIPTORS;
        return error == WSAEINTR || error == WSAECONNRESET ? SYSTEM_TRY_AGAIN : SYSTEM_NONE_WAITS;
    }
    (void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    (void)SetHandleInformation((HANDLE)socket, HANDLE_FLAG_INHERIT, 0);
    *out = (evutil_socket_t)socket;
    (void)evutil_make_socket_nonblocking(*out);
    return SYSTEM_ACCEPTED;
}

void system_name_user(evutil_socket_t socket, char out[static CALL_BY_SIZE])
{
    (void)socket;
    (void)snprintf(out, CALL_BY_SIZE, "local");
}

/* Files. */

bool system_read_secret(const char *path, char *text, size_t size, size_t *length, char error[static SYSTEM_ERROR_SIZE])
{
    struct config_file file = {.text = NULL};
    char why[CONFIG_ERROR_SIZE] = "";
    *length = 0;
    bool good = config_file_read(path, size - 1, &file, why);
    if (good && file.open_to_others) {
        config_file_tell_open(&file, path, why);
        good = false;
    }
    if (good && file.length < size) {
        memcpy(text, file.text, file.length);
        *length = file.length;
    }
    (void)snprintf(error, SYSTEM_ERROR_SIZE, "%.*s", SYSTEM_ERROR_SIZE - 1, why);
    config_file_clear(&file);
    return good;
}

/* Of this process. */

static double ticks_of(const FILETIME *time)
{
    return (double)((uint64_t)time->dwHighDateTime << 32 | time->dwLowDateTime);
}

void system_measure(struct system_process *out)
{
    FILETIME start, end, kernel, user;
    PROCESS_MEMORY_COUNTERS_EX memory = {.cb = sizeof memory};
    DWORD handles = 0;
    HANDLE process = GetCurrentProcess();
    *out = (struct system_process){.start_seconds = 0};
    if (GetProcessTimes(process, &start, &end, &kernel, &user)) {
        out->cpu_seconds = (ticks_of(&kernel) + ticks_of(&user)) / TICKS;
        out->start_seconds = (ticks_of(&start) - EPOCH_TICKS) / TICKS;
    }
    if (GetProcessMemoryInfo(process, (PROCESS_MEMORY_COUNTERS *)&memory, sizeof memory)) {
        out->resident_bytes = (double)memory.WorkingSetSize;
        out->virtual_bytes = (double)memory.PrivateUsage;
    }
    if (GetProcessHandleCount(process, &handles))
        out->open_files = (double)handles;
}
