/* SPDX-License-Identifier: Apache-2.0 */
#include "service/kdnet-target/fleet.h"
#include "config/remedies.h"
#include "service/kdnet-target/fleet_internal.h"
#include "service/kdnet-target/replay.h"
#include "service/platform/program.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_US           1000U
#define US_PER_MS           1000U
#define SPARE_DESCRIPTORS   32U
#define RECEIVE_BUFFER_SIZE 65536
#define LOOPBACK_SECOND     1U   /* 127.1.x.y */
#define LOOPBACK_LAST       254U /* addresses in one 127.b.c.0/24: not .0, not .255 */

/* One buffer suffices: libuv fills it and calls back at once. */
static char receive_buffer[RECEIVE_BUFFER_SIZE];

uint64_t fleet_now_us(const struct fleet *fleet)
{
    return uv_hrtime() / NS_PER_US - fleet->start_us;
}

void fleet_name(uint32_t index, char out[static FLEET_NAME_SIZE])
{
    (void)snprintf(out, FLEET_NAME_SIZE, "target-%04u", (unsigned)(index + 1) % 1000000U);
}

static int bind_socket(struct unit *unit);

static void on_timer(uv_timer_t *timer);

static void close_socket(uv_handle_t *handle)
{
    free(handle);
}

/* Replaces a machine's socket; when no other can be opened, the machine keeps the old one. */
static void replace_socket(struct unit *unit)
{
    uv_udp_t *old = unit->socket;
    if (bind_socket(unit) == 0) {
        uv_close((uv_handle_t *)old, close_socket);
        machine_set_address(unit->machine, &unit->self);
    } else {
        unit->socket = old;
    }
}

/* Moves a rebooted machine to another port, if requested. */
static void move_socket(struct unit *unit)
{
    struct machine_result result;
    machine_result(unit->machine, fleet_now_us(unit->fleet), &result);
    if (!unit->fleet->options->new_port || result.boots == unit->boots)
        return;
    unit->boots = result.boots;
    replace_socket(unit);
}

/* Sends the machine's datagrams, and sets its timer. */
static void flush(struct unit *unit)
{
    char out[KDNET_DATAGRAM_MAX];
    size_t length;
    move_socket(unit);
    uint64_t now = fleet_now_us(unit->fleet);
    while (machine_next_datagram(unit->machine, now, (uint8_t *)out, sizeof out, &length)) {
        uv_buf_t buffer = uv_buf_init(out, (unsigned)length);
        uv_udp_try_send(unit->socket, &buffer, 1,
                        NULL); /* a datagram dropped here is retransmitted, as on any network */
    }
    uint64_t deadline = machine_deadline(unit->machine);
    if (deadline == MACHINE_NEVER) {
        uv_timer_stop(&unit->timer);
        return;
    }
    uint64_t wait_us = deadline > now ? deadline - now : 0;
    uv_update_time(unit->fleet->loop); /* otherwise a timer would be early by the duration of this round of the loop */
    uv_timer_start(&unit->timer, on_timer, (wait_us + US_PER_MS - 1) / US_PER_MS, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct unit *unit = timer->data;
    machine_expire(unit->machine, fleet_now_us(unit->fleet));
    flush(unit);
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    (void)handle;
    (void)suggested;
    *out = uv_buf_init(receive_buffer, sizeof receive_buffer);
}

static void on_datagram(uv_udp_t *socket, ssize_t length, const uv_buf_t *buffer, const struct sockaddr *from,
                        unsigned flags)
{
    struct unit *unit = socket->data;
    (void)flags;
    if (length < 0 && program_refused_is_deaf()) { /* kdnetd is not there yet */
        (void)uv_udp_recv_start(socket, give_buffer, on_datagram);
        replace_socket(unit);
    }
    if (length <= 0 || !from)
        return;
    machine_receive(unit->machine, (const uint8_t *)buffer->base, (size_t)length, fleet_now_us(unit->fleet));
    flush(unit);
}

/* Addresses */

static bool is_ipv4_loopback(const struct sockaddr_storage *address)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    return address->ss_family == AF_INET && ntohl(v4->sin_addr.s_addr) >> 24 == 127;
}

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
    if (address->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)address)->sin_port = htons(port);
}

