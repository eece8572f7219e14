/* SPDX-License-Identifier: Apache-2.0 */
#include "service/output/event_queue.h"

#include <stdlib.h>
#include <string.h>

#define ALL         EVENT_WORTHS /* index of the shelf that sums up a machine's other shelves */
#define BUCKETS_MIN 64U
#define OVERHEAD    16U /* of an allocation */

struct event_source {
    struct event_source *next_in_bucket;
    uint64_t key;
    struct event_shelf shelf[EVENT_WORTHS + 1];
};

#define SOURCE_BYTES (sizeof(struct event_source) + OVERHEAD + sizeof(struct event_source *))

const char *event_worth_name(enum event_worth worth)
{
#define TEXT(name, text) text,
    static const char *const names[] = {EVENT_WORTH_MAP(TEXT)};
#undef TEXT
    return names[worth];
}

void event_queue_init(struct event_queue *queue, size_t limit_bytes, size_t machine_bytes)
{
    *queue = (struct event_queue){.limit_bytes = limit_bytes, .machine_bytes = machine_bytes};
}

void event_queue_clear(struct event_queue *queue)
{
    struct event_line *line = NULL;
    while ((line = event_queue_pop(queue)))
        free(line);
    free(queue->buckets);
    event_queue_init(queue, queue->limit_bytes, queue->machine_bytes);
}

struct event_line *event_line_new(const char *text, size_t length, enum event_worth worth, uint64_t number)
{
    struct event_line *line = malloc(sizeof *line + length);
    if (!line)
        return NULL;
    *line = (struct event_line){.length = length, .worth = worth, .number = number};
    memcpy(line->text, text, length);
    return line;
}

static size_t line_bytes(const struct event_line *line)
{
    return sizeof *line + line->length + OVERHEAD;
}

/* Machines, by key. */

static struct event_source **bucket_of(const struct event_queue *queue, uint64_t key)
{
    return &queue->buckets[(key ^ key >> 32) & (queue->bucket_count - 1)];
}

static bool grow(struct event_queue *queue)
{
    size_t old_count = queue->bucket_count;
    struct event_source **old = queue->buckets;
    size_t count = old_count > 0 ? 2 * old_count : BUCKETS_MIN;
    struct event_source **buckets = calloc(count, sizeof *buckets);
    if (!buckets)
        return false;
    queue->buckets = buckets;
    queue->bucket_count = count;
    for (size_t i = 0; i < old_count; ++i)
        while (old[i]) {
            struct event_source *source = old[i], **bucket = bucket_of(queue, source->key);
            old[i] = source->next_in_bucket;
            source->next_in_bucket = *bucket;
            *bucket = source;
        }
    free(old);
    return true;
}

static struct event_source *find_source(const struct event_queue *queue, uint64_t key)
{
    struct event_source *source = queue->bucket_count > 0 ? *bucket_of(queue, key) : NULL;
    while (source && source->key != key)
        source = source->next_in_bucket;
    return source;
}

static struct event_source *make_source(struct event_queue *queue, uint64_t key)
{
    if (queue->source_count >= queue->bucket_count && !grow(queue) && queue->bucket_count == 0)
        return NULL;
    struct event_source *source = calloc(1, sizeof *source);
    if (!source)
        return NULL;
    struct event_source **bucket = bucket_of(queue, key);
    source->key = key;
    for (size_t i = 0; i <= ALL; ++i)
        source->shelf[i].source = source;
    source->next_in_bucket = *bucket;
    *bucket = source;
    ++queue->source_count;
    queue->bytes += SOURCE_BYTES;
    return source;
}

static void free_source(struct event_queue *queue, struct event_source *source)
{
    struct event_source **at = bucket_of(queue, source->key);
    while (*at != source)
        at = &(*at)->next_in_bucket;
    *at = source->next_in_bucket;
    --queue->source_count;
    queue->bytes -= SOURCE_BYTES;
    free(source);
}

/* Shelves, by their bytes. */

static void unlink_shelf(struct event_shelf **list, struct event_shelf *shelf)
{
    if (shelf->previous)
        shelf->previous->next = shelf->next;
    else
        list[shelf->size] = shelf->next;
    if (shelf->next)
        shelf->next->previous = shelf->previous;
    shelf->previous = shelf->next = NULL;
}

