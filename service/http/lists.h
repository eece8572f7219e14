/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lists: values of repeatable parameters, checked and copied: names, kinds of event, verdicts, codes, labels.
 */
#ifndef SERVICE_HTTP_LISTS_H
#define SERVICE_HTTP_LISTS_H

#include "service/http/call.h"
#include "service/store/store_read.h"

#include <stdbool.h>
#include <stddef.h>

#define LIST_MAX       32U /* values of one parameter */
#define LIST_TEXT_SIZE 1024U

/* Texts of a list in one block, which can be copied. */
struct list {
    size_t count;
    size_t used;
    unsigned short at[LIST_MAX];
    char text[LIST_TEXT_SIZE];
    const char *pointers[LIST_MAX]; /* list_texts */
};

enum list_kind {
    LIST_NAME,    /* of a target */
    LIST_TYPE,    /* of an event */
    LIST_VERDICT, /* written, not_started, failed, unknown */
    LIST_CODE,    /* 0xD1, D1 or a name is not taken: stored as 0x000000D1 */
};

/* Takes all values of a parameter. False: one is invalid, or there are too many; the answer is a problem. */
bool list_take(struct call *call, const char *name, enum list_kind kind, struct list *out);

/* An empty list has everything. */
bool list_has(const struct list *list, const char *text);

/* Borrowed, as long as the list stays where it is. */
struct store_texts list_texts(struct list *list);

bool list_is_id(const char *text);   /* whether a text has the form of event ids */
bool list_is_name(const char *text); /* of a target or collector */
bool list_is_type(const char *text); /* whether a text is an event's kind */

/* label=KEY=VALUE, all of them, split in place. False: the problem is the answer. */
#define LIST_LABELS_MAX 16U
struct list_label {
    const char *key, *value;
};
bool list_take_labels(struct call *call, struct list_label out[static LIST_LABELS_MAX], size_t *count);

#endif
