/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox: what one loop has to tell another: mails come in the order in which they were posted.
 *
 * Uses nothing but libuv. Anybody posts, on any thread; the owner's loop opens. A mail is the first member of a struct
 * of its own kind, says by a function what is to be done with it, and belongs to that function when it is called.
 */
#ifndef SERVICE_MAILBOX_H
#define SERVICE_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct mail {
    struct mail *next;
    void (*open)(struct mail *mail, void *owner); /* on the owner's loop; frees it */
};

struct mailbox {
    uv_mutex_t lock;
    uv_async_t bell;
    struct mail *first, *last;
    size_t count; /* waiting */
    bool closed;
    void *owner;
};

/* `owner` is handed to each mail. Returns 0 or a UV_ code; then there is nothing to close. */
int mailbox_init(struct mailbox *box, uv_loop_t *loop, void *owner);

/* Posts a mail. Thread: any. Cost: a lock, and a word to the loop when it sleeps. */
void mailbox_post(struct mailbox *box, struct mail *mail);

/* The same, unless `limit` mails are waiting: then it stays the caller's. For what may be lost. */
bool mailbox_offer(struct mailbox *box, struct mail *mail, size_t limit);

/* Opens all that is there now; false: nothing was. Thread: the owner's; also when its loop does not turn any more. */
bool mailbox_open(struct mailbox *box);

/* Closes the bell: nothing is opened by itself from then on. The loop has to run once more. */
void mailbox_close(struct mailbox *box);

/* When the loop has ended, nobody posts any more, and mailbox_open found nothing. */
void mailbox_clear(struct mailbox *box);

#endif
