/* SPDX-License-Identifier: Apache-2.0 */
/* systemd's protocol, sd_listen_fds(3) and the descriptor store of sd_notify(3): descriptors from 3 on, with names. */
#include "service/platform/inherited.h"
#include "service/platform/platform.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST     3
#define MOST      1024
#define NAME_SIZE SUCCESSOR_NAME_SIZE
#define UNIT_NAME "kdnetd.socket" /* of a socket unit, for a successor */
#define OF_A_UNIT 1000U /* index of the first socket from a socket unit: behind those that we asked to be kept */

struct inherited {
    int descriptor;
    unsigned index;
    struct sockaddr_storage local;
    bool usable, kept; /* kept: under our name */
    char name[NAME_SIZE];
};

static struct inherited *sockets;
static size_t count;
static struct sockaddr_storage *of_units; /* addresses of socket units: they are kept without being asked for */
static size_t of_units_count;
static struct wish {
    char name[NAME_SIZE];
    uv_os_sock_t socket;
    bool keep;
} wishes[MOST]; /* of a successor that may not begin: the service manager would not listen */
static size_t wish_count;

/* Writes the bytes of an address that distinguish sockets. */
static size_t address_bytes(const struct sockaddr *address, unsigned char out[static 20])
{
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)(const void *)address;
        memcpy(out, &ipv6->sin6_port, 2);
        memcpy(out + 2, &ipv6->sin6_addr, 16);
        return 18;
    }
    const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)(const void *)address;
    memcpy(out, &ipv4->sin_port, 2);
    memcpy(out + 2, &ipv4->sin_addr, 4);
    return 6;
}

static bool is_same(const struct sockaddr *a, const struct sockaddr *b)
{
    unsigned char one[20], other[20];
    size_t length = a->sa_family == b->sa_family ? address_bytes(a, one) : 0;
    return length > 0 && address_bytes(b, other) == length && memcmp(one, other, length) == 0;
}

/* Names have no colon: port and address in hexadecimal, then the index. */
static void make_name(const struct sockaddr *local, unsigned index, char out[static NAME_SIZE])
{
    unsigned char bytes[20];
    size_t length = address_bytes(local, bytes), at = 0;
    at += (size_t)snprintf(out, NAME_SIZE, "udp-");
    for (size_t i = 0; i < length; ++i)
        at += (size_t)snprintf(out + at, NAME_SIZE - at, "%02x", bytes[i]);
    (void)snprintf(out + at, NAME_SIZE - at, "-%u", index);
}

static int get_option(int descriptor, int level, int name)
{
    int value = -1;
    socklen_t length = sizeof value;
    return getsockopt(descriptor, level, name, &value, &length) == 0 ? value : -1;
}

/* UDP, and not of both kinds of address: an IPv4 machine would come in another form. */
static bool look(struct inherited *socket)
{
    socklen_t length = sizeof socket->local;
    if (get_option(socket->descriptor, SOL_SOCKET, SO_TYPE) != SOCK_DGRAM ||
        getsockname(socket->descriptor, (struct sockaddr *)&socket->local, &length) != 0)
        return false;
    if (socket->local.ss_family == AF_INET6)
        return get_option(socket->descriptor, IPPROTO_IPV6, IPV6_V6ONLY) == 1;
    return socket->local.ss_family == AF_INET;
}

static void note(int descriptor, const char *name, size_t length)
{
    struct inherited *socket = &sockets[count];
    char ours[NAME_SIZE];
    *socket = (struct inherited){.descriptor = descriptor, .index = OF_A_UNIT + (unsigned)count};
    (void)fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    socket->usable = look(socket);
    (void)snprintf(socket->name, sizeof socket->name, "%.*s", (int)length, name);
    const char *dash = strrchr(socket->name, '-');
    unsigned index = dash ? (unsigned)strtoul(dash + 1, NULL, 10) : OF_A_UNIT;
    if (socket->usable && index < OF_A_UNIT) {
        make_name((const struct sockaddr *)&socket->local, index, ours);
        socket->kept = strcmp(ours, socket->name) == 0;
    }
    if (socket->kept)
        socket->index = index;
    ++count;
}

static int by_index(const void *a, const void *b)
{
    const struct inherited *one = a, *other = b;
    return (one->index > other->index) - (one->index < other->index);
}

static unsigned long number_of(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    unsigned long value = text ? strtoul(text, &end, 10) : 0;
    return text && text[0] != '\0' && *end == '\0' ? value : 0;
}

/* The sockets from a predecessor: "DESCRIPTOR=NAME:DESCRIPTOR=NAME". */
static void take_passed_on(const char *text)
{
    sockets = calloc(MOST, sizeof *sockets);
    while (sockets && count < MOST && *text != '\0') {
        char *name = NULL;
        long descriptor = strtol(text, &name, 10);
        size_t length = strcspn(name, ":");
        if (*name == '=' && descriptor >= FIRST && descriptor <= INT32_MAX)
            note((int)descriptor, name + 1, length - 1);
        text = name[length] == ':' ? name + length + 1 : name + length;
    }
}

