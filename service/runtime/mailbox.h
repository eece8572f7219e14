/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox: messages from any thread to one loop, handled in the order of posting.
 *
 * A message is the first member of a struct of its own kind and carries its handler, which owns it when called.
 */
#ifndef SERVICE_MAILBOX_H
#define SERVICE_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct message {
    struct message *next;
    void (*handle)(struct message *message, void *owner); /* called on the owner's loop; frees the message */
};

struct mailbox {
    uv_mutex_t lock;
    uv_async_t wakeup;
    struct message *first, *last;
    size_t count; /* waiting */
    bool closed, over;
    void *owner;
};

/* `owner` is handed to each message. Returns 0 or a UV_ code; then there is nothing to close. */
int mailbox_init(struct mailbox *box, uv_loop_t *loop, void *owner);

/* Posts a message. Thread: any. Cost: a lock, and a wake-up when the loop sleeps. */
void mailbox_post(struct mailbox *box, struct message *message);

/* Posts a message unless `limit` messages are waiting, or the box has ended; otherwise the caller keeps it. For
 * messages that may be lost. */
bool mailbox_try_post(struct mailbox *box, struct message *message, size_t limit);

/* From then on mailbox_try_post refuses: what may be lost is not left waiting where nobody looks again. Thread: any. */
void mailbox_end(struct mailbox *box);

/* Handles every waiting message; false: none was waiting. Thread: the owner's; also after its loop has stopped. */
bool mailbox_handle(struct mailbox *box);

/* Closes the wakeup: no message is handled by itself from then on. The loop has to run once more. */
void mailbox_close(struct mailbox *box);

/* When the loop has ended, nobody posts any more, and mailbox_handle found nothing. */
void mailbox_clear(struct mailbox *box);

#endif
