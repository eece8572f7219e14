/* SPDX-License-Identifier: Apache-2.0 */
/* link_internal: what link_times.c measures for link.c, and how long that waits. Not for callers. */
#ifndef KDNET_LINK_INTERNAL_H
#define KDNET_LINK_INTERNAL_H

#include "kdnet/session/link.h"

/* How long an ACK is waited for after so many timeouts of the same packet. */
uint64_t kdnet_link_timeout_after(const struct kdnet_link *link, unsigned timeouts);

/* How long the answer to a RESET is waited for: it comes at once, from whoever listens. */
uint64_t kdnet_link_reset_timeout(const struct kdnet_link *link);

/* How long a reply is waited for: a target may think about a request that it has acknowledged. */
uint64_t kdnet_link_reply_timeout_after(const struct kdnet_link *link, unsigned timeouts);

/* The ACK of the packet under way has come. */
void kdnet_link_measure_ack(struct kdnet_link *link, uint64_t now_us);

/* Any ACK has come. When each packet that was sent again is acknowledged, too, none had been lost, and the first ACK
 * was that of the first. */
void kdnet_link_measure_second_ack(struct kdnet_link *link, uint32_t id);

/* The reply to the request under way has come. */
void kdnet_link_measure_reply(struct kdnet_link *link, uint64_t now_us);

#endif