static void choose_bound(const struct options *options, uint32_t index, struct sockaddr_storage *out)
{
    struct kdnet_address address;
    *out = options->bind;
    options_address(out, &address);
    if (address.port != 0)
        set_port(out, (uint16_t)(address.port + index));
}

/* Where a machine sends from when --bind does not say. */
static void choose_default(const struct options *options, uint32_t index, struct sockaddr_storage *out)
{
    struct kdnet_address host;
    options_address(&options->host, &host);
    memset(out, 0, sizeof *out);
    out->ss_family = options->host.ss_family;
    if (options->count > 1 && is_ipv4_loopback(&options->host)) {
        uint32_t third = index / LOOPBACK_LAST, last = index % LOOPBACK_LAST + 1;
        uint32_t ip = (127U << 24) + (LOOPBACK_SECOND << 16) + (third << 8) + last;
        ((struct sockaddr_in *)out)->sin_addr.s_addr = htonl(ip);
        set_port(out, host.port);
    } else if (options->count == 1 && !is_ipv4_loopback(&options->host)) {
        set_port(out, host.port); /* both sides use one number (PROTOCOL.md section 1) */
    }
}

static int open_socket(struct unit *unit, const struct sockaddr_storage *address)
{
    const struct options *options = unit->fleet->options;
    struct sockaddr_storage self;
    int self_length = sizeof self;
    uv_udp_t *udp = malloc(sizeof *udp);
    if (!udp)
        return UV_ENOMEM;
    int error = uv_udp_init(unit->fleet->loop, udp);
    if (error != 0) {
        free(udp);
        return error;
    }
    udp->data = unit;
    error = uv_udp_bind(udp, (const struct sockaddr *)address, 0);
    if (error == 0)
        error = uv_udp_connect(udp, (const struct sockaddr *)&options->host);
    if (error == 0)
        error = uv_udp_getsockname(udp, (struct sockaddr *)&self, &self_length);
    if (error == 0)
        error = uv_udp_recv_start(udp, give_buffer, on_datagram);
    if (error != 0) {
        uv_close((uv_handle_t *)udp, close_socket);
        return error;
    }
    unit->socket = udp;
    options_address(&self, &unit->self);
    return 0;
}

static int bind_socket(struct unit *unit)
{
    const struct options *options = unit->fleet->options;
    struct sockaddr_storage address;
    bool again = unit->boots > 1; /* rebooted: any port but the old one */
    if (options->bind.ss_family != 0)
        choose_bound(options, unit->index, &address);
    else
        choose_default(options, unit->index, &address);
    if (again)
        set_port(&address, 0);
    int error = open_socket(unit, &address);
    if ((error == UV_EADDRINUSE || error == UV_EACCES) && options->bind.ss_family == 0) {
        set_port(&address, 0); /* kdnetd listens on all addresses of this port: any other will do */
        error = open_socket(unit, &address);
    }
    return error;
}

/* --- start and end ------------------------------------------------------------------------------------------------ */

static bool raise_limit(uint32_t count)
{
    uint64_t need = (uint64_t)count + SPARE_DESCRIPTORS, most = program_raise_files(need);
    if (most >= need)
        return true;
    (void)fprintf(
        stderr,
        "kdnet-target: --count %u: each machine needs a descriptor, and the limit is %llu; " REMEDY_FILES_WISHED
        ", or run several kdnet-target\n",
        count, (unsigned long long)most, (unsigned long long)need);
    return false;
}

static void configure(const struct fleet *fleet, uint32_t index, const struct machine_replay *replay,
                      struct machine_config *out)
{
    const struct options *o = fleet->options;
    uint64_t start_ms = (uint64_t)o->spread_ms * index / o->count;
    *out = (struct machine_config){
        .crypto = fleet->crypto,
        .version = (uint8_t)o->version,
        .machine = o->machine,
        .scenario = o->scenario,
        .seed = o->seed +
                (uint64_t)index * 0x2545f4914f6cdd1dU, /* far apart, so that the machines' random draws differ */
        .run = fleet->run,
        .start_us = start_ms * US_PER_MS,
        .delay_ms = o->delay_ms > start_ms ? o->delay_ms - (uint32_t)start_ms : 0,
        .dump_ms = o->dump_ms,
        .reboot_ms = o->reboot_ms,
        .status = o->status,
        .random_status = !o->has_status && strcmp(o->scenario, "mixed") == 0,
        .bugcheck = o->bugcheck,
        .no_reboot = o->no_reboot,
        .no_dump = o->no_dump,
        .dump_log = o->dump_log,
        .images = o->images,
        .cause = o->cause,
        .lenient = o->lenient,
        .think = o->think,
        .loss_percent = o->loss,
        .path_ms = o->path_ms,
        .path_then_ms = o->path_then_ms,
        .path_at_ms = o->path_at_ms,
        .rate = o->rate,
        .times = o->times,
        .pdb = &o->pdb,
        .replay = replay,
        .replay_gap_ms = o->replay_gap_ms,
    };
    options_key(o, index, &out->key);
    options_address(&o->host, &out->host);
}

