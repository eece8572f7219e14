/* SPDX-License-Identifier: Apache-2.0 */
#include "service/runtime/mailbox.h"

#include <stdint.h>

static void on_wakeup(uv_async_t *wakeup)
{
    (void)mailbox_handle(wakeup->data);
}

int mailbox_init(struct mailbox *box, uv_loop_t *loop, void *owner)
{
    *box = (struct mailbox){.owner = owner};
    int error = uv_mutex_init(&box->lock);
    if (error != 0)
        return error;
    error = uv_async_init(loop, &box->wakeup, on_wakeup);
    if (error != 0)
        uv_mutex_destroy(&box->lock);
    box->wakeup.data = box;
    return error;
}

static bool post(struct mailbox *box, struct message *message, size_t limit, bool may_be_lost)
{
    message->next = NULL;
    uv_mutex_lock(&box->lock);
    bool room = box->count < limit && !(box->over && may_be_lost);
    if (room) {
        if (box->last)
            box->last->next = message;
        else
            box->first = message;
        box->last = message;
        ++box->count;
        if (!box->closed)
            (void)uv_async_send(&box->wakeup);
    }
    uv_mutex_unlock(&box->lock);
    return room;
}

bool mailbox_try_post(struct mailbox *box, struct message *message, size_t limit)
{
    return post(box, message, limit, true);
}

void mailbox_post(struct mailbox *box, struct message *message)
{
    (void)post(box, message, SIZE_MAX, false);
}

void mailbox_end(struct mailbox *box)
{
    uv_mutex_lock(&box->lock);
    box->over = true;
    uv_mutex_unlock(&box->lock);
}

bool mailbox_handle(struct mailbox *box)
{
    uv_mutex_lock(&box->lock);
    struct message *message = box->first;
    box->first = box->last = NULL;
    box->count = 0;
    uv_mutex_unlock(&box->lock);
    bool some = message;
    while (message) {
        struct message *next = message->next;
        message->handle(message, box->owner);
        message = next;
    }
    return some;
}

void mailbox_close(struct mailbox *box)
{
    uv_mutex_lock(&box->lock);
    box->closed = true;
    uv_mutex_unlock(&box->lock);
    uv_close((uv_handle_t *)&box->wakeup, NULL);
}

void mailbox_clear(struct mailbox *box)
{
    uv_mutex_destroy(&box->lock);
}
