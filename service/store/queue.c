/* SPDX-License-Identifier: Apache-2.0 */
#include "service/store/queue.h"

#include <stdlib.h>
#include <string.h>

static size_t room_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static size_t room_of_facts(const struct store_facts *facts)
{
    return room_of(facts->id) + room_of(facts->type) + room_of(facts->target) + room_of(facts->crash);
}

/* Copies a text to *at, which is moved behind it. */
static const char *keep(char **at, const char *text)
{
    char *copy = *at;
    if (!text)
        return NULL;
    memcpy(copy, text, room_of(text));
    *at += room_of(text);
    return copy;
}

struct store_queued *store_queued_new(const char *text, size_t length, const struct store_facts *facts)
{
    static const struct store_facts none;
    const struct store_facts *known = facts ? facts : &none;
    struct store_queued *line = malloc(sizeof *line + length + 1 + room_of_facts(known));
    if (!line)
        return NULL;
    line->next = NULL;
    line->length = length;
    memcpy(line->text, text, length);
    line->text[length] = '\0';
    char *at = line->text + length + 1;
    line->facts = (struct store_facts){.time_us = known->time_us};
    line->facts.id = keep(&at, known->id);
    line->facts.type = keep(&at, known->type);
    line->facts.target = keep(&at, known->target);
    line->facts.crash = keep(&at, known->crash);
    return line;
}

static size_t size_of(const struct store_queued *line)
{
    return sizeof *line + line->length + 1 + room_of_facts(&line->facts);
}

bool store_queue_push(struct store_queue *queue, struct store_queued *line)
{
    if (queue->bytes + size_of(line) > queue->limit_bytes)
        return false;
    if (queue->last)
        queue->last->next = line;
    else
        queue->first = line;
    queue->last = line;
    ++queue->lines;
    queue->bytes += size_of(line);
    return true;
}

struct store_queued *store_queue_take(struct store_queue *queue, size_t most, size_t *count)
{
    struct store_queued *first = queue->first, *last = NULL;
    *count = 0;
    for (struct store_queued *line = first; line && *count < most; line = line->next, ++*count) {
        last = line;
        --queue->lines;
        queue->bytes -= size_of(line);
    }
    if (!last)
        return NULL;
    queue->first = last->next;
    if (!queue->first)
        queue->last = NULL;
    last->next = NULL;
    return first;
}

void store_queued_free(struct store_queued *first)
{
    while (first) {
        struct store_queued *next = first->next;
        free(first);
        first = next;
    }
}
