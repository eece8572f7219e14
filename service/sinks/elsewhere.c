/* SPDX-License-Identifier: Apache-2.0 */
/* A system without a journal; datagrams are not sent on it either. Both are told as the sink's error. */
#include "service/sinks/datagram.h"

#include <stdio.h>

static struct sink_link *open_link(const struct config_sink *config, const char *collector, const atomic_bool *stop)
{
    (void)config;
    (void)collector;
    (void)stop;
    return NULL;
}

const struct sink_type sink_journal = {.open = open_link};

struct datagram *datagram_open(const char *address, char error[static SINK_TEXT_SIZE])
{
    (void)address;
    (void)snprintf(error, SINK_TEXT_SIZE, "udp is not in this build; use tcp");
    return NULL;
}

bool datagram_send(struct datagram *datagram, const char *bytes, size_t length, char error[static SINK_TEXT_SIZE])
{
    (void)datagram;
    (void)bytes;
    (void)length;
    (void)error;
    return false;
}

void datagram_close(struct datagram *datagram)
{
    (void)datagram;
}
