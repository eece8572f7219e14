/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address: the source or destination of a datagram, in one form for IPv4 and IPv6.
 *
 * IPv4 is stored as ::ffff:a.b.c.d.
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
    uint16_t via;   /* number (locals.h) of our own address that the machine sends to and our datagrams go out from; 0:
                       the listener's address, or unknown. Ignored in comparisons */
};

/* False when the family is neither IPv4 nor IPv6; `out` is then unchanged. */
bool address_from_socket(const struct sockaddr *socket_address, struct address *out);

/* Converts to a socket address: IPv4 when IPv4-mapped, IPv6 otherwise. */
void address_to_socket(const struct address *address, struct sockaddr_storage *out);

/* Returns the length for bind, connect and sendto: that of the family's struct, IPv4 or IPv6. */
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

/* Writes 192.0.2.7:51111 or [2001:db8::1]:50000; a link-local address with its scope: [fe80::1%2]:50000.
 * NUL-terminated. */
void address_format(const struct address *address, char out[static ADDRESS_TEXT_SIZE]);

/* Writes the address without port and brackets. */
void address_format_ip(const struct address *address, char out[static ADDRESS_TEXT_SIZE]);

/* Parses the output of address_format. False: another form; `out` is then unchanged. */
bool address_parse(const char *text, struct address *out);

/* Keyed hashes: a stranger who does not know `seed` cannot cause collisions. */
uint64_t address_hash(const struct address *address, uint64_t seed);
uint64_t address_hash_ip(const uint8_t ip[static 16], uint64_t seed);

#endif
