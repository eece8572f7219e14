/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holds: datagrams of a source that wait until earlier ones have come back from another worker.
 *
 * When a row comes to this worker, datagrams that were forwarded to its former worker may still be there, and come
 * back. Datagrams that arrive meanwhile wait a moment: HOLDS_MAILS of a source, HOLDS_FOR_US long, HOLDS_MAX sources.
 * Beyond these limits the order is not kept; nothing is lost.
 */
#ifndef SERVICE_HOLDS_H
#define SERVICE_HOLDS_H

#include "service/net/address.h"
#include "service/runtime/mailbox.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOLDS_MAX    64U
#define HOLDS_MAILS  32U
#define HOLDS_FOR_US 20000U

struct hold {
    bool used;
    struct address source;
    uint16_t local_port;
    uint64_t since_us;
    struct message *first, *last;
    size_t count;
};

struct holds {
    struct hold hold[HOLDS_MAX];
    size_t count;
};

/* From now on messages of this source wait. False: they do already, or there is no room. */
bool holds_begin(struct holds *holds, const struct address *source, uint16_t local_port, uint64_t now_us);

/* NULL: messages of this source do not wait. */
struct hold *holds_find(struct holds *holds, const struct address *source, uint16_t local_port);

/* Whether one more message may wait; if not, end the hold. */
bool holds_may_wait(const struct hold *hold, uint64_t now_us);
void holds_put(struct hold *hold, struct message *message);

/* Ends the hold. Returns the messages that waited, oldest first, linked by `next`; the caller owns them. */
struct message *holds_end(struct holds *holds, struct hold *hold);

#endif
