/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of <sys/queue.h> that kdnetd uses and mingw-w64 lacks: tail queues. Names and behaviour are those of
 * queue(7).
 */
#ifndef KDNETD_COMPAT_SYS_QUEUE_H
#define KDNETD_COMPAT_SYS_QUEUE_H

#define TAILQ_HEAD(name, type)                                                                                         \
    struct name {                                                                                                      \
        struct type *tqh_first;                                                                                        \
        struct type **tqh_last;                                                                                        \
    }

#define TAILQ_ENTRY(type)                                                                                              \
    struct {                                                                                                           \
        struct type *tqe_next;                                                                                         \
        struct type **tqe_prev;                                                                                        \
    }

#define TAILQ_FIRST(head)       ((head)->tqh_first)
#define TAILQ_EMPTY(head)       ((head)->tqh_first == NULL)
#define TAILQ_NEXT(entry, link) ((entry)->link.tqe_next)

#define TAILQ_INIT(head)                                                                                               \
    do {                                                                                                               \
        (head)->tqh_first = NULL;                                                                                      \
        (head)->tqh_last = &(head)->tqh_first;                                                                         \
    } while (0)

#define TAILQ_INSERT_TAIL(head, entry, link)                                                                           \
    do {                                                                                                               \
        (entry)->link.tqe_next = NULL;                                                                                 \
        (entry)->link.tqe_prev = (head)->tqh_last;                                                                     \
        *(head)->tqh_last = (entry);                                                                                   \
        (head)->tqh_last = &(entry)->link.tqe_next;                                                                    \
    } while (0)

#define TAILQ_REMOVE(head, entry, link)                                                                                \
    do {                                                                                                               \
        if ((entry)->link.tqe_next != NULL)                                                                            \
            (entry)->link.tqe_next->link.tqe_prev = (entry)->link.tqe_prev;                                            \
        else                                                                                                           \
            (head)->tqh_last = (entry)->link.tqe_prev;                                                                 \
        *(entry)->link.tqe_prev = (entry)->link.tqe_next;                                                              \
    } while (0)

#endif
