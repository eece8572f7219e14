/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relay: a bad network between machines and kdnetd, from a seed. Linux only, IPv4 only.
 *
 * Machines send to one socket of it. Each machine, told by its source address, gets a socket of its own towards kdnetd,
 * with an address of its own: the first of --from, then the next ones. What happens to the n-th datagram of the i-th
 * machine in one direction depends on the seed, i, n and the direction only.
 *
 * Standard output: `ready ADDR:PORT`; `cut` and `whole` when a cut begins and ends; `stopped MACHINE COUNT ADDR:PORT`
 * when a machine has reached its last datagram; at the end one line of JSON with the seed and the counts. Standard
 * input: `go` lets everything pass from now on; its end ends the program.
 */
#include "tests/soak/relay_capture.h"
#include "tests/soak/relay_options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DATAGRAM_MAX 65536
#define MACHINES_MAX 4096U
#define PLACES       16384U /* of the table by source; a power of two, several times MACHINES_MAX */
#define BUFFER_SIZE  (8 << 20)
#define EVENTS_MAX   64
#define READ_BURST   32
#define US_PER_MS    1000U
#define NEVER        UINT64_MAX
#define TAG_NEAR     MACHINES_MAX
#define TAG_INPUT    (MACHINES_MAX + 1)

struct machine {
    struct sockaddr_in source, self;
    int far;
    uint64_t count, random[2];
    bool stopped;
};

struct parcel {
    uint64_t due_us, order;
    uint32_t machine;
    bool from_host;
    size_t length;
    uint8_t *bytes;
};

static struct relay_settings settings;
static struct machine machines[MACHINES_MAX];
static uint32_t machine_count;
static uint32_t places[PLACES]; /* index + 1; 0: free */
static struct parcel *heap;     /* by due time, then order */
static size_t heap_count, heap_size;
static struct parcel *kept;
static size_t kept_count, kept_size;
static uint64_t orders, cut_end_us;
static bool going, was_cut, ended;
static int near_socket, poller;

static struct {
    uint64_t received[2], passed[2], lost, duplicated, corrupted, late, cut, too_long, stopped, kept, failed;
} counts;

static void die(const char *what)
{
    (void)fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000U + (uint64_t)now.tv_nsec / 1000U;
}