static bool make_unit(struct fleet *fleet, const struct machine_replay *replay)
{
    struct machine_config config;
    uint32_t index = fleet->made;
    struct unit *unit = &fleet->units[index];
    configure(fleet, index, replay, &config);
    *unit = (struct unit){.fleet = fleet, .index = index, .boots = 1};
    int error = bind_socket(unit);
    if (error != 0) {
        char name[FLEET_NAME_SIZE];
        fleet_name(index, name);
        (void)fprintf(stderr, "kdnet-target: %s: its address cannot be used: %s; %s\n", name, uv_strerror(error),
                      fleet->options->bind.ss_family != 0 ? "give another one with --bind, or port 0 for any"
                                                          : "give one of this computer with --bind ADDR:PORT");
        return false;
    }
    uv_timer_init(fleet->loop, &unit->timer);
    unit->timer.data = unit;
    ++fleet->made;
    config.self = unit->self;
    unit->machine = machine_new(&config);
    if (!unit->machine)
        (void)fputs("kdnet-target: out of memory\n", stderr);
    return unit->machine != NULL;
}

struct fleet *fleet_new(uv_loop_t *loop, const struct options *options, const struct machine_replay *replay)
{
    if (!raise_limit(options->count))
        return NULL;
    struct fleet *fleet = calloc(1, sizeof *fleet);
    if (!fleet)
        return NULL;
    fleet->loop = loop;
    fleet->options = options;
    fleet->count = options->count;
    if (!options->has_seed)
        (void)uv_random(NULL, NULL, &fleet->run, sizeof fleet->run, 0, NULL);
    fleet->start_us = uv_hrtime() / NS_PER_US;
    fleet->crypto = kdnet_crypto_new();
    fleet->units = calloc(options->count, sizeof *fleet->units);
    bool good = fleet->crypto && fleet->units;
    if (!good)
        (void)fputs("kdnet-target: out of memory\n", stderr);
    while (good && fleet->made < fleet->count)
        good = make_unit(fleet, replay);
    if (!good) {
        fleet_close(fleet);
        uv_run(loop, UV_RUN_DEFAULT);
        fleet_free(fleet);
        return NULL;
    }
    fleet->stranger = stranger_new(fleet);
    fleet->start_us = uv_hrtime() / NS_PER_US; /* making thousands took a while */
    for (uint32_t i = 0; i < fleet->count; ++i)
        flush(&fleet->units[i]);
    return fleet;
}

void fleet_close(struct fleet *fleet)
{
    stranger_close(fleet->stranger);
    fleet->stranger = NULL;
    for (uint32_t i = 0; i < fleet->made; ++i) {
        uv_close((uv_handle_t *)fleet->units[i].socket, close_socket);
        uv_close((uv_handle_t *)&fleet->units[i].timer, NULL);
    }
}

void fleet_free(struct fleet *fleet)
{
    for (uint32_t i = 0; i < fleet->made; ++i)
        machine_free(fleet->units[i].machine);
    free(fleet->units);
    kdnet_crypto_free(fleet->crypto);
    free(fleet);
}

bool fleet_is_ended(const struct fleet *fleet)
{
    uint64_t now = fleet_now_us(fleet);
    for (uint32_t i = 0; i < fleet->count; ++i)
        if (!machine_is_ended(fleet->units[i].machine, now))
            return false;
    return true;
}

bool fleet_is_well(const struct fleet *fleet)
{
    struct machine_result result;
    uint64_t now = fleet_now_us(fleet);
    for (uint32_t i = 0; i < fleet->count; ++i) {
        machine_result(fleet->units[i].machine, now, &result);
        if (result.state != MACHINE_ENDED || machine_harm(&result) > 0)
            return false;
    }
    return true;
}
