/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox: what one loop has to tell another: messages come in the order in which they were posted.
 *
 * Uses nothing but libuv. Anybody posts, on any thread; the owner's loop handles. A message is the first member of a
 * struct of its own kind, says by a function what is to be done with it, and belongs to that function when it is
 * called.
 */
#ifndef SERVICE_MAILBOX_H
#define SERVICE_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct message {
    struct message *next;
    void (*handle)(struct message *message, void *owner); /* on the owner's loop; frees it */
};

struct mailbox {
    uv_mutex_t lock;
    uv_async_t wakeup;
    struct message *first, *last;
    size_t count; /* waiting */
    bool closed;
    void *owner;
};

/* `owner` is handed to each message. Returns 0 or a UV_ code; then there is nothing to close. */
int mailbox_init(struct mailbox *box, uv_loop_t *loop, void *owner);

/* Posts a message. Thread: any. Cost: a lock, and a word to the loop when it sleeps. */
void mailbox_post(struct mailbox *box, struct message *message);

/* The same, unless `limit` messages are waiting: then it stays the caller's. For what may be lost. */
bool mailbox_try_post(struct mailbox *box, struct message *message, size_t limit);

/* Handles every message that waits; false: none did. Thread: the owner's; also when its loop does not turn any more. */
bool mailbox_handle(struct mailbox *box);

/* Closes the wakeup: no message is handled by itself from then on. The loop has to run once more. */
void mailbox_close(struct mailbox *box);

/* When the loop has ended, nobody posts any more, and mailbox_handle found nothing. */
void mailbox_clear(struct mailbox *box);

#endif