static uint64_t draw(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15U; /* splitmix64 */
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

/* Always draws, so that one chance does not move the others. */
static bool happens(uint64_t *state, enum relay_chance chance)
{
    return draw(state) % RELAY_WHOLE < settings.chance[chance];
}

/* Delivering: now, later, or when told to go */

static void deliver(uint32_t index, bool from_host, const uint8_t *bytes, size_t length)
{
    const struct machine *machine = &machines[index];
    ssize_t sent = from_host ? sendto(near_socket, bytes, length, 0, (const struct sockaddr *)&machine->source,
                                      sizeof machine->source)
                             : send(machine->far, bytes, length, 0);
    if (sent < 0) {
        ++counts.failed; /* nobody is there */
        return;
    }
    ++counts.passed[from_host];
    if (settings.pcap && from_host)
        relay_capture(&settings.host, &machine->self, bytes, length);
    else if (settings.pcap)
        relay_capture(&machine->self, &settings.host, bytes, length);
}

static bool is_before(const struct parcel *a, const struct parcel *b)
{
    return a->due_us != b->due_us ? a->due_us < b->due_us : a->order < b->order;
}

static void grow(struct parcel **list, size_t count, size_t *size)
{
    if (count < *size)
        return;
    *size = *size ? 2 * *size : 1024;
    *list = realloc(*list, *size * sizeof **list);
    if (!*list)
        die("memory");
}

static void heap_push(const struct parcel *parcel)
{
    grow(&heap, heap_count, &heap_size);
    size_t at = heap_count++;
    while (at > 0 && is_before(parcel, &heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = *parcel;
}

static struct parcel heap_pop(void)
{
    struct parcel first = heap[0], last = heap[--heap_count];
    size_t at = 0;
    for (size_t child = 1; child < heap_count; child = 2 * at + 1) {
        if (child + 1 < heap_count && is_before(&heap[child + 1], &heap[child]))
            ++child;
        if (!is_before(&heap[child], &last))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = last;
    return first;
}

static struct parcel pack(uint32_t index, bool from_host, const uint8_t *bytes, size_t length, uint64_t due_us)
{
    struct parcel parcel = {.due_us = due_us,
                            .order = orders++,
                            .machine = index,
                            .from_host = from_host,
                            .length = length,
                            .bytes = malloc(length + 1)};
    if (!parcel.bytes)
        die("memory");
    memcpy(parcel.bytes, bytes, length);
    return parcel;
}

static void deliver_due(void)
{
    while (heap_count > 0 && heap[0].due_us <= now_us()) {
        struct parcel parcel = heap_pop();
        deliver(parcel.machine, parcel.from_host, parcel.bytes, parcel.length);
        free(parcel.bytes);
    }
}

/* The fate of a datagram */

static void send_copy(uint32_t index, bool from_host, uint8_t *bytes, size_t length)
{
    uint64_t *random = &machines[index].random[from_host];
    uint64_t wait_us = settings.delay_us;
    bool corrupt = happens(random, RELAY_CORRUPT), late = happens(random, RELAY_LATE);
    uint64_t jitter = draw(random), place = draw(random), bit = draw(random);
    if (settings.jitter_us > 0)
        wait_us += jitter % settings.jitter_us;
    if (late) {
        ++counts.late;
        wait_us += settings.late_us;
    }
    uint8_t *spoilt = corrupt && length > 0 ? &bytes[place % length] : NULL;
    uint8_t flip = (uint8_t)(1U << bit % 8);
    if (spoilt) {
        ++counts.corrupted;
        *spoilt ^= flip;
    }
    if (wait_us == 0) {
        deliver(index, from_host, bytes, length);
    } else {
        struct parcel parcel = pack(index, from_host, bytes, length, now_us() + wait_us);
        heap_push(&parcel);
    }
    if (spoilt)
        *spoilt ^= flip;
}

static bool is_cut(void)
{
    if (settings.cut_us == 0)
        return false;
    if (!was_cut && counts.passed[0] + counts.passed[1] >= settings.cut_after) {
        was_cut = true;
        cut_end_us = now_us() + settings.cut_us;
        (void)puts("cut");
    }
    return was_cut && now_us() < cut_end_us;
}

static bool is_stopped(uint32_t index, bool from_host, const uint8_t *bytes, size_t length)
{
    if (going || !machines[index].stopped)
        return false;
    if (settings.keep) {
        grow(&kept, kept_count, &kept_size);
        kept[kept_count++] = pack(index, from_host, bytes, length, 0);
        ++counts.kept;
    } else {
        ++counts.stopped;
    }
    return true;
}

static void stop_after(uint32_t index)
{
    struct machine *machine = &machines[index];
    if (settings.stop_step == 0 || going || machine->stopped ||
        machine->count < settings.stop_first + index * settings.stop_step)
        return;
    machine->stopped = true;
    (void)printf("stopped %u %llu %s:%u\n", index, (unsigned long long)machine->count,
                 inet_ntoa(machine->self.sin_addr), ntohs(machine->self.sin_port));
}

static void take(uint32_t index, bool from_host, uint8_t *bytes, size_t length)
{
    uint64_t *random = &machines[index].random[from_host];
    ++counts.received[from_host];
    if (is_stopped(index, from_host, bytes, length))
        return;
    bool lost = happens(random, RELAY_LOSS), twice = happens(random, RELAY_DUPLICATE);
    ++machines[index].count;
    if (is_cut()) {
        ++counts.cut;
    } else if (settings.longest > 0 && length > settings.longest) {
        ++counts.too_long;
    } else if (lost) {
        ++counts.lost;
    } else {
        send_copy(index, from_host, bytes, length);
        if (twice) {
            ++counts.duplicated;
            send_copy(index, from_host, bytes, length);
        }
    }
    stop_after(index);
}

/* Machines */

static void watch(int descriptor, uint32_t tag)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = tag};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) != 0)
        die("epoll");
}

