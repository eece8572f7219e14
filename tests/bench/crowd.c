/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/bench/crowd.h"
#include "kdnet/error.h"
#include "kdnet/base/wire.h"
#include "tests/bench/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_ADDRESS 0x7f400000U /* 127.64.0.0 */
#define BUFFER        (8 << 20)
#define VERSION       5U

struct control { /* room for one in_pktinfo */
    _Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(sizeof(struct in_pktinfo))];
};

void crowd_key(uint32_t index, struct kdnet_key *out)
{
    for (unsigned part = 0; part < KDNET_KEY_PARTS; ++part)
        kdnet_put_le64(out->bytes + (size_t)8 * part, bench_mix(part) >> 1);
    kdnet_put_le64(out->bytes + 24, (bench_mix(3) >> 1) + index);
}

struct in_addr crowd_address(uint32_t index)
{
    return (struct in_addr){htonl(FIRST_ADDRESS + index)};
}

uint32_t crowd_index(struct in_addr address)
{
    uint32_t ip = ntohl(address.s_addr);
    return ip >= FIRST_ADDRESS && ip < FIRST_ADDRESS + CROWD_MAX ? ip - FIRST_ADDRESS : UINT32_MAX;
}

bool crowd_parse_host(const char *text, struct sockaddr_in *out)
{
    char ip[INET_ADDRSTRLEN + 1];
    unsigned port;
    *out = (struct sockaddr_in){.sin_family = AF_INET};
    if (sscanf(text, "%16[0-9.]:%u", ip, &port) != 2 || /* NOLINT(cert-err34-c): too large a port is none */
        port > UINT16_MAX || inet_pton(AF_INET, ip, &out->sin_addr) != 1)
        return false;
    out->sin_port = htons((uint16_t)port);
    return true;
}

