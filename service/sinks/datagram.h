/* SPDX-License-Identifier: Apache-2.0 */
/* datagram: UDP to one receiver; and what systems name differently of TCP. Private to sinks/. */
#ifndef SERVICE_SINKS_DATAGRAM_H
#define SERVICE_SINKS_DATAGRAM_H

#include "service/sinks/sink.h"

#define DATAGRAM_MAX ((size_t)65000)

struct datagram;

/* Opens a socket to `address`, HOST:PORT, IPv6 in brackets. NULL: the fault is in `error`. */
struct datagram *datagram_open(const char *address, char error[static SINK_TEXT_SIZE]);
bool datagram_send(struct datagram *datagram, const char *bytes, size_t length, char error[static SINK_TEXT_SIZE]);
void datagram_close(struct datagram *datagram); /* NULL is fine */

/* TCP to a receiver that is silent for so long is broken. */
void stream_limit_silence(uintptr_t socket, unsigned seconds);

#endif
