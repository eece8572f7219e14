/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crowd: many targets that do nothing but connect and poke, from one socket: each sends from a loopback address of its
 * own, which IP_PKTINFO says with each datagram. Machines that crash are kdnet-target's.
 *
 * Target i has the name load-i, the key `a.b.c.(key + i)` and the address 127.64.0.0 + i, all on one port.
 */
#ifndef TESTS_BENCH_CROWD_H
#define TESTS_BENCH_CROWD_H

#include "kdnet/wire/handshake.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define CROWD_MAX          4000000U /* addresses from 127.64.0.0 on, with room for strangers behind them */
#define CROWD_POKE         374U     /* bytes of a poke's datagram */
#define CROWD_BATCH        64U      /* messages a system call */
#define CROWD_SEGMENTS_MAX 64U

enum crowd_state { CROWD_NEW, CROWD_ANSWERED, CROWD_CONNECTED, CROWD_DEAF };

struct crowd_target {
    struct kdnet_keys keys;
    uint64_t sequence; /* of its last poke */
    uint8_t state;     /* enum crowd_state */
};

struct crowd {
    struct kdnet_crypto *crypto;
    struct crowd_target *targets;
    uint32_t count;
    int socket;
    struct sockaddr_in host;
    uint16_t port;              /* that all of them send from */
    uint32_t connected;         /* how many */
    uint64_t run;               /* another one: they were rebooted */
    uint64_t responses, others; /* datagrams that came */
    uint32_t last;              /* whose was the last response */
};

/* The key of target i. */
void crowd_key(uint32_t index, struct kdnet_key *out);

/* The address of target i, and back: UINT32_MAX when it is none of theirs. */
struct in_addr crowd_address(uint32_t index);
uint32_t crowd_index(struct in_addr address);

/* The form in which kdnet writes addresses. */
void crowd_put_address(struct in_addr ip, uint16_t port, struct kdnet_address *out);

/* ADDR:PORT, IPv4. */
bool crowd_parse_host(const char *text, struct sockaddr_in *out);

/* False: said why on standard error. host NULL: no socket; the crowd only has keys. */
bool crowd_init(struct crowd *crowd, uint32_t count, const struct sockaddr_in *host);
void crowd_clear(struct crowd *crowd);

/* The next poke of a target: a datagram of CROWD_POKE bytes. */
void crowd_seal_poke(struct crowd *crowd, uint32_t index, bool connected, uint8_t out[static CROWD_POKE]);

/* Sends from target `index` (or a stranger behind them) what is in `data`, cut into datagrams of CROWD_POKE bytes. */
void crowd_send(struct crowd *crowd, uint32_t index, const uint8_t *data, size_t length);

/* One of a batch. */
struct crowd_message {
    uint32_t index;
    const uint8_t *data;
    size_t length;
};

/* Sends up to CROWD_BATCH messages; waits while the network does not take them. */
void crowd_send_all(struct crowd *crowd, const struct crowd_message *messages, size_t count);

/* Hands over what has come, up to CROWD_BATCH datagrams, waiting for up to wait_us for the first. How many came. */
typedef void (*crowd_taker)(void *user, uint32_t index, const uint8_t *payload, size_t length);
int crowd_receive(struct crowd *crowd, uint64_t wait_us, crowd_taker take, void *user);

/* The same, and does with it what targets do: answers responses with connection checks. */
void crowd_take(struct crowd *crowd, uint64_t wait_us);

#endif
