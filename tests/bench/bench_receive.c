/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_receive COUNT ADDR:PORT [NAP_MS]: the floor of receiving: takes the crowd's pokes from a socket with recvmmsg,
 * decrypts and verifies each with the keys of its target, and does nothing else with it. With NAP_MS it sleeps so long
 * whenever the socket is empty, instead of waiting for the next datagram.
 *
 * Says "ready" on standard output, then {"received":N,"verified":N,"dropped":N} for each line on standard input; ends
 * with standard input.
 */
#include "tests/bench/bench.h"
#include "tests/bench/crowd.h"
#include "tests/bench/floor.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BUFFER      (8 << 20)
#define LOOK_EVERY  512 /* system calls between two looks at standard input */
#define PAYLOAD_MAX 2048
#define DROPS       8 /* place in what SO_MEMINFO gives: SK_MEMINFO_DROPS */

struct receiver {
    struct crowd crowd;
    struct floor floor;
    int socket;
    uint64_t received, verified;
};

static _Noreturn void fail(const char *what)
{
    bench_fail("bench_receive", what);
}

static void open_socket(struct receiver *r, const char *place)
{
    struct sockaddr_in local;
    int size = BUFFER;
    struct timeval wait = {.tv_usec = 100000};
    if (!crowd_parse_host(place, &local))
        fail("where to listen is no ADDR:PORT");
    r->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (setsockopt(r->socket, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        (void)setsockopt(r->socket, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (r->socket < 0 || setsockopt(r->socket, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) != 0 ||
        bind(r->socket, (struct sockaddr *)&local, sizeof local) != 0)
        fail(strerror(errno));
}

static inline void take(struct receiver *r, const struct sockaddr_in *from, const uint8_t *payload, size_t length)
{
    uint32_t index = crowd_index(from->sin_addr);
    ++r->received;
    if (length != CROWD_POKE || index >= r->crowd.count)
        return;
    const struct kdnet_keys *keys = &r->crowd.targets[index].keys;
    r->verified += floor_open(&r->floor, keys->control.bytes, &keys->hmac, payload, length);
}

/* How many came. */
static int receive(struct receiver *r, int flags)
{
    static uint8_t space[CROWD_BATCH][PAYLOAD_MAX];
    static struct sockaddr_in from[CROWD_BATCH];
    static struct iovec parts[CROWD_BATCH];
    static struct mmsghdr headers[CROWD_BATCH];
    for (size_t i = 0; i < CROWD_BATCH; ++i) {
        parts[i] = (struct iovec){.iov_base = space[i], .iov_len = sizeof space[i]};
        headers[i].msg_hdr =
            (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &parts[i], .msg_iovlen = 1};
    }
    int came = recvmmsg(r->socket, headers, CROWD_BATCH, flags, NULL);
    for (int i = 0; i < came; ++i)
        take(r, &from[i], space[i], headers[i].msg_len);
    return came;
}

/* False: standard input has ended. */
static bool answer(struct receiver *r)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    uint32_t memory[DROPS + 1] = {0};
    socklen_t length = sizeof memory;
    char line[64];
    if (poll(&input, 1, 0) != 1)
        return true;
    if (read(STDIN_FILENO, line, sizeof line) <= 0)
        return false;
    while (receive(r, MSG_DONTWAIT) > 0) /* what had come when the line did */
        ;
    (void)getsockopt(r->socket, SOL_SOCKET, SO_MEMINFO, memory, &length);
    (void)printf("{\"received\":%" PRIu64 ",\"verified\":%" PRIu64 ",\"dropped\":%" PRIu32 "}\n", r->received,
                 r->verified, memory[DROPS]);
    (void)fflush(stdout);
    return true;
}

int main(int argc, char **argv)
{
    static struct receiver r;
    unsigned long count = argc >= 3 ? strtoul(argv[1], NULL, 10) : 0,
                  nap_ms = argc > 3 ? strtoul(argv[3], NULL, 10) : 0;
    struct timespec nap = {.tv_nsec = (long)(nap_ms % 1000) * 1000000};
    if (count < 1 || count > CROWD_MAX)
        fail("usage: bench_receive COUNT ADDR:PORT [NAP_MS]");
    if (!crowd_init(&r.crowd, (uint32_t)count, NULL) || !floor_init(&r.floor))
        return 1;
    open_socket(&r, argv[2]);
    (void)puts("ready");
    (void)fflush(stdout);
    for (unsigned turn = 0;; ++turn) {
        int came = receive(&r, nap_ms > 0 ? MSG_DONTWAIT : MSG_WAITFORONE);
        if ((came <= 0 || turn % LOOK_EVERY == 0) && !answer(&r))
            break;
        if (nap_ms > 0 && came < (int)CROWD_BATCH)
            (void)nanosleep(&nap, NULL);
    }
    (void)close(r.socket);
    floor_clear(&r.floor);
    crowd_clear(&r.crowd);
    return 0;
}
