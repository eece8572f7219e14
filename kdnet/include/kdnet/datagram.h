/* SPDX-License-Identifier: Apache-2.0 */
/*
 * datagram: the size of KDNET's UDP payloads, and the addresses in them.
 */
#ifndef KDNET_PUBLIC_DATAGRAM_H
#define KDNET_PUBLIC_DATAGRAM_H

#include "kdnet/header.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

KDNET_HEADER_BEGIN

#define KDNET_DATAGRAM_MAX 4054 /* bytes of the longest UDP payload */

/* An IPv6 or IPv4-mapped address (::ffff:a.b.c.d) and a port in host order; 0.0.0.0 or :: with port 0 means none. */
struct kdnet_address {
    uint8_t ip[16];
    uint16_t port;
};

KDNET_HEADER_END

#endif
