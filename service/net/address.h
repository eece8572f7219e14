/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address: where a datagram came from or goes to, in one form for IPv4 and IPv6.
 *
 * Uses config (for its form of an address). IPv4 is kept as ::ffff:a.b.c.d.
 */
#ifndef SERVICE_ADDRESS_H
#define SERVICE_ADDRESS_H

#include "config/config.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#define ADDRESS_TEXT_SIZE 80 /* "[" IPv6 "%" scope "]:" port and the NUL */

struct address {
    uint8_t ip[16];
    uint32_t scope; /* sin6_scope_id: the interface of a link-local address; 0 otherwise */
    uint16_t port;  /* host order */
    uint16_t via;   /* which of our addresses its datagrams are for (locals.h), and ours to it come from; 0: the
                     * listener's own, or not known. No part of what makes two addresses equal */
};

/* False when the family is neither IPv4 nor IPv6; `out` is then unchanged. */
bool address_from_socket(const struct sockaddr *socket_address, struct address *out);

/* For a socket of that family: IPv4 when the address is IPv4-mapped, IPv6 otherwise. */
void address_to_socket(const struct address *address, struct sockaddr_storage *out);

/* What bind, connect and sendto want to be told of an address: the length of its family's struct, IPv4 or IPv6. */
static inline socklen_t address_socket_length(const struct sockaddr *socket_address)
{
    return socket_address->sa_family == AF_INET ? (socklen_t)sizeof(struct sockaddr_in)
                                                : (socklen_t)sizeof(struct sockaddr_in6);
}

struct address address_from_config(const struct config_address *address);

bool address_is_ipv4(const struct address *address);
bool address_is_any(const struct address *address); /* 0.0.0.0 or [::] */
bool address_equal(const struct address *a, const struct address *b);
bool address_same_ip(const struct address *a, const uint8_t ip[static 16]);

/* 192.0.2.7:51111 or [2001:db8::1]:50000; a link-local one has its scope: [fe80::1%2]:50000. NUL-ended. */
void address_format(const struct address *address, char out[static ADDRESS_TEXT_SIZE]);

/* The same without the port and its brackets. */
void address_format_ip(const struct address *address, char out[static ADDRESS_TEXT_SIZE]);

/* What address_format writes. False: it is not that; `out` is then unchanged. */
bool address_parse(const char *text, struct address *out);

/* Keyed hashes: a stranger who does not know `seed` cannot make addresses collide on purpose. */
uint64_t address_hash(const struct address *address, uint64_t seed);
uint64_t address_hash_ip(const uint8_t ip[static 16], uint64_t seed);

#endif