static bool open_socket(struct crowd *crowd)
{
    struct sockaddr_in local = {.sin_family = AF_INET};
    socklen_t length = sizeof local;
    int segment = CROWD_POKE, one = 1, size = BUFFER;
    crowd->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (crowd->socket < 0 || bind(crowd->socket, (struct sockaddr *)&local, sizeof local) != 0 ||
        getsockname(crowd->socket, (struct sockaddr *)&local, &length) != 0 ||
        setsockopt(crowd->socket, IPPROTO_IP, IP_PKTINFO, &one, sizeof one) != 0 ||
        setsockopt(crowd->socket, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0) {
        (void)fprintf(stderr, "bench: no UDP socket with IP_PKTINFO and UDP_SEGMENT: %s\n", strerror(errno));
        return false;
    }
    if (setsockopt(crowd->socket, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0)
        (void)setsockopt(crowd->socket, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (setsockopt(crowd->socket, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0)
        (void)setsockopt(crowd->socket, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    crowd->port = ntohs(local.sin_port);
    return true;
}

bool crowd_init(struct crowd *crowd, uint32_t count, const struct sockaddr_in *host)
{
    *crowd = (struct crowd){.count = count, .socket = -1, .run = 1, .crypto = kdnet_crypto_new()};
    crowd->targets = calloc(count, sizeof *crowd->targets);
    if (!crowd->crypto || !crowd->targets) {
        (void)fputs("bench: out of memory\n", stderr);
        return false;
    }
    for (uint32_t i = 0; i < count; ++i) {
        struct kdnet_key key;
        crowd_key(i, &key);
        kdnet_keys_init(&crowd->targets[i].keys, &key);
    }
    if (!host)
        return true;
    crowd->host = *host;
    return open_socket(crowd);
}

void crowd_clear(struct crowd *crowd)
{
    if (crowd->socket >= 0)
        (void)close(crowd->socket);
    free(crowd->targets);
    kdnet_crypto_free(crowd->crypto);
}

void crowd_put_address(struct in_addr ip, uint16_t port, struct kdnet_address *out)
{
    *out = (struct kdnet_address){.ip = {[10] = 0xff, [11] = 0xff}, .port = port};
    memcpy(out->ip + 12, &ip, sizeof ip);
}

static size_t seal(struct crowd *crowd, uint32_t index, const uint8_t *key, const struct kdnet_datagram *datagram,
                   uint8_t *out, size_t size)
{
    size_t length;
    if (kdnet_datagram_seal(crowd->crypto, key, &crowd->targets[index].keys.hmac, datagram, out, size, &length) !=
        KDNET_OK)
        bench_fail("bench", "a datagram cannot be sealed");
    return length;
}

void crowd_seal_poke(struct crowd *crowd, uint32_t index, bool connected, uint8_t out[static CROWD_POKE])
{
    struct crowd_target *target = &crowd->targets[index];
    struct kdnet_poke poke;
    uint8_t body[KDNET_POKE_LENGTH];
    target->sequence += 3; /* PROTOCOL section 1 */
    memset(poke.random, 0, sizeof poke.random);
    kdnet_put_le64(poke.random, target->sequence / 3);
    kdnet_put_le64(poke.random + 8, bench_mix(index + (crowd->run << 32)));
    crowd_put_address(crowd_address(index), crowd->port, &poke.target);
    crowd_put_address(crowd->host.sin_addr, ntohs(crowd->host.sin_port), &poke.host);
    poke.connected = connected ? poke.host : (struct kdnet_address){.port = 0};
    kdnet_poke_encode(&poke, body);
    struct kdnet_datagram datagram = {.version = VERSION,
                                      .channel = KDNET_CHANNEL_CONTROL,
                                      .sequence = target->sequence,
                                      .body = body,
                                      .body_length = sizeof body};
    if (seal(crowd, index, target->keys.control.bytes, &datagram, out, CROWD_POKE) != CROWD_POKE)
        bench_fail("bench", "a poke has another length than it should");
}

static void fill_message(const struct crowd *crowd, const struct crowd_message *message, struct msghdr *header,
                         struct iovec *part, struct control *control)
{
    struct in_pktinfo from = {.ipi_spec_dst = crowd_address(message->index)};
    *part = (struct iovec){.iov_base = (void *)(uintptr_t)message->data, .iov_len = message->length};
    *header = (struct msghdr){.msg_name = (void *)(uintptr_t)&crowd->host,
                              .msg_namelen = sizeof crowd->host,
                              .msg_iov = part,
                              .msg_iovlen = 1,
                              .msg_control = control,
                              .msg_controllen = sizeof *control};
    struct cmsghdr *info = CMSG_FIRSTHDR(header);
    *info = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof from), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO};
    memcpy(CMSG_DATA(info), &from, sizeof from);
}

void crowd_send_all(struct crowd *crowd, const struct crowd_message *messages, size_t count)
{
    struct mmsghdr headers[CROWD_BATCH];
    struct iovec parts[CROWD_BATCH];
    struct control controls[CROWD_BATCH];
    for (size_t i = 0; i < count; ++i)
        fill_message(crowd, &messages[i], &headers[i].msg_hdr, &parts[i], &controls[i]);
    for (size_t at = 0; at < count;) {
        int sent = sendmmsg(crowd->socket, headers + at, (unsigned)(count - at), 0);
        if (sent > 0)
            at += (size_t)sent;
        else if (errno != ECONNREFUSED && errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
            bench_fail("bench sendmmsg", strerror(errno));
    }
}

void crowd_send(struct crowd *crowd, uint32_t index, const uint8_t *data, size_t length)
{
    struct crowd_message message = {.index = index, .data = data, .length = length};
    crowd_send_all(crowd, &message, 1);
}

/* The host has given a data key: the check shows it that the target uses it. */
static void confirm(struct crowd *crowd, uint32_t index, const struct kdnet_datagram *response)
{
    uint8_t key[KDNET_AES_KEY_LENGTH], check[KDNET_CHECK_LENGTH], out[CROWD_POKE];
    struct crowd_target *target = &crowd->targets[index];
    kdnet_data_key(&target->keys.control, response->body, key);
    const uint8_t *ip = (const uint8_t *)&crowd->host.sin_addr;
    kdnet_check_encode(ip, check);
    struct kdnet_datagram datagram = {
        .version = VERSION, .channel = KDNET_CHANNEL_DATA, .sequence = 1, .body = check, .body_length = sizeof check};
    size_t length = seal(crowd, index, key, &datagram, out, sizeof out);
    if (target->state == CROWD_NEW)
        target->state = CROWD_ANSWERED;
    crowd_send(crowd, index, out, length);
}

static void take_one(void *user, uint32_t index, const uint8_t *payload, size_t length)
{
    struct crowd *crowd = user;
    uint8_t plain[KDNET_DATAGRAM_MAX], version, channel;
    struct kdnet_datagram datagram;
    struct crowd_target *target = &crowd->targets[index];
    ++crowd->others;
    if (kdnet_datagram_peek(payload, length, &version, &channel) != KDNET_OK)
        return;
    if (channel == KDNET_CHANNEL_DATA) {
        crowd->connected += target->state == CROWD_ANSWERED;
        if (target->state == CROWD_ANSWERED)
            target->state = CROWD_CONNECTED;
        return;
    }
    if (kdnet_datagram_open(crowd->crypto, target->keys.control.bytes, &target->keys.hmac, payload, length, plain,
                            &datagram) != KDNET_OK ||
        datagram.body_length != KDNET_RESPONSE_LENGTH)
        return;
    ++crowd->responses;
    crowd->last = index;
    if (target->state != CROWD_DEAF)
        confirm(crowd, index, &datagram); /* a later one, too: a machine uses the key that came last */
}

static uint32_t whose(struct msghdr *header)
{
    for (struct cmsghdr *info = CMSG_FIRSTHDR(header); info; info = CMSG_NXTHDR(header, info)) {
        struct in_pktinfo to;
        if (info->cmsg_level != IPPROTO_IP || info->cmsg_type != IP_PKTINFO)
            continue;
        memcpy(&to, CMSG_DATA(info), sizeof to);
        return crowd_index(to.ipi_addr);
    }
    return UINT32_MAX;
}

int crowd_receive(struct crowd *crowd, uint64_t wait_us, crowd_taker take, void *user)
{
    static uint8_t space[CROWD_BATCH][KDNET_DATAGRAM_MAX];
    struct mmsghdr headers[CROWD_BATCH];
    struct iovec parts[CROWD_BATCH];
    struct control controls[CROWD_BATCH];
    struct pollfd readable = {.fd = crowd->socket, .events = POLLIN};
    struct timespec wait = {.tv_sec = (time_t)(wait_us / 1000000), .tv_nsec = (long)(wait_us % 1000000) * 1000};
    if (wait_us > 0 && ppoll(&readable, 1, &wait, NULL) != 1)
        return 0;
    for (size_t i = 0; i < CROWD_BATCH; ++i) {
        parts[i] = (struct iovec){.iov_base = space[i], .iov_len = sizeof space[i]};
        headers[i].msg_hdr = (struct msghdr){
            .msg_iov = &parts[i], .msg_iovlen = 1, .msg_control = &controls[i], .msg_controllen = sizeof controls[i]};
    }
    int came = recvmmsg(crowd->socket, headers, CROWD_BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < came; ++i) {
        uint32_t index = whose(&headers[i].msg_hdr);
        if (index < crowd->count)
            take(user, index, space[i], headers[i].msg_len);
    }
    return came > 0 ? came : 0;
}

void crowd_take(struct crowd *crowd, uint64_t wait_us)
{
    (void)crowd_receive(crowd, wait_us, take_one, crowd);
}
