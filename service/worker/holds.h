/* SPDX-License-Identifier: Apache-2.0 */
/*
 * holds: datagrams of a source that wait until those before them have come back from another worker.
 *
 * Uses address, mailbox. When a row comes to this worker, datagrams that were passed on to its former worker may still
 * be there, and come back. What arrives meanwhile waits, for a moment: HOLDS_MAILS of a source, HOLDS_FOR_US long,
 * HOLDS_MAX sources. Beyond that the order is not kept; nothing is lost.
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

/* Ends it. Returns the messages that waited, oldest first, linked by `next`; they are the caller's. */
struct message *holds_end(struct holds *holds, struct hold *hold);

#endif