static int open_socket(struct sockaddr_in *address)
{
    int size = BUFFER_SIZE, one = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t length = sizeof *address;
    if (one < 0)
        die("socket");
    if (setsockopt(one, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        (void)setsockopt(one, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (bind(one, (struct sockaddr *)address, sizeof *address) != 0 ||
        getsockname(one, (struct sockaddr *)address, &length) != 0)
        die("bind");
    return one;
}

static uint32_t machine_add(const struct sockaddr_in *source)
{
    uint32_t index = machine_count++;
    struct machine *machine = &machines[index];
    machine->source = *source;
    machine->self = settings.from;
    machine->self.sin_addr.s_addr = htonl(ntohl(settings.from.sin_addr.s_addr) + index);
    machine->self.sin_port = 0;
    machine->far = open_socket(&machine->self);
    if (connect(machine->far, (struct sockaddr *)&settings.host, sizeof settings.host) != 0)
        die("connect");
    for (uint64_t direction = 0; direction < 2; ++direction) {
        machine->random[direction] = settings.seed ^ (2 * (uint64_t)index + direction) * 0x2545f4914f6cdd1dU;
        (void)draw(&machine->random[direction]);
    }
    watch(machine->far, index);
    return index;
}

/* MACHINES_MAX when there are too many. */
static uint32_t machine_of(const struct sockaddr_in *source)
{
    uint64_t hash = (uint64_t)source->sin_addr.s_addr << 16 | source->sin_port;
    for (uint64_t at = draw(&hash);; ++at) {
        uint32_t *place = &places[at % PLACES];
        if (*place == 0 && machine_count == MACHINES_MAX)
            return MACHINES_MAX;
        if (*place == 0)
            *place = machine_add(source) + 1;
        const struct sockaddr_in *found = &machines[*place - 1].source;
        if (found->sin_addr.s_addr == source->sin_addr.s_addr && found->sin_port == source->sin_port)
            return *place - 1;
    }
}

/* The loop */

static void read_socket(int descriptor, uint32_t index)
{
    static uint8_t bytes[DATAGRAM_MAX];
    for (int i = 0; i < READ_BURST; ++i) {
        struct sockaddr_in source;
        socklen_t source_length = sizeof source;
        ssize_t length = recvfrom(descriptor, bytes, sizeof bytes, 0, (struct sockaddr *)&source, &source_length);
        if (length < 0)
            return; /* nothing more, or "connection refused": kdnetd is not there */
        uint32_t of = index < MACHINES_MAX ? index : machine_of(&source);
        if (of < MACHINES_MAX)
            take(of, index < MACHINES_MAX, bytes, (size_t)length);
    }
}

static void go(void)
{
    going = true;
    for (size_t i = 0; i < kept_count; ++i) {
        deliver(kept[i].machine, kept[i].from_host, kept[i].bytes, kept[i].length);
        free(kept[i].bytes);
    }
    kept_count = 0;
    (void)puts("going");
}

static void read_input(void)
{
    char text[64];
    ssize_t length = read(STDIN_FILENO, text, sizeof text);
    if (length <= 0)
        ended = true;
    else if (memmem(text, (size_t)length, "go", 2))
        go();
}

static int next_timeout_ms(void)
{
    uint64_t now = now_us(), next = heap_count > 0 ? heap[0].due_us : NEVER;
    if (was_cut && cut_end_us != 0 && cut_end_us < next)
        next = cut_end_us;
    if (next == NEVER)
        return -1;
    return next <= now ? 0 : (int)((next - now + US_PER_MS - 1) / US_PER_MS);
}

static void run(void)
{
    struct epoll_event events[EVENTS_MAX];
    while (!ended) {
        int count = epoll_wait(poller, events, EVENTS_MAX, next_timeout_ms());
        for (int i = 0; i < count; ++i) {
            uint32_t tag = events[i].data.u32;
            if (tag == TAG_INPUT)
                read_input();
            else
                read_socket(tag == TAG_NEAR ? near_socket : machines[tag].far, tag);
        }
        deliver_due();
        if (was_cut && cut_end_us != 0 && now_us() >= cut_end_us) {
            cut_end_us = 0;
            (void)puts("whole");
        }
    }
}

/* Start and end */

static void print_counts(void)
{
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"from_machines", counts.received[0]},
        {"from_host", counts.received[1]},
        {"to_host", counts.passed[0]},
        {"to_machines", counts.passed[1]},
        {"lost", counts.lost},
        {"duplicated", counts.duplicated},
        {"corrupted", counts.corrupted},
        {"late", counts.late},
        {"cut", counts.cut},
        {"too_long", counts.too_long},
        {"stopped", counts.stopped},
        {"kept", counts.kept},
        {"failed", counts.failed},
        {"machines", machine_count},
    };
    uint64_t most = 0;
    (void)printf("{\"seed\":%llu", (unsigned long long)settings.seed);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i)
        (void)printf(",\"%s\":%llu", rows[i].name, (unsigned long long)rows[i].value);
    for (uint32_t i = 0; i < machine_count; ++i)
        most = machines[i].count > most ? machines[i].count : most;
    (void)printf(",\"most\":%llu}\n", (unsigned long long)most); /* of one machine */
}

static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    relay_parse(argc, argv, &settings);
    if (settings.pcap && !relay_capture_open(settings.pcap))
        die(settings.pcap);
    raise_limit();
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    poller = epoll_create1(EPOLL_CLOEXEC);
    near_socket = open_socket(&settings.near);
    watch(near_socket, TAG_NEAR);
    watch(STDIN_FILENO, TAG_INPUT);
    (void)printf("ready %s:%u\n", inet_ntoa(settings.near.sin_addr), ntohs(settings.near.sin_port));
    run();
    print_counts();
    if (settings.pcap)
        relay_capture_close();
    while (heap_count > 0)
        free(heap_pop().bytes);
    free(heap);
    for (size_t i = 0; i < kept_count; ++i)
        free(kept[i].bytes);
    free(kept);
    return 0;
}
