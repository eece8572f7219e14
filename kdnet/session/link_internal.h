/* SPDX-License-Identifier: Apache-2.0 */
/* link_internal: measured times and timeouts of the link. Not for callers. */
#ifndef KDNET_LINK_INTERNAL_H
#define KDNET_LINK_INTERNAL_H

#include "kdnet/session/link.h"

/* Returns how long an ACK is awaited after `timeouts` timeouts of the same packet. */
uint64_t kdnet_link_timeout_after(const struct kdnet_link *link, unsigned timeouts);

/* Returns the time between two RESENDs for a reply that another host may have received. */
uint64_t kdnet_link_pace(const struct kdnet_link *link);

/* Returns how long the answer to a RESET is awaited: a listening target answers at once. */
uint64_t kdnet_link_reset_timeout(const struct kdnet_link *link);

/* Returns how long a reply is awaited: a target may think about an acknowledged request. */
uint64_t kdnet_link_reply_timeout_after(const struct kdnet_link *link, unsigned timeouts);

/* The ACK of the packet under way has come. */
void kdnet_link_measure_ack(struct kdnet_link *link, uint64_t now_us);

/* Any ACK has come. When every transmission of a packet gets its own ACK, no packet was lost, so the first ACK
 * belongs to the first transmission. */
void kdnet_link_measure_second_ack(struct kdnet_link *link, uint32_t id);

/* The reply to the request under way has come. */
void kdnet_link_measure_reply(struct kdnet_link *link, uint64_t now_us);

#endif