static void link_shelf(struct event_shelf **list, struct event_shelf *shelf)
{
    shelf->next = list[shelf->size];
    if (shelf->next)
        shelf->next->previous = shelf;
    list[shelf->size] = shelf;
}

static unsigned size_of(size_t bytes, unsigned guess)
{
    while (guess + 1 < EVENT_QUEUE_SIZES && bytes >> (guess + 1) > 0)
        ++guess;
    while (guess > 0 && bytes >> guess == 0)
        --guess;
    return guess;
}

static void set_bytes(struct event_queue *queue, struct event_source *source, unsigned which, size_t bytes)
{
    struct event_shelf *shelf = &source->shelf[which];
    unsigned size = size_of(bytes, shelf->size);
    bool was_linked = shelf->bytes > 0;
    shelf->bytes = bytes;
    if (was_linked && bytes > 0 && size == shelf->size)
        return;
    if (was_linked)
        unlink_shelf(queue->by_size[which], shelf);
    shelf->size = size;
    if (bytes > 0)
        link_shelf(queue->by_size[which], shelf);
}

/* Returns the shelf with the most bytes; NULL: all are empty. */
static struct event_shelf *largest(const struct event_queue *queue, unsigned which)
{
    for (unsigned size = EVENT_QUEUE_SIZES; size > 0; --size)
        if (queue->by_size[which][size - 1])
            return queue->by_size[which][size - 1];
    return NULL;
}

/* Lines. */

bool event_queue_push(struct event_queue *queue, struct event_line *line, uint64_t key)
{
    struct event_source *source = find_source(queue, key);
    if (!source && !(source = make_source(queue, key)))
        return false;
    struct event_shelf *shelf = &source->shelf[line->worth];
    line->source = source;
    line->next = line->next_on_shelf = NULL;
    line->previous = queue->last;
    *(queue->last ? &queue->last->next : &queue->first) = line;
    queue->last = line;
    *(shelf->last ? &shelf->last->next_on_shelf : &shelf->first) = line;
    shelf->last = line;
    set_bytes(queue, source, line->worth, shelf->bytes + line_bytes(line));
    set_bytes(queue, source, ALL, source->shelf[ALL].bytes + line_bytes(line));
    queue->bytes += line_bytes(line);
    ++queue->lines;
    return true;
}

/* Takes out the first line of a shelf: lines leave in order, in the queue and on each shelf. */
static struct event_line *take(struct event_queue *queue, struct event_line *line)
{
    struct event_source *source = line->source;
    struct event_shelf *shelf = &source->shelf[line->worth];
    *(line->previous ? &line->previous->next : &queue->first) = line->next;
    *(line->next ? &line->next->previous : &queue->last) = line->previous;
    shelf->first = line->next_on_shelf;
    if (!shelf->first)
        shelf->last = NULL;
    set_bytes(queue, source, line->worth, shelf->bytes - line_bytes(line));
    set_bytes(queue, source, ALL, source->shelf[ALL].bytes - line_bytes(line));
    queue->bytes -= line_bytes(line);
    --queue->lines;
    if (source->shelf[ALL].bytes == 0)
        free_source(queue, source);
    line->previous = line->next = line->next_on_shelf = NULL;
    line->source = NULL;
    return line;
}

struct event_line *event_queue_pop(struct event_queue *queue)
{
    return queue->first ? take(queue, queue->first) : NULL;
}

static struct event_line *least_of(const struct event_source *source)
{
    unsigned worth = 0;
    while (!source->shelf[worth].first)
        ++worth;
    return source->shelf[worth].first;
}

struct event_line *event_queue_shed(struct event_queue *queue)
{
    if (queue->bytes <= queue->limit_bytes || !queue->first)
        return NULL;
    const struct event_shelf *most = largest(queue, ALL);
    if (most->bytes > queue->machine_bytes)
        return take(queue, least_of(most->source));
    unsigned worth = 0;
    while (!(most = largest(queue, worth)))
        ++worth;
    return take(queue, most->first);
}
