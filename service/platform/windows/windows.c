/* SPDX-License-Identifier: Apache-2.0 */
#include "service/net/address.h"
#include "service/platform/windows/console.h"
#include "service/platform/windows/eventlog.h"
#include "service/platform/windows/fault.h"
#include "service/platform/windows/service_state.h"
#include "service/platform/platform.h"

#include <io.h>
#include <limits.h>

#define PIPE_LOOK_MS 10 /* until a full pipe is tried again */

static bool write_fault(const char *text, size_t length)
{
    return eventlog_is_open() ? eventlog_write_at_once(text, length) : console_write(text, length);
}

void platform_prepare(void)
{
    fault_watch(write_fault);
}

/* Keeps keys out of reports of Windows Error Reporting. */
void platform_hide_memory(void)
{
    enum { NO_HEAP = 1 }; /* WER_FAULT_REPORTING_FLAG_NOHEAP */
    HMODULE kernel = GetModuleHandleW(L"kernel32.dll");
    FARPROC found = kernel ? GetProcAddress(kernel, "WerSetFlags") : NULL;
    HRESULT(WINAPI * set_flags)(DWORD) = NULL;
    memcpy(&set_flags, &found, sizeof set_flags);
    if (set_flags)
        (void)set_flags(NO_HEAP);
}

void platform_end(int status)
{
    service_state_end(status);
    _Exit(status);
}

bool platform_write_log(const char *text, size_t length)
{
    return eventlog_is_open() ? eventlog_write_line(text, length) : console_write(text, length);
}

bool platform_log_is_stderr(void)
{
    return !eventlog_is_open();
}

/* Sockets. */

static int last_error(void)
{
    int error = WSAGetLastError();
    /* Another program has the port exclusively, or Windows has reserved it (`netsh int ipv4 show
     * excludedportrange`). */
    return error == WSAEACCES ? UV_EADDRINUSE : uv_translate_sys_error(error);
}

static int set_option(SOCKET socket, int level, int name, DWORD value)
{
    return setsockopt(socket, level, name, (const char *)&value, sizeof value) == 0 ? 0 : last_error();
}

/* An ICMP error for one machine's datagram is no error of the socket that serves all machines. */
static void forget_resets(SOCKET socket)
{
    const DWORD codes[] = {_WSAIOW(IOC_VENDOR, 12), _WSAIOW(IOC_VENDOR, 15)}; /* SIO_UDP_CONNRESET, SIO_UDP_NETRESET */
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; ++i) {
        BOOL told = FALSE;
        DWORD bytes = 0;
        (void)WSAIoctl(socket, codes[i], &told, sizeof told, NULL, 0, &bytes, NULL, NULL);
    }
}

/* SO_REUSEADDR would let any program take the address away here; SO_EXCLUSIVEADDRUSE keeps it. */
static int set_options(SOCKET socket, bool ipv6, unsigned how)
{
    int error = ipv6 ? set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, 1) : 0;
    if (error == 0)
        error = set_option(socket, SOL_SOCKET, (how & PLATFORM_BESIDE) != 0 ? SO_REUSEADDR : SO_EXCLUSIVEADDRUSE, 1);
    if (error == 0 && (how & (PLATFORM_SHARED | PLATFORM_FREEBIND)) != 0)
        error = UV_ENOSYS;
    forget_resets(socket);
    return error;
}

