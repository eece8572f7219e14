/* SPDX-License-Identifier: Apache-2.0 */
#include "service/net/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool address_from_socket(const struct sockaddr *socket_address, struct address *out)
{
    struct address made;
    memset(&made, 0, sizeof made);
    if (socket_address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, socket_address, sizeof v4);
        memcpy(made.ip, mapped, sizeof mapped);
        memcpy(made.ip + sizeof mapped, &v4.sin_addr, 4);
        made.port = ntohs(v4.sin_port);
    } else if (socket_address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, socket_address, sizeof v6);
        memcpy(made.ip, &v6.sin6_addr, sizeof made.ip);
        made.scope = v6.sin6_scope_id;
        made.port = ntohs(v6.sin6_port);
    } else {
        return false;
    }
    *out = made;
    return true;
}

void address_to_socket(const struct address *address, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (address_is_ipv4(address)) {
        struct sockaddr_in v4;
        memset(&v4, 0, sizeof v4);
        v4.sin_family = AF_INET;
        v4.sin_port = htons(address->port);
        memcpy(&v4.sin_addr, address->ip + sizeof mapped, 4);
        memcpy(out, &v4, sizeof v4);
        return;
    }
    struct sockaddr_in6 v6;
    memset(&v6, 0, sizeof v6);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address->port);
    v6.sin6_scope_id = address->scope;
    memcpy(&v6.sin6_addr, address->ip, sizeof address->ip);
    memcpy(out, &v6, sizeof v6);
}

struct address address_from_config(const struct config_address *address)
{
    struct address made;
    memset(&made, 0, sizeof made);
    memcpy(made.ip, address->ip, sizeof made.ip);
    made.port = address->port;
    return made;
}

bool address_is_ipv4(const struct address *address)
{
    return memcmp(address->ip, mapped, sizeof mapped) == 0;
}

bool address_is_any(const struct address *address)
{
    static const uint8_t none[16] = {0};
    return memcmp(address->ip + sizeof mapped, none, 4) == 0 &&
           (address_is_ipv4(address) || memcmp(address->ip, none, sizeof mapped) == 0);
}

bool address_equal(const struct address *a, const struct address *b)
{
    return a->port == b->port && a->scope == b->scope && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

bool address_same_ip(const struct address *a, const uint8_t ip[static 16])
{
    return memcmp(a->ip, ip, sizeof a->ip) == 0;
}

void address_format_ip(const struct address *address, char out[static ADDRESS_TEXT_SIZE])
{
    char ip[INET6_ADDRSTRLEN] = "?";
    if (address_is_ipv4(address))
        (void)uv_inet_ntop(AF_INET, address->ip + sizeof mapped, ip, sizeof ip);
    else
        (void)uv_inet_ntop(AF_INET6, address->ip, ip, sizeof ip);
    if (address->scope != 0)
        (void)snprintf(out, ADDRESS_TEXT_SIZE, "%s%%%u", ip, (unsigned)address->scope);
    else
        (void)snprintf(out, ADDRESS_TEXT_SIZE, "%s", ip);
}

void address_format(const struct address *address, char out[static ADDRESS_TEXT_SIZE])
{
    char ip[ADDRESS_TEXT_SIZE];
    address_format_ip(address, ip);
    if (address_is_ipv4(address))
        (void)snprintf(out, ADDRESS_TEXT_SIZE, "%.64s:%u", ip, (unsigned)address->port);
    else
        (void)snprintf(out, ADDRESS_TEXT_SIZE, "[%.64s]:%u", ip, (unsigned)address->port);
}

/* Multiply and fold (the step of wyhash): quick, and every bit of the input moves every bit of the output. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    a ^= 0x9e3779b97f4a7c15U;
    b ^= 0xd6e8feb86659fd93U;
    a ^= a >> 32;
    a *= 0xd6e8feb86659fd93U;
    a ^= b;
    a ^= a >> 29;
    a *= 0xbf58476d1ce4e5b9U;
    return a ^ a >> 32;
}

uint64_t address_hash_ip(const uint8_t ip[static 16], uint64_t seed)
{
    uint64_t high = 0, low = 0;
    memcpy(&high, ip, sizeof high);
    memcpy(&low, ip + sizeof high, sizeof low);
    return mix(mix(high ^ seed, low), seed);
}

uint64_t address_hash(const struct address *address, uint64_t seed)
{
    return mix(address_hash_ip(address->ip, seed) ^ address->port, seed);
}

bool address_parse(const char *text, struct address *out)
{
    char ip[ADDRESS_TEXT_SIZE];
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    bool is_ipv6 = length > 2 && text[0] == '[' && text[length - 1] == ']';
    if (length == 0 || length >= sizeof ip || strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return false;
    unsigned long port = strtoul(colon + 1, NULL, 10);
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    memcpy(ip, text + is_ipv6, length - 2 * is_ipv6);
    ip[length - 2 * is_ipv6] = '\0';
    if (port > UINT16_MAX)
        return false;
    if (is_ipv6)
        return uv_ip6_addr(ip, (int)port, &ipv6) == 0 && address_from_socket((const struct sockaddr *)&ipv6, out);
    return uv_ip4_addr(ip, (int)port, &ipv4) == 0 && address_from_socket((const struct sockaddr *)&ipv4, out);
}
