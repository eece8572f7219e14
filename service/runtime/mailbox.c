/* SPDX-License-Identifier: Apache-2.0 */
#include "service/runtime/mailbox.h"

#include <stdint.h>

static void on_bell(uv_async_t *bell)
{
    (void)mailbox_open(bell->data);
}

int mailbox_init(struct mailbox *box, uv_loop_t *loop, void *owner)
{
    *box = (struct mailbox){.owner = owner};
    int error = uv_mutex_init(&box->lock);
    if (error != 0)
        return error;
    error = uv_async_init(loop, &box->bell, on_bell);
    if (error != 0)
        uv_mutex_destroy(&box->lock);
    box->bell.data = box;
    return error;
}

bool mailbox_offer(struct mailbox *box, struct mail *mail, size_t limit)
{
    mail->next = NULL;
    uv_mutex_lock(&box->lock);
    bool room = box->count < limit;
    if (room) {
        if (box->last)
            box->last->next = mail;
        else
            box->first = mail;
        box->last = mail;
        ++box->count;
        if (!box->closed)
            (void)uv_async_send(&box->bell);
    }
    uv_mutex_unlock(&box->lock);
    return room;
}

void mailbox_post(struct mailbox *box, struct mail *mail)
{
    (void)mailbox_offer(box, mail, SIZE_MAX);
}

bool mailbox_open(struct mailbox *box)
{
    uv_mutex_lock(&box->lock);
    struct mail *mail = box->first;
    box->first = box->last = NULL;
    box->count = 0;
    uv_mutex_unlock(&box->lock);
    bool some = mail;
    while (mail) {
        struct mail *next = mail->next;
        mail->open(mail, box->owner);
        mail = next;
    }
    return some;
}

void mailbox_close(struct mailbox *box)
{
    uv_mutex_lock(&box->lock);
    box->closed = true;
    uv_mutex_unlock(&box->lock);
    uv_close((uv_handle_t *)&box->bell, NULL);
}

void mailbox_clear(struct mailbox *box)
{
    uv_mutex_destroy(&box->lock);
}