static void take_listened(void)
{
    unsigned long total = number_of("LISTEN_PID") == (unsigned long)getpid() ? number_of("LISTEN_FDS") : 0;
    const char *names = getenv("LISTEN_FDNAMES");
    total = total < MOST ? total : MOST;
    sockets = total > 0 ? calloc(total, sizeof *sockets) : NULL;
    for (unsigned long i = 0; sockets && i < total; ++i) {
        size_t length = names ? strcspn(names, ":") : 0;
        note(FIRST + (int)i, names ? names : "", length);
        if (names)
            names = names[length] == ':' ? names + length + 1 : NULL;
    }
}

void inherited_take(void)
{
    if (successor_sockets())
        take_passed_on(successor_sockets());
    else
        take_listened();
    if (count > 1)
        qsort(sockets, count, sizeof *sockets, by_index);
    of_units = count > 0 ? calloc(count, sizeof *of_units) : NULL;
    for (size_t i = 0; of_units && i < count; ++i)
        if (sockets[i].usable && !sockets[i].kept)
            of_units[of_units_count++] = sockets[i].local;
    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
}

size_t inherited_sockets(const struct sockaddr *local, uv_os_sock_t *out, size_t room)
{
    size_t found = 0, left = 0;
    for (size_t i = 0; i < count; ++i) {
        bool taken = sockets[i].usable && found < room && is_same((const struct sockaddr *)&sockets[i].local, local);
        if (taken)
            out[found++] = sockets[i].descriptor;
        else
            sockets[left++] = sockets[i];
    }
    count = left;
    return found;
}

static void tell(const char *name, uv_os_sock_t socket, bool keep)
{
    if (successor_waits() && wish_count < MOST) {
        struct wish *wish = &wishes[wish_count++];
        *wish = (struct wish){.socket = socket, .keep = keep};
        (void)snprintf(wish->name, sizeof wish->name, "%s", name);
    } else if (keep) {
        platform_notify_keep(name, socket);
    } else {
        platform_notify_forget(name);
    }
}

void inherited_begin(void)
{
    for (size_t i = 0; i < wish_count; ++i)
        tell(wishes[i].name, wishes[i].socket, wishes[i].keep);
    wish_count = 0;
}

size_t inherited_close_rest(void)
{
    size_t closed = 0;
    for (size_t i = 0; i < count; ++i) {
        closed += !sockets[i].kept;
        if (sockets[i].kept)
            tell(sockets[i].name, -1, false);
        (void)close(sockets[i].descriptor);
    }
    free(sockets);
    sockets = NULL;
    count = 0;
    return closed;
}

int inherited_duplicate(uv_os_sock_t socket, uv_os_sock_t *out)
{
    int descriptor = fcntl(socket, F_DUPFD_CLOEXEC, FIRST);
    if (descriptor < 0)
        return uv_translate_sys_error(errno);
    *out = descriptor;
    return 0;
}

static bool is_of_unit(const struct sockaddr *local)
{
    for (size_t i = 0; i < of_units_count; ++i)
        if (is_same((const struct sockaddr *)&of_units[i], local))
            return true;
    return false;
}

void inherited_keep(const struct sockaddr *local, unsigned index, uv_os_sock_t socket)
{
    char name[NAME_SIZE];
    if (is_of_unit(local))
        return;
    make_name(local, index, name);
    tell(name, socket, true);
}

void inherited_forget(const struct sockaddr *local, unsigned index)
{
    char name[NAME_SIZE];
    make_name(local, index, name);
    tell(name, -1, false);
}

/* Two descriptors may be of one socket. */
static uint64_t cookie_of(uv_os_sock_t socket)
{
    uint64_t cookie = 0;
#ifdef SO_COOKIE
    socklen_t length = sizeof cookie;
    (void)getsockopt(socket, SOL_SOCKET, SO_COOKIE, &cookie, &length);
#else
    (void)socket;
#endif
    return cookie;
}

bool inherited_pass_on(const struct sockaddr *local, unsigned index, uv_os_sock_t socket,
                       const struct successor_socket *before, size_t count_before, struct successor_socket *out)
{
    uint64_t cookie = cookie_of(socket);
    for (size_t i = 0; cookie != 0 && i < count_before; ++i)
        if (cookie_of(before[i].socket) == cookie)
            return false;
    out->socket = socket;
    if (is_of_unit(local))
        (void)snprintf(out->name, sizeof out->name, UNIT_NAME);
    else
        make_name(local, index, out->name);
    return true;
}