int platform_udp_socket(const struct sockaddr *local, unsigned how, uv_os_sock_t *out)
{
    bool ipv6 = local->sa_family == AF_INET6;
    SOCKET socket = WSASocketW(local->sa_family, SOCK_DGRAM, IPPROTO_UDP, NULL, 0,
                               WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (socket == INVALID_SOCKET)
        return last_error();
    int error = set_options(socket, ipv6, how);
    if (error == 0 && bind(socket, local, address_socket_length(local)) != 0)
        error = last_error();
    if (error == 0)
        *out = socket;
    else
        (void)closesocket(socket);
    return error;
}

void platform_close_socket(uv_os_sock_t socket)
{
    (void)closesocket(socket);
}

/* An exclusive address stays exclusive. */
void platform_set_reuse(uv_os_fd_t descriptor, bool allowed)
{
    (void)descriptor;
    (void)allowed;
}

bool platform_report_local(uv_os_fd_t descriptor, bool ipv4)
{
    SOCKET socket = (SOCKET)descriptor;
    return ipv4 ? set_option(socket, IPPROTO_IP, IP_PKTINFO, 1) == 0
                : set_option(socket, IPPROTO_IPV6, IPV6_PKTINFO, 1) == 0;
}

bool platform_source_of(const struct sockaddr_storage *to, struct sockaddr_storage *source)
{
    int length = sizeof *source;
    SOCKET probe = socket(to->ss_family, SOCK_DGRAM, 0);
    if (probe == INVALID_SOCKET)
        return false;
    bool known = connect(probe, (const struct sockaddr *)to, address_socket_length((const struct sockaddr *)to)) == 0 &&
                 getsockname(probe, (struct sockaddr *)source, &length) == 0;
    (void)closesocket(probe);
    return known;
}

bool platform_can_share(void)
{
    return false;
}

/* Not by uv_udp_open: a socket belongs to one completion port, and worker 0's loop has it. */
int platform_udp_lend(uv_udp_t *udp, uv_os_sock_t socket)
{
    udp->socket = socket;
    return 0;
}

bool platform_steer(uv_os_sock_t socket, const struct steer *steer, bool ipv4)
{
    (void)socket;
    (void)steer;
    (void)ipv4;
    return false;
}

size_t platform_receive_buffer(uv_os_fd_t descriptor, size_t bytes)
{
    SOCKET socket = (SOCKET)descriptor;
    int granted = 0, length = sizeof granted;
    (void)set_option(socket, SOL_SOCKET, SO_RCVBUF, bytes <= INT_MAX ? (DWORD)bytes : (DWORD)INT_MAX);
    if (getsockopt(socket, SOL_SOCKET, SO_RCVBUF, (char *)&granted, &length) != 0 || granted < 0)
        return 0;
    return (size_t)granted;
}

/* Windows counts them for the whole computer alone. */
uint32_t platform_receive_drops(uv_os_fd_t descriptor)
{
    (void)descriptor;
    return 0;
}

/* Files. */

void platform_raise_limits(void)
{
}

size_t platform_spare_descriptors(size_t most)
{
    return most;
}

int platform_append_flags(void)
{
    return UV_FS_O_WRONLY | UV_FS_O_APPEND | UV_FS_O_CREAT;
}

int platform_read_flags(void)
{
    return UV_FS_O_RDONLY;
}

/* Windows cannot open standard output again: returns a name that is no file of ours. */
const char *platform_stdout_path(void)
{
    return "NUL";
}

/* A write to a full pipe fails at once: Windows does not report a pipe's room while a reader waits. */
bool platform_wait_writable(uv_file file, int timeout_ms)
{
    HANDLE handle = (HANDLE)_get_osfhandle(file);
    DWORD mode = PIPE_NOWAIT;
    if (GetFileType(handle) != FILE_TYPE_PIPE)
        return true;
    (void)SetNamedPipeHandleState(handle, &mode, NULL, NULL);
    if (timeout_ms > 0)
        Sleep(timeout_ms < PIPE_LOOK_MS ? (DWORD)timeout_ms : PIPE_LOOK_MS);
    return true;
}

size_t platform_memory(void)
{
    size_t bytes = 0;
    return uv_resident_set_memory(&bytes) == 0 ? bytes : 0;
}

void platform_trim_memory(void)
{
    (void)HeapCompact(GetProcessHeap(), 0);
}

void platform_as_service_user(const char *name, void (*call)(void *user), void *user)
{
    (void)name; /* nobody can become a virtual account without its token */
    (void)call;
    (void)user;
}
