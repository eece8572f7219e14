/* SPDX-License-Identifier: Apache-2.0 */
#include "service/platform/platform.h"
#include "service/net/address.h"
#include "service/net/steer.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#ifdef __linux__
#include <linux/filter.h>
#include <linux/sock_diag.h>
#endif
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <string.h>
#include <unistd.h>

#define MAPPED_BYTES    (256 << 10)
#define DESCRIPTORS_MAX 2048

void platform_prepare(void)
{
    (void)signal(SIGXFSZ, SIG_IGN); // NOLINT(cert-err33-c): a file that may not grow is an error of its write
    (void)umask(S_IWGRP | S_IRWXO);
#ifdef __GLIBC__
    /* Puts large tables into mappings of their own, which use memory only when touched, and are unmapped when freed.
     * Without this setting glibc serves tables of up to 32 MiB from the heap after the first was freed. */
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
#endif
}

void platform_hide_memory(void)
{
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    (void)setrlimit(RLIMIT_CORE, &none);
#ifdef __linux__
    /* Also keeps memory out of core files piped to a program (core_pattern), and from other processes of this user. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

void platform_end(int status)
{
    _Exit(status);
}

bool platform_write_log(const char *text, size_t length)
{
    struct pollfd descriptor = {.fd = STDERR_FILENO, .events = POLLOUT};
    /* A pipe that polls writable takes PIPE_BUF bytes at once, and a line is shorter: the write does not block. */
    if (poll(&descriptor, 1, 0) != 1 || (descriptor.revents & POLLOUT) == 0)
        return false;
    ssize_t written = 0;
    do
        written = write(STDERR_FILENO, text, length);
    while (written < 0 && errno == EINTR);
    return written >= 0;
}

bool platform_log_is_stderr(void)
{
    return true;
}

static int set_option(int descriptor, int level, int name, int value)
{
    return setsockopt(descriptor, level, name, &value, sizeof value) == 0 ? 0 : uv_translate_sys_error(errno);
}

/* Allows binding to an address that is not local yet; its datagrams come once it is. */
static int set_freebind(int descriptor, bool ipv6)
{
#if defined IPV6_FREEBIND && defined IP_FREEBIND
    if (ipv6 && set_option(descriptor, IPPROTO_IPV6, IPV6_FREEBIND, 1) == 0)
        return 0;
#endif
#ifdef IP_FREEBIND
    return set_option(descriptor, IPPROTO_IP, IP_FREEBIND, 1);
#else
    (void)descriptor;
    (void)ipv6;
    return UV_ENOSYS;
#endif
}

static int set_options(int descriptor, bool ipv6, unsigned how)
{
    int error = fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 ? 0 : uv_translate_sys_error(errno);
    if (error == 0 && ipv6)
        error = set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1);
#ifdef SO_REUSEPORT
    if (error == 0 && (how & PLATFORM_SHARED) != 0)
        error = set_option(descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
#endif
    if (error == 0 && (how & PLATFORM_BESIDE) != 0)
        error = set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
    if (error == 0 && (how & PLATFORM_FREEBIND) != 0)
        error = set_freebind(descriptor, ipv6);
    return error;
}

int platform_udp_socket(const struct sockaddr *local, unsigned how, uv_os_sock_t *out)
{
    bool ipv6 = local->sa_family == AF_INET6;
    int descriptor = socket(local->sa_family, SOCK_DGRAM, 0);
    if (descriptor < 0)
        return uv_translate_sys_error(errno);
    int error = set_options(descriptor, ipv6, how);
    if (error == 0 && bind(descriptor, local, address_socket_length(local)) != 0)
        error = uv_translate_sys_error(errno);
    if (error == 0)
        *out = descriptor;
    else
        (void)close(descriptor);
    return error;
}

void platform_close_socket(uv_os_sock_t socket)
{
    (void)close(socket);
}

void platform_set_reuse(uv_os_fd_t descriptor, bool allowed)
{
    (void)set_option(descriptor, SOL_SOCKET, SO_REUSEADDR, allowed);
}

bool platform_report_local(uv_os_fd_t descriptor, bool ipv4)
{
#if defined IP_PKTINFO && defined IPV6_RECVPKTINFO
    return ipv4 ? set_option(descriptor, IPPROTO_IP, IP_PKTINFO, 1) == 0
                : set_option(descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1) == 0;
#else
    (void)descriptor;
    (void)ipv4;
    return false;
#endif
}

bool platform_source_of(const struct sockaddr_storage *to, struct sockaddr_storage *source)
{
    socklen_t length = sizeof *source;
    int descriptor = socket(to->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return false;
    bool known = connect(descriptor, (const struct sockaddr *)to, address_socket_length((const struct sockaddr *)to)) ==
                     0 &&
                 getsockname(descriptor, (struct sockaddr *)source, &length) == 0;
    (void)close(descriptor);
    return known;
}

void platform_raise_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

size_t platform_spare_descriptors(size_t most)
{
    int descriptors[DESCRIPTORS_MAX];
    size_t count = 0;
    most = most < DESCRIPTORS_MAX ? most : DESCRIPTORS_MAX;
    while (count < most && (descriptors[count] = open("/", O_RDONLY | O_CLOEXEC)) >= 0)
        ++count;
    for (size_t i = 0; i < count; ++i)
        (void)close(descriptors[i]);
    return count;
}

#if defined __linux__ && defined SO_ATTACH_REUSEPORT_CBPF
#define STEER_PROGRAM_MAX 24

struct program {
    struct sock_filter code[STEER_PROGRAM_MAX];
    unsigned short length;
};

static void add(struct program *program, unsigned short code, uint32_t k)
{
    program->code[program->length++] = (struct sock_filter){.code = code, .k = k};
}

/* Writes steer_worker as a BPF program: the accumulator holds `sum`. The source address is at byte 12 of an IPv4
 * header, and from byte 8 on, four words, of an IPv6 header. */
static void write_program(struct program *program, const struct steer *steer, bool ipv4)
{
    add(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_NET_OFF + (ipv4 ? 12 : 8));
    for (uint32_t i = 1; !ipv4 && i < 4; ++i) {
        add(program, BPF_ST, 0);
        add(program, BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_NET_OFF + 8 + 4 * i);
        add(program, BPF_LDX | BPF_MEM, 0);
        add(program, BPF_ALU | BPF_XOR | BPF_X, 0);
    }
    add(program, BPF_ALU | BPF_XOR | BPF_K, steer->seed);
    add(program, BPF_ALU | BPF_MUL | BPF_K, STEER_MULTIPLIER);
    add(program, BPF_MISC | BPF_TAX, 0);
    add(program, BPF_ALU | BPF_RSH | BPF_K, STEER_SHIFT);
    add(program, BPF_ALU | BPF_XOR | BPF_X, 0);
    add(program, BPF_ALU | BPF_MOD | BPF_K, steer->workers);
    add(program, BPF_RET | BPF_A, 0);
}

/* A seccomp filter or an old kernel may refuse SO_REUSEPORT. */
bool platform_can_share(void)
{
    int descriptor = socket(AF_INET, SOCK_DGRAM, 0);
    if (descriptor < 0)
        descriptor = socket(AF_INET6, SOCK_DGRAM, 0);
    if (descriptor < 0)
        return true; /* no socket at all: reported when one is opened */
    bool can = set_option(descriptor, SOL_SOCKET, SO_REUSEPORT, 1) == 0;
    (void)close(descriptor);
    return can;
}

int platform_udp_lend(uv_udp_t *udp, uv_os_sock_t socket)
{
    return uv_udp_open(udp, socket);
}

bool platform_steer(uv_os_sock_t socket, const struct steer *steer, bool ipv4)
{
    struct program program = {.length = 0};
    write_program(&program, steer, ipv4);
    struct sock_fprog filter = {.len = program.length, .filter = program.code};
    return setsockopt(socket, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &filter, sizeof filter) == 0;
}
#else
/* Other systems' SO_REUSEPORT gives all datagrams to one of the sockets. */
bool platform_can_share(void)
{
    return false;
}

bool platform_steer(uv_os_sock_t socket, const struct steer *steer, bool ipv4)
{
    (void)socket;
    (void)steer;
    (void)ipv4;
    return false;
}
#endif

size_t platform_receive_buffer(uv_os_fd_t descriptor, size_t bytes)
{
    int size = bytes <= INT_MAX ? (int)bytes : INT_MAX, granted = 0;
    socklen_t length = sizeof granted;
    int outcome = -1;
#ifdef SO_RCVBUFFORCE
    outcome = setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size); /* needs CAP_NET_ADMIN */
#endif
    if (outcome != 0)
        (void)setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (getsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &granted, &length) != 0 || granted < 0)
        return 0;
#ifdef __linux__
    granted /= 2; /* Linux counts its own bookkeeping, and reports twice the requested size (socket(7)) */
#endif
    return (size_t)granted;
}

uint32_t platform_receive_drops(uv_os_fd_t descriptor)
{
#if defined SO_MEMINFO && defined __linux__
    /* The counter of SO_RXQ_OVFL, read without looking at each datagram. */
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t length = sizeof info;
    if (getsockopt(descriptor, SOL_SOCKET, SO_MEMINFO, info, &length) == 0)
        return info[SK_MEMINFO_DROPS];
#else
    (void)descriptor;
#endif
    return 0;
}

int platform_append_flags(void)
{
    return O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK;
}

int platform_read_flags(void)
{
    return O_RDONLY | O_CLOEXEC | O_NONBLOCK;
}

const char *platform_stdout_path(void)
{
    return "/dev/fd/1";
}

bool platform_wait_writable(uv_file file, int timeout_ms)
{
    struct pollfd descriptor = {.fd = file, .events = POLLOUT};
    return poll(&descriptor, 1, timeout_ms) == 1;
}

static bool become(const struct passwd *user)
{
    return initgroups(user->pw_name, user->pw_gid) == 0 && setgid(user->pw_gid) == 0 && setuid(user->pw_uid) == 0;
}

void platform_as_service_user(const char *name, void (*call)(void *user), void *user)
{
    const struct passwd *found = geteuid() == 0 ? getpwnam(name) : NULL; // NOLINT(concurrency-mt-unsafe)
    if (!found)
        return;
    pid_t child = fork();
    if (child == 0) {
        if (become(found))
            call(user);
        _exit(EXIT_SUCCESS);
    }
    if (child > 0)
        (void)waitpid(child, NULL, 0);
}

size_t platform_memory(void)
{
    size_t bytes = 0;
    return uv_resident_set_memory(&bytes) == 0 ? bytes : 0;
}

void platform_trim_memory(void)
{
#ifdef __GLIBC__
    (void)malloc_trim(0);
#endif
}
